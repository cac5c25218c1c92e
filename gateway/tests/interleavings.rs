//! Whatever the interleaving of partitions, clients, evictions, replays and reconnects: every client sees every record
//! from its position on, once per connection, in order per partition, or is told of a gap. No socket, no clock, no Kafka.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking"
)]

#[path = "interleavings/client.rs"]
mod client;
#[path = "interleavings/fairness.rs"]
mod fairness;
#[path = "interleavings/topic.rs"]
mod topic;
#[path = "interleavings/world.rs"]
mod world;

use headgate_gateway::stream::position::Position;
use headgate_wire::config::SlowClient;
use proptest::prelude::*;
use topic::{PARTITIONS, Topic};
use world::World;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Produce { partition: usize, records: usize, bytes: usize },
    ReadLive { records: usize },
    ConnectLatest { filtered: bool },
    ConnectEarliest { filtered: bool },
    Resume { client: usize },
    Read { client: usize, bytes: usize },
    ReadAll,
    Disconnect { client: usize },
    ChangeFilter { client: usize, filtered: bool },
    Turn { times: usize },
    Replay { batches: usize },
    Retain { partition: usize, part: usize },
    Tick { milliseconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let flag = any::<bool>();
    prop_oneof![
        6 => (0usize..4, 1usize..30, 1usize..700).prop_map(|(partition, records, bytes)| Step::Produce { partition, records, bytes }),
        6 => (1usize..60).prop_map(|records| Step::ReadLive { records }),
        2 => flag.prop_map(|filtered| Step::ConnectLatest { filtered }),
        2 => flag.prop_map(|filtered| Step::ConnectEarliest { filtered }),
        3 => (0usize..8).prop_map(|client| Step::Resume { client }),
        4 => (0usize..8, 1usize..9000).prop_map(|(client, bytes)| Step::Read { client, bytes }),
        1 => Just(Step::ReadAll),
        1 => (0usize..8).prop_map(|client| Step::Disconnect { client }),
        1 => (0usize..8, flag).prop_map(|(client, filtered)| Step::ChangeFilter { client, filtered }),
        6 => (1usize..6).prop_map(|times| Step::Turn { times }),
        4 => (1usize..4).prop_map(|batches| Step::Replay { batches }),
        1 => (0usize..4, 0usize..100).prop_map(|(partition, part)| Step::Retain { partition, part }),
        1 => (1u64..3000).prop_map(|milliseconds| Step::Tick { milliseconds }),
    ]
}

fn policy() -> impl Strategy<Value = SlowClient> {
    prop_oneof![Just(SlowClient::Disconnect), Just(SlowClient::SkipWithGap), Just(SlowClient::LatestOnly)]
}

fn run(world: &mut World, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Produce { partition, records, bytes } => world.topic.produce(partition, records, bytes),
            Step::ReadLive { records } => world.read_live(records),
            Step::ConnectLatest { filtered } => world.connect_latest(filtered),
            Step::ConnectEarliest { filtered } => world.connect_earliest(filtered),
            Step::Resume { client } => world.resume(client),
            Step::Read { client, bytes } => world.give_room(client, bytes),
            Step::ReadAll => world.give_all_room(),
            Step::Disconnect { client } => world.disconnect(client),
            Step::ChangeFilter { client, filtered } => world.change_filter(client, filtered),
            Step::Turn { times } => world.turn(times),
            Step::Replay { batches } => world.replay(batches),
            Step::Retain { partition, part } => world.topic.retain(partition, part),
            Step::Tick { milliseconds } => world.tick(milliseconds),
        }
        world.collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_client_sees_every_record_once_and_in_order_or_is_told_of_a_gap(
        steps in proptest::collection::vec(step(), 1..120),
        recent_bytes in 600usize..60_000,
        log_bytes in 1000usize..60_000,
        slow_client in policy(),
        max_replays in 1usize..4,
    ) {
        let mut world = World::new(recent_bytes, log_bytes, slow_client, max_replays);
        run(&mut world, steps);
        world.settle();
        world.assert_everybody_is_up_to_date();
    }
}

#[test]
fn a_client_that_is_ahead_of_this_gateway_waits_without_loss_or_repeat() {
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
    world.topic.produce(0, 10, 10);
    world.topic.produce(1, 10, 10);
    world.read_live(5);
    // Another gateway had read everything but the last two records of each partition.
    world.connect_at(vec![8, 8, 0, 0]);
    world.turn(3);
    world.read_live(100);
    world.settle();
    world.assert_everybody_is_up_to_date();
    assert_eq!(world.clients[0].records(), 4);
}

/// A gateway that starts reads the newest records of a long topic only, and its shards hear of that in their own time.
#[test]
fn a_client_that_joins_before_its_shard_knows_where_the_stream_begins_gets_everything_from_its_position_on() {
    for from_earliest in [true, false] {
        let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
        world.topic.produce(0, 40, 10);
        world.restart_at(Position::new(vec![30, 0, 0, 0]));
        if from_earliest {
            world.connect_earliest(false);
        } else {
            world.connect_latest(false);
        }
        world.turn(3);
        world.hear_of_the_restart();
        world.settle();
        world.assert_everybody_is_up_to_date();
        assert_eq!(world.clients[0].records(), if from_earliest { 40 } else { 10 });
    }
}

