//! Clients that come back to a topic whose history is another one: made anew and refilled, or without its end and written
//! again. They are told where the histories part, and get everything from there on.

use crate::broker::{OwnKafka, numbered, wait_until_read};
use crate::reader::{History, Reader};
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use headgate_tests::wait::eventually_ok;
use headgate_wire::message::GapReason;
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);
/// How many times the end of a log is lost; the variable makes it more.
const LOSSES: usize = 3;
const LOSSES_VARIABLE: &str = "HEADGATE_HISTORIES";

/// A client that has seen the numbers so far, and is away now.
async fn seen(gateway: &Gateway, query: &str, numbers: usize) -> Result<History> {
    let mut reader = Reader::open(&gateway.url(&format!("/orders{query}"))).await?;
    reader.events(numbers).await?;
    Ok(reader.cut())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_away_while_its_topic_was_made_anew_and_outgrew_the_old_one_gets_all_of_the_new_one()
-> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("anew");
    kafka.create_topic(&topic, 1, &[]).await?;
    kafka.produce_many(numbered(&topic, 1, 0..61)).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let left = seen(&gateway, "?from=earliest", 61).await?;
    kafka.delete_topic(&topic).await?;
    eventually_ok("the topic to be made again", SOON, async || kafka.create_topic(&topic, 1, &[]).await).await?;
    kafka.produce_many(numbered(&topic, 1, 1000..2000)).await?;
    wait_until_read(&gateway, 1061).await?;
    let fresh = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    for gateway in [&gateway, &fresh] {
        let mut reader = Reader::resume(&gateway.url("/orders"), left.clone()).await?;
        assert!(!reader.resumed);
        reader.events(1061).await?;
        assert_eq!(reader.history.gaps, [(0, 61, 0, GapReason::TopicReset)]);
        assert_eq!(reader.history.numbers(), (0..61).chain(1000..2000).collect::<Vec<_>>());
    }
    gateway.stop().await?;
    fresh.stop().await
}

/// What an unclean election does, too: the end of the log is gone, and others write there.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_and_was_written_again_goes_on_for_everybody_where_the_histories_part() -> Result<()> {
    let losses = std::env::var(LOSSES_VARIABLE).ok().and_then(|losses| losses.parse().ok()).unwrap_or(LOSSES);
    let mut own = OwnKafka::start().await?;
    for loss in 0..losses {
        let topic = unique("restored");
        // Kept, lost, and written again: less, as much, and more than was lost; nothing at all is a case, too.
        let (kept, lost) = (30 + 7 * loss as i64, 10 + loss as i64 % 5);
        let again = [15, lost, 5, 0][loss % 4];
        Box::pin(lose_end(&mut own.broker, &topic, [kept, lost, again])).await?;
    }
    Ok(())
}

async fn lose_end(kafka: &mut RealKafka, topic: &str, [kept, lost, again]: [i64; 3]) -> Result<()> {
    let case = format!("{kept} kept, {lost} lost, {again} written again");
    kafka.create_topic(topic, 1, &[]).await?;
    kafka.produce_many(numbered(topic, 1, 0..kept)).await?;
    kafka.stop().await?;
    let storage = kafka.keep_storage()?;
    kafka.start_again().await?;
    kafka.produce_many(numbered(topic, 1, kept..kept + lost)).await?;
    let gateway = Gateway::start(gateway::config(&kafka.bootstrap(), topic)).await?;
    let mut live = Reader::open(&gateway.url("/orders?from=earliest")).await?;
    live.events((kept + lost) as usize).await?;
    let left = seen(&gateway, "?from=earliest", (kept + lost) as usize).await?;

    kafka.stop().await?;
    kafka.restore_storage(&storage)?;
    kafka.start_again().await?;
    kafka.produce_many(numbered(topic, 1, 1000..1000 + again)).await?;
    let fresh = Gateway::start(gateway::config(&kafka.bootstrap(), topic)).await?;
    let returned = Reader::resume(&gateway.url("/orders"), left.clone()).await?;
    let elsewhere = Reader::resume(&fresh.url("/orders"), left).await?;
    kafka.produce_many(numbered(topic, 1, 2000..2001)).await?;
    let expected: Vec<i64> = (0..kept + lost).chain(1000..1000 + again).chain([2000]).collect();
    for (who, mut reader) in [("live", live), ("returned", returned), ("elsewhere", elsewhere)] {
        reader.events(expected.len()).await?;
        assert_eq!(reader.history.numbers(), expected, "{who}: {case}");
        assert_eq!(reader.history.gaps, [(0, kept + lost, kept, GapReason::TopicReset)], "{who}: {case}");
    }
    gateway.stop().await?;
    fresh.stop().await
}
