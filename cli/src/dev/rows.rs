//! Which events filters let through: as attributes that an event can be given, and in words for people. Pure.
//!
//! It only proposes; the gateway's own filters decide.

use headgate_wire::Filter;
use std::collections::BTreeMap;

/// Most rows that are made for one list of filters, and for one stream.
const MAX_ROWS: usize = 32;

/// Attributes of an event, by name. No filter wants more of it; an empty one is any event.
pub(crate) type Row = BTreeMap<String, String>;

/// Rows that match all of these filters; one for every choice that they leave.
pub(crate) fn rows(filters: &[Filter]) -> Vec<Row> {
    filters.iter().fold(vec![Row::new()], |rows, filter| {
        let choices = matching(filter);
        let both = rows.iter().flat_map(|row| choices.iter().map(|choice| joined(row, choice)));
        both.take(MAX_ROWS).collect()
    })
}

/// The rows of several readers, each once.
pub(crate) fn rows_of_all<'f>(readers: impl IntoIterator<Item = &'f [Filter]>) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    for row in readers.into_iter().flat_map(rows) {
        if all.len() < MAX_ROWS && !all.contains(&row) {
            all.push(row);
        }
    }
    all
}

/// What is shown to whoever has these filters.
pub(crate) fn in_words(filters: &[Filter]) -> String {
    if filters.is_empty() { "everything".to_owned() } else { format!("events with {}", list(filters, " and ")) }
}

fn matching(filter: &Filter) -> Vec<Row> {
    match filter {
        // A text begins and ends with itself.
        Filter::Exact(wanted) | Filter::Prefix(wanted) | Filter::Suffix(wanted) => vec![wanted.clone()],
        Filter::All(inner) => rows(inner),
        Filter::Any(choices) => choices.iter().flat_map(matching).take(MAX_ROWS).collect(),
        // Most events are something else anyway.
        Filter::Not(_) => vec![Row::new()],
    }
}

fn joined(row: &Row, other: &Row) -> Row {
    row.iter().chain(other).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn list(filters: &[Filter], separator: &str) -> String {
    filters.iter().map(words).collect::<Vec<_>>().join(separator)
}

fn words(filter: &Filter) -> String {
    let each = |wanted: &Row, verb: &str| {
        let words: Vec<String> = wanted.iter().map(|(name, value)| format!("{name}{verb} {value}")).collect();
        words.join(" and ")
    };
    match filter {
        Filter::Exact(wanted) => each(wanted, ""),
        Filter::Prefix(wanted) => each(wanted, " beginning with"),
        Filter::Suffix(wanted) => each(wanted, " ending with"),
        Filter::All(inner) => list(inner, " and "),
        Filter::Any(choices) => list(choices, " or "),
        Filter::Not(inner) => format!("not ({})", words(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filters(json: &serde_json::Value) -> Vec<Filter> {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn row(pairs: &[(&str, &str)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn there_is_a_row_for_every_choice_and_it_matches_everything_else_too() {
        let choice = json!({ "any": [{ "exact": { "tenant": "a" } }, { "exact": { "tenant": "b" } }] });
        let filters =
            filters(&json!([choice, { "prefix": { "subject": "eu/" } }, { "not": { "exact": { "type": "x" } } }]));
        let expected = [row(&[("tenant", "a"), ("subject", "eu/")]), row(&[("tenant", "b"), ("subject", "eu/")])];
        assert_eq!(rows(&filters), expected);
        assert_eq!(rows(&[]), [Row::new()]);
        assert_eq!(rows_of_all([&filters[..], &[], &filters[..]]).len(), 3);
        let told = "events with tenant a or tenant b and subject beginning with eu/ and not (type x)";
        assert_eq!(in_words(&filters), told);
        assert_eq!(in_words(&[]), "everything");
    }

    #[test]
    fn choices_of_choices_do_not_pile_up() {
        let choice = |name: &str| {
            let values: Vec<_> = (0..20).map(|n| json!({ "exact": { name: n.to_string() } })).collect();
            json!({ "any": values })
        };
        assert_eq!(rows(&filters(&json!([choice("a"), choice("b"), choice("c")]))).len(), MAX_ROWS);
    }
}
