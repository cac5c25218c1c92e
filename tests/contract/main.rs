//! What every client may rely on, proven over real sockets: who gets in, what comes, why it ends, and that nobody can
//! harm anybody else. Kafka is librdkafka's mock here.

mod access;
mod closing;
mod credential_matrix;
mod draining;
mod events;
mod guesses;
mod hostile;
mod limits;
mod many_views;
#[cfg(target_os = "linux")]
mod memory;
mod revocation;
mod secrets;
mod slow_clients;
mod slow_headers;
mod stage;
mod start;
mod streaming_http;
mod tickets;
mod tls;
mod tokens;
mod unusable_files;

use headgate_tests::raw;
