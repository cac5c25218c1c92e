//! A log that nobody reads: the pipe is full, and nobody who logs waits for it.

use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, KIB, alone, mock};
use anyhow::{Result, ensure};
use headgate_tests::kafka::Record;
use headgate_tests::mock_kafka::MockKafka;
use headgate_tests::raw::Raw;

/// What a pipe of Linux holds, in bytes.
const PIPE_BYTES: usize = 64 * KIB;
/// A line of the audit log is longer.
const LINE_BYTES: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_no_stream() -> Result<()> {
    let _alone = alone().await;
    let mut config = mock(1)?;
    config.limits.max_connections_per_address = 10_000;
    config.limits.handshakes_per_second = 10_000;
    let topic = config.kafka.topic.clone();
    let (gateway, _log) = GatewayProcess::start_unread(config).await?;
    let mut healthy = Raw::connect(gateway.stream).await?.open("/orders", &[HEADGATE]).await?;
    // Each connection is two lines, and twice as much as the pipe holds.
    for _ in 0..PIPE_BYTES / LINE_BYTES {
        drop(Raw::connect(gateway.stream).await?.open("/orders", &[HEADGATE]).await?);
    }
    MockKafka::shared()?.produce([Record::new(&topic, r#"{"after":"the flood"}"#)]).await?;
    while !healthy.text().await?.contains("the flood") {}
    ensure!(gateway.metric("connections_opened").await? > PIPE_BYTES / LINE_BYTES, "nobody was served");
    Ok(())
}
