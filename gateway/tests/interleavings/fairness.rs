//! Clients that take little or nothing: what they make the shard hold, and what the others get meanwhile.

use super::client::TestClient;
use super::topic::PARTITIONS;
use super::world::World;
use headgate_wire::config::SlowClient;
use headgate_wire::message::ErrorCode;

/// Quarters of a second in which a client that takes nothing must be gone: 30 s, its close, and a tick.
const GONE: usize = 150;

#[test]
fn a_client_that_asks_and_never_reads_is_closed_and_what_it_used_is_given_back() {
    let mut world = World::new(50_000, 50_000, SlowClient::SkipWithGap, 1);
    world.connect_latest(false);
    world.quarter();
    let mut most = 0;
    for _ in 0..100 {
        for _ in 0..12 {
            world.ask(0);
        }
        world.quarter();
        most = most.max(world.budgets.outboxes.used());
    }
    assert!(most > 0 && most <= 70_000, "{most} bytes for one client");
    assert!(!world.clients[0].is_open(), "it is still connected");
    assert_eq!(world.budgets.outboxes.used(), 0);
}

#[test]
fn a_client_whose_socket_takes_nothing_is_closed_in_bounded_time_whatever_it_sends() {
    for policy in [SlowClient::Disconnect, SlowClient::SkipWithGap, SlowClient::LatestOnly] {
        let mut world = World::new(50_000, 50_000, policy, 1);
        world.connect_latest(false);
        world.topic.produce(0, 1, 100);
        world.read_live(1);
        for quarter in 0..GONE {
            if quarter % 40 == 0 {
                world.ask(0);
            }
            world.quarter();
        }
        assert!(!world.clients[0].is_open(), "{policy:?}");
    }
}

#[test]
fn readers_that_take_nothing_keep_no_newcomer_from_old_records() {
    const PLACES: usize = 2;
    let mut world = World::new(600, 50_000, SlowClient::Disconnect, PLACES);
    world.topic.produce(0, 400, 100);
    world.read_live(400);
    for _ in 0..4 * PLACES {
        world.connect_earliest(false);
        world.quarter();
    }
    world.connect_earliest(false);
    let newcomer = world.clients.len() - 1;
    for _ in 0..12 {
        world.give_room(newcomer, 1 << 20);
        world.quarter();
    }
    assert!(world.clients[newcomer].resumed.is_some(), "no `ready` within three seconds");
    assert!(world.clients[newcomer].records() > 0);
}

#[test]
fn every_reader_progresses_when_more_want_old_records_than_there_are_places() {
    let mut world = World::new(600, 50_000, SlowClient::Disconnect, 1);
    world.topic.produce(0, 60_000, 1);
    world.read_live(usize::MAX);
    // Too far apart to share a replay.
    for from in [0, 25_000, 50_000] {
        let mut next = vec![0; PARTITIONS];
        next[0] = from;
        world.connect_at(next);
        world.quarter();
    }
    let records = |world: &World| world.clients.iter().map(TestClient::records).collect::<Vec<_>>();
    let before = records(&world);
    for _ in 0..80 {
        world.give_all_room();
        world.quarter();
    }
    let after = records(&world);
    assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?} {after:?}");
}

/// How many quarters of a second it takes until the fast readers of a shared replay have everything.
fn quarters_of_fast_readers(with_a_slow_one: bool) -> usize {
    const RECORDS: usize = 2_000;
    const FAST: usize = 5;
    let mut world = World::new(600, 50_000, SlowClient::Disconnect, 4);
    world.topic.produce(0, RECORDS, 10);
    world.read_live(usize::MAX);
    // The first one starts a replay at once; those that come after it wait for company.
    world.connect_earliest(false);
    let slow = world.clients.len();
    if with_a_slow_one {
        world.connect_earliest(false);
    }
    for _ in 0..FAST {
        world.connect_earliest(false);
    }
    for quarter in 1..1_000 {
        for client in 0..world.clients.len() {
            let room = if with_a_slow_one && client == slow { 200 } else { 1 << 20 };
            world.give_room(client, room);
        }
        world.quarter();
        let is_done = |(index, records): (usize, usize)| records == RECORDS || (with_a_slow_one && index == slow);
        if world.clients.iter().map(TestClient::records).enumerate().all(is_done) {
            return quarter;
        }
    }
    panic!("the fast readers did not get everything");
}

#[test]
fn a_slow_reader_of_a_shared_replay_costs_the_fast_ones_next_to_nothing() {
    let alone = quarters_of_fast_readers(false);
    let beside = quarters_of_fast_readers(true);
    assert!(beside <= alone + 6, "{beside} quarters of a second instead of {alone}");
}

#[test]
fn many_readers_of_large_records_stay_within_the_budget_and_all_get_them() {
    const BUDGET: usize = 100_000;
    const RECORD: usize = 30_000;
    let mut world = World::with_budgets(600, 50_000, SlowClient::Disconnect, 4, BUDGET);
    world.topic.produce(0, 20, RECORD);
    world.read_live(usize::MAX);
    for _ in 0..30 {
        world.connect_earliest(false);
    }
    let mut most = 0;
    for _ in 0..40 {
        // Enough for pings and `ready`, so that records are what a client is stuck with.
        for client in 0..world.clients.len() {
            world.give_room(client, 200);
        }
        world.quarter();
        most = most.max(world.budgets.outboxes.used());
    }
    // A frame is a little larger than its record.
    assert!(most <= BUDGET + 2 * RECORD, "{most} bytes of outboxes");
    world.settle();
    world.assert_everybody_is_up_to_date();
}

#[test]
fn budgets_are_empty_once_everybody_has_left() {
    let mut world = World::new(2_000, 5_000, SlowClient::Disconnect, 2);
    world.topic.produce(0, 300, 200);
    world.read_live(usize::MAX);
    for _ in 0..5 {
        world.connect_latest(true);
    }
    world.give_all_room();
    world.quarter();
    for client in 0..5 {
        world.take_room(client);
    }
    for _ in 0..5 {
        world.connect_earliest(false);
    }
    world.topic.produce(1, 50, 200);
    world.read_live(usize::MAX);
    world.quarter();
    let budgets = world.budgets.clone();
    let used = || [&budgets.logs, &budgets.outboxes, &budgets.replays].map(|budget| budget.used());
    assert!(used().iter().all(|used| *used > 0), "{:?}", used());
    for client in 0..world.clients.len() {
        world.disconnect(client);
    }
    assert_eq!(used(), [0, 0, 0]);
}

#[test]
fn costly_filters_end_at_a_bound_of_the_pod_and_make_room_when_their_clients_leave() {
    /// What the pod has room for.
    const COSTLY: usize = 64;
    let mut world = World::new(50_000, 50_000, SlowClient::Disconnect, 1);
    for client in 0..=COSTLY + 1 {
        world.connect_latest(false);
        world.give_room(client, 1 << 20);
    }
    world.quarter();
    for client in 0..=COSTLY {
        world.ask_for_a_costly_filter(client);
    }
    world.quarter();
    assert!(world.clients[..COSTLY].iter().all(|client| client.errors.is_empty()));
    assert_eq!(world.clients[COSTLY].errors, [ErrorCode::TryLater]);
    // What an index finds costs nothing.
    world.change_filter(COSTLY, true);
    world.quarter();
    assert_eq!(world.clients[COSTLY].errors.len(), 1);
    world.disconnect(0);
    world.ask_for_a_costly_filter(COSTLY + 1);
    world.quarter();
    assert!(world.clients[COSTLY + 1].errors.is_empty());
}