#[test]
fn a_client_without_a_cursor_gets_what_came_between_its_admission_and_its_arrival() {
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
    world.topic.produce(0, 40, 10);
    world.read_live(40);
    let admitted = world.standing();
    world.topic.produce(0, 3, 10);
    world.read_live(3);
    world.connect_with(admitted, false);
    world.settle();
    world.assert_everybody_is_up_to_date();
    assert_eq!(world.clients[0].records(), 3);
}

#[test]
fn a_client_whose_topic_begins_again_while_it_is_on_its_way_is_sent_back_with_1012() {
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
    world.topic.produce(0, 40, 10);
    world.read_live(40);
    let taken = world.standing();
    world.topic = Topic::new();
    world.restart_at(Position::new(vec![0; PARTITIONS]));
    world.hear_of_the_restart();
    world.connect_with(taken, false);
    world.topic.produce(0, 5, 10);
    world.settle();
    assert_eq!((world.clients[0].close_code, world.clients[0].records()), (Some(1012), 0));
}

#[test]
fn a_client_that_knows_that_its_topic_began_again_is_not_told_so_by_its_shard() {
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
    world.topic.produce(0, 40, 10);
    world.read_live(40);
    world.topic = Topic::new();
    world.topic.produce(0, 5, 10);
    world.restart_at(Position::new(vec![0; PARTITIONS]));
    world.connect_latest(false);
    world.turn(3);
    world.hear_of_the_restart();
    world.settle();
    world.assert_everybody_is_up_to_date();
    assert_eq!(world.clients[0].records(), 5);
}

#[test]
fn a_client_is_not_told_that_it_resumed_before_its_replay_knows_what_retention_took() {
    let mut world = World::new(600, 50_000, SlowClient::Disconnect, 1);
    world.topic.produce(0, 40, 100);
    world.read_live(40);
    world.topic.retain(0, 50);
    world.connect_at(vec![0; PARTITIONS]);
    world.give_all_room();
    world.replays_wait();
    world.turn(3);
    world.settle();
    world.assert_everybody_is_up_to_date();
    assert_eq!(world.clients[0].resumed, Some(false));
}

#[test]
fn a_client_that_joins_in_the_middle_of_a_sweep_keeps_what_the_others_have_already() {
    let mut world = World::new(600, 1000, SlowClient::SkipWithGap, 1);
    world.connect_earliest(false);
    world.connect_latest(false);
    world.topic.produce(0, 3, 637);
    world.read_live(3);
    world.turn(1);
    world.give_all_room();
    world.replay(1);
    world.topic.produce(0, 1, 1);
    world.turn(1);
    world.read_live(1);
    world.turn(1);
    world.settle();
    world.assert_everybody_is_up_to_date();
}

#[test]
fn a_client_that_changes_to_the_filter_that_it_has_takes_nothing_from_the_others() {
    let mut world = World::new(600, 1000, SlowClient::Disconnect, 1);
    for filtered in [false, true, false, true] {
        world.connect_latest(filtered);
    }
    world.give_all_room();
    world.turn(1);
    world.topic.produce(0, 25, 1);
    world.connect_latest(false);
    world.read_live(1);
    world.connect_latest(true);
    world.change_filter(1, true);
    world.read_live(3);
    world.turn(2);
    world.settle();
    world.assert_everybody_is_up_to_date();
}

/// A ping may be all that the log still holds for it.
#[test]
fn a_client_that_was_moved_ahead_is_told_so_before_anything_of_its_next_filter() {
    for bytes in 1..300 {
        let mut world = World::new(1200, 1000, SlowClient::LatestOnly, 1);
        world.connect_latest(false);
        world.connect_latest(false);
        world.turn(2);
        world.topic.produce(0, 30, bytes);
        world.read_live(30);
        world.tick(1000);
        world.change_filter(0, false);
        world.topic.produce(0, 3, 1);
        world.settle();
        world.assert_everybody_is_up_to_date();
    }
}

#[test]
fn a_client_that_was_moved_ahead_across_a_new_beginning_is_told_of_the_reset_and_of_what_it_missed() {
    for policy in [SlowClient::SkipWithGap, SlowClient::LatestOnly] {
        let mut world = World::new(1200, 1000, policy, 1);
        world.connect_latest(false);
        world.give_room(0, 1000);
        world.turn(2);
        world.take_room(0);
        world.topic.produce(0, 10, 300);
        world.read_live(10);
        world.topic = Topic::new();
        world.topic.produce(0, 40, 300);
        world.restart_at(Position::new(vec![0; PARTITIONS]));
        world.hear_of_the_restart();
        world.read_live(40);
        world.settle();
        world.assert_everybody_is_up_to_date();
        assert_eq!(world.clients[0].resets, 1, "{policy:?}");
    }
}

/// With rows of their own, views are as many as clients: a turn of the loop for each would cost more than its write.
#[test]
fn one_turn_serves_the_clients_of_several_views() {
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 2);
    world.connect_latest(false);
    world.connect_latest(true);
    world.settle();
    world.topic.produce(0, 10, 10);
    world.read_live(10);
    world.turn(1);
    world.collect();
    assert!(world.clients.iter().all(|client| client.records() > 0));
}
