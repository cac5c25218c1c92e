//! The query of a stream request: every parameter that exists, once each, and an error for every other one.
//!
//! Owns the table of parameters. Nothing is ignored: a misspelt filter would show a client what it did not ask for.

use super::error::Part;
use super::{MAX_VALUE_BYTES, QueryCredentials, RequestError, StartPosition, StreamRequest, percent_decoded};
use crate::stream::filter;
use headgate_wire::Filter;
use headgate_wire::config::Format;
use headgate_wire::filter::{Comparisons, MAX_FILTER_LEAVES};
use headgate_wire::key::{KeyShape, shape};
use secrecy::SecretString;

/// Begins the names of parameters that compare an attribute.
pub(super) const FILTER_PREFIX: &str = "filter.";
/// A member of every event that is no attribute (CloudEvents 1.0): nothing that compares it could ever match.
const DATA: &str = "data";
/// Parameters that may be given once each.
pub(super) const PARAMETERS: [&str; 11] =
    ["from", "lastEventId", "format", "metadata", "key", "type", "token", "username", "api_key", "ticket", "group_id"];
/// Those of them that carry a credential.
pub(super) const CREDENTIALS: [&str; 4] = ["token", "username", "api_key", "ticket"];
/// How similar a name must be to be suggested (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.8;

/// Reads a raw query for a channel that is already decoded.
pub(super) fn parse(channel: Option<String>, query: &str) -> Result<StreamRequest, RequestError> {
    let mut request = StreamRequest::default();
    request.filters.extend(channel.as_deref().map(|channel| Filter::exact("subject", channel)));
    request.channel = channel;
    let mut seen = [false; PARAMETERS.len()];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decoded(name).ok_or(RequestError::Encoding(Part::UnnamedParameter))?;
        if let Some(index) = PARAMETERS.iter().position(|known| *known == name) {
            if std::mem::replace(&mut seen[index], true) {
                return Err(RequestError::Repeated(PARAMETERS[index]));
            }
            take(&mut request, PARAMETERS[index], value)?;
        } else if let Some(comparison) = name.strip_prefix(FILTER_PREFIX) {
            request.filters.push(comparison_filter(comparison, &bounded_value(&name, value)?)?);
        } else {
            let part = if pair.contains('=') { Part::parameter(&name) } else { Part::bare(&name) };
            return Err(RequestError::UnknownParameter { part, suggestion: similar(&name) });
        }
    }
    finish(request)
}

/// Reads a raw query in which only credentials have a place.
pub(super) fn credentials(query: &str) -> Result<QueryCredentials, RequestError> {
    let stray = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair));
    let stray = stray.filter_map(percent_decoded).find(|name| !CREDENTIALS.contains(&name.as_str()));
    match stray {
        Some(name) => Err(RequestError::UnknownParameter { part: Part::parameter(&name), suggestion: None }),
        None => Ok(parse(None, query)?.credentials),
    }
}

/// Takes the still encoded value of one known parameter.
fn take(request: &mut StreamRequest, name: &'static str, raw: &str) -> Result<(), RequestError> {
    match name {
        "from" => request.from = Some(StartPosition::parse(&value(name, raw)?)?),
        // An event source that has not seen an event yet knows none.
        "lastEventId" if raw.is_empty() => {}
        "lastEventId" => request.last_event_id = StartPosition::from_last_event_id(&value(name, raw)?)?,
        "format" => request.format = Some(format(&value(name, raw)?)?),
        "metadata" if value(name, raw)? == "kafka" => request.kafka_metadata = true,
        "metadata" => return Err(RequestError::BadValue { name, expected: "kafka, or left out" }),
        "key" => request.key = record_key(raw)?,
        "type" => request.filters.push(Filter::exact("type", bounded_value(name, raw)?)),
        "group_id" => {
            return Err(not_offered("group_id", "leave it out: every connection gets every record that it asks for"));
        }
        _ => take_credential(&mut request.credentials, name, value(name, raw)?.into()),
    }
    Ok(())
}

fn take_credential(credentials: &mut QueryCredentials, name: &str, secret: SecretString) {
    match name {
        "username" => credentials.username = Some(secret),
        "api_key" => credentials.api_key = Some(secret),
        "ticket" => credentials.ticket = Some(secret),
        _ => credentials.token = Some(secret),
    }
}

/// Bounds the filters as a whole and brings them into the form that equal requests share.
fn finish(mut request: StreamRequest) -> Result<StreamRequest, RequestError> {
    if request.filters.is_empty() {
        return Ok(request);
    }
    if request.filters.len() > MAX_FILTER_LEAVES {
        return Err(filter::FilterError::TooManyComparisons(request.filters.len()).into());
    }
    request.filters.iter().try_for_each(filter::validate)?;
    request.filters = filter::canonical(request.filters);
    Ok(request)
}

fn value(name: &str, raw: &str) -> Result<String, RequestError> {
    if raw.is_empty() {
        return Err(RequestError::NoValue(Part::parameter(name)));
    }
    percent_decoded(raw).ok_or_else(|| RequestError::Encoding(Part::parameter(name)))
}

fn bounded_value(name: &str, raw: &str) -> Result<String, RequestError> {
    let value = value(name, raw)?;
    if value.len() > MAX_VALUE_BYTES { Err(RequestError::TooLong(Part::parameter(name))) } else { Ok(value) }
}

fn format(value: &str) -> Result<Format, RequestError> {
    match value {
        "cloudevents" => Ok(Format::CloudEvents),
        "raw" => Ok(Format::Raw),
        "topic-payload" => Ok(Format::TopicPayload),
        _ => Err(RequestError::BadValue { name: "format", expected: "cloudevents, raw or topic-payload" }),
    }
}

/// `*` is every key. It is reserved in RFC 3986 section 2.2, so `%2A` is not the same: that is the key of one asterisk.
fn record_key(raw: &str) -> Result<Option<String>, RequestError> {
    if raw == "*" {
        return Ok(None);
    }
    let key = bounded_value("key", raw)?;
    match shape(&key) {
        KeyShape::Issued { .. } | KeyShape::Mistyped => Err(RequestError::ApiKeyAsRecordKey),
        KeyShape::Brought => Ok(Some(key)),
    }
}

/// `<attribute>`, `<attribute>.prefix` or `<attribute>.suffix`. An attribute name has no dot, so they never overlap.
fn comparison_filter(name: &str, value: &str) -> Result<Filter, RequestError> {
    let (attribute, dialect) = name.split_once('.').unwrap_or((name, "exact"));
    if attribute == DATA {
        return Err(RequestError::DataFilter);
    }
    let comparisons = Comparisons::from([(attribute.to_owned(), value.to_owned())]);
    match dialect {
        "exact" if !name.contains('.') => Ok(Filter::Exact(comparisons)),
        "prefix" => Ok(Filter::Prefix(comparisons)),
        "suffix" => Ok(Filter::Suffix(comparisons)),
        _ => Err(RequestError::UnknownParameter {
            part: Part::parameter(&format!("{FILTER_PREFIX}{name}")),
            suggestion: Some("filter.<attribute>.prefix` or `filter.<attribute>.suffix"),
        }),
    }
}

fn similar(name: &str) -> Option<&'static str> {
    // The measure is quadratic, and nobody misspells that much.
    if name.len() > MAX_VALUE_BYTES {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let scored = PARAMETERS.iter().map(|known| (strsim::jaro_winkler(known, &name), *known));
    scored.filter(|(score, _)| *score >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

const fn not_offered(name: &'static str, instead: &'static str) -> RequestError {
    RequestError::NotOffered { name, instead }
}
