//! What must hold at any time, beside order and gaps.

use super::client::{Reads, TestClient};
use super::world::FakeShard;
use headgate_gateway::fanout::budget::Budgets;
use headgate_gateway::fanout::shard::ShardSettings;
use headgate_gateway::metrics::StreamMetrics;
use headgate_gateway::stream::position::Position;

/// How long a client that reads everything may get nothing while there is something for it, in milliseconds.
const GETS_ON_WITHIN_MS: u64 = 30_000;
/// How long a client may take nothing of what is there for it, in milliseconds.
const CLOSED_WITHIN_MS: u64 = 90_000;

/// Memory of the largest record that a history has: one record is kept, however small the budget.
const LARGEST_RECORD_BYTES: usize = 151 * 1024;

/// An answer, a gap of every partition, a close.
const ANSWER_BYTES: usize = 4 * 1024;
/// Memory of the largest batch that a replay of these histories has.
const BATCH_BYTES: usize = 16 * LARGEST_RECORD_BYTES;

/// Which bounds a test is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub progress: bool,
    pub ends: bool,
    pub memory: bool,
}

impl Bounds {
    /// Looks at one client; `standing` is where the shard stands.
    pub fn check_client(self, client: &mut TestClient, standing: &Position, now: u64) {
        let taken = client.taken();
        if !client.refuses() || taken != client.taken_then {
            (client.refuses_since, client.taken_then) = (None, taken);
        }
        let since = *client.refuses_since.get_or_insert(now);
        if client.refuses() && self.ends {
            let refused_ms = now - since;
            let (reads, habit) = (client.reads, client.habit);
            assert!(
                refused_ms <= CLOSED_WITHIN_MS,
                "{reads:?}, {habit:?}: open after {refused_ms} ms of taking nothing"
            );
        }
        if client.reads != Reads::All || client.has(standing) {
            client.got_on_at = now;
        } else if self.progress {
            let waited_ms = now - client.got_on_at;
            let story = || format!("got nothing in {waited_ms} ms up to {standing:?}: {}", client.story());
            assert!(waited_ms <= GETS_ON_WITHIN_MS, "{}", story());
        }
    }

    /// Looks at what the shard holds.
    pub fn check_memory(self, shard: &FakeShard, settings: &ShardSettings, metrics: &StreamMetrics) {
        if self.memory {
            assert_within_budget(shard, settings, metrics);
        }
    }
}

/// The one place that knows what a shard may hold. A budget may be exceeded by what is larger than its rest: a record, a
/// batch, and of each client what answers it once.
fn assert_within_budget(shard: &FakeShard, settings: &ShardSettings, metrics: &StreamMetrics) {
    let recent = metrics.recent_bytes.get() as usize;
    assert!(recent <= settings.recent_bytes.max(LARGEST_RECORD_BYTES), "{recent} bytes of newest records");
    let Budgets { logs, outboxes, replays, .. } = &settings.budgets;
    // A frame escapes some bytes of its record, and a buffer that grows may be twice as large as what it holds.
    let frame = 4 * LARGEST_RECORD_BYTES;
    assert!(logs.used() <= 2 * logs.limit() + frame, "{} bytes of logs", logs.used());
    let answers = shard.len() * ANSWER_BYTES;
    assert!(outboxes.used() <= outboxes.limit() + frame + answers, "{} bytes of outboxes", outboxes.used());
    assert!(replays.used() <= replays.limit() + BATCH_BYTES, "{} bytes of replays", replays.used());
}
