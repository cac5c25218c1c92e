//! Tokens of an OpenID Connect provider: real ones, and one that misbehaves (W5 to W12, JWT-1 to JWT-7).

mod admission;
mod dev;
mod keycloak;
mod lifetime;
mod login;
mod outages;
mod provider;
mod stage;
