//! Which views may want a record: an index by attribute value and by record key.
//!
//! A view whose filter demands an exact value is found by that value, so a record costs a look-up however many such
//! views there are; the rest are asked one by one. The index only proposes; [`ViewSpec::shown`] decides.

use crate::filter;
use crate::record::{Record, StreamContext};
use crate::view::ViewSpec;
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
        self.bucket(spec).push(view);
    }

    /// Removes a view that was inserted with the same spec.
    pub fn remove(&mut self, view: usize, spec: &ViewSpec) {
        self.bucket(spec).retain(|other| *other != view);
        self.by_key.retain(|_, views| !views.is_empty());
        if let Some((attribute, value)) = filter::required_exact(&spec.filters) {
            let values = self.by_attribute.iter_mut().find(|(name, _)| name == attribute).map(|(_, values)| values);
            if let Some(values) = values.filter(|values| values.get(value.as_bytes()).is_some_and(Vec::is_empty)) {
                values.remove(value.as_bytes());
            }
            self.by_attribute.retain(|(_, values)| !values.is_empty());
        }
    }

    /// Collects the views that may show a record into `out`.
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

    fn bucket(&mut self, spec: &ViewSpec) -> &mut Vec<usize> {
        if let Some(key) = &spec.key {
            return self.by_key.entry(key.as_bytes().into()).or_default();
        }
        let Some((attribute, value)) = filter::required_exact(&spec.filters) else { return &mut self.everything };
        let index = self.by_attribute.iter().position(|(name, _)| name == attribute).unwrap_or_else(|| {
            self.by_attribute.push((attribute.to_owned(), ByValue::new()));
            self.by_attribute.len() - 1
        });
        self.by_attribute[index].1.entry(value.as_bytes().into()).or_default()
    }
}
