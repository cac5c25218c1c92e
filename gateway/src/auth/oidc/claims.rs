//! Finding a claim by its path, and comparing it. Pure.

use headgate_wire::config::ClaimMatch;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Members of a list claim that are looked at; the rest is as if it were not there.
pub const MAX_MEMBERS: usize = 256;

/// The claim of this whole name, or else the one that the path leads to: names may contain dots, as namespaced ones do,
/// and dots lead into objects.
pub(super) fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    // The shortest name that is there is followed first; a name with dots may be anywhere on the way.
    path.match_indices('.').find_map(|(dot, _)| {
        let inner = claims.get(&path[..dot])?.as_object()?;
        find(inner, &path[dot + 1..])
    })
}

/// What a claim says, as texts: of itself, or of the members of a list. Objects and null say nothing.
pub(super) fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::Array(members) => members.iter().take(MAX_MEMBERS).filter_map(text).collect(),
        single => text(single).into_iter().collect(),
    }
}

/// Whether a token has what is demanded.
pub(super) fn has(claims: &Map<String, Value>, wanted: &ClaimMatch) -> bool {
    let Some(value) = find(claims, &wanted.claim) else { return false };
    texts(value).iter().any(|text| wanted.values.iter().any(|value| value == text))
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn claims(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_path_is_a_name_first_and_leads_into_objects_then() {
        let claims = claims(&json!({
            "tenant": "shop", "realm_access": { "roles": ["a", "b"] }, "https://example.com/tenant": "x",
            "https://example.com/app": { "id": 7 }, "a": { "b.c": { "d": 1 } }, "a.b": { "e": 2 },
        }));
        let found = |path: &str| find(&claims, path).cloned();
        assert_eq!(found("tenant"), Some(json!("shop")));
        assert_eq!(found("realm_access.roles"), Some(json!(["a", "b"])));
        assert_eq!(found("https://example.com/tenant"), Some(json!("x")));
        assert_eq!(found("https://example.com/app.id"), Some(json!(7)));
        assert_eq!(found("a.b.c.d"), Some(json!(1)));
        assert_eq!(found("a.b.e"), Some(json!(2)));
        for missing in ["", ".", "tenant.x", "realm_access.roles.0", "realm_access.", "a.b.c.x"] {
            assert_eq!(found(missing), None, "{missing}");
        }
    }

    #[test]
    fn a_claim_matches_by_itself_or_by_one_of_its_members_and_never_by_its_parts() {
        let claims = claims(
            &json!({ "tenant": "shop", "roles": ["reader", "x"], "level": 3, "admin": true, "o": {"shop": 1}, "n": null }),
        );
        let has = |claim: &str, values: &[&str]| {
            has(&claims, &ClaimMatch { claim: claim.into(), values: values.iter().map(ToString::to_string).collect() })
        };
        assert!(
            has("tenant", &["other", "shop"])
                && has("roles", &["reader"])
                && has("level", &["3"])
                && has("admin", &["true"])
        );
        assert!(!has("tenant", &["sho", "shop2", "SHOP"]) && !has("roles", &["read"]) && !has("o", &["shop"]));
        assert!(!has("n", &["null", ""]) && !has("missing", &[""]) && !has("tenant", &[]));
    }

    proptest! {
        #[test]
        fn no_path_makes_the_search_panic(path in "[a-c.]{0,12}") {
            let claims = claims(&json!({ "a": { "b": { "c": 1 } }, "b": [1], "": { "": 1 } }));
            let _ = find(&claims, &path);
        }
    }
}
