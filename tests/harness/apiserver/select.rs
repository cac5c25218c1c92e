//! Label and field selectors.
//!
//! Owns their syntax, as far as clients of ours use it. Must never treat a selector that it cannot read as one that
//! matches everything.

use headgate_crds::codegen;
use serde_json::Value;

use super::kinds::Kind;

/// Which objects are asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selection {
    /// Reads the selectors of a request about objects of a kind.
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, String> {
        let fields: Vec<Requirement> = split(fields).into_iter().map(requirement).collect::<Result<_, _>>()?;
        for field in &fields {
            let (Requirement::In(name, _) | Requirement::NotIn(name, _)) = field else {
                return Err("a field selector needs a value".to_owned());
            };
            if !selectable(kind, name) {
                return Err(format!("field label not supported: {name}"));
            }
        }
        Ok(Self { labels: split(labels).into_iter().map(requirement).collect::<Result<_, _>>()?, fields })
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str().map(str::to_owned);
        let field = |name: &str| match object.pointer(&format!("/{}", name.replace('.', "/"))) {
            Some(Value::String(text)) => Some(text.clone()),
            None | Some(Value::Null) => Some(String::new()),
            Some(value) => Some(value.to_string()),
        };
        self.labels.iter().all(|requirement| requirement.holds(&label))
            && self.fields.iter().all(|requirement| requirement.holds(&field))
    }
}

impl Requirement {
    fn holds(&self, value: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Exists(name) => value(name).is_some(),
            Self::Missing(name) => value(name).is_none(),
            Self::In(name, values) => value(name).is_some_and(|value| values.contains(&value)),
            Self::NotIn(name, values) => value(name).is_none_or(|value| !values.contains(&value)),
        }
    }
}

fn selectable(kind: &Kind, name: &str) -> bool {
    let always = ["metadata.name", "metadata.namespace"].contains(&name);
    let declared = || {
        let fields = codegen::stream_endpoint_crd()["spec"]["versions"][0]["selectableFields"].as_array();
        fields.into_iter().flatten().any(|field| field["jsonPath"].as_str() == Some(&format!(".{name}")))
    };
    always
        || match kind.name {
            "Secret" => name == "type",
            "Pod" => ["status.phase", "status.podIP", "spec.nodeName"].contains(&name),
            "StreamEndpoint" => declared(),
            _ => false,
        }
}

/// The parts of a selector: separated by commas that are not within parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = selector.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let one = |name: &str, value: &str| (name.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((name, value)) = part.split_once("!=") {
        let (name, values) = one(name, value);
        return Ok(Requirement::NotIn(name, values));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        let (name, values) = one(name, value);
        return Ok(Requirement::In(name, values));
    }
    if let Some((head, rest)) = part.split_once('(') {
        let values = rest.trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "in"] => Ok(Requirement::In(name.to_owned(), values)),
            [name, "notin"] => Ok(Requirement::NotIn(name.to_owned(), values)),
            _ => Err(format!("unable to parse requirement: {part}")),
        };
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Requirement::Missing(name.to_owned())),
        None => Ok(Requirement::Exists(part.to_owned())),
    }
}
