//! Grants: what a user without rights may do from now on.
//!
//! Written by hand on the wire (CreateAcls in version 1, the last one without tagged fields), because librdkafka's
//! Rust binding has no call for it. Nothing else of Kafka's protocol belongs here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::RealKafka;
use super::properties::User;

const CREATE_ACLS: i16 = 30;
const VERSION: i16 = 1;
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;
const ANSWER: Duration = Duration::from_mins(1);
const MAX_ANSWER: u32 = 65_536;

/// What may be granted.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// Read a topic's records.
    ReadTopic,
    /// Produce to a topic.
    WriteTopic,
    /// See a topic's metadata.
    DescribeTopic,
    /// Join a consumer group and commit in it.
    ReadGroup,
}

impl Operation {
    fn codes(self) -> (i8, i8) {
        match self {
            Self::ReadTopic => (TOPIC, 3),
            Self::WriteTopic => (TOPIC, 4),
            Self::DescribeTopic => (TOPIC, 8),
            Self::ReadGroup => (GROUP, 3),
        }
    }
}

impl RealKafka {
    /// Lets `user` do `operation` on the topic or group of this name.
    pub async fn allow(&self, user: User, operation: Operation, name: &str) -> Result<()> {
        let exchange = async {
            let mut socket = TcpStream::connect(self.bootstrap()).await?;
            socket.write_all(&request(user.name, operation, name)).await?;
            let length = socket.read_u32().await?;
            ensure!(length <= MAX_ANSWER, "an answer of {length} bytes");
            let mut answer = vec![0; length as usize];
            socket.read_exact(&mut answer).await?;
            check(&answer)
        };
        timeout(ANSWER, exchange).await.context("the broker did not answer")?.context("cannot grant")
    }
}

fn request(user: &str, operation: Operation, name: &str) -> Vec<u8> {
    let (resource, code) = operation.codes();
    let mut body = Vec::new();
    body.extend(CREATE_ACLS.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes()); // correlation id
    string(&mut body, "headgate-tests");
    body.extend(1_i32.to_be_bytes()); // one grant
    body.extend(resource.to_be_bytes());
    string(&mut body, name);
    body.extend(LITERAL.to_be_bytes());
    string(&mut body, &format!("User:{user}"));
    string(&mut body, "*"); // from any host
    body.extend(code.to_be_bytes());
    body.extend(ALLOW.to_be_bytes());
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.append(&mut body);
    frame
}

fn string(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend((text.len() as i16).to_be_bytes());
    buffer.extend(text.as_bytes());
}

/// Correlation id (4), throttle time (4), number of results (4), error code of the only one (2).
fn check(answer: &[u8]) -> Result<()> {
    let code = answer.get(12..14).context("the answer is too short")?;
    ensure!(code == [0, 0], "error code {code:?}");
    Ok(())
}
