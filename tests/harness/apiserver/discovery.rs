//! What the server says about itself: groups and their resources.
//!
//! Owns discovery in its classic form. Must never offer a group that is not installed.

use std::collections::BTreeSet;

use axum::http::request::Parts;
use axum::http::{Method, header};
use serde_json::{Value, json};

use super::answer::Answer;
use super::kinds::{KINDS, Kind};
use super::request::Accepted;

/// The answer to a question about the server itself; none for everything else.
pub fn answer(accepted: &Accepted, parts: &Parts) -> Option<Answer> {
    if parts.method != Method::GET || accepts_aggregated(parts) {
        return None;
    }
    let path = parts.uri.path().trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let known = || KINDS.iter().filter(|kind| !accepted.missing_groups.contains(kind.group));
    let of = |group: &str, version: &str| -> Vec<&Kind> {
        known().filter(|kind| (kind.group, kind.version) == (group, version)).collect()
    };
    let body = match segments[..] {
        ["version"] => json!({"major": "1", "minor": "35", "gitVersion": "v1.35.4", "gitCommit": "",
            "gitTreeState": "clean", "buildDate": "", "goVersion": "", "compiler": "gc", "platform": "linux/amd64"}),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["api", version] => resources("", version, &of("", version))?,
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(known())}),
        ["apis", group] => match groups(known().filter(|kind| kind.group == group)).pop() {
            Some(group) => group,
            None => return Some(not_installed()),
        },
        ["apis", group, version] => match resources(group, version, &of(group, version)) {
            Some(resources) => resources,
            None => return Some(not_installed()),
        },
        _ => return None,
    };
    Some(Answer::object(200, body))
}

/// The aggregated form is asked for by a media type of its own, which real servers also only have since 1.27.
fn accepts_aggregated(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("apidiscovery"))
}

fn not_installed() -> Answer {
    Answer::failure(404, "NotFound", "404 page not found")
}

fn groups<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Vec<Value> {
    let named: BTreeSet<(&str, &str)> =
        kinds.filter(|kind| !kind.group.is_empty()).map(|kind| (kind.group, kind.version)).collect();
    let group = |(name, version): (&str, &str)| {
        let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version})
    };
    named.into_iter().map(group).collect()
}

fn resources(group: &str, version: &str, kinds: &[&Kind]) -> Option<Value> {
    if kinds.is_empty() {
        return None;
    }
    let verbs = json!(["create", "delete", "get", "list", "patch", "update", "watch"]);
    let mut resources = Vec::new();
    for kind in kinds {
        let one = |name: String, verbs: &Value| {
            json!({"name": name, "singularName": kind.name.to_lowercase(), "namespaced": kind.namespaced,
                "kind": kind.name, "verbs": verbs})
        };
        resources.push(one(kind.plural.to_owned(), &verbs));
        if kind.status {
            resources.push(one(format!("{}/status", kind.plural), &json!(["get", "patch", "update"])));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}
