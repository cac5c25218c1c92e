//! From an HTTP request to a call: strict about paths, parameters, content types and field managers.
//!
//! Owns what a client may say. Must never guess: whatever it does not know is a mistake of the client, and the test that
//! sent it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use axum::http::request::Parts;
use axum::http::{Method, header};
use serde_json::Value;

use super::kinds::{self, Kind};
use super::select::Selection;

/// What is done, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object.
    Get,
    /// Many objects.
    List,
    /// Changes from now on.
    Watch,
    /// A new object.
    Create,
    /// The whole object, replaced.
    Update,
    /// A part of the object.
    Patch,
    /// The object, removed.
    Delete,
}

impl Verb {
    /// Whether the call changes something.
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch | Self::Delete)
    }

    /// The word of RBAC.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a patch is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatchKind {
    /// Server-side apply.
    Apply {
        /// Whether fields of others are taken over.
        force: bool,
    },
    /// JSON merge patch (RFC 7396).
    Merge,
}

/// A call, understood.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is done.
    pub verb: Verb,
    /// To which kind.
    pub kind: &'static Kind,
    /// Whether to the status only.
    pub status: bool,
    /// In which namespace; empty for all, or for kinds without.
    pub namespace: String,
    /// To which object; empty for a collection.
    pub name: String,
    /// Whether the answer is metadata only.
    pub metadata_only: bool,
    /// Whether a deserialized table of parameters asks for the first objects in a watch.
    pub parameters: BTreeMap<String, String>,
    /// Which objects.
    pub selection: Selection,
    /// How the patch is meant.
    pub patch: Option<PatchKind>,
    /// What was sent; null if nothing.
    pub body: Value,
}

impl Call {
    /// The resource in the words of RBAC: `streamendpoints/status`.
    pub fn resource(&self) -> String {
        format!("{}{}", self.kind.plural, if self.status { "/status" } else { "" })
    }

    /// A parameter of the query; empty if it is absent.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// Who writes: the field manager, or whoever gives none.
    pub fn manager(&self) -> &str {
        match self.parameter("fieldManager") {
            "" => "unknown",
            manager => manager,
        }
    }
}

/// Why a request is not a call.
#[derive(Debug)]
pub enum NoCall {
    /// The API is not installed here (404): what a client has to be prepared for.
    NotInstalled,
    /// A client must not send this.
    Mistake(String),
}

/// What this server takes.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// Groups that are not installed.
    pub missing_groups: BTreeSet<String>,
    /// Field managers that may write; empty = whoever.
    pub managers: BTreeSet<String>,
}

/// Understands a request.
pub fn parse(accepted: &Accepted, parts: &Parts, body: &[u8]) -> Result<Call, NoCall> {
    let place = Place::parse(parts.uri.path()).ok_or_else(|| mistake(format!("unknown path {}", parts.uri.path())))?;
    if accepted.missing_groups.contains(place.kind.group) {
        return Err(NoCall::NotInstalled);
    }
    let parameters = query(parts.uri.query().unwrap_or_default()).map_err(mistake)?;
    let verb = verb(&parts.method, &place, parameters.contains_key("watch")).map_err(mistake)?;
    known_parameters(verb, &parameters).map_err(mistake)?;
    let parameter = |name: &str| parameters.get(name).map_or("", String::as_str);
    let selection = Selection::parse(place.kind, parameter("labelSelector"), parameter("fieldSelector"));
    let patch = match verb {
        Verb::Patch => Some(patch_kind(parts, &parameters).map_err(mistake)?),
        _ => None,
    };
    known_content(verb, parts, body).map_err(mistake)?;
    let manager = parameter("fieldManager");
    if !(manager.is_empty() || accepted.managers.is_empty() || accepted.managers.contains(manager)) {
        return Err(mistake(format!("unknown field manager {manager}")));
    }
    Ok(Call {
        verb,
        kind: place.kind,
        status: place.status,
        namespace: place.namespace,
        name: place.name,
        metadata_only: metadata_only(verb, parts).map_err(mistake)?,
        selection: selection.map_err(mistake)?,
        patch,
        body: if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).map_err(|error| mistake(error.to_string()))?
        },
        parameters,
    })
}

fn mistake(what: impl Into<String>) -> NoCall {
    NoCall::Mistake(what.into())
}

/// Where a path leads.
struct Place {
    kind: &'static Kind,
    namespace: String,
    name: String,
    status: bool,
}

impl Place {
    fn parse(path: &str) -> Option<Self> {
        if let Some(kind) = kinds::DOCUMENTS.iter().find(|kind| kind.plural == path) {
            return Some(Self { kind, namespace: String::new(), name: path.to_owned(), status: false });
        }
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match &segments[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // `namespaces/x` is an object, `namespaces/x/secrets` a collection within it.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                (*namespace, [&[*plural], rest].concat())
            }
            rest => ("", rest.to_vec()),
        };
        let (plural, name, status) = match rest[..] {
            [plural] => (plural, "", false),
            [plural, name] => (plural, name, false),
            [plural, name, "status"] => (plural, name, true),
            _ => return None,
        };
        let kind = kinds::by_plural(group, version, plural)?;
        let placed = namespace.is_empty() != kind.namespaced || (kind.namespaced && name.is_empty());
        (placed && (!status || kind.status)).then(|| Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            status,
        })
    }
}

