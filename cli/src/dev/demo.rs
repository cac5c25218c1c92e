//! Sample events: a few devices in a few channels, as CloudEvents in both modes and now and then as plain JSON.
//!
//! Which event comes at which place of the sequence is pure; `run` only sends them.

use super::rows::Row;
use crate::kafka::{Producer, Record, StoreError};
use crate::output::notice;
use crate::publish::{Attributes, Mode, Template};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Every how many events one is plain JSON, without any CloudEvents attribute.
const PLAIN_EVERY: u64 = 7;
/// Every how many events one is in structured mode.
const STRUCTURED_EVERY: u64 = 3;

/// What an app's sample events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theme {
    /// Tills of a shop; the channel is the region.
    Orders,
    /// Sensors of a building; the channel is the floor.
    Sensors,
}

const TILLS: [(&str, &str); 5] =
    [("till-1", "eu"), ("till-2", "eu"), ("till-3", "us"), ("till-4", "us"), ("till-5", "apac")];
const SENSORS: [(&str, &str); 5] = [
    ("sensor-a1", "ground-floor"),
    ("sensor-a2", "ground-floor"),
    ("sensor-b1", "first-floor"),
    ("sensor-b2", "first-floor"),
    ("sensor-c1", "roof"),
];

/// One stream that gets sample events.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The app; an app about orders gets orders.
    pub(crate) app: String,
    /// Its topic.
    pub(crate) topic: String,
    /// What its readers ask for: events get the attributes of these rows in turn.
    pub(crate) rows: Vec<Row>,
}

/// A value that this attribute has in sample events of the app: another one for each number, as far as there are some.
pub(crate) fn sample(app: &str, attribute: &str, number: usize) -> Option<&'static str> {
    let devices = Theme::of(app).devices();
    let mut values: Vec<&str> = match attribute {
        "subject" => devices.iter().map(|(_, channel)| *channel).collect(),
        "device" => devices.iter().map(|(device, _)| *device).collect(),
        _ => return None,
    };
    values.dedup();
    values.get(number % values.len()).copied()
}

/// Sends `rate` events per second to the subject until it is dropped. Trouble is reported once, and tried on.
pub(crate) async fn run(producer: Producer, subject: Subject, rate: u32) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut troubled = false;
    for sequence in 0u64.. {
        tick.tick().await;
        let outcome = send(&producer, &subject, sequence).await;
        if let (Err(error), false) = (&outcome, troubled) {
            notice(format_args!("sample events for {}: {error}; trying on", subject.topic));
        }
        troubled = outcome.is_err();
    }
}

async fn send(producer: &Producer, subject: &Subject, sequence: u64) -> Result<(), StoreError> {
    // Without entropy the events are only less varied.
    let chance = getrandom::u64().unwrap_or(sequence);
    producer.send(&record(subject, sequence, chance, Timestamp::now()))?.stored().await?;
    Ok(())
}

fn record(subject: &Subject, sequence: u64, chance: u64, time: Timestamp) -> Record {
    let theme = Theme::of(&subject.app);
    let row = row(&subject.rows, sequence);
    let (device, channel) = theme.device(row, chance);
    let (kind, data) = theme.event(sequence, chance / 5, device);
    let mut attributes = Attributes {
        kind: Some(kind.to_owned()),
        source: Some(format!("/demo/{device}")),
        subject: Some(channel.to_owned()),
        extensions: BTreeMap::from([("device".to_owned(), device.to_owned())]),
    };
    row.iter().flat_map(|row| row.iter()).for_each(|(name, value)| attributes.set(name, value));
    let mode = if sequence % PLAIN_EVERY == PLAIN_EVERY - 1 {
        Mode::Plain
    } else if sequence.is_multiple_of(STRUCTURED_EVERY) {
        Mode::Structured(attributes)
    } else {
        Mode::Binary(attributes)
    };
    let template = Template { topic: subject.topic.clone(), key: Some(device.to_owned()), headers: Vec::new(), mode };
    let data = data.to_string().into_bytes();
    let id = format!("demo-{:x}-{sequence}", time.as_millisecond());
    template.record(&data, &id, time).unwrap_or_else(|_| Record {
        topic: subject.topic.clone(),
        value: data,
        ..Record::default()
    })
}

/// The row whose turn it is. Plain events have no attributes, and take nobody's turn.
fn row(rows: &[Row], sequence: u64) -> Option<&Row> {
    let turn = usize::try_from(sequence - sequence / PLAIN_EVERY).unwrap_or_default();
    rows.get(turn.checked_rem(rows.len())?)
}

impl Theme {
    fn of(app: &str) -> Self {
        if app.contains("order") { Self::Orders } else { Self::Sensors }
    }

    const fn devices(self) -> [(&'static str, &'static str); 5] {
        match self {
            Self::Orders => TILLS,
            Self::Sensors => SENSORS,
        }
    }

    /// A device and its channel, as the row wants them if there is such a device.
    fn device(self, row: Option<&Row>, chance: u64) -> (&'static str, &'static str) {
        let wants = |name: &str, value: &str| row.and_then(|row| row.get(name)).is_none_or(|wanted| wanted == value);
        let all = self.devices();
        let fits = |(device, channel): &&(&str, &str)| wants("device", device) && wants("subject", channel);
        let fitting: Vec<_> = all.iter().filter(fits).collect();
        let choice = |count: usize| usize::try_from(chance % count.max(1) as u64).unwrap_or_default();
        fitting.get(choice(fitting.len())).map_or_else(|| all[choice(all.len())], |device| **device)
    }

