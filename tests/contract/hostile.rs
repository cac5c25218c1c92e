//! Ten thousand generated requests and frames, none of them honest: nothing panics, nobody else notices, nothing stays.

use crate::raw::{Raw, masked};
use crate::stage::{HEADGATE, SOON, Stage};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::kafka::Record;
use headgate_tests::wait::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ATTACKS: u64 = 10_000;
const ATTACKERS: u64 = 32;
const WITNESSES: usize = 3;
/// How long the gateway may take for one attack, once the attacker has said that nothing more comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Panics anywhere but in the tests themselves.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.location().is_none_or(|location| !location.file().contains("tests/contract")) {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
}

/// SplitMix64: every run attacks alike.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn pick<'t>(&mut self, table: &[&'t str]) -> &'t str {
        table[self.below(table.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.roll() as u8).collect()
    }

    /// Damages a few bytes.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(3) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.roll() as u8),
                _ if at < bytes.len() => bytes[at] = self.roll() as u8,
                _ => {}
            }
        }
    }
}

const METHODS: [&str; 8] = ["GET", "GET", "GET", "POST", "OPTIONS", "CONNECT", "G E T", ""];
const PATHS: [&str; 16] = [
    "/orders",
    "/ws",
    "/orders/",
    "/orders/a%2",
    "/orders/%ff",
    "//orders",
    "/orders/a/b",
    "*",
    "http://x/orders",
    "/../orders",
    "/orders%00",
    "/%6frders/%2e%2e",
    "/orders/\u{e9}",
    "orders",
    "/orders?",
    "/",
];
const QUERIES: [&str; 16] = [
    "",
    "?from=earliest",
    "?from=-100000",
    "?from=-99999999999999999999",
    "?from=9999-12-31T23:59:59Z",
    "?from=AQD___8P",
    "?from=AZBOAAAA",
    "?filter.a.prefix=",
    "?filter.=x",
    "?filter.subject.suffix=%00",
    "?key=%2A&key=%2A",
    "?%=%",
    "?&&&&=",
    "?metadata=kafka&format=raw",
    "?token=a.b.c",
    "?type=\u{1F600}",
];
const HEADERS: [&str; 18] = [
    "accept: text/event-stream",
    "accept: text/html",
    "accept: ,;,;q=,",
    "origin: null",
    "origin: http://[::1",
    "origin: ://",
    "authorization: Basic ====",
    "authorization: Bearer \u{7f}",
    "authorization: Basic OjpA",
    "last-event-id: AQMA",
    "transfer-encoding: chunked",
    "content-length: 99999999999999999999",
    "content-length: 5\r\ncontent-length: 6",
    "expect: 100-continue",
    "sec-websocket-protocol: ,,,",
    "sec-websocket-protocol: headgate.v1, headgate.v1",
    "sec-websocket-protocol: base64url.bearer.authorization.k8s.io.%%",
    "host: a\r\nhost: b@c:99999",
];
const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const MESSAGES: [&str; 8] = [
    "{}",
    "[[[[[[[[[[",
    r#"{"type":"filter","filters":[{"all":[]}]}"#,
    r#"{"type":"filter","filters":[{"not":{"exact":{}}}]}"#,
    r#"{"type":"ping","type":"ping"}"#,
    r#"{"type":1e999}"#,
    r#"{"RefreshAccessToken":"x"}"#,
    r#"{"type":"filter","filters":[{"exact":{"subject":"\ud800"}}]}"#,
];

fn request(dice: &mut Dice) -> Vec<u8> {
    let mut text =
        format!("{} {}{} HTTP/1.{}\r\n", dice.pick(&METHODS), dice.pick(&PATHS), dice.pick(&QUERIES), dice.below(3));
    for _ in 0..dice.below(5) {
        text.extend([dice.pick(&HEADERS), "\r\n"]);
    }
    if dice.below(50) == 0 {
        text += &"x: y\r\n".repeat(dice.below(300));
    }
    let mut bytes = format!("{text}{}\r\n", if dice.below(3) == 0 { UPGRADE } else { "host: x\r\n" }).into_bytes();
    if dice.below(2) == 0 {
        dice.damage(&mut bytes);
    }
    bytes
}

