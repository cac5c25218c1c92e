//! `headgate dev`: start in the order in which things need each other, run until told to stop, end in the reverse order.

use crate::args::{DevArgs, DevOutput};
use crate::dev::Kafka;
use crate::dev::announce::{Ready, ReadyStream, reachable};
use crate::dev::demo::{self, Subject};
use crate::dev::issuer::TestIssuer;
use crate::dev::issuer::people::{TokenStream, people};
use crate::dev::issuer::readers::{Reader, readers};
use crate::dev::keys::KeyFolder;
use crate::dev::manifest::{Surroundings, documents, endpoints, gateway_config};
use crate::dev::rows::rows_of_all;
use crate::dev::waiting::until_ready;
use crate::interruption::interruption;
use crate::kafka::Producer;
use crate::output::{Output, notice};
use anyhow::{Context as _, bail};
use headgate_gateway::{App, BuildError, Config};
use headgate_operator::model::Endpoint;
use headgate_process::telemetry::{self, LogFormat};
use headgate_wire::config::Properties;
use std::collections::BTreeSet;
use std::process::ExitCode;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What is logged unless `RUST_LOG` says otherwise: a newcomer's terminal belongs to the addresses and keys.
const LOG_FILTER: &str = "warn";

/// Runs everything until Ctrl-C.
pub(crate) fn run(args: &DevArgs) -> anyhow::Result<ExitCode> {
    let _logs = telemetry::init(LogFormat::Text, LOG_FILTER)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &DevArgs) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(interruption()?);
    let endpoints = endpoints(&documents(&args.files, args.oidc.is_some())?)?;
    let topics: Vec<String> = endpoints.iter().map(|endpoint| endpoint.kafka.topic.to_string()).collect();
    let kafka = Kafka::start(args.kafka.as_deref(), &topics).await?;
    let keys = KeyFolder::create().context("failed to make a folder for the digests of the keys")?;
    let token_streams = token_streams(&endpoints);
    let issuer = issuer(args, &endpoints, &token_streams).await?;
    let issuer_url = issuer.as_ref().map(|issuer| issuer.url().to_owned());
    let people = if issuer.is_some() { readers(&people(&token_streams), &token_streams) } else { Vec::new() };
    let (configs, streams) = configure((args, issuer_url.clone(), &people), &endpoints, &kafka, &keys)?;

    let app = App::build(configs).await.map_err(explained)?;
    let ready = Ready {
        streams,
        listen: app.stream_address(),
        admin: app.admin_address(),
        kafka: kafka.bootstrap_servers(),
        embedded: matches!(kafka, Kafka::Embedded(_)),
        people,
        issuer: issuer_url,
        program: std::env::args().next().unwrap_or_else(|| "headgate".to_owned()),
    };
    let readiness = app.readiness();
    let shutdown = CancellationToken::new();
    let mut running = std::pin::pin!(app.run(shutdown.clone()));
    let mut demo = JoinSet::new();
    if let Some(issuer) = issuer {
        demo.spawn(serve_issuer(issuer));
    }

    let became_ready = tokio::select! {
        result = running.as_mut() => return Ok(result?),
        () = stop.as_mut() => false,
        () = until_ready(&readiness, reachable(ready.admin), &ready.kafka) => true,
    };
    if became_ready {
        start_demo(args, &ready, &mut demo)?;
        announce(args.output, &ready)?;
        tokio::select! {
            result = running.as_mut() => return Ok(result?),
            () = stop.as_mut() => {}
        }
    }
    notice("ending");
    demo.shutdown().await;
    shutdown.cancel();
    running.await.context("failed to end the admin port")
}

async fn serve_issuer(issuer: TestIssuer) {
    if let Err(error) = issuer.run().await {
        notice(format_args!("the test issuer has ended: {error}"));
    }
}

/// The endpoints that take tokens, with the rules of their manifests.
fn token_streams(endpoints: &[Endpoint]) -> Vec<TokenStream> {
    let rules = |endpoint: &Endpoint| Some((endpoint.app.to_string(), endpoint.auth.tokens()?.rules.clone()));
    endpoints.iter().filter_map(rules).collect()
}

