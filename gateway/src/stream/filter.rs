//! Evaluates filters on records (CloudEvents Subscriptions API 1.0, section 3.2.4.1), and prepares them for it.
//!
//! Owns their meaning: what matches, which filters mean the same, and by which value a record can be found. Pure; the
//! shape of a filter is [`headgate_wire::Filter`]'s.

use crate::stream::record::{Record, StreamContext};
use headgate_wire::Filter;
use headgate_wire::filter::{Comparisons, MAX_ATTRIBUTE_NAME, MAX_FILTER_DEPTH, MAX_FILTER_LEAVES};

/// Why a filter is refused. Each sentence is fit for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not a CloudEvents attribute name.
    #[error("`{0}` is no attribute name: use 1 to {MAX_ATTRIBUTE_NAME} lower-case letters and digits")]
    AttributeName(String),
    /// A comparison with nothing.
    #[error("attribute `{0}` is compared with an empty text: leave the comparison out, or give it a value")]
    EmptyValue(String),
    /// A list or a set of comparisons without an entry.
    #[error("a filter without an entry matches nothing or everything: leave it out, or fill it")]
    Empty,
    /// More nesting than [`MAX_FILTER_DEPTH`].
    #[error("filters nest {0} deep: at most {MAX_FILTER_DEPTH} are allowed, so flatten `all` and `any`")]
    TooDeep(usize),
    /// More comparisons than [`MAX_FILTER_LEAVES`].
    #[error("filter has {0} comparisons: at most {MAX_FILTER_LEAVES} are allowed")]
    TooManyComparisons(usize),
}

/// True if the record matches. An absent attribute matches no comparison; a record of which nothing can be said
/// ([`Record::is_opaque`]) matches no filter, not even a negated one.
pub fn matches(filter: &Filter, record: &Record, context: &StreamContext) -> bool {
    !record.is_opaque() && holds(filter, record, context)
}

/// True if the record matches every filter; with none, every record does.
pub fn all_match(filters: &[Filter], record: &Record, context: &StreamContext) -> bool {
    filters.iter().all(|filter| matches(filter, record, context))
}

/// Accepts what a gateway is willing to evaluate for every record.
pub fn validate(filter: &Filter) -> Result<(), FilterError> {
    match (filter.depth(), filter.leaves()) {
        (depth, _) if depth > MAX_FILTER_DEPTH => Err(FilterError::TooDeep(depth)),
        (_, leaves) if leaves > MAX_FILTER_LEAVES => Err(FilterError::TooManyComparisons(leaves)),
        _ => validate_parts(filter),
    }
}

/// The one form of all lists of filters that mean the same by these rules: comparisons stand alone, `all` and `any` are
/// neither nested in themselves nor of one entry, nothing is negated twice, everything is sorted and occurs once.
pub fn canonical(filters: Vec<Filter>) -> Vec<Filter> {
    if filters.is_empty() {
        return filters;
    }
    match canonical_form(Filter::All(filters)) {
        Filter::All(inner) if !inner.is_empty() => inner,
        single => vec![single],
    }
}

/// An attribute and the values of which every matching record has one, if the filters demand that: what an index can find
/// them by. Prefers `subject`, then extensions, then other attributes, `type` last: they tell records apart in that order;
/// among those, the fewest values. Never `specversion`.
pub fn required_values(filters: &[Filter]) -> Option<(&str, Vec<&str>)> {
    let mut required = Vec::new();
    for filter in filters {
        collect_required(filter, &mut required);
    }
    let ranked = required.into_iter().filter_map(|found| Some((selectivity(found.0)?, found.1.len(), found)));
    ranked.min().map(|(_, _, found)| found)
}

fn holds(filter: &Filter, record: &Record, context: &StreamContext) -> bool {
    let every = |comparisons: &Comparisons, compare: fn(&str, &str) -> bool| {
        let compare = |(name, expected): (&String, &String)| {
            record.attribute(name, context).is_some_and(|value| compare(&value, expected))
        };
        comparisons.iter().all(compare)
    };
    match filter {
        Filter::Exact(comparisons) => every(comparisons, |value, expected| value == expected),
        Filter::Prefix(comparisons) => every(comparisons, |value, expected| value.starts_with(expected)),
        Filter::Suffix(comparisons) => every(comparisons, |value, expected| value.ends_with(expected)),
        Filter::All(inner) => inner.iter().all(|filter| holds(filter, record, context)),
        Filter::Any(inner) => inner.iter().any(|filter| holds(filter, record, context)),
        Filter::Not(inner) => !holds(inner, record, context),
    }
}

