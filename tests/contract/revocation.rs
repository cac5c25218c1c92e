//! Who loses a key loses the stream: at once if it is revoked, on time if it expires (design 4.2).

use crate::raw::Raw;
use crate::stage::{HEADGATE, SOON, Stage, bearer, config, issued, with_keys};
use anyhow::{Result, bail};
use headgate_tests::wait::eventually;
use headgate_wire::key::{Verifier, VerifierFile};
use jiff::{SignedDuration, Timestamp};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a revoked key may keep its sockets.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);
/// How long after its end an expired key may keep them.
const EXPIRED_WITHIN: Duration = Duration::from_secs(2);
/// The best of these counts: what the gateway can do, not what a busy machine lets it do.
const ATTEMPTS: u32 = 3;

/// Whether one of a few attempts takes less than `limit`; each gets its number and says how long it took.
async fn assert_within(limit: Duration, mut attempt: impl AsyncFnMut(u32) -> Result<Duration>) -> Result<()> {
    let mut took = Vec::new();
    for number in 0..ATTEMPTS {
        took.push(attempt(number).await?);
        if took.last().is_some_and(|took| *took < limit) {
            return Ok(());
        }
    }
    bail!("none of {took:?} is less than {limit:?}")
}

/// Writes a version of the keys as the kubelet does: a new folder, and the `..data` symlink moved over the old one.
fn mount(folder: &Path, version: &str, keys: &[Verifier]) -> Result<()> {
    mount_text(folder, version, &serde_json::to_string(&VerifierFile { keys: keys.to_vec() })?)
}

fn mount_text(folder: &Path, version: &str, text: &str) -> Result<()> {
    let fresh = folder.join(version);
    std::fs::create_dir(&fresh)?;
    std::fs::write(fresh.join("keys.json"), text)?;
    symlink(version, folder.join("..data_tmp"))?;
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    if !folder.join("keys.json").exists() {
        symlink("..data/keys.json", folder.join("keys.json"))?;
    }
    Ok(())
}

async fn connected(stage: &Stage, key: &str) -> Result<Raw> {
    let mut client = stage.raw().await?.open("/orders", &[HEADGATE, ("authorization", &bearer(key))]).await?;
    client.text().await?;
    Ok(client)
}

/// W7
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_leaves_the_mounted_file_loses_its_sockets_within_two_seconds_and_others_stay() -> Result<()> {
    assert_within(REVOKED_WITHIN, async |_| revoke().await).await
}

/// How long a revoked key keeps its sockets.
async fn revoke() -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let (leaving, known_leaving) = issued("leaving", 1);
    let (staying, known_staying) = issued("staying", 2);
    mount(folder.path(), "..v1", &[known_leaving, known_staying.clone()])?;
    let (_, mut closed) = config()?;
    // The helper writes a file of its own; the mounted one replaces it.
    with_keys(&mut closed, &folder.path().join("unused.json"), &[])?;
    closed.auth.keys_file = Some(folder.path().join("keys.json"));
    closed.public_access.anonymous = true;
    let stage = Stage::with(|config| *config = closed).await?;

    let mut gone = [connected(&stage, &leaving).await?, connected(&stage, &leaving).await?];
    let mut events = stage.raw().await?;
    let key = bearer(&leaving);
    assert_eq!(events.get("/orders", &[("accept", "text/event-stream"), ("authorization", &key)]).await?.status, 200);
    let mut stays = connected(&stage, &staying).await?;
    let mut anonymous = stage.raw().await?.open("/orders", &[]).await?;

    let changed = Instant::now();
    mount(folder.path(), "..v2", &[known_staying])?;
    for client in &mut gone {
        assert_eq!(client.closed().await?, (1008, "key revoked".to_owned()));
    }
    events.until(r#"data: {"code":1008,"reason":"key revoked"}"#).await?;
    let took = changed.elapsed();
    assert_eq!(stage.raw().await?.upgrade("/orders", &[("authorization", &bearer(&leaving))]).await?.status, 401);
    stage.produce_events("a", [1]).await?;
    assert!(stays.text().await?.contains(r#""id":"1""#));
    assert!(anonymous.text().await?.contains(r#""id":"1""#));
    Ok(took)
}

/// W7
#[tokio::test(flavor = "multi_thread")]
async fn a_keys_file_that_cannot_be_read_any_more_changes_nothing_and_an_empty_one_revokes_all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, known) = issued("web", 1);
    mount(folder.path(), "..v1", &[known])?;
    let (_, mut closed) = config()?;
    with_keys(&mut closed, &folder.path().join("unused.json"), &[])?;
    closed.auth.keys_file = Some(folder.path().join("keys.json"));
    let stage = Stage::with(|config| *config = closed).await?;
    let mut client = connected(&stage, &key).await?;
    mount_text(folder.path(), "..v2", "{ torn")?;
    eventually("the unusable file to be noticed", SOON, async || {
        let failures = "headgate_config_reload_failures_total{app=\"orders\",file=\"keys\"}";
        stage.gateway.metric(failures).await.is_ok_and(|failures| failures > 0.0)
    })
    .await?;
    stage.produce_events("a", [1]).await?;
    assert!(client.text().await?.contains(r#""id":"1""#));
    mount(folder.path(), "..v3", &[])?;
    assert_eq!(client.closed().await?, (1008, "key revoked".to_owned()));
    Ok(())
}

/// W5
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expires_loses_its_sockets_on_time_even_one_that_does_not_read() -> Result<()> {
    assert_within(EXPIRED_WITHIN, async |number| expire(SignedDuration::from_secs(3 << (2 * number))).await).await
}

/// How long after its end a key keeps its sockets, if it lives for so long that its clients are connected by then.
async fn expire(life: SignedDuration) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let (ending, mut known_ending) = issued("ending", 1);
    let (staying, known_staying) = issued("staying", 2);
    let end = Timestamp::now() + life;
    known_ending.expires_at = Some(end);
    let (_, mut closed) = config()?;
    with_keys(&mut closed, &folder.path().join("keys.json"), &[known_ending, known_staying])?;
    let stage = Stage::with(|config| *config = closed).await?;
    let in_time = async {
        let client = connected(&stage, &ending).await?;
        let frozen = Raw::connect_small(stage.gateway.stream).await?;
        anyhow::Ok((client, frozen.open("/orders", &[("authorization", &bearer(&ending))]).await?))
    };
    let (mut client, _frozen) = match in_time.await {
        // The key was at its end before everybody was there.
        Err(_) if Timestamp::now() >= end => return Ok(Duration::MAX),
        clients => clients?,
    };
    let mut stays = connected(&stage, &staying).await?;
    stage.produce((0..40).map(|_| "x".repeat(20_000))).await?;

    assert_eq!(client.closed().await?, (1008, "key expired".to_owned()));
    let late = Timestamp::now().duration_since(end);
    assert!(late >= SignedDuration::ZERO, "{late} late");
    let line = r#"connections_closed_total{app="orders",code="1008",reason="key expired"}"#;
    eventually("both of its sockets to be closed", SOON, async || {
        drop(client.fill().await);
        stage.metric(line).await.is_ok_and(|n| n == 2)
    })
    .await?;
    assert_eq!(stage.raw().await?.upgrade("/orders", &[("authorization", &bearer(&ending))]).await?.status, 401);
    for _ in 0..40 {
        stays.text().await?;
    }
    Ok(Duration::try_from(late)?)
}