/// The test issuer, if one is wanted; its tokens are for everybody here who takes tokens.
async fn issuer(
    args: &DevArgs,
    endpoints: &[Endpoint],
    token_streams: &[TokenStream],
) -> anyhow::Result<Option<TestIssuer>> {
    let Some(address) = args.oidc else {
        let of_a_cluster =
            |endpoint: &&Endpoint| endpoint.auth.tokens().is_some_and(|tokens| tokens.keys.is_a_clusters());
        if let Some(endpoint) = endpoints.iter().find(of_a_cluster) {
            bail!(
                "{}: the tokens of a cluster's ServiceAccounts cannot be checked here, because there is no cluster; add \
                 --oidc: its test issuer stands in, with people who have the claims that the manifest requires",
                endpoint.app
            );
        }
        return Ok(None);
    };
    let audiences: BTreeSet<String> =
        token_streams.iter().flat_map(|(_, rules)| rules.audiences.iter().cloned()).collect();
    if audiences.is_empty() {
        bail!(
            "no endpoint here takes tokens: set auth.mode to OIDC or ApiKeyOrOIDC in a manifest, or leave --oidc out"
        );
    }
    let issuer = TestIssuer::bind(address, audiences.into_iter().collect(), people(token_streams)).await;
    let issuer =
        issuer.with_context(|| format!("failed to listen on {address}; choose another one: --oidc=127.0.0.1:0"))?;
    Ok(Some(issuer))
}

fn configure(
    (args, issuer, people): (&DevArgs, Option<String>, &[Reader]),
    endpoints: &[Endpoint],
    kafka: &Kafka,
    keys: &KeyFolder,
) -> anyhow::Result<(Vec<Config>, Vec<ReadyStream>)> {
    let properties = kafka.properties().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let surroundings = Surroundings {
        bootstrap_servers: kafka.bootstrap_servers(),
        properties: Properties(properties.collect()),
        listen: args.listen,
        admin: args.admin,
        issuer,
    };
    let mut configs = Vec::new();
    let mut streams = Vec::new();
    for endpoint in endpoints {
        let app = endpoint.app.to_string();
        let (keys_file, issued) = keys.issue(&app, endpoint.auth.keys())?;
        let config = gateway_config(endpoint, &surroundings, keys_file);
        configs.push(Config::load(config, Vec::new()).with_context(|| format!("the stream `{app}` cannot run here"))?);
        let (topic, anonymous) = (endpoint.kafka.topic.to_string(), endpoint.public_access.anonymous);
        let tokens = endpoint.auth.tokens();
        let of_a_cluster = tokens.is_some_and(|tokens| tokens.keys.is_a_clusters());
        let filters = endpoint.auth.keys().iter().map(|key| key.filters.as_slice());
        let rows = rows_of_all(filters.chain(people.iter().filter_map(|reader| reader.filters(&app))));
        let takes_tokens = tokens.is_some();
        streams.push(ReadyStream { app, topic, anonymous, takes_tokens, of_a_cluster, keys: issued, rows });
    }
    Ok((configs, streams))
}

/// A port that is taken is the one mistake that a newcomer cannot avoid.
fn explained(error: BuildError) -> anyhow::Error {
    let option = match &error {
        BuildError::Bind { what: "admin", .. } => "--admin",
        BuildError::Bind { .. } => "--listen",
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; choose another address with {option} (port 0 = any free one)")
}

fn start_demo(args: &DevArgs, ready: &Ready, demo: &mut JoinSet<()>) -> anyhow::Result<()> {
    // Somebody's own Kafka is no place for made-up events.
    if args.no_demo || args.kafka.is_some() {
        return Ok(());
    }
    let producer = Producer::new(&ready.kafka, &[])?;
    for stream in &ready.streams {
        let (app, topic, rows) = (stream.app.clone(), stream.topic.clone(), stream.rows.clone());
        let subject = Subject { app, topic, rows };
        demo.spawn(demo::run(producer.clone(), subject, args.demo_rate));
    }
    Ok(())
}

fn announce(form: DevOutput, ready: &Ready) -> anyhow::Result<()> {
    let mut output = Output::stdout();
    match form {
        DevOutput::Text => output.line(ready.to_text().as_bytes())?,
        DevOutput::Json => output.line(ready.to_json()?.as_bytes())?,
    }
    Ok(output.flush()?)
}
