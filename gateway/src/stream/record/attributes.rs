//! The attributes and extensions of one event, as ranges into one piece of text.
//!
//! A structured event shares its own JSON, so keeping its attributes costs a list of ranges; header values are gathered
//! in one buffer. Strings are unescaped only when somebody asks for them.

use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;

/// Attributes and extensions of one event; `data` is never among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    text: Bytes,
    members: Vec<Member>,
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    name: Span,
    value: Span,
    form: Form,
}

/// A range of the text. Records are below 2 GiB, as Kafka's protocol counts their bytes in 31 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// How a value is written in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A header value, as it is.
    Verbatim,
    /// A JSON integer or boolean, whose JSON is its canonical string form.
    Scalar,
    /// A JSON string without escapes; the span includes its quotation marks.
    Quoted,
    /// A JSON string with escapes; the span includes its quotation marks.
    Escaped,
    /// Something that no CloudEvents attribute can be: null (absent), a fraction, an array, an object.
    Unusable,
}

impl Attributes {
    /// Text form of an attribute (CloudEvents 1.0, type system: canonical string encoding). Of repeated JSON members
    /// the last one counts, as in JSON parsers.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.text_of(self.find(name)?)
    }

    /// Like [`Attributes::get`], but only if the value is a string.
    pub(super) fn string(&self, name: &str) -> Option<Cow<'_, str>> {
        self.find(name).filter(|member| member.form != Form::Scalar).and_then(|member| self.text_of(member))
    }

    fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| self.slice(member.name) == name.as_bytes())
    }

    fn text_of(&self, member: &Member) -> Option<Cow<'_, str>> {
        let value = self.slice(member.value);
        match member.form {
            Form::Verbatim | Form::Scalar => Some(Cow::Borrowed(std::str::from_utf8(value).ok()?)),
            Form::Quoted => Some(Cow::Borrowed(std::str::from_utf8(&value[1..value.len() - 1]).ok()?)),
            Form::Escaped => serde_json::from_slice(value).ok().map(Cow::Owned),
            Form::Unusable => None,
        }
    }

    /// True if there is an attribute of that name, even with a value that none can have.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.members.iter().any(|member| self.slice(member.name) == name.as_bytes())
    }

    /// Names and header values in order; only for events in binary mode, whose values are verbatim.
    pub(crate) fn verbatim(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().filter_map(|member| {
            Some((
                std::str::from_utf8(self.slice(member.name)).ok()?,
                std::str::from_utf8(self.slice(member.value)).ok()?,
            ))
        })
    }

    /// Names, and where their values are in the JSON of a structured event, in order.
    pub(crate) fn value_ranges(&self) -> impl Iterator<Item = (&[u8], Range<usize>)> {
        self.members.iter().map(|member| (self.slice(member.name), member.value.range()))
    }

    /// A copy that does not keep the whole event in memory.
    pub(super) fn detached(&self) -> Self {
        let mut text = Vec::new();
        let mut move_over = |span: Span| {
            let start = text.len();
            text.extend_from_slice(self.slice(span));
            Span::new(start..text.len())
        };
        let members = self.members.iter();
        let members = members.map(|m| Member { name: move_over(m.name), value: move_over(m.value), form: m.form });
        Self { members: members.collect(), text: Bytes::from(text) }
    }

    /// Memory beside that of the event's own JSON. Counts the text of a structured event twice rather than never.
    pub(super) fn memory_bytes(&self) -> usize {
        let text = self.members.iter().map(|member| member.name.range().len() + member.value.range().len());
        self.members.capacity() * size_of::<Member>() + text.sum::<usize>()
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Attributes of a structured event while its members are read.
#[derive(Debug, Default)]
pub(super) struct JsonMembers(Vec<Member>);

impl JsonMembers {
    /// Number of members so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a member; both ranges lie in the text of [`JsonMembers::in_text`].
    pub(super) fn push(&mut self, name: Range<usize>, value: Range<usize>, form: Form) {
        self.0.push(Member { name: Span::new(name), value: Span::new(value), form });
    }

    /// The members are those of `text`.
    pub(super) fn in_text(self, text: Bytes) -> Attributes {
        Attributes { text, members: self.0 }
    }
}

/// Attributes that come from headers.
#[derive(Debug, Default)]
pub(super) struct HeaderValues {
    text: Vec<u8>,
    members: Vec<Member>,
}

impl HeaderValues {
    /// Number of different names so far.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Adds an attribute; an earlier one of that name, in whatever case, gives way.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        let end = self.text.len();
        self.text.extend_from_slice(value.as_bytes());
        let member =
            Member { name: Span::new(start..end), value: Span::new(end..self.text.len()), form: Form::Verbatim };
        let text = &self.text;
        match self.members.iter_mut().find(|m| text[m.name.range()] == text[start..end]) {
            Some(earlier) => *earlier = member,
            None => self.members.push(member),
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(self) -> Attributes {
        Attributes { text: Bytes::from(self.text), members: self.members }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_headers_the_last_one_counts_and_the_place_stays() {
        let mut values = HeaderValues::default();
        values.set("Type", "a");
        values.set("id", "1");
        values.set("tYPE", "b");
        let attributes = values.finish();
        assert_eq!(attributes.verbatim().collect::<Vec<_>>(), [("type", "b"), ("id", "1")]);
        assert_eq!(attributes.get("type").as_deref(), Some("b"));
    }

    #[test]
    fn a_detached_copy_says_the_same() {
        let text = Bytes::from_static(br#"{"id":"a\n","n":7,"data":"long"}"#);
        let mut members = JsonMembers::default();
        members.push(2..4, 6..11, Form::Escaped);
        members.push(13..14, 16..17, Form::Scalar);
        let attributes = members.in_text(text).detached();
        assert_eq!(attributes.get("id").as_deref(), Some("a\n"));
        assert_eq!(attributes.get("n").as_deref(), Some("7"));
        assert_eq!(attributes.text.len(), 9);
    }
}
