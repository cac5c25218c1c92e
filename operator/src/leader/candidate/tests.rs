//! Whatever the network and the clocks do, two candidates never lead at one time; when both behave, one does.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Cycle;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn record(holder: Option<&str>, version: u64) -> Record {
    Record { holder: holder.map(str::to_owned), duration: Timing::default().lease, version: version.to_string() }
}

fn observed(found: Option<Record>, at: u64) -> Observation {
    let mut observation = Observation::default();
    observation.see(found, seconds(at));
    observation
}

#[test]
fn a_lease_that_does_not_exist_is_created_and_a_free_one_is_acquired() {
    assert_eq!(decide(&Observation::default(), "me", seconds(0)), Decision::Create);
    assert_eq!(decide(&observed(Some(record(None, 1)), 0), "me", seconds(0)), Decision::Acquire);
}

#[test]
fn a_lease_of_ours_is_renewed_even_when_it_has_expired() {
    for now in [0, 14, 1000] {
        assert_eq!(decide(&observed(Some(record(Some("me"), 1)), 0), "me", seconds(now)), Decision::Renew);
    }
}

#[test]
fn a_lease_of_another_expires_after_its_duration_on_our_clock() {
    let lease = observed(Some(record(Some("other"), 1)), 100);
    assert_eq!(decide(&lease, "me", seconds(114)), Decision::Wait { remaining: seconds(1) });
    assert_eq!(decide(&lease, "me", seconds(115)), Decision::Acquire);
}

#[test]
fn every_renewal_of_another_starts_the_wait_anew_and_a_second_look_does_not() {
    let mut lease = observed(Some(record(Some("other"), 1)), 0);
    lease.see(Some(record(Some("other"), 1)), seconds(14));
    assert_eq!(decide(&lease, "me", seconds(14)), Decision::Wait { remaining: seconds(1) });
    lease.see(Some(record(Some("other"), 2)), seconds(14));
    assert_eq!(decide(&lease, "me", seconds(14)), Decision::Wait { remaining: seconds(15) });
}

#[test]
fn a_lease_deleted_under_its_holder_is_left_to_it_until_it_would_have_expired() {
    let mut lease = observed(Some(record(Some("other"), 1)), 0);
    lease.see(None, seconds(5));
    assert_eq!(decide(&lease, "me", seconds(5)), Decision::Wait { remaining: seconds(10) });
    assert_eq!(decide(&lease, "other", seconds(5)), Decision::Create);
    assert_eq!(decide(&lease, "me", seconds(15)), Decision::Create);
}

#[test]
fn leadership_counts_from_before_the_renewal_was_sent_and_ends_when_another_holder_is_seen() {
    let mut candidate = Candidate::new("me".to_owned(), Timing::default());
    candidate.written(record(Some("me"), 1), seconds(100), seconds(104));
    assert!(candidate.leads(seconds(104)) && candidate.leads(seconds(109)) && !candidate.leads(seconds(110)));
    candidate.read(Some(record(Some("other"), 2)), seconds(105));
    assert!(!candidate.leads(seconds(105)));
}

/// The API server, the network between it and the candidates, and true time in milliseconds.
struct World {
    lease: Option<Record>,
    version: u64,
    nodes: Vec<Node>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    choices: Cycle<std::vec::IntoIter<u16>>,
    /// Longest time on the way, each way, in milliseconds.
    latency: u64,
    /// Of 100 messages, so many are lost.
    lost: u16,
}

struct Node {
    candidate: Candidate,
    /// Local milliseconds per 1000 true ones.
    rate: u64,
    /// Which attempt an answer must belong to in order not to be too late.
    attempt: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Attempt(usize),
    GiveUp(usize, u64),
    Arrive(usize, u64, Request),
    Answer(usize, u64, Request, Reply),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Get,
    Create { sent: Duration },
    Replace { version: String, sent: Duration },
    Release { version: String },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reply {
    Found(Option<(Option<String>, String)>),
    Refused,
}

impl World {
    fn new(rates: &[u64], latency: u64, lost: u16, choices: Vec<u16>) -> Self {
        let node = |(index, rate): (usize, &u64)| Node {
            candidate: Candidate::new(format!("c{index}"), Timing::default()),
            rate: *rate,
            attempt: 0,
        };
        let mut world = Self {
            lease: None,
            version: 0,
            nodes: rates.iter().enumerate().map(node).collect(),
            events: BinaryHeap::new(),
            scheduled: 0,
            choices: choices.into_iter().cycle(),
            latency,
            lost,
        };
        (0..rates.len()).for_each(|node| world.schedule(0, Event::Attempt(node)));
        world
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn choose(&mut self, below: u64) -> u64 {
        u64::from(self.choices.next().unwrap_or(0)) % below.max(1)
    }

    /// The clocks of the candidates began at different moments and run at different rates.
    fn local(&self, node: usize, now: u64) -> Duration {
        Duration::from_millis(1_000_000 * node as u64 + now * self.nodes[node].rate / 1000)
    }

    fn leaders(&self, now: u64) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| self.nodes[node].candidate.leads(self.local(node, now))).collect()
    }

    /// Puts a message on its way, unless it is lost.
    fn send(&mut self, now: u64, event: Event) {
        if self.choose(100) >= u64::from(self.lost) {
            let delay = self.choose(self.latency);
            self.schedule(now + delay, event);
        }
    }

