//! One record written by hand on Kafka's wire, for what no client library lets through: a header whose name is not UTF-8.
//!
//! Produce in version 3, the oldest that brokers take, with a record batch of the second format and no compression.

use anyhow::{Context as _, Result, ensure};
use headgate_tests::kafka::RealKafka;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PRODUCE: i16 = 0;
const VERSION: i16 = 3;
const ANSWER: Duration = Duration::from_mins(1);
const MAX_ANSWER: u32 = 65_536;

/// Writes a record with one header to partition 0.
pub async fn produce_with_header(kafka: &RealKafka, topic: &str, name: &[u8], value: &[u8]) -> Result<()> {
    let exchange = async {
        let mut socket = TcpStream::connect(kafka.bootstrap()).await?;
        socket.write_all(&request(topic, &batch(name, value))).await?;
        let length = socket.read_u32().await?;
        ensure!(length <= MAX_ANSWER, "an answer of {length} bytes");
        let mut answer = vec![0; length as usize];
        socket.read_exact(&mut answer).await?;
        // Correlation id, number of topics, the name, number of partitions, the partition, its error code.
        let at = 4 + 4 + 2 + topic.len() + 4 + 4;
        let code = answer.get(at..at + 2).context("the answer is too short")?;
        ensure!(code == [0, 0], "error code {code:?}");
        Ok(())
    };
    timeout(ANSWER, exchange).await.context("the broker did not answer")?
}

fn request(topic: &str, batch: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(PRODUCE.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes()); // correlation id
    body.extend((-1_i16).to_be_bytes()); // no client id
    body.extend((-1_i16).to_be_bytes()); // no transaction
    body.extend((-1_i16).to_be_bytes()); // acknowledged by all replicas
    body.extend(10_000_i32.to_be_bytes()); // within this many milliseconds
    body.extend(1_i32.to_be_bytes()); // one topic
    body.extend((topic.len() as i16).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1_i32.to_be_bytes()); // one partition
    body.extend(0_i32.to_be_bytes());
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);
    let mut request = (body.len() as u32).to_be_bytes().to_vec();
    request.append(&mut body);
    request
}

fn batch(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = vec![0]; // attributes
    varint(&mut record, 0); // time after the batch's
    varint(&mut record, 0); // offset after the batch's
    varint(&mut record, -1); // no key
    varint(&mut record, value.len() as i64);
    record.extend(value);
    varint(&mut record, 1); // one header
    varint(&mut record, name.len() as i64);
    record.extend(name);
    varint(&mut record, -1); // without a value

    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes()); // attributes
    checked.extend(0_i32.to_be_bytes()); // last offset
    checked.extend(1_700_000_000_000_i64.to_be_bytes()); // first time
    checked.extend(1_700_000_000_000_i64.to_be_bytes()); // last time
    checked.extend((-1_i64).to_be_bytes()); // no producer id
    checked.extend((-1_i16).to_be_bytes()); // no producer epoch
    checked.extend((-1_i32).to_be_bytes()); // no sequence
    checked.extend(1_i32.to_be_bytes()); // one record
    varint(&mut checked, record.len() as i64);
    checked.extend(record);

    let mut batch = 0_i64.to_be_bytes().to_vec(); // first offset
    batch.extend((4 + 1 + 4 + checked.len() as i32).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader epoch
    batch.push(2); // format
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

/// Zigzag, then LEB128.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Castagnoli's CRC (RFC 3720 appendix B.4), a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[test]
fn the_checksum_is_the_one_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