fn validate_parts(filter: &Filter) -> Result<(), FilterError> {
    match filter {
        Filter::Exact(comparisons) | Filter::Prefix(comparisons) | Filter::Suffix(comparisons) => {
            if comparisons.is_empty() {
                return Err(FilterError::Empty);
            }
            comparisons.iter().try_for_each(|(name, value)| validate_comparison(name, value))
        }
        Filter::All(inner) | Filter::Any(inner) if inner.is_empty() => Err(FilterError::Empty),
        Filter::All(inner) | Filter::Any(inner) => inner.iter().try_for_each(validate_parts),
        Filter::Not(inner) => validate_parts(inner),
    }
}

fn validate_comparison(name: &str, value: &str) -> Result<(), FilterError> {
    let valid = (1..=MAX_ATTRIBUTE_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !valid {
        // Comes back to the caller in an answer: enough of it to be recognised.
        return Err(FilterError::AttributeName(name.chars().take(MAX_ATTRIBUTE_NAME).collect()));
    }
    if value.is_empty() { Err(FilterError::EmptyValue(name.to_owned())) } else { Ok(()) }
}

fn canonical_form(filter: Filter) -> Filter {
    match filter {
        Filter::Exact(comparisons) => one_by_one(comparisons, Filter::Exact),
        Filter::Prefix(comparisons) => one_by_one(comparisons, Filter::Prefix),
        Filter::Suffix(comparisons) => one_by_one(comparisons, Filter::Suffix),
        Filter::All(inner) => {
            let nested = |filter| match filter {
                Filter::All(nested) => nested,
                other => vec![other],
            };
            sorted(inner.into_iter().map(canonical_form).flat_map(nested).collect(), Filter::All)
        }
        Filter::Any(inner) => {
            let nested = |filter| match filter {
                Filter::Any(nested) => nested,
                other => vec![other],
            };
            sorted(inner.into_iter().map(canonical_form).flat_map(nested).collect(), Filter::Any)
        }
        Filter::Not(inner) => match canonical_form(*inner) {
            Filter::Not(twice) => *twice,
            once => Filter::Not(Box::new(once)),
        },
    }
}

fn one_by_one(comparisons: Comparisons, dialect: fn(Comparisons) -> Filter) -> Filter {
    sorted(comparisons.into_iter().map(|comparison| dialect(Comparisons::from([comparison]))).collect(), Filter::All)
}

fn sorted(mut filters: Vec<Filter>, combine: fn(Vec<Filter>) -> Filter) -> Filter {
    filters.sort_unstable();
    filters.dedup();
    match <[Filter; 1]>::try_from(filters) {
        Ok([single]) => single,
        Err(filters) => combine(filters),
    }
}

fn collect_required<'f>(filter: &'f Filter, found: &mut Vec<(&'f str, Vec<&'f str>)>) {
    match filter {
        Filter::Exact(comparisons) => {
            found.extend(comparisons.iter().map(|(name, value)| (name.as_str(), vec![value.as_str()])));
        }
        Filter::All(inner) => inner.iter().for_each(|filter| collect_required(filter, found)),
        Filter::Any(inner) => found.extend(one_of(inner)),
        Filter::Not(_) | Filter::Prefix(_) | Filter::Suffix(_) => {}
    }
}

/// The attribute that all of these compare, each with one value.
fn one_of(filters: &[Filter]) -> Option<(&str, Vec<&str>)> {
    let mut attribute = None;
    let mut values = Vec::with_capacity(filters.len());
    for filter in filters {
        let Filter::Exact(comparisons) = filter else { return None };
        let mut comparisons = comparisons.iter();
        let (Some((name, value)), None) = (comparisons.next(), comparisons.next()) else { return None };
        if *attribute.get_or_insert(name) != name {
            return None;
        }
        values.push(value.as_str());
    }
    values.sort_unstable();
    values.dedup();
    Some((attribute?, values))
}