fn verb(method: &Method, place: &Place, watch: bool) -> Result<Verb, String> {
    let one = !place.name.is_empty();
    match (method, one) {
        (&Method::GET, true) => Ok(Verb::Get),
        (&Method::GET, false) if watch => Ok(Verb::Watch),
        (&Method::GET, false) => Ok(Verb::List),
        (&Method::POST, false) if !place.kind.namespaced || !place.namespace.is_empty() => Ok(Verb::Create),
        (&Method::PUT, true) => Ok(Verb::Update),
        (&Method::PATCH, true) => Ok(Verb::Patch),
        (&Method::DELETE, true) if !place.status => Ok(Verb::Delete),
        _ => Err(format!("{method} is not possible on {} {}", place.kind.plural, place.name)),
    }
}

fn query(query: &str) -> Result<BTreeMap<String, String>, String> {
    let mut parameters = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if parameters.insert(decoded(name)?, decoded(value)?).is_some() {
            return Err(format!("parameter {name} is there twice"));
        }
    }
    Ok(parameters)
}

/// `application/x-www-form-urlencoded`, as `form_urlencoded` writes it.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).map_err(|_| format!("{text} is not percent-encoded"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("{text} is not UTF-8"))
}

fn known_parameters(verb: Verb, parameters: &BTreeMap<String, String>) -> Result<(), String> {
    let known: &[&str] = match verb {
        Verb::Get => &["resourceVersion"],
        Verb::List => {
            &["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch"]
        }
        Verb::Watch => &[
            "watch",
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "resourceVersionMatch",
            "timeoutSeconds",
            "allowWatchBookmarks",
            "sendInitialEvents",
        ],
        Verb::Create | Verb::Update => &["fieldManager", "fieldValidation"],
        Verb::Patch => &["fieldManager", "force", "fieldValidation"],
        Verb::Delete => &[],
    };
    match parameters.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("unknown query parameter {name} of {verb}")),
        None => Ok(()),
    }
}

fn content_type(parts: &Parts) -> &str {
    parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn known_content(verb: Verb, parts: &Parts, body: &[u8]) -> Result<(), String> {
    match verb {
        Verb::Get | Verb::List | Verb::Watch if !body.is_empty() => Err(format!("{verb} has a body")),
        Verb::Create | Verb::Update | Verb::Delete if content_type(parts) != "application/json" => {
            Err(format!("{verb} has the content type {:?}", content_type(parts)))
        }
        _ => Ok(()),
    }
}

fn patch_kind(parts: &Parts, parameters: &BTreeMap<String, String>) -> Result<PatchKind, String> {
    let force = parameters.get("force").map(String::as_str);
    match content_type(parts) {
        "application/apply-patch+yaml" if !parameters.contains_key("fieldManager") => {
            Err("an apply has no field manager".to_owned())
        }
        "application/apply-patch+yaml" => Ok(PatchKind::Apply { force: force == Some("true") }),
        "application/merge-patch+json" if force.is_none() => Ok(PatchKind::Merge),
        other => Err(format!("a patch has the content type {other:?}, force {force:?}")),
    }
}

fn metadata_only(verb: Verb, parts: &Parts) -> Result<bool, String> {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let metadata = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");
    let one = metadata("PartialObjectMetadata");
    match (accept, verb) {
        ("" | "*/*" | "application/json", _) => Ok(false),
        (accept, Verb::List) if accept == metadata("PartialObjectMetadataList") => Ok(true),
        (accept, Verb::Get | Verb::Watch | Verb::Patch) if accept == one => Ok(true),
        _ => Err(format!("{verb} accepts {accept:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let parameters = query("labelSelector=a%2Fb%3Dc%2Cd&watch=true&x=a+b").unwrap();
        assert_eq!(parameters["labelSelector"], "a/b=c,d");
        assert_eq!(parameters["x"], "a b");
        query("a=1&a=2").unwrap_err();
    }

    #[test]
    fn paths_lead_to_kinds_or_documents_or_nowhere() {
        let place = Place::parse("/api/v1/namespaces/shop/secrets/orders").unwrap();
        assert_eq!((place.kind.name, &*place.namespace, &*place.name), ("Secret", "shop", "orders"));
        let place = Place::parse("/api/v1/namespaces/shop").unwrap();
        assert_eq!((place.kind.name, &*place.namespace, &*place.name), ("Namespace", "", "shop"));
        assert_eq!(Place::parse("/apis/apps/v1/deployments").unwrap().kind.name, "Deployment");
        assert_eq!(Place::parse("/openid/v1/jwks").unwrap().kind.name, "JSONWebKeySet");
        for path in [
            "/api/v1/nodes",
            "/apis/apps/v1beta1/deployments",
            "/api/v1/secrets/orders",
            "/apis/headgate.dev/v1alpha1/namespaces/shop/kafkaconnections/x",
            "/api/v1/namespaces/shop/secrets/orders/status",
            "/metrics",
            "/openid/v1",
        ] {
            assert!(Place::parse(path).is_none(), "{path}");
        }
    }
}
