//! The elector against an API server in process. Time is virtual, so that waiting costs nothing.

use super::super::api_server::{ApiServer, Fault};
use super::*;
use tokio::task::JoinHandle;

struct Replica {
    me: String,
    leadership: watch::Receiver<Leadership>,
    resign: CancellationToken,
    task: JoinHandle<Ended>,
}

impl Replica {
    fn start(server: &ApiServer, identity: &str) -> Self {
        let settings = ElectorSettings {
            namespace: "headgate".to_owned(),
            lease: "headgate-operator".to_owned(),
            identity: identity.to_owned(),
            timing: Timing::default(),
        };
        let (elector, leadership) = Elector::new(server.client(), settings).unwrap();
        let (me, resign) = (elector.me().to_owned(), CancellationToken::new());
        let task = tokio::spawn(elector.run(resign.clone()));
        Self { me, leadership, resign, task }
    }

    /// Waits for this, at most a minute of virtual time.
    async fn becomes(&mut self, wanted: impl Fn(&Leadership) -> bool) {
        let waiting = timeout(Duration::from_mins(1), self.leadership.wait_for(|now| wanted(now)));
        drop(waiting.await.expect("in a minute").expect("the elector runs"));
    }

    async fn leads(&mut self) {
        self.becomes(|now| *now == Leadership::Leading).await;
    }

    async fn waits_for(&mut self, other: &str) {
        self.becomes(|now| matches!(now, Leadership::Waiting { holder: Some(holder) } if holder == other)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_leads_and_the_second_waits_until_the_lease_is_given_back() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "operator-1");
    first.leads().await;
    let mut second = Replica::start(&server, "operator-2");
    second.waits_for(&first.me).await;
    let before = Instant::now();
    first.resign.cancel();
    assert_eq!(first.task.await.unwrap(), Ended::Resigned);
    second.leads().await;
    assert!(before.elapsed() < Duration::from_secs(3), "took {:?}", before.elapsed());
    assert_eq!(server.holder(), Some(second.me.clone()));
    assert!(first.me.starts_with("operator-1_") && first.me != "operator-1_");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_died_is_succeeded_once_its_lease_has_expired_and_not_before() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "operator");
    first.leads().await;
    first.task.abort();
    let before = Instant::now();
    let mut second = Replica::start(&server, "operator");
    second.leads().await;
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(15) && took < Duration::from_secs(18), "took {took:?}");
    assert_eq!(server.lease().unwrap().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_renews_without_reading() {
    let server = ApiServer::default();
    let mut replica = Replica::start(&server, "operator");
    replica.leads().await;
    sleep(Duration::from_secs(20)).await;
    let requests = server.requests();
    assert_eq!(requests[..3], ["GET", "POST", "PUT"]);
    assert!(requests[2..].iter().all(|method| method == "PUT") && requests.len() >= 9, "{requests:?}");
    assert_eq!(*replica.leadership.borrow(), Leadership::Leading);
}

#[tokio::test(start_paused = true)]
async fn a_leader_survives_errors_that_end_before_its_deadline() {
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Status(409), Fault::Silent] {
        let server = ApiServer::default();
        let mut replica = Replica::start(&server, "operator");
        replica.leads().await;
        server.fail([fault]);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(*replica.leadership.borrow(), Leadership::Leading, "{fault:?}");
        assert_eq!(server.holder(), Some(replica.me.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_anybody_else_may_begin() {
    for fault in [Fault::Status(500), Fault::Silent, Fault::Late(Duration::from_secs(30))] {
        let server = ApiServer::default();
        let mut replica = Replica::start(&server, "operator");
        replica.leads().await;
        let before = Instant::now();
        server.break_down(Some(fault));
        assert_eq!(replica.task.await.unwrap(), Ended::Lost, "{fault:?}");
        assert!(before.elapsed() <= Timing::default().deadline, "{fault:?} took {:?}", before.elapsed());
        assert_eq!(*replica.leadership.borrow(), Leadership::Ended);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_finds_another_holder_stops_at_once() {
    let server = ApiServer::default();
    let mut replica = Replica::start(&server, "operator");
    replica.leads().await;
    let before = Instant::now();
    server.edit(|lease| {
        lease.as_mut().unwrap().spec.as_mut().unwrap().holder_identity = Some("somebody".to_owned());
    });
    assert_eq!(replica.task.await.unwrap(), Ended::Lost);
    // One renewal that is refused, and one look.
    assert!(before.elapsed() < Duration::from_secs(6), "took {:?}", before.elapsed());
    assert_eq!(server.holder(), Some("somebody".to_owned()), "what is not ours is not given back");
}

#[tokio::test(start_paused = true)]
async fn a_lease_deleted_under_its_leader_comes_back_as_its_own() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "operator-1");
    first.leads().await;
    let mut second = Replica::start(&server, "operator-2");
    second.waits_for(&first.me).await;
    server.edit(|lease| *lease = None);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(server.holder(), Some(first.me.clone()));
    assert_eq!(*first.leadership.borrow(), Leadership::Leading);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_create_the_lease_at_one_time_one_leads() {
    let server = ApiServer::default();
    server.fail([Fault::Late(Duration::from_secs(1)), Fault::Late(Duration::from_secs(1))]);
    let (mut first, mut second) = (Replica::start(&server, "operator"), Replica::start(&server, "operator"));
    sleep(Duration::from_secs(10)).await;
    let leading = [&first, &second].map(|replica| *replica.leadership.borrow() == Leadership::Leading);
    assert!(leading[0] != leading[1], "{leading:?}");
    let (leader, follower) =
        if leading[0] { (&first.me.clone(), &mut second) } else { (&second.me.clone(), &mut first) };
    follower.waits_for(leader).await;
}

#[tokio::test(start_paused = true)]
async fn giving_back_meets_a_renewal_of_ours_that_was_cut_off_and_still_succeeds() {
    let server = ApiServer::default();
    let mut replica = Replica::start(&server, "operator");
    replica.leads().await;
    // A renewal is carried out, its answer is late; meanwhile the replica resigns, and is refused once.
    server.fail([Fault::Late(Duration::from_secs(4))]);
    sleep(Duration::from_secs(3)).await;
    server.fail([Fault::Late(Duration::ZERO), Fault::Status(409)]);
    replica.resign.cancel();
    assert_eq!(replica.task.await.unwrap(), Ended::Resigned);
    assert_eq!(server.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn resigning_ends_in_time_although_the_api_server_is_silent() {
    let server = ApiServer::default();
    let mut replica = Replica::start(&server, "operator");
    replica.leads().await;
    server.break_down(Some(Fault::Silent));
    let before = Instant::now();
    replica.resign.cancel();
    assert_eq!(replica.task.await.unwrap(), Ended::Resigned);
    assert!(before.elapsed() <= Timing::default().request);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_may_not_use_leases_waits_and_leads_once_it_may() {
    let server = ApiServer::default();
    server.break_down(Some(Fault::Status(403)));
    let mut replica = Replica::start(&server, "operator");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(*replica.leadership.borrow(), Leadership::Waiting { holder: None });
    server.break_down(None);
    replica.leads().await;
}

#[test]
fn a_refusal_names_the_remedy() {
    let status = kube::core::Status::failure("no", "Forbidden").with_code(403);
    let error = AttemptError::from(kube::Error::Api(status.boxed()));
    assert!(error.to_string().contains("install the operator's Role"), "{error}");
}
