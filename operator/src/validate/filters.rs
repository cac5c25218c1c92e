//! Filters of the stream and of keys: small enough to be evaluated for every record.
//!
//! Owns what the schema cannot say: how deep a filter is, because a schema has as many levels as it spells out, and how
//! many comparisons it has in all. Must never decide what matches.

use super::{Parsed, Problems, Reported};
use headgate_crds::types::{AttributeName, InvalidName};
use headgate_crds::v1alpha1::{self as api, Comparisons, MAX_FILTER_DEPTH};
use headgate_wire::Filter;
use headgate_wire::filter::MAX_FILTER_LEAVES;

/// Why a filter is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("filters nest {0} deep: at most {MAX_FILTER_DEPTH} levels are possible, so flatten all and any")]
    Depth(usize),
    #[error("has {0} comparisons in all: at most {MAX_FILTER_LEAVES} are possible, so use prefix, or fewer of them")]
    Leaves(usize),
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// The filters of a list at `field`.
pub(super) fn parse(field: &str, filters: &[api::Filter], problems: &mut Problems) -> Parsed<Vec<Filter>> {
    let parsed: Vec<_> = filters
        .iter()
        .enumerate()
        .map(|(index, filter)| {
            bounded(filter).map_err(|why| {
                problems.invalid(format!("{field}[{index}]"), why.to_string());
                Reported
            })
        })
        .collect();
    parsed.into_iter().collect()
}

fn bounded(filter: &api::Filter) -> Result<Filter, Refused> {
    match (filter.depth(), filter.leaves()) {
        (depth, _) if depth > MAX_FILTER_DEPTH => Err(Refused::Depth(depth)),
        (_, leaves) if leaves > MAX_FILTER_LEAVES => Err(Refused::Leaves(leaves)),
        _ => converted(filter),
    }
}

fn converted(filter: &api::Filter) -> Result<Filter, Refused> {
    let group = |nested: &[api::Filter]| nested.iter().map(converted).collect::<Result<_, _>>();
    Ok(match filter {
        api::Filter::Exact(c) => Filter::Exact(comparisons(c)?),
        api::Filter::Prefix(c) => Filter::Prefix(comparisons(c)?),
        api::Filter::Suffix(c) => Filter::Suffix(comparisons(c)?),
        api::Filter::All(nested) => Filter::All(group(nested)?),
        api::Filter::Any(nested) => Filter::Any(group(nested)?),
        api::Filter::Not(nested) => Filter::Not(Box::new(converted(nested)?)),
    })
}

fn comparisons(comparisons: &Comparisons) -> Result<Comparisons, InvalidName> {
    comparisons.keys().try_for_each(|name| AttributeName::new(name).map(drop))?;
    Ok(comparisons.clone())
}