    fn request(&mut self, node: usize, now: u64, request: Request) {
        let attempt = self.nodes[node].attempt;
        self.send(now, Event::Arrive(node, attempt, request));
    }

    fn step(&mut self, now: u64, event: Event) {
        match event {
            Event::Attempt(node) => {
                self.nodes[node].attempt += 1;
                let attempt = self.nodes[node].attempt;
                let timing = Timing::default();
                self.schedule(now + timing.request.as_millis() as u64, Event::GiveUp(node, attempt));
                self.request(node, now, Request::Get);
            }
            Event::GiveUp(node, attempt) => {
                if self.nodes[node].attempt == attempt {
                    self.retry(node, now);
                }
            }
            Event::Arrive(node, attempt, request) => {
                let reply = self.serve(node, &request);
                self.send(now, Event::Answer(node, attempt, request, reply));
            }
            Event::Answer(node, attempt, request, reply) => {
                if self.nodes[node].attempt == attempt {
                    self.answered(node, now, request, reply);
                }
            }
        }
    }

    fn retry(&mut self, node: usize, now: u64) {
        let jitter = self.choose(2000);
        self.schedule(now + Timing::default().retry.as_millis() as u64 + jitter, Event::Attempt(node));
    }

    /// What the API server does, with its optimistic concurrency.
    fn serve(&mut self, node: usize, request: &Request) -> Reply {
        let current = self.lease.as_ref().map(|lease| lease.version.clone());
        let holder = match request {
            Request::Create { .. } if current.is_none() => Some(self.nodes[node].candidate.me().to_owned()),
            Request::Replace { version, .. } if current.as_ref() == Some(version) => {
                Some(self.nodes[node].candidate.me().to_owned())
            }
            Request::Release { version } if current.as_ref() == Some(version) => None,
            Request::Get => {
                return Reply::Found(self.lease.clone().map(|lease| (lease.holder, lease.version)));
            }
            _ => return Reply::Refused,
        };
        self.version += 1;
        self.lease = Some(record(holder.as_deref(), self.version));
        Reply::Found(Some((holder, self.version.to_string())))
    }

    fn answered(&mut self, node: usize, now: u64, request: Request, reply: Reply) {
        let local = self.local(node, now);
        let found = match reply {
            Reply::Found(found) => found,
            Reply::Refused => return self.retry(node, now),
        };
        let found = found.map(|(holder, version)| Record { holder, version, duration: Timing::default().lease });
        match (request, found) {
            (Request::Create { sent } | Request::Replace { sent, .. }, Some(record)) => {
                self.nodes[node].candidate.written(record, sent, local);
                self.retry(node, now);
            }
            (Request::Release { .. }, _) => self.retry(node, now),
            (_, found) => self.looked(node, now, found),
        }
    }

    fn looked(&mut self, node: usize, now: u64, found: Option<Record>) {
        let local = self.local(node, now);
        let version = found.as_ref().map(|record| record.version.clone()).unwrap_or_default();
        self.nodes[node].candidate.read(found, local);
        let resigns = self.choose(20) == 0;
        match self.nodes[node].candidate.decide(local) {
            Decision::Wait { .. } => self.retry(node, now),
            Decision::Create => self.request(node, now, Request::Create { sent: local }),
            // It stops working before it gives the Lease back.
            Decision::Renew if resigns => {
                self.nodes[node].candidate.until = None;
                self.request(node, now, Request::Release { version });
            }
            Decision::Acquire | Decision::Renew => {
                self.request(node, now, Request::Replace { version, sent: local });
            }
        }
    }

    /// Runs until that time, and says who led when, at every event.
    fn run(&mut self, until: u64, mut look: impl FnMut(u64, &[usize])) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > until {
                self.schedule(at, event);
                return;
            }
            self.step(at, event);
            look(at, &self.leaders(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn two_candidates_never_lead_at_one_time_whatever_is_late_or_lost(
        rates in vec(850_u64..1150, 2..5),
        latency in 1_u64..20_000,
        lost in 0_u16..60,
        choices in vec(any::<u16>(), 600),
    ) {
        let mut world = World::new(&rates, latency, lost, choices);
        let mut overlap = None;
        world.run(300_000, |at, leaders| {
            if leaders.len() > 1 {
                overlap.get_or_insert((at, leaders.to_vec()));
            }
        });
        prop_assert_eq!(overlap, None);
    }

    #[test]
    fn whatever_happened_before_somebody_leads_once_the_network_works(
        rates in vec(850_u64..1150, 2..5),
        latency in 1_u64..20_000,
        lost in 0_u16..100,
        choices in vec(any::<u16>(), 200),
    ) {
        let mut world = World::new(&rates, latency, lost, choices);
        world.run(100_000, |_, _| {});
        (world.latency, world.lost, world.choices) = (100, 0, vec![3].into_iter().cycle());
        world.run(160_000, |_, _| {});
        prop_assert_eq!(world.leaders(160_000).len(), 1);
    }
}

#[test]
fn the_simulation_finds_two_leaders_where_clocks_differ_by_more_than_the_deadline_allows() {
    let overlaps = (0..50_u64).any(|seed| {
        let choices = (0..600).map(|index| ((index + 1) * (seed * 2 + 7919) % 65_521) as u16).collect();
        let mut world = World::new(&[300, 3000, 3000], 3000, 40, choices);
        let mut overlap = false;
        world.run(300_000, |_, leaders| overlap |= leaders.len() > 1);
        overlap
    });
    assert!(overlaps);
}