/// An honest upgrade, then frames that are mostly not.
fn frames(dice: &mut Dice) -> Vec<u8> {
    let protocol = dice.pick(&["headgate.v1", "cloudevents.json", "none"]);
    let query = dice.pick(&["", "?from=earliest", "?from=-5&format=raw", "/channel"]);
    let head = format!("GET /orders{query} HTTP/1.1\r\nhost: x\r\nsec-websocket-protocol: {protocol}\r\n{UPGRADE}\r\n");
    let mut bytes = head.into_bytes();
    for _ in 0..=dice.below(6) {
        let mut frame = match dice.below(4) {
            0 => dice.bytes(200),
            1 => masked(dice.roll() as u8, &dice.bytes(300)),
            2 => masked(0x81, dice.pick(&MESSAGES).as_bytes()),
            _ => masked([0x01, 0x80, 0x00, 0x89, 0x8a, 0x88][dice.below(6)], &dice.bytes(125)),
        };
        if dice.below(3) == 0 {
            dice.damage(&mut frame);
        }
        bytes.extend(frame);
    }
    bytes
}

async fn attack(stage: &Stage, dice: &mut Dice) -> Result<()> {
    let mut socket = TcpStream::connect(stage.gateway.stream).await?;
    let bytes = match dice.below(8) {
        0 => dice.bytes(400),
        1..=3 => (0..=dice.below(3)).flat_map(|_| request(dice)).collect(),
        _ => frames(dice),
    };
    // In pieces, so that borders fall everywhere. The gateway may have hung up meanwhile.
    for piece in bytes.chunks(1 + dice.below(bytes.len().max(1))) {
        if socket.write_all(piece).await.is_err() {
            return Ok(());
        }
    }
    match dice.below(3) {
        0 => return Ok(()),
        1 => socket.set_zero_linger()?,
        _ => {}
    }
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, socket.take(1 << 20).read_to_end(&mut answer)).await;
    // A reset is an end, too.
    end.map(drop).with_context(|| format!("the gateway keeps a connection: {}", String::from_utf8_lossy(&bytes)))
}

async fn witness(mut client: Raw, records: usize) -> Result<()> {
    for due in 0..records {
        let text = client.text().await?;
        ensure!(text.contains(&format!(r#""offset":{due},"#)), "{due} was due: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_requests_and_frames_harm_nothing_and_leave_nothing_behind() -> Result<()> {
    count_panics();
    let stage = Arc::new(Stage::open().await?);
    let records = (ATTACKS / 20) as usize;
    let mut witnesses = tokio::task::JoinSet::new();
    for _ in 0..WITNESSES {
        let mut client = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
        client.text().await?;
        witnesses.spawn(witness(client, records));
    }
    let mut attackers = tokio::task::JoinSet::new();
    for attacker in 0..ATTACKERS {
        let stage = stage.clone();
        attackers.spawn(async move {
            let mut dice = Dice(attacker);
            for number in 0..ATTACKS / ATTACKERS {
                attack(&stage, &mut dice).await.with_context(|| format!("attacker {attacker}, attack {number}"))?;
                if attacker == 0 {
                    let share = records * (number as usize + 1) / (ATTACKS / ATTACKERS) as usize
                        - records * number as usize / (ATTACKS / ATTACKERS) as usize;
                    stage.kafka.produce((0..share).map(|_| Record::new(&stage.topic, "1"))).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker??;
    }
    while let Some(witness) = witnesses.join_next().await {
        witness??;
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "something panicked");
    assert_eq!(stage.gateway.admin_get("/readyz").await?.0, 200);
    eventually("every connection to be gone", SOON, async || {
        stage.metric("connections{").await.is_ok_and(|open| open == 0)
            && stage.metric("views{").await.is_ok_and(|views| views == 0)
    })
    .await?;
    let mut client = stage.raw().await?.open("/orders?from=-1", &[]).await?;
    assert!(client.text().await?.contains(r#""data":1"#));
    Ok(())
}
