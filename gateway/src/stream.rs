//! What flows from Kafka to clients. Sources publish it, shards consume it; neither knows the other. Pure data.
//!
//! * [`record`]: a record of Kafka, and what it is: an event, JSON, text, bytes
//! * [`entry`]: a step of the stream: a record, or a gap
//! * [`position`]: the next offset of every partition
//! * [`continuity`]: whether a position belongs to the log that Kafka has now
//! * [`feed`]: what the live source tells, and the generation that positions belong to
//! * [`replay`]: what is asked for and read of older records
//! * [`filter`]: whether a record is among those that somebody wants

pub mod continuity;
pub mod entry;
pub mod feed;
pub mod filter;
pub mod position;
pub mod record;
pub mod replay;
