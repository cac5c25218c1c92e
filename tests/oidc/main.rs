//! Tokens of an OpenID Connect provider: a real one, and one that misbehaves (W5 to W12, JWT-1 to JWT-7).

mod admission;
mod dev;
mod lifetime;
mod login;
mod outages;
mod provider;
mod stage;
