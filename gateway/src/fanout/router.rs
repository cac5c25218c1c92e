//! Which views may want a record: an index by attribute value and by record key.
//!
//! A view whose filter demands one of some values is found by each of them, so a record costs a look-up however many such
//! views there are; the rest are asked one by one. The index only proposes; [`ViewSpec::shown`] decides.

use crate::fanout::view::ViewSpec;
use crate::stream::filter;
use crate::stream::record::{Record, StreamContext};
use std::collections::HashMap;

type ByValue = HashMap<Box<[u8]>, Vec<usize>>;

/// Index of views by what they demand of a record.
#[derive(Debug, Default)]
pub struct Router {
    everything: Vec<usize>,
    by_key: ByValue,
    by_attribute: Vec<(String, ByValue)>,
}

impl Router {
    /// Adds a view.
    pub fn insert(&mut self, view: usize, spec: &ViewSpec) {
        if let Some(key) = &spec.key {
            self.by_key.entry(key.as_bytes().into()).or_default().push(view);
        } else if let Some((attribute, values)) = filter::required_values(&spec.filters) {
            let by_value = self.values_of(attribute);
            for value in values {
                by_value.entry(value.as_bytes().into()).or_default().push(view);
            }
        } else {
            self.everything.push(view);
        }
    }

    /// Removes a view that was inserted with the same spec.
    pub fn remove(&mut self, view: usize, spec: &ViewSpec) {
        if let Some(key) = &spec.key {
            remove_from(&mut self.by_key, key, view);
        } else if let Some((attribute, values)) = filter::required_values(&spec.filters) {
            let by_value = self.values_of(attribute);
            for value in values {
                remove_from(by_value, value, view);
            }
            self.by_attribute.retain(|(_, values)| !values.is_empty());
        } else {
            self.everything.retain(|other| *other != view);
        }
    }

    /// Collects the views that may show a record into `out`, each once.
    pub fn candidates(&self, record: &Record, context: &StreamContext, out: &mut Vec<usize>) {
        out.clear();
        out.extend_from_slice(&self.everything);
        if let (false, Some(key)) = (self.by_key.is_empty(), record.key.as_deref()) {
            out.extend(self.by_key.get(key).into_iter().flatten());
        }
        for (attribute, values) in &self.by_attribute {
            if let Some(value) = record.attribute(attribute, context) {
                out.extend(values.get(value.as_bytes()).into_iter().flatten());
            }
        }
    }

    fn values_of(&mut self, attribute: &str) -> &mut ByValue {
        let index = self.by_attribute.iter().position(|(name, _)| name == attribute).unwrap_or_else(|| {
            self.by_attribute.push((attribute.to_owned(), ByValue::new()));
            self.by_attribute.len() - 1
        });
        &mut self.by_attribute[index].1
    }
}

fn remove_from(by_value: &mut ByValue, value: &str, view: usize) {
    if let Some(views) = by_value.get_mut(value.as_bytes()) {
        views.retain(|other| *other != view);
        if views.is_empty() {
            by_value.remove(value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::format::{Encoding, Envelope};
    use crate::stream::record::RecordParts;
    use crate::stream::record::samples::header;
    use bytes::Bytes;
    use headgate_wire::Filter;
    use headgate_wire::config::Format;
    use proptest::prelude::*;

    fn spec(filters: Vec<Filter>, key: Option<&str>) -> ViewSpec {
        let encoding = Encoding { format: Format::CloudEvents, envelope: Envelope::Plain, kafka_metadata: false };
        ViewSpec::new(filters, key.map(str::to_owned), encoding)
    }

    fn record(subject: &'static str, key: &'static str) -> Record {
        let headers = vec![header("subject", subject)];
        let key = Some(Bytes::from_static(key.as_bytes()));
        let value = Some(Bytes::from_static(b"{}"));
        Record::decode(RecordParts { key, headers, value, ..RecordParts::default() }, usize::MAX)
    }

    fn found(router: &Router, record: &Record) -> Vec<usize> {
        let mut found = Vec::new();
        router.candidates(record, &StreamContext::new("shop.orders", "dev.shop.order"), &mut found);
        found.sort_unstable();
        found
    }

    fn one_of(values: &[&str]) -> Filter {
        Filter::Any(values.iter().map(|value| Filter::exact("subject", *value)).collect())
    }

    #[test]
    fn a_record_costs_a_look_up_however_many_views_have_a_value_of_their_own() {
        let mut router = Router::default();
        for view in 0..10_000 {
            router.insert(view, &spec(vec![one_of(&[&view.to_string(), &format!("also {view}")])], None));
        }
        assert_eq!(found(&router, &record("42", "k")), [42]);
        assert_eq!(found(&router, &record("also 42", "k")), [42]);
        assert_eq!(found(&router, &record("nobody", "k")), [0; 0]);
        for view in 0..10_000 {
            router.remove(view, &spec(vec![one_of(&[&view.to_string(), &format!("also {view}")])], None));
        }
        assert!(router.by_attribute.is_empty());
    }

    proptest! {
        /// Views come and go; whoever is left and wants the record is proposed once.
        #[test]
        fn every_view_that_shows_a_record_is_proposed_once(
            views in proptest::collection::vec((proptest::collection::vec("[a-c]", 1..3), proptest::option::of("[x-z]"), any::<bool>()), 0..12),
            subject in "[a-d]", key in "[w-z]",
        ) {
            let specs: Vec<_> = views.iter().map(|(values, key, _)| {
                let values: Vec<_> = values.iter().map(String::as_str).collect();
                spec(vec![one_of(&values)], key.as_deref())
            }).collect();
            let mut router = Router::default();
            specs.iter().enumerate().for_each(|(view, spec)| router.insert(view, spec));
            let gone = |view: usize| views[view].2;
            specs.iter().enumerate().filter(|(view, _)| gone(*view)).for_each(|(view, spec)| router.remove(view, spec));
            let (subject, key): (&'static str, &'static str) = (subject.leak(), key.leak());
            let record = record(subject, key);
            let found = found(&router, &record);
            let context = StreamContext::new("shop.orders", "dev.shop.order");
            let entry = crate::stream::entry::Entry::Record(std::sync::Arc::new(record));
            for (view, spec) in specs.iter().enumerate() {
                let proposals = found.iter().filter(|other| **other == view).count();
                if gone(view) {
                    prop_assert_eq!(proposals, 0);
                } else if spec.shown(&entry, &context).is_some() {
                    prop_assert_eq!(proposals, 1);
                }
            }
        }
    }
}
