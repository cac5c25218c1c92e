//! Server-sent events: the same stream, and `Last-Event-ID` is a cursor (WHATWG HTML, section 9.2).

use crate::raw::Raw;
use crate::stage::Stage;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::kafka::Record;
use headgate_wire::Cursor;

/// One block of an event stream.
#[derive(Debug, Default)]
struct Block {
    name: String,
    id: String,
    data: String,
}

/// An event stream over HTTP/1.1; chunk borders are taken out on the way.
struct Events {
    raw: Raw,
    text: String,
}

impl Events {
    async fn open(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let mut raw = stage.raw().await?;
        let answer = raw.get(target, &[&[("accept", "text/event-stream")], headers].concat()).await?;
        ensure!(answer.status == 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/event-stream");
        assert_eq!(answer.header("cache-control"), "no-store, no-transform");
        assert_eq!(answer.header("x-accel-buffering"), "no");
        Ok(Self { raw, text: String::new() })
    }

    /// Events have no name, everything else has.
    async fn first_event(&mut self) -> Result<Block> {
        loop {
            let block = self.block().await?;
            if block.name.is_empty() && !block.data.is_empty() {
                return Ok(block);
            }
        }
    }

    async fn block(&mut self) -> Result<Block> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let mut parsed = Block::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", value)) => value.clone_into(&mut parsed.name),
                        Some(("id", value)) => value.clone_into(&mut parsed.id),
                        Some(("data", value)) => parsed.data += value,
                        _ => {}
                    }
                }
                return Ok(parsed);
            }
            let size = usize::from_str_radix(self.raw.until("\r\n").await?.trim(), 16)?;
            ensure!(size > 0, "the stream ended");
            while self.raw.received_len() < size + 2 {
                ensure!(self.raw.fill().await?, "the stream was cut");
            }
            self.text += std::str::from_utf8(&self.raw.take(size + 2)[..size])?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_with_ids_that_are_cursors_and_last_event_id_resumes_exactly_after_them() -> Result<()> {
    let stage = Stage::open().await?;
    let mut events = Events::open(&stage, "/orders", &[]).await?;
    let ready = events.block().await?;
    assert_eq!(ready.name, "ready");
    let send = |numbers: std::ops::Range<i32>| {
        let records = numbers.map(|n| Record::new(&stage.topic, n.to_string()).partition(n % 3)).collect::<Vec<_>>();
        stage.kafka.produce(records)
    };
    send(0..30).await?;
    let mut seen = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..30 {
        let block = events.block().await?;
        assert_eq!(block.name, "", "a browser's onmessage gets only events without a name");
        seen.push(block.data);
        ids.push(block.id);
    }
    assert!(ids.iter().all(|id| id.parse::<Cursor>().is_ok()));
    drop(events);
    send(30..60).await?;
    // From every one of them, the rest and nothing else follows; `from` in the URL is older and loses.
    for at in [0, 7, 29] {
        let mut again = Events::open(&stage, "/orders?from=earliest", &[("last-event-id", &ids[at])]).await?;
        assert!(again.block().await?.data.contains(r#""resumed":true"#));
        let mut rest = seen[..=at].to_vec();
        for _ in at..59 {
            rest.push(again.block().await?.data);
        }
        let number = |text: &String| serde_json::from_str::<serde_json::Value>(text).ok()?["data"].as_i64();
        let mut numbers: Vec<_> = rest.iter().map(|text| number(text).context("no number")).collect::<Result<_>>()?;
        numbers.sort_unstable();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>(), "from {at}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_id_that_is_no_cursor_is_refused_and_channels_and_formats_work_as_elsewhere() -> Result<()> {
    let stage = Stage::open().await?;
    let stale = [("accept", "text/event-stream"), ("last-event-id", "42")];
    assert_eq!(stage.raw().await?.get("/orders", &stale).await?.status, 400);
    let mut channel = Events::open(&stage, "/orders/b?format=raw", &[]).await?;
    channel.block().await?;
    stage
        .kafka
        .produce([
            Record::new(&stage.topic, "no").header("ce_subject", "a"),
            Record::new(&stage.topic, "line one\nline two").header("ce_subject", "b"),
        ])
        .await?;
    assert!(channel.block().await?.data.contains("line one"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_to_browsers_with_a_policy_that_lets_it_connect_to_its_own_host_only() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?;
    let accept = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let answer = client.get("/orders", &[accept, ("connection", "close")]).await?;
    assert_eq!(answer.status, 200);
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(client.body().await?.contains("</html>"));
    Ok(())
}

/// Polyfills of `EventSource` put the id into the query, and one that has seen nothing yet sends an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_id_counts_wherever_it_stands_and_an_empty_one_is_none() -> Result<()> {
    let stage = Stage::open().await?;
    stage.produce_events("a", 0..3).await?;
    let mut events = Events::open(&stage, "/orders?from=earliest", &[]).await?;
    let id = events.first_event().await?.id;
    let after = |id: &str| format!("/orders?from=earliest&lastEventId={id}");
    let cases = [
        (after(&id), vec![], "1"),
        (after(""), vec![], "0"),
        ("/orders?from=earliest".to_owned(), vec![("last-event-id", "")], "0"),
        ("/orders?from=earliest".to_owned(), vec![("last-event-id", id.as_str())], "1"),
    ];
    for (target, headers, first) in cases {
        let mut events = Events::open(&stage, &target, &headers).await?;
        let block = events.first_event().await?;
        assert!(block.data.contains(&format!(r#""id":"{first}""#)), "{target} {headers:?}: {}", block.data);
    }
    Ok(())
}

/// Any status but 200 ends an `EventSource` for good.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_of_a_page_that_is_refused_for_a_while_is_told_when_to_come_back() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_connections = 1).await?;
    let _only = stage.raw().await?.open("/orders", &[]).await?;
    let accept = ("accept", "text/event-stream");
    let mut page = stage.raw().await?;
    let answer = page.get("/orders", &[accept, ("sec-fetch-mode", "cors")]).await?;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "text/event-stream"));
    let body = page.body().await?;
    let retry_ms: u32 = body.lines().find_map(|line| line.strip_prefix("retry: ")).context("no retry")?.parse()?;
    assert!((10_000..=15_000).contains(&retry_ms), "{body}");
    assert!(body.contains("event: refused") && body.contains("GatewayFull"), "{body}");
    // Programs read statuses, and what cannot become better is final.
    let program = [accept, ("sec-fetch-mode", "cors"), ("authorization", "Bearer x")];
    for headers in [&[accept][..], &program] {
        assert_eq!(stage.raw().await?.get("/orders", headers).await?.status, 503, "{headers:?}");
    }
    assert_eq!(stage.raw().await?.get("/nobody", &[accept, ("sec-fetch-mode", "cors")]).await?.status, 404);
    Ok(())
}
