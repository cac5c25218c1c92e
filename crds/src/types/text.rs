//! What every text type shares: limits, parsing, schema and the error.
//!
//! Owns the macro that declares a text type and the check behind it. Must never contain a limit of a particular type.

use regex::Regex;
use schemars::{Schema, json_schema};
use serde_json::json;
use std::fmt;

/// A text that is not what its type allows, with the rule and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// What the text should have been, for example `topic name`.
    pub kind: &'static str,
    /// The refused text, shortened; absent where it could be a secret.
    pub value: Option<String>,
    /// The rule that it breaks; absent where the remedy says it better than a regular expression.
    pub rule: Option<String>,
    /// What to write instead.
    pub remedy: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = &self.value {
            write!(f, "\"{value}\" is ")?;
        }
        write!(f, "not a valid {}: ", self.kind)?;
        if let Some(rule) = &self.rule {
            write!(f, "it {rule}; ")?;
        }
        f.write_str(self.remedy)
    }
}

impl std::error::Error for InvalidName {}

/// A text type: its limits, and the constructor that applies them.
pub trait Text: Sized + AsRef<str> {
    /// What a value is called in a sentence.
    const KIND: &'static str;
    /// Fewest characters.
    const MIN_LENGTH: usize;
    /// Most characters.
    const MAX_LENGTH: usize;
    /// Regular expression that the whole text matches, in the syntax that RE2 and Rust share.
    const PATTERN: &'static str;
    /// Texts that the pattern would allow and that are refused all the same.
    const RESERVED: &'static [&'static str];
    /// Endings that the pattern would allow and that make a text something else than what is meant, each with what to
    /// write instead.
    const ENDINGS: &'static [(&'static str, &'static str)];
    /// What to write instead of a refused text.
    const REMEDY: &'static str;
    /// Whether a refused text may appear in an error. A digest field may have been given the key itself.
    const SHOWN: bool;

    /// Wraps a text without looking at it.
    fn unchecked(text: String) -> Self;
    /// The compiled [`PATTERN`](Self::PATTERN).
    fn regex() -> Option<&'static Regex>;

    /// The text, if it keeps every limit of its type.
    fn new(text: &str) -> Result<Self, InvalidName> {
        let value = Self::unchecked(text.to_owned());
        value.check().map(|()| value)
    }

    /// Whether a value that was read from a manifest keeps every limit of its type.
    fn check(&self) -> Result<(), InvalidName> {
        let text = self.as_ref();
        let length = text.chars().count();
        let ending = Self::ENDINGS.iter().find(|(ending, _)| text.ends_with(ending));
        let rule = if length < Self::MIN_LENGTH {
            Some(format!("must have at least {} characters", Self::MIN_LENGTH))
        } else if length > Self::MAX_LENGTH {
            Some(format!("must have at most {} characters and has {length}", Self::MAX_LENGTH))
        } else if Self::RESERVED.contains(&text) {
            Some("is reserved".to_owned())
        } else if let Some((ending, _)) = ending {
            Some(format!("must not end in {ending}"))
        } else if Self::regex().is_some_and(|regex| regex.is_match(text)) {
            return Ok(());
        } else {
            None
        };
        let value = Self::SHOWN.then(|| shorten(text));
        let remedy = ending.map_or(Self::REMEDY, |(_, remedy)| *remedy);
        Err(InvalidName { kind: Self::KIND, value, rule, remedy })
    }
}

/// Longest part of a refused text that an error repeats.
const SHOWN_LENGTH: usize = 64;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The schema of a text type: its limits, and rules for what it reserves and for endings. `title` is the kind, for `owner`.
pub(crate) fn schema<T: Text>(description: &str) -> Schema {
    let mut schema = json_schema!({
        "type": "string",
        "title": T::KIND,
        "description": description.trim(),
        "minLength": T::MIN_LENGTH,
        "maxLength": T::MAX_LENGTH,
        "pattern": T::PATTERN,
    });
    let mut rules = Vec::new();
    if !T::RESERVED.is_empty() {
        let list = T::RESERVED.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
        rules.push(json!({
            "rule": format!("!(self in [{list}])"),
            "message": format!("{list} cannot be used as {}: choose another", T::KIND),
        }));
    }
    for (ending, remedy) in T::ENDINGS {
        rules.push(json!({
            "rule": format!("!self.endsWith('{ending}')"),
            "message": format!("must not end in {ending}: {remedy}"),
        }));
    }
    if !rules.is_empty() {
        schema.insert("x-kubernetes-validations".to_owned(), rules.into());
    }
    schema
}

/// Declares text types: the limits, and everything that follows from them.
macro_rules! text_types {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident {
            kind: $kind:literal,
            length: $min:literal ..= $max:literal,
            pattern: $pattern:expr,
            $(reserved: $reserved:expr,)?
            $(endings: $endings:expr,)?
            $(shown: $shown:literal,)?
            remedy: $remedy:literal $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text, if it keeps every limit of its type.
            pub fn new(text: &str) -> Result<Self, $crate::types::InvalidName> {
                <Self as $crate::types::Text>::new(text)
            }

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl $crate::types::Text for $name {
            const KIND: &'static str = $kind;
            const MIN_LENGTH: usize = $min;
            const MAX_LENGTH: usize = $max;
            const PATTERN: &'static str = $pattern;
            const RESERVED: &'static [&'static str] = text_types!(@or &[] $(, $reserved)?);
            const ENDINGS: &'static [(&'static str, &'static str)] = text_types!(@or &[] $(, $endings)?);
            const REMEDY: &'static str = $remedy;
            const SHOWN: bool = text_types!(@or true $(, $shown)?);

            fn unchecked(text: String) -> Self {
                Self(text)
            }

            fn regex() -> Option<&'static regex::Regex> {
                static REGEX: std::sync::LazyLock<Option<regex::Regex>> =
                    std::sync::LazyLock::new(|| regex::Regex::new($pattern).ok());
                REGEX.as_ref()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::types::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::types::text::schema::<Self>(concat!($($doc, "\n"),+))
            }
        }
    )+};
    (@or $default:expr) => { $default };
    (@or $default:expr, $value:expr) => { $value };
}
