//! Whose an object is.
//!
//! Owns the one question before every write: an object is ours if its controller is this very endpoint, by uid. Pure.

use headgate_crds::StreamEndpoint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;

/// The endpoint, as owner references name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Namespace of the endpoint and of everything that it owns.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// This endpoint's.
    Ours,
    /// An earlier endpoint's of the same name: garbage collection removes it.
    Former,
    /// Somebody else's, never to be touched.
    Foreign,
}

impl Owner {
    /// The owner that an endpoint is; without a uid it owns nothing.
    pub fn of(endpoint: &StreamEndpoint) -> Self {
        let metadata = &endpoint.metadata;
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// Whose an object with this metadata is.
    pub fn ownership(&self, object: &ObjectMeta) -> Ownership {
        let mut owners = object.owner_references.iter().flatten();
        let Some(controller) = owners.find(|owner| owner.controller == Some(true)) else { return Ownership::Foreign };
        let in_our_namespace = object.namespace.as_deref() == Some(self.namespace.as_str());
        if controller.kind != StreamEndpoint::kind(&()) || !in_our_namespace {
            return Ownership::Foreign;
        }
        if controller.uid == self.uid && !self.uid.is_empty() {
            Ownership::Ours
        } else if controller.name == self.name {
            Ownership::Former
        } else {
            Ownership::Foreign
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    fn owner() -> Owner {
        Owner { namespace: "shop".to_owned(), name: "orders".to_owned(), uid: "1".to_owned() }
    }

    fn object(kind: &str, name: &str, uid: &str, controller: Option<bool>) -> ObjectMeta {
        let reference = OwnerReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            controller,
            ..OwnerReference::default()
        };
        let namespace = Some("shop".to_owned());
        ObjectMeta { namespace, owner_references: Some(vec![reference]), ..ObjectMeta::default() }
    }

    #[test]
    fn only_an_object_that_this_very_endpoint_controls_is_ours() {
        for (object, expected) in [
            (object("StreamEndpoint", "orders", "1", Some(true)), Ownership::Ours),
            (object("StreamEndpoint", "orders", "0", Some(true)), Ownership::Former),
            (object("StreamEndpoint", "payments", "2", Some(true)), Ownership::Foreign),
            (object("Deployment", "orders", "1", Some(true)), Ownership::Foreign),
            (object("StreamEndpoint", "orders", "1", None), Ownership::Foreign),
            (ObjectMeta::default(), Ownership::Foreign),
        ] {
            assert_eq!(owner().ownership(&object), expected, "{object:?}");
        }
    }

    #[test]
    fn an_endpoint_that_was_never_stored_owns_nothing() {
        let owner = Owner { uid: String::new(), ..owner() };
        assert_eq!(owner.ownership(&object("StreamEndpoint", "x", "", Some(true))), Ownership::Foreign);
    }
}
