//! A shard among hostile clients, slow replays and a topic that begins again, driven by one number.
//!
//! No socket, no clock, no Kafka: whatever goes wrong goes wrong again with the same seed. `HEADGATE_CHAOS_SEED` (any
//! number) and `HEADGATE_CHAOS_STEPS` choose another history or a longer one; a failure names its seed and step.
//!
//! * `random`: the number that everything is drawn from
//! * `topic`: records, retention, topics that are made anew, and replays of them
//! * `client`: sockets, habits, and what a client may never see
//! * `world`: the shard and everybody around it; one step
//! * `bounds`: what must hold at any time: progress, ends in time, memory

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking"
)]

#[path = "chaos/bounds.rs"]
mod bounds;
#[path = "chaos/client.rs"]
mod client;
#[path = "chaos/random.rs"]
mod random;
#[path = "chaos/topic.rs"]
mod topic;
#[path = "chaos/world.rs"]
mod world;

use bounds::Bounds;
use headgate_wire::config::SlowClient;
use random::Random;
use std::cell::Cell;
use world::World;

/// Used where the environment names none.
const SEED: u64 = 10;
/// Steps of one history: enough that whole generations of clients come and go.
const STEPS_OF_A_HISTORY: u64 = 6_000;
/// Steps of a test where the environment says nothing: what takes some seconds.
const STEPS: u64 = if cfg!(debug_assertions) { 36_000 } else { 300_000 };

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Says how to see a failure again.
struct History {
    seed: u64,
    step: Cell<u64>,
}

impl Drop for History {
    #[expect(clippy::print_stderr, reason = "it belongs to the failure that the test prints")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, step) = (self.seed, self.step.get());
            eprintln!(
                "see it again with HEADGATE_CHAOS_SEED={seed} HEADGATE_CHAOS_STEPS={STEPS_OF_A_HISTORY}: step {step}"
            );
        }
    }
}

/// Lets histories happen one after the other, each of them drawn from a seed of its own.
fn run(bounds: Bounds) {
    let (seed, steps) = (setting("HEADGATE_CHAOS_SEED", SEED), setting("HEADGATE_CHAOS_STEPS", STEPS));
    for number in 0..steps.div_ceil(STEPS_OF_A_HISTORY) {
        let history = History { seed: seed + number, step: Cell::new(0) };
        let mut random = Random::new(history.seed);
        let policies = [SlowClient::Disconnect, SlowClient::SkipWithGap, SlowClient::LatestOnly];
        let mut world = World::new(&mut random, policies[(history.seed % policies.len() as u64) as usize], bounds);
        for step in 0..STEPS_OF_A_HISTORY.min(steps) {
            history.step.set(step);
            world.step(&mut random);
        }
        world.settle();
        world.assert_everybody_is_up_to_date();
        world.assert_nothing_is_left();
    }
}

#[test]
fn every_client_sees_every_record_once_and_in_order_or_is_told_of_a_gap_and_nothing_is_left_of_those_who_went() {
    run(Bounds::default());
}

#[test]
fn every_client_that_reads_gets_on_in_bounded_time_whatever_the_others_do() {
    run(Bounds { progress: true, ..Bounds::default() });
}

#[test]
fn every_client_that_takes_nothing_is_closed_in_bounded_time_whatever_it_sends() {
    run(Bounds { ends: true, ..Bounds::default() });
}

#[test]
fn memory_stays_within_the_budget_at_every_moment() {
    run(Bounds { memory: true, ..Bounds::default() });
}
