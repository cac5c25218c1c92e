//! What the server answers: objects, lists, and the `Status` of what went wrong.
//!
//! Owns the forms. Must never decide which one applies.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::store::Key;

/// An answer to one call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// JSON.
    pub body: Value,
    /// Value of the header `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

impl Answer {
    /// An object.
    pub fn object(code: u16, object: Value) -> Self {
        Self { code, body: object, retry_after: None }
    }

    /// A failure.
    pub fn failure(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self { code, body, retry_after: None }
    }

    /// There is no such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::failure(404, "NotFound", format!("{} \"{name}\" not found", qualified(kind)))
    }

    /// There is such an object already.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::failure(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(kind)))
    }

    /// Somebody else was faster.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(kind));
        Self::failure(409, "Conflict", message)
    }

    /// The caller has no right to this.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::failure(403, "Forbidden", format!("{} \"{name}\" is forbidden: {why}", qualified(kind)))
    }

    /// The object breaks rules.
    pub fn invalid(kind: &Kind, name: &str, problems: &[String]) -> Self {
        let message = format!("{} \"{name}\" is invalid: {}", kind.name, problems.join(", "));
        let mut answer = Self::failure(422, "Invalid", message);
        let causes: Vec<Value> = problems.iter().map(|problem| json!({"message": problem})).collect();
        answer.body["details"] = json!({"name": name, "kind": kind.name, "group": kind.group, "causes": causes});
        answer
    }

    /// The resource version is too old.
    pub fn gone() -> Self {
        Self::failure(410, "Expired", "The provided resource version is too old")
    }

    /// As HTTP.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(seconds) = self.retry_after {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        response.body(Body::from(self.body.to_string())).unwrap_or_default()
    }
}

/// The plural with its group, as messages have it.
pub fn qualified(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.plural.to_owned() } else { format!("{}.{}", kind.plural, kind.group) }
}

/// An object as a client gets it: whole, or its metadata.
pub fn shown(object: Value, metadata_only: bool) -> Value {
    if !metadata_only {
        return object;
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A list. Items of built-in kinds do not say what they are, as in a real one.
pub fn list(kind: &Kind, items: Vec<(Key, Value)>, revision: u64, next: &str, metadata_only: bool) -> Value {
    let items: Vec<Value> = items
        .into_iter()
        .map(|(_, object)| {
            let mut item = shown(object, metadata_only);
            if let (false, false, Some(members)) = (kind.custom, metadata_only, item.as_object_mut()) {
                members.remove("kind");
                members.remove("apiVersion");
            }
            item
        })
        .collect();
    let mut metadata = Map::from_iter([("resourceVersion".to_owned(), Value::from(revision.to_string()))]);
    if !next.is_empty() {
        metadata.insert("continue".to_owned(), next.into());
    }
    let (name, version) = if metadata_only {
        ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
    } else {
        (kind.name, kind.api_version())
    };
    json!({"kind": format!("{name}List"), "apiVersion": version, "metadata": metadata, "items": items})
}
