//! From a node of a schema back to the text type that made it.
//!
//! Owns the list of text types. A node carries its type's kind as `title`, which is not installed: see `codegen::clean`.

use super::{
    AppName, AttributeName, Audience, BootstrapServers, Cidr, ClaimPath, DataKey, EndpointName, EventType, Hostname,
    HostnamePattern, IssuerUrl, KeyHash, KeyName, NamespaceName, ObjectName, Origin, SecretName, SecretNameTemplate,
    Text, TopicName, TopicPattern,
};
use serde_json::Value;

/// What a text type says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// What a value is called in a sentence.
    pub(crate) kind: &'static str,
    /// What to write instead of a refused text.
    pub(crate) remedy: &'static str,
}

const fn of<T: Text>() -> Owner {
    Owner { kind: T::KIND, remedy: T::REMEDY }
}

const ALL: [Owner; 21] = [
    of::<AppName>(),
    of::<AttributeName>(),
    of::<Audience>(),
    of::<BootstrapServers>(),
    of::<Cidr>(),
    of::<ClaimPath>(),
    of::<DataKey>(),
    of::<EndpointName>(),
    of::<EventType>(),
    of::<Hostname>(),
    of::<HostnamePattern>(),
    of::<IssuerUrl>(),
    of::<KeyHash>(),
    of::<KeyName>(),
    of::<NamespaceName>(),
    of::<ObjectName>(),
    of::<Origin>(),
    of::<SecretName>(),
    of::<SecretNameTemplate>(),
    of::<TopicName>(),
    of::<TopicPattern>(),
];

/// The text type that made this node.
pub(crate) fn owner(schema: &Value) -> Option<&'static Owner> {
    let kind = schema["title"].as_str()?;
    ALL.iter().find(|owner| owner.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::{annotated_connection, annotated_endpoint, schema};
    use std::collections::BTreeSet;

    fn patterns_without_an_owner(schema: &Value, path: &str, found: &mut Vec<String>) {
        if schema["pattern"].is_string() && owner(schema).is_none() {
            found.push(path.to_owned());
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            patterns_without_an_owner(member, &format!("{path}.{name}"), found);
        }
        for part in ["items", "additionalProperties"] {
            if schema[part].is_object() {
                patterns_without_an_owner(&schema[part], &format!("{path}[]"), found);
            }
        }
    }

    #[test]
    fn every_pattern_belongs_to_a_text_type_except_those_of_labels() {
        let mut found = Vec::new();
        for crd in [annotated_endpoint(), annotated_connection()] {
            patterns_without_an_owner(&schema(crd)["properties"]["spec"], "", &mut found);
        }
        assert_eq!(found, [".pod.labels[]", ".pod.nodeSelector[]"]);
    }

    #[test]
    fn every_kind_is_the_name_of_one_type() {
        assert_eq!(ALL.iter().map(|owner| owner.kind).collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
