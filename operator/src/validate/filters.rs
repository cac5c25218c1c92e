//! `spec.stream.filters`: small enough to be evaluated for every record.
//!
//! Owns the bounds together, those of the API and the narrower ones of the gateway, because the schema can only say
//! them level by level. Must never decide what matches.

use super::{Parsed, Problems, Reported};
use headgate_crds::types::{AttributeName, InvalidName};
use headgate_crds::v1alpha1::{self as api, Comparisons, MAX_COMPARISONS, MAX_FILTER_DEPTH, MAX_NESTED_FILTERS};
use headgate_wire::Filter;
use headgate_wire::filter::MAX_FILTER_LEAVES;

/// Filters of one endpoint.
const MAX_FILTERS: usize = 16;
/// Characters of a text that an attribute is compared with.
const MAX_VALUE_LENGTH: usize = 256;

/// Why a filter is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("filters nest {0} deep: at most {MAX_FILTER_DEPTH} levels are possible, so flatten all and any")]
    Depth(usize),
    #[error("has {0} comparisons in all: at most {MAX_FILTER_LEAVES} are possible, so use prefix, or fewer of them")]
    Leaves(usize),
    #[error("all or any has {0} filters: write 1 to {MAX_NESTED_FILTERS}")]
    Group(usize),
    #[error("a comparison has {0} attributes: write 1 to {MAX_COMPARISONS}")]
    Comparisons(usize),
    #[error("{0} is compared with a text of {1} characters: write 1 to {MAX_VALUE_LENGTH}, or remove the comparison")]
    Value(AttributeName, usize),
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// The filters that hold for every client.
pub(super) fn parse(filters: &[api::Filter], problems: &mut Problems) -> Parsed<Vec<Filter>> {
    let mut reported = Ok(());
    if filters.len() > MAX_FILTERS {
        let message = format!("has {} filters: at most {MAX_FILTERS} are possible, so combine some", filters.len());
        problems.invalid("spec.stream.filters", message);
        return Err(Reported);
    }
    let mut parsed = Vec::with_capacity(filters.len());
    for (index, filter) in filters.iter().enumerate() {
        match bounded(filter) {
            Ok(filter) => parsed.push(filter),
            Err(why) => {
                problems.invalid(format!("spec.stream.filters[{index}]"), why.to_string());
                reported = Err(Reported);
            }
        }
    }
    reported.map(|()| parsed)
}

fn bounded(filter: &api::Filter) -> Result<Filter, Refused> {
    match (filter.depth(), filter.leaves()) {
        (depth, _) if depth > MAX_FILTER_DEPTH => Err(Refused::Depth(depth)),
        (_, leaves) if leaves > MAX_FILTER_LEAVES => Err(Refused::Leaves(leaves)),
        _ => converted(filter),
    }
}

fn converted(filter: &api::Filter) -> Result<Filter, Refused> {
    Ok(match filter {
        api::Filter::Exact(c) => Filter::Exact(comparisons(c)?),
        api::Filter::Prefix(c) => Filter::Prefix(comparisons(c)?),
        api::Filter::Suffix(c) => Filter::Suffix(comparisons(c)?),
        api::Filter::All(nested) => Filter::All(group(nested)?),
        api::Filter::Any(nested) => Filter::Any(group(nested)?),
        api::Filter::Not(nested) => Filter::Not(Box::new(converted(nested)?)),
    })
}

fn group(nested: &[api::Filter]) -> Result<Vec<Filter>, Refused> {
    if !(1..=MAX_NESTED_FILTERS).contains(&nested.len()) {
        return Err(Refused::Group(nested.len()));
    }
    nested.iter().map(converted).collect()
}

fn comparisons(comparisons: &Comparisons) -> Result<Comparisons, Refused> {
    if !(1..=MAX_COMPARISONS).contains(&comparisons.len()) {
        return Err(Refused::Comparisons(comparisons.len()));
    }
    for (name, value) in comparisons {
        let (name, length) = (AttributeName::new(name)?, value.chars().count());
        if !(1..=MAX_VALUE_LENGTH).contains(&length) {
            return Err(Refused::Value(name, length));
        }
    }
    Ok(comparisons.clone())
}