    fn event(self, sequence: u64, chance: u64, device: &str) -> (&'static str, Value) {
        let order = 1000 + sequence / 3;
        match (self, chance % 4) {
            (Self::Orders, 0 | 1) => {
                let cents = 100 + (chance / 4) % 20_000;
                let total = format!("{}.{:02}", cents / 100, cents % 100);
                let items = 1 + (chance / 64) % 5;
                ("com.example.order.created", json!({"order": order, "till": device, "items": items, "total": total}))
            }
            (Self::Orders, 2) => ("com.example.order.paid", json!({"order": order, "till": device, "method": "card"})),
            (Self::Orders, _) => ("com.example.order.cancelled", json!({"order": order, "till": device})),
            (Self::Sensors, 3) => {
                let open = (chance / 4).is_multiple_of(2);
                ("com.example.door", json!({"device": device, "open": open}))
            }
            (Self::Sensors, _) => {
                let celsius = 18.0 + ((chance / 4) % 80) as f64 / 10.0;
                ("com.example.temperature", json!({"device": device, "celsius": celsius}))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn records(app: &str) -> Vec<Record> {
        records_for(app, Vec::new())
    }

    fn records_for(app: &str, rows: Vec<Row>) -> Vec<Record> {
        let subject = Subject { app: app.to_owned(), topic: "t".to_owned(), rows };
        (0..210).map(|n| record(&subject, n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15), Timestamp::UNIX_EPOCH)).collect()
    }

    fn header<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
        record.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn all_three_kinds_of_record_occur() {
        let records = records("orders");
        let is_structured = |r: &&Record| header(r, "content-type").is_some_and(|c| c.contains("cloudevents"));
        assert!(records.iter().filter(is_structured).count() > 20);
        assert!(records.iter().filter(|r| header(r, "ce_type").is_some()).count() > 20);
        assert!(records.iter().filter(|r| r.headers.is_empty()).count() > 20);
    }

    #[test]
    fn the_samples_of_an_attribute_occur_in_events() {
        for (app, attribute) in [("orders", "subject"), ("orders", "device"), ("stock", "subject")] {
            let (first, second) = (sample(app, attribute, 0).unwrap(), sample(app, attribute, 1).unwrap());
            assert_ne!(first, second);
            let header_name = format!("ce_{attribute}");
            for value in [first, second] {
                assert!(records(app).iter().any(|record| header(record, &header_name) == Some(value)), "{app} {value}");
            }
        }
        assert_eq!(sample("orders", "tenant", 0), None);
    }

    #[test]
    fn every_reader_gets_rows_of_their_own_in_turn() {
        let row = |subject: &str, tenant: &str| {
            Row::from(
                [("subject", subject), ("tenant", tenant)].map(|(name, value)| (name.to_owned(), value.to_owned())),
            )
        };
        for readers in 1..=8 {
            let tenants: Vec<String> = (0..readers).map(|number| format!("tenant-{number}")).collect();
            let rows = tenants.iter().map(|tenant| row("eu", tenant)).chain([Row::new()]).collect();
            let records = records_for("orders", rows);
            for tenant in &tenants {
                let of_tenant: Vec<_> = records.iter().filter(|r| header(r, "ce_tenant") == Some(tenant)).collect();
                assert!(!of_tenant.is_empty(), "{tenant} of {readers}");
                assert!(of_tenant.iter().all(|r| header(r, "ce_subject") == Some("eu")));
                assert!(of_tenant.iter().all(|r| ["till-1", "till-2"].contains(&header(r, "ce_device").unwrap())));
            }
            assert!(records.iter().any(|r| header(r, "ce_tenant").is_none() && header(r, "ce_type").is_some()));
        }
    }

    #[test]
    fn what_no_sample_event_has_is_added_and_what_is_not_for_filters_to_choose_stays() {
        let row =
            Row::from([("subject", "mars"), ("id", "1")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        let records = records_for("orders", vec![row]);
        let attributed: Vec<_> = records.iter().filter(|r| header(r, "ce_type").is_some()).collect();
        assert!(attributed.iter().all(|r| header(r, "ce_subject") == Some("mars") && header(r, "ce_id") != Some("1")));
    }

    #[test]
    fn several_devices_channels_and_types_occur() {
        for app in ["orders", "sensors"] {
            let records = records(app);
            let distinct = |name| records.iter().filter_map(|r| header(r, name)).collect::<BTreeSet<_>>().len();
            assert!(distinct("ce_device") >= 4, "{app}");
            assert!(distinct("ce_subject") >= 3, "{app}");
            assert!(distinct("ce_type") >= 2, "{app}");
        }
    }

    #[test]
    fn every_value_is_json_and_every_key_is_a_device() {
        for record in records("orders") {
            serde_json::from_slice::<Value>(&record.value).unwrap();
            assert!(record.key.as_ref().is_some_and(|key| key.starts_with("till-")));
        }
    }
}
