//! What each of the people made up may read, as the gateway's own rules have it. Pure.

use super::people::{Person, TokenStream};
use crate::dev::rows::in_words;
use headgate_gateway::auth::User;
use headgate_gateway::auth::oidc::Rules;
use headgate_wire::config::Oidc;
use headgate_wire::filter::Filter;
use serde_json::{Map, Value};
use std::fmt;

/// The end of a token that is only thought of, in seconds since 1970.
const FAR_AWAY: i64 = 4_102_444_800;

/// Somebody, and what becomes of them at each stream that takes tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reader {
    /// The claim `sub`.
    pub(crate) user: String,
    /// By app.
    pub(crate) streams: Vec<(String, Reading)>,
}

impl Reader {
    /// The filters of their rows at an app; none if they are refused there.
    pub(crate) fn filters(&self, app: &str) -> Option<&[Filter]> {
        self.streams.iter().find_map(|(known, reading)| match reading {
            Reading::Rows(filters) if known == app => Some(filters.as_slice()),
            _ => None,
        })
    }

    /// Apps that let them in.
    pub(crate) fn apps(&self) -> Vec<&str> {
        let admitted = self.streams.iter().filter(|(_, reading)| matches!(reading, Reading::Rows(_)));
        admitted.map(|(app, _)| app.as_str()).collect()
    }
}

/// What a stream shows somebody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// The rows that match all of these.
    Rows(Vec<Filter>),
    /// Nothing, because the token has no good value of these claims.
    Refused(Vec<String>),
}

/// What becomes of these people at these streams.
pub(crate) fn readers(people: &[Person], streams: &[TokenStream]) -> Vec<Reader> {
    let reader = |person: &Person| Reader {
        user: person.subject.clone(),
        streams: streams.iter().map(|(app, rules)| (app.clone(), reading(person, rules))).collect(),
    };
    people.iter().map(reader).collect()
}

fn reading(person: &Person, rules: &Oidc) -> Reading {
    let mut claims = person.claims();
    claims.insert("exp".to_owned(), FAR_AWAY.into());
    match caller(&claims, rules.clone()) {
        Some(user) => Reading::Rows(user.filters),
        None => Reading::Refused(lacking(&claims, rules)),
    }
}

fn caller(claims: &Map<String, Value>, rules: Oidc) -> Option<User> {
    User::from_claims(claims, &Rules::new(rules)).ok()
}

/// The claims of the rules that alone would refuse the token.
fn lacking(claims: &Map<String, Value>, rules: &Oidc) -> Vec<String> {
    let none = Oidc { required: Vec::new(), filters: Vec::new(), ..rules.clone() };
    let required = rules.required.iter().map(|one| (&one.claim, Oidc { required: vec![one.clone()], ..none.clone() }));
    let filters = rules.filters.iter().map(|one| (&one.claim, Oidc { filters: vec![one.clone()], ..none.clone() }));
    let refusing = required.chain(filters).filter(|(_, alone)| caller(claims, alone.clone()).is_none());
    refusing.map(|(claim, _)| claim.clone()).collect()
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(filters) => f.write_str(&in_words(filters)),
            Self::Refused(claims) => write!(f, "refused, for want of the claim {}", claims.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::people::people;
    use super::*;
    use crate::dev::manifest::endpoints;
    use crate::manifest;

    /// What is said of each person for the endpoints of a manifest.
    fn told(text: &str) -> Vec<String> {
        let endpoints = endpoints(&manifest::parse("f", text).unwrap()).unwrap();
        let streams: Vec<TokenStream> = endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint.app.to_string(), endpoint.auth.tokens()?.rules.clone())))
            .collect();
        let readers = readers(&people(&streams), &streams);
        readers.iter().map(|reader| format!("{} {}", reader.user, reader.streams[0].1)).collect()
    }

    #[test]
    fn every_example_that_takes_tokens_lets_somebody_in_and_shows_a_refusal() {
        let expected = [
            "alice events with subject ground-floor",
            "bob events with subject first-floor",
            "carol refused, for want of the claim tenant, device",
        ];
        assert_eq!(told(include_str!("../../../../examples/oidc.yaml")), expected);
        let expected =
            ["alice everything", "bob everything", "carol refused, for want of the claim kubernetes.io.namespace"];
        assert_eq!(told(include_str!("../../../../examples/service-accounts.yaml")), expected);
        let expected = [
            "alice events with tenant alice",
            "bob events with tenant bob",
            "carol refused, for want of the claim https://shop.example.com/tenant",
        ];
        assert_eq!(told(include_str!("../../../../examples/oidc-private.yaml")), expected);
        let expected = [
            "alice events with subject eu",
            "bob events with subject us",
            "carol refused, for want of the claim region",
        ];
        assert_eq!(told(include_str!("my-orders.yaml")), expected);
    }
}
