//! The order in which a term begins and ends.

use super::super::api_server::{ApiServer, Fault};
use super::super::candidate::Timing;
use super::super::elector::ElectorSettings;
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{Instant, sleep};

const DRAIN: Duration = Duration::from_secs(15);
const ALMOST_DRAIN: Duration = Duration::from_secs(13);

fn election(server: &ApiServer) -> (Elector, watch::Receiver<Leadership>) {
    let settings = ElectorSettings {
        namespace: "headgate".to_owned(),
        lease: "headgate-operator".to_owned(),
        identity: "operator".to_owned(),
        timing: Timing::default(),
    };
    Elector::new(server.client(), settings).unwrap()
}

fn world() -> (ApiServer, Arc<AtomicU32>, CancellationToken) {
    (ApiServer::default(), Arc::default(), CancellationToken::new())
}

/// Counts the seconds that it works; after the shutdown it needs `rest` to finish.
fn work(
    seconds: &Arc<AtomicU32>,
    rest: Duration,
) -> impl FnOnce(CancellationToken) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + use<> {
    let seconds = Arc::clone(seconds);
    move |stop| {
        Box::pin(async move {
            while stop.run_until_cancelled(sleep(Duration::from_secs(1))).await.is_some() {
                seconds.fetch_add(1, Ordering::Relaxed);
            }
            sleep(rest).await;
            seconds.fetch_add(1000, Ordering::Relaxed);
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_the_work_end_and_then_gives_the_lease_back() {
    let (server, seconds, shutdown) = world();
    let stop = shutdown.clone();
    let (watched, counted) = (server.clone(), Arc::clone(&seconds));
    tokio::spawn(async move {
        sleep(Duration::from_millis(20_500)).await;
        stop.cancel();
        sleep(ALMOST_DRAIN).await;
        assert!(watched.holder().is_some(), "the Lease stays ours while work is under way");
        counted.fetch_add(100_000, Ordering::Relaxed);
    });
    lead(Some(election(&server)), &shutdown, DRAIN, work(&seconds, ALMOST_DRAIN + Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(seconds.load(Ordering::Relaxed), 101_020);
    assert_eq!(server.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_in_time_is_cut_off_before_the_lease_is_given_back() {
    let (server, seconds, shutdown) = world();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(5500)).await;
        stop.cancel();
    });
    let before = Instant::now();
    lead(Some(election(&server)), &shutdown, DRAIN, work(&seconds, DRAIN * 10)).await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(21), "took {:?}", before.elapsed());
    assert_eq!((server.holder(), seconds.load(Ordering::Relaxed)), (None, 5));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_cuts_the_work_off_at_once() {
    let (server, seconds, shutdown) = world();
    let broken = server.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(30)).await;
        broken.break_down(Some(Fault::Status(500)));
    });
    let error = lead(Some(election(&server)), &shutdown, DRAIN, work(&seconds, DRAIN)).await.unwrap_err();
    assert!(matches!(error, TermError::LeaseLost), "{error}");
    let worked = seconds.load(Ordering::Relaxed);
    assert!((30..=40).contains(&worked), "{worked}");
    sleep(Duration::from_mins(1)).await;
    assert_eq!(seconds.load(Ordering::Relaxed), worked, "nothing goes on");
}

#[tokio::test(start_paused = true)]
async fn a_lease_lost_while_draining_is_an_error_too() {
    let (server, seconds, shutdown) = world();
    let (broken, stop) = (server.clone(), shutdown.clone());
    tokio::spawn(async move {
        sleep(Duration::from_secs(30)).await;
        broken.break_down(Some(Fault::Silent));
        stop.cancel();
    });
    let error = lead(Some(election(&server)), &shutdown, DRAIN, work(&seconds, DRAIN * 2)).await.unwrap_err();
    assert!(matches!(error, TermError::LeaseLost), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_led_ends_cleanly_and_does_no_work() {
    let (server, seconds, shutdown) = world();
    let mut other = election(&server);
    tokio::spawn(other.0.run(CancellationToken::new()));
    other.1.wait_for(|now| *now == Leadership::Leading).await.unwrap();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        sleep(Duration::from_mins(1)).await;
        stop.cancel();
    });
    lead(Some(election(&server)), &shutdown, DRAIN, work(&seconds, DRAIN)).await.unwrap();
    assert_eq!(seconds.load(Ordering::Relaxed), 0);
    assert!(server.holder().is_some());
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_by_itself_is_an_error_and_the_lease_is_given_back() {
    for elected in [true, false] {
        let server = ApiServer::default();
        let election = elected.then(|| election(&server));
        let error = lead(election, &CancellationToken::new(), DRAIN, |_| async {}).await.unwrap_err();
        assert!(matches!(error, TermError::WorkEnded), "{error}");
        assert_eq!(server.holder(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_election_works_at_once() {
    let (_, seconds, shutdown) = world();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(3500)).await;
        stop.cancel();
    });
    lead(None, &shutdown, DRAIN, work(&seconds, Duration::ZERO)).await.unwrap();
    assert_eq!(seconds.load(Ordering::Relaxed), 1003);
}
