//! What the clients' side tells the publisher: publish so many records now. Twelve bytes and a flag on a TCP connection.

use std::io::{self, ErrorKind, Read, Write};

const BYTES: usize = 13;

/// An order to whoever publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Records to publish together.
    pub records: u32,
    /// What they all carry, to be recognised by their reader: nanoseconds of the reader's own clock.
    pub stamp: u64,
    /// Answer with one byte once Kafka has them all; only the broker does that.
    pub acknowledge: bool,
}

impl Order {
    pub fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.records.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.stamp.to_be_bytes());
        bytes[12] = u8::from(self.acknowledge);
        bytes
    }

    pub fn write(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.bytes())
    }

    /// The next order; `None` if there will be no more.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; BYTES];
        match from.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [r0, r1, r2, r3, s0, s1, s2, s3, s4, s5, s6, s7, acknowledge] = bytes;
        let records = u32::from_be_bytes([r0, r1, r2, r3]);
        let stamp = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        Ok(Some(Self { records, stamp, acknowledge: acknowledge != 0 }))
    }
}