/// How well an attribute tells records apart, best first; `None` if it does not.
fn selectivity(attribute: &str) -> Option<u8> {
    match attribute {
        "specversion" => None,
        "subject" => Some(0),
        "id" | "source" | "time" | "dataschema" | "datacontenttype" => Some(2),
        "type" => Some(3),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::record::samples::{any_parts, header};
    use crate::stream::record::{Content, RecordParts};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn context() -> StreamContext {
        StreamContext::new("shop.orders", "dev.shop.order")
    }

    fn plain(subject: &'static str) -> Record {
        let key = Some(Bytes::from_static(b"customer-7"));
        let value = Some(Bytes::from_static(b"{}"));
        let headers = vec![header("subject", subject)];
        let parts = RecordParts { partition: 3, offset: 42, key, value, headers, ..RecordParts::default() };
        Record::decode(parts, usize::MAX)
    }

    fn prefix(name: &str, value: &str) -> Filter {
        Filter::Prefix(Comparisons::from([(name.to_owned(), value.to_owned())]))
    }

    fn suffix(name: &str, value: &str) -> Filter {
        Filter::Suffix(Comparisons::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn every_dialect_compares_as_the_subscriptions_api_says() {
        let record = plain("device-1");
        let holds = |filter: Filter| matches(&filter, &record, &context());
        assert!(holds(Filter::exact("subject", "device-1")) && !holds(Filter::exact("subject", "device")));
        assert!(holds(prefix("subject", "device")) && !holds(prefix("subject", "evice")));
        assert!(holds(suffix("subject", "-1")) && !holds(suffix("subject", "-")));
        assert!(holds(Filter::All(vec![prefix("subject", "d"), suffix("subject", "1")])));
        assert!(holds(Filter::Any(vec![prefix("subject", "x"), suffix("subject", "1")])));
        assert!(!holds(Filter::Not(Box::new(prefix("subject", "d")))));
        assert!(!holds(Filter::exact("missing", "x")) && holds(Filter::Not(Box::new(Filter::exact("missing", "x")))));
    }

    #[test]
    fn plain_records_have_the_attributes_that_wrapping_gives_them() {
        let record = plain("a");
        let expected = [
            ("specversion", "1.0"),
            ("id", "shop.orders-3-42"),
            ("source", "/kafka/shop.orders/3"),
            ("type", "dev.shop.order"),
            ("subject", "a"),
            ("partitionkey", "customer-7"),
            ("sequence", "00000000000000000042"),
            ("datacontenttype", "application/json"),
            ("headgatekey", "customer-7"),
            ("headgatepartition", "3"),
            ("headgateoffset", "42"),
        ];
        for (name, value) in expected {
            assert!(matches(&Filter::exact(name, value), &record, &context()), "{name}");
        }
    }

    #[test]
    fn a_producer_cannot_forge_the_key_that_filters_see() {
        let event = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","headgatekey":"forged"}"#;
        let parts = RecordParts {
            key: Some(Bytes::from_static(&[0xff, 0])),
            value: Some(Bytes::from_static(event)),
            ..RecordParts::default()
        };
        let record = Record::decode(parts, usize::MAX);
        assert_eq!(record.attribute("headgatekey", &context()).as_deref(), Some("/wA="));
    }

    #[test]
    fn an_undecodable_record_matches_no_filter_not_even_a_negated_one() {
        let headers = vec![header("content-type", "application/cloudevents+json")];
        let record = Record::decode(RecordParts { headers, value: Some(Bytes::new()), ..RecordParts::default() }, 1000);
        assert!(matches!(record.content, Content::Undecodable(_)));
        let filter = Filter::Not(Box::new(Filter::exact("subject", "secret")));
        assert!(!matches(&filter, &record, &context()));
        assert!(all_match(&[], &record, &context()));
    }

    #[test]
    fn a_filter_that_cannot_be_evaluated_is_refused_with_a_reason() {
        let name = |name: &str| validate(&Filter::exact(name, "x"));
        assert_eq!(name("Subject"), Err(FilterError::AttributeName("Subject".to_owned())));
        assert_eq!(name(""), Err(FilterError::AttributeName(String::new())));
        assert_eq!(name(&"a".repeat(65)), Err(FilterError::AttributeName("a".repeat(64))));
        assert_eq!(name(&"a".repeat(64)), Ok(()));
        assert_eq!(validate(&prefix("subject", "")), Err(FilterError::EmptyValue("subject".to_owned())));
        assert_eq!(validate(&Filter::Exact(Comparisons::new())), Err(FilterError::Empty));
        assert_eq!(validate(&Filter::Any(vec![Filter::All(vec![])])), Err(FilterError::Empty));
        let deep = (0..4).fold(Filter::exact("a", "b"), |inner, _| Filter::Not(Box::new(inner)));
        assert_eq!(validate(&deep), Err(FilterError::TooDeep(5)));
        let wide = Filter::Any(vec![Filter::exact("a", "b"); 65]);
        assert_eq!(validate(&wide), Err(FilterError::TooManyComparisons(65)));
    }

    #[test]
    fn the_most_telling_comparison_is_the_index_key() {
        let both = Filter::Exact(
            [("type", "t"), ("tenant", "shop"), ("specversion", "1.0")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into(),
        );
        assert_eq!(required_values(std::slice::from_ref(&both)), Some(("tenant", vec!["shop"])));
        assert_eq!(required_values(&[both, Filter::exact("subject", "s")]), Some(("subject", vec!["s"])));
        assert_eq!(required_values(&[Filter::exact("specversion", "1.0"), prefix("subject", "s")]), None);
        let any = |names: [&str; 2]| Filter::Any(names.map(|name| Filter::exact(name, name)).to_vec());
        assert_eq!(required_values(&[any(["a", "b"])]), None, "two attributes");
        let list = Filter::Any(vec![Filter::exact("a", "2"), Filter::exact("a", "1"), Filter::exact("a", "2")]);
        assert_eq!(required_values(std::slice::from_ref(&list)), Some(("a", vec!["1", "2"])));
        assert_eq!(required_values(&[list.clone(), Filter::exact("b", "1")]), Some(("b", vec!["1"])), "the fewest");
        assert_eq!(required_values(&[Filter::Any(vec![list, prefix("a", "3")])]), None);
        assert_eq!(required_values(&[]), None);
    }

    #[test]
    fn filters_that_mean_the_same_have_one_canonical_form() {
        let (a, b) = (Filter::exact("a", "1"), prefix("b", "2"));
        let forms = [
            vec![a.clone(), b.clone()],
            vec![b.clone(), a.clone(), a.clone()],
            vec![Filter::All(vec![b.clone(), Filter::All(vec![a.clone()])])],
            vec![Filter::Not(Box::new(Filter::Not(Box::new(a.clone())))), Filter::Any(vec![b.clone()])],
        ];
        for form in forms {
            assert_eq!(canonical(form.clone()), [a.clone(), b.clone()], "{form:?}");
        }
        let pair =
            |entries: [(&str, &str); 2]| Filter::Exact(entries.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
        assert_eq!(canonical(vec![pair([("b", "2"), ("a", "1")])]), [a, Filter::exact("b", "2")]);
    }

    fn any_comparisons() -> impl Strategy<Value = Comparisons> {
        let name = prop_oneof!["subject", "type", "id", "tenant", "specversion", "partitionkey", "headgatekey"];
        proptest::collection::btree_map(name, "[ab1.]{0,3}", 0..3)
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        let leaf = prop_oneof![
            3 => any_comparisons().prop_map(Filter::Exact),
            1 => any_comparisons().prop_map(Filter::Prefix),
            1 => any_comparisons().prop_map(Filter::Suffix),
        ];
        leaf.prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
                inner.prop_map(|filter| Filter::Not(Box::new(filter))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_canonical_form_means_the_same_and_is_its_own(
            filters in proptest::collection::vec(any_filter(), 0..4), parts in any_parts(),
        ) {
            let record = Record::decode(parts, usize::MAX);
            let canonical_filters = canonical(filters.clone());
            let expected = all_match(&filters, &record, &context());
            prop_assert_eq!(all_match(&canonical_filters, &record, &context()), expected);
            prop_assert_eq!(canonical(canonical_filters.clone()), canonical_filters);
        }

        #[test]
        fn every_matching_record_has_the_required_value(
            filters in proptest::collection::vec(any_filter(), 0..4), parts in any_parts(),
        ) {
            let (record, context) = (Record::decode(parts, usize::MAX), context());
            if let Some((name, values)) = required_values(&filters) && all_match(&filters, &record, &context) {
                let found = record.attribute(name, &context);
                prop_assert!(found.is_some_and(|found| values.contains(&found.as_ref())));
            }
        }
    }
}
