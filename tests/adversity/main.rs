//! Attacks on a gateway that is a process of its own, as anyone could make them who may connect: bounded memory, an end
//! for whoever does not take what it asked for, and nothing that a healthy client notices.
//!
//! Each test has the machine for itself ([`stage::alone`]), because each of them measures times or memory. What an attack
//! does in seconds here it does for as long as `HEADGATE_ADVERSITY_SECONDS` says where that is set.

mod big_records;
mod filters;
mod floods;
mod handshakes;
mod logs;
mod outbox;
#[cfg(feature = "pods")]
mod pod;
mod probe;
mod process;
#[path = "../stream/producer.rs"]
mod producer;
mod replays;
mod stage;
mod transactions;
