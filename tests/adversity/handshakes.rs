//! Connections that take every place: floods of handshakes, and sockets that say nothing.

use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, alone, attack_time, mock};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::raw::Raw;
use headgate_wire::config::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// How long a client of another address may need to get in.
const IN_WITHIN: Duration = Duration::from_secs(2);
/// Clients of the other address that come one after the other.
const COMERS: usize = 20;
/// Connections that an attacker opens at once, and how often: together three times what a gateway admits in a second.
const FLOODS: usize = 12;
const EVERY: Duration = Duration::from_millis(8);
/// Sockets that say nothing: more than the HTTP server serves at once.
const IDLE: usize = 4400;
/// Files that this process and the gateway need for them.
const FILES: u64 = 10_000;

async fn comes_in(gateway: SocketAddr) -> Result<Raw> {
    let come = async {
        let mut client = Raw::connect_from(OTHER, gateway).await?;
        let answer = client.upgrade("/orders", &[HEADGATE]).await?;
        ensure!(answer.status == 101, "refused with {}", answer.status);
        Ok(client)
    };
    timeout(IN_WITHIN, come).await.with_context(|| format!("not in after {IN_WITHIN:?}"))?
}

/// The limits of an endpoint that says nothing of them.
async fn gateway() -> Result<GatewayProcess> {
    let mut config = mock(1)?;
    config.limits = Limits::default();
    GatewayProcess::start(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_from_one_address_keeps_no_other_address_out() -> Result<()> {
    let _alone = alone().await;
    let gateway = gateway().await?;
    let stream = gateway.stream;
    let mut flood = JoinSet::new();
    for _ in 0..FLOODS {
        flood.spawn(async move {
            let mut due = interval(EVERY);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                let Ok(mut client) = Raw::connect_from(ATTACKER, stream).await else { continue };
                // Admitted or refused: the next one comes at once.
                let _ = client.upgrade("/orders", &[HEADGATE]).await;
            }
        });
    }
    let mut refused = Vec::new();
    let (begin, mut came) = (Instant::now(), 0);
    let mut next = interval(Duration::from_millis(150));
    while came < COMERS || begin.elapsed() < attack_time(4) {
        next.tick().await;
        came += 1;
        if let Err(error) = comes_in(stream).await {
            refused.push(error.root_cause().to_string());
        }
    }
    ensure!(
        refused.is_empty(),
        "{} of {came} clients of another address did not get in: {}",
        refused.len(),
        refused[0]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_one_address_that_say_nothing_keep_no_other_address_out() -> Result<()> {
    let _alone = alone().await;
    // The gateway inherits it.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum.or(Some(FILES)), ..files })?;
    let gateway = gateway().await?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        // The gateway may refuse or cut what is too much.
        if let Ok(Ok(socket)) = timeout(IN_WITHIN, Raw::connect_from(ATTACKER, gateway.stream)).await {
            idle.push(socket);
        }
    }
    let begin = Instant::now();
    let client = comes_in(gateway.stream).await;
    println!("beside {} silent sockets: in after {:.1?}", idle.len(), begin.elapsed());
    client.map(drop)
}
