//! Views of a part of the stream resume like the whole of it (W16, W23).

use crate::reader::{History, Reader};
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, Record, unique};

/// A path, and which numbers are seen there.
type View = (&'static str, fn(i64) -> bool);

const SUBJECTS: [&str; 3] = ["engine", "door", "lamp/left"];

/// CloudEvents of several subjects, types and keys.
fn events(topic: &str, numbers: std::ops::Range<i64>, padding: usize) -> impl Iterator<Item = Record> {
    let padding = "x".repeat(padding);
    numbers.map(move |n| {
        let subject = SUBJECTS[(n % 3) as usize];
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        let value = format!(
            r#"{{"specversion":"1.0","id":"{n}","source":"/car","type":"{kind}","subject":"{subject}","data":{{"n":{n},"p":"{padding}"}}}}"#
        );
        let record = Record::new(topic, value).header("content-type", "application/cloudevents+json");
        record.key(format!("car-{}", n % 5)).partition((n % 4) as i32)
    })
}

fn wanted(count: i64, wanted: impl Fn(i64) -> bool) -> Vec<i64> {
    (0..count).filter(|n| wanted(*n)).collect()
}

/// W16, W23: from memory and by a replay.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_a_key_and_a_filter_resume_without_loss_or_repeat() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("views");
    kafka.create_topic(&topic, 4, &[]).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.stream.replay.ring_bytes = 1024 * 1024;
    let gateway = Gateway::start(config).await?;
    let views: [View; 5] = [
        ("/orders/door", |n| n % 3 == 1),
        ("/orders/lamp%2Fleft?type=even", |n| n % 3 == 2 && n % 2 == 0),
        ("/orders?key=car-3", |n| n % 5 == 3),
        ("/orders?filter.subject.prefix=lamp", |n| n % 3 == 2),
        ("/orders?filter.type=odd", |n| n % 2 == 1),
    ];
    let mut histories: Vec<History> = Vec::new();
    for (path, _) in views {
        histories.push(Reader::open(&gateway.url(path)).await?.cut());
    }
    let mut count = 0;
    // Near, far, near: each time everybody is away while the records come.
    for (more, padding) in [(300, 0), (2000, 800), (300, 0)] {
        kafka.produce_many(events(&topic, count..count + more, padding)).await?;
        count += more;
        let mut returned = Vec::new();
        for ((path, matches), history) in views.iter().zip(histories) {
            let mut reader = Reader::resume(&gateway.url(path), history).await?;
            assert!(reader.resumed, "{path}");
            let wanted = wanted(count, matches);
            reader.events(wanted.len()).await?;
            assert_eq!(reader.history.numbers(), wanted, "{path}");
            returned.push(reader.cut());
        }
        histories = returned;
    }
    gateway.stop().await
}

/// W16: a new filter holds from one exact position on, while the stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_changes_in_mid_stream_loses_and_repeats_nothing() -> Result<()> {
    const COUNT: i64 = 4_000;
    let kafka = RealKafka::shared().await?;
    let topic = unique("refilter");
    kafka.create_topic(&topic, 4, &[]).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    let produce = async {
        for first in (0..COUNT).step_by(20) {
            kafka.produce_many(events(&topic, first..first + 20, 0)).await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        // Every one of these shows `engine`, so the client must see each of those once, whatever else it sees.
        let filters = [
            r#"{"type":"filter","filters":[{"any":[{"exact":{"subject":"engine"}},{"exact":{"type":"odd"}}]}]}"#,
            r#"{"type":"filter","filters":[{"prefix":{"subject":"eng"}}]}"#,
            r#"{"type":"filter","filters":[]}"#,
            r#"{"type":"filter","filters":[{"not":{"exact":{"subject":"door"}}}]}"#,
        ];
        let engines = |history: &History| history.numbers().into_iter().filter(|n| n % 3 == 0).collect::<Vec<_>>();
        for round in 0..40 {
            reader.send(filters[round % filters.len()]).await?;
            let seen = reader.history.events.len();
            reader.until(|history| history.events.len() >= seen + 30).await?;
        }
        reader.send(r#"{"type":"filter","filters":[{"exact":{"subject":"engine"}}]}"#).await?;
        let is_near_end = |history: &History| history.events.last().is_some_and(|last| last.offset > COUNT / 4 - 20);
        reader.until(|history| is_near_end(history) && engines(history).len() > COUNT as usize / 3).await?;
        assert_eq!(engines(&reader.history), wanted(COUNT, |n| n % 3 == 0));
        let mut numbers = reader.history.numbers();
        numbers.dedup();
        assert_eq!(numbers.len(), reader.history.events.len(), "something came twice");
        anyhow::Ok(())
    };
    tokio::try_join!(produce, read)?;
    gateway.stop().await
}
