//! `headgate stream`: from arguments to a plan, then follow it.

mod as_whom;

use crate::args::{DEFAULT_SERVER, DEV_ADMIN_ADDRESS, DEV_STREAM_ADDRESS, StreamArgs, StreamOutput};
use crate::cluster::access::{AccessError, reading_key};
use crate::cluster::{Cluster, ClusterError};
use crate::interruption::interruption;
use crate::login::Renewal;
use crate::output::{Output, notice};
use crate::stream::client::{Plan, Summary, follow};
use crate::stream::local::{self, Local};
use crate::stream::{
    Credential, Failure, FailureKind, Given, Query, Renewing, Route, Style, choose, connector, from_key,
    install_provider, resolve,
};
use as_whom::{issuers, login_at, login_for, logins};
use headgate_wire::endpoints::ALIAS_PATH;
use http::Uri;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Environment variable with the address of a gateway.
const SERVER_VARIABLE: &str = "HEADGATE_SERVER";

/// Follows the stream until it is done.
pub(crate) fn run(args: &StreamArgs) -> anyhow::Result<ExitCode> {
    install_provider();
    let mut output = Output::stdout();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(async {
        let mut stop = std::pin::pin!(interruption()?);
        let plan = tokio::select! {
            plan = plan(args, &output) => plan?,
            () = &mut stop => return Ok(Summary::default()),
        };
        anyhow::Ok(follow(plan, &mut output, stop).await?)
    })?;
    if args.output == StreamOutput::Pretty {
        tell(summary);
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the stream is meant to be.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// At the target, a whole address.
    Address,
    /// An app of this gateway.
    Server(String),
    /// A StreamEndpoint of a cluster.
    Cluster,
    /// Nothing was said: this machine's gateway or a cluster.
    Open,
}

/// The place that the arguments mean; `variable` is the value of HEADGATE_SERVER.
fn place(args: &StreamArgs, variable: Option<&str>) -> Result<Place, Failure> {
    let cluster = args.cluster.is_given() || args.key_name.is_some() || args.port_forward;
    let server = args.server.as_deref().filter(|server| !server.is_empty());
    let insisted = server.is_some() && server != variable;
    if cluster && (args.local || insisted) {
        return Err(usage(
            "a StreamEndpoint of a cluster or an app of a gateway: leave out --server and --local, or the options of the cluster",
        ));
    }
    if args.target.as_deref().is_some_and(|target| target.contains("://")) {
        return if cluster { Err(usage("an address needs no options of a cluster")) } else { Ok(Place::Address) };
    }
    Ok(match server {
        _ if cluster => Place::Cluster,
        _ if args.local => Place::Server(DEFAULT_SERVER.to_owned()),
        Some(server) => Place::Server(server.to_owned()),
        None => Place::Open,
    })
}

/// The way to a stream, and as whom.
struct Found {
    address: Uri,
    route: Route,
    credential: Credential,
    /// Instead of the credential: a login that lasts.
    renewal: Option<Renewal>,
}

async fn plan(args: &StreamArgs, output: &Output) -> Result<Plan, Failure> {
    let access = &args.access;
    let connector = connector(access.ca_cert.as_deref()).map_err(usage)?;
    let Found { address, route, credential, renewal } = find(args).await?;
    let direct = matches!(route, Route::Direct);
    let secret = credential != Credential::Anonymous || renewal.is_some();
    if direct && secret && address.scheme_str() == Some("ws") && !is_local(address.host()) {
        notice("warning: the credential travels unencrypted; use an https or wss address");
    }
    Ok(Plan {
        address,
        route,
        from: args.from.clone(),
        credential,
        renewing: Renewing::new(renewal),
        logged_in_at: if access.anonymous { Vec::new() } else { issuers() },
        connector,
        count: args.count,
        fail_on_gap: args.fail_on_gap,
        connect_timeout: Duration::from_secs(access.connect_timeout.into()),
        style: Style {
            output: args.output,
            colours: output.wants_colours(),
            terminal: output.is_terminal(),
            zone: TimeZone::system(),
        },
    })
}

async fn find(args: &StreamArgs) -> Result<Found, Failure> {
    let variable = std::env::var(SERVER_VARIABLE).ok();
    match place(args, variable.as_deref())? {
        Place::Address => of_server(args, DEFAULT_SERVER),
        Place::Server(server) => {
            if args.local && args.target.is_none() {
                only_one(&local::apps(DEV_ADMIN_ADDRESS).await)?;
            }
            of_server(args, &server)
        }
        Place::Cluster => of_cluster(args, &connect(args).await?).await,
        Place::Open => anywhere(args).await,
    }
}

/// This machine's gateway if it has the app, else the cluster.
async fn anywhere(args: &StreamArgs) -> Result<Found, Failure> {
    let app = args.target.as_deref();
    let path = resolve(app, DEFAULT_SERVER, &Query::default()).map_err(usage)?.path().to_owned();
    let local = local::ask(DEV_STREAM_ADDRESS, &path).await;
    let name = app.unwrap_or(ALIAS_PATH);
    if local == Local::HasApp {
        if app.is_none() {
            only_one(&local::apps(DEV_ADMIN_ADDRESS).await)?;
        }
        notice(format_args!("/{name} of the gateway on this machine (--namespace or --context: a cluster's instead)"));
        return of_server(args, DEFAULT_SERVER);
    }
    match Cluster::connect(&args.cluster).await {
        Ok(cluster) => of_cluster(args, &cluster).await,
        // A gateway without the app says that best itself.
        Err(error) if error.is_no_cluster() && local == Local::HasOthers => of_server(args, DEFAULT_SERVER),
        Err(error) if error.is_no_cluster() => Err(Failure {
            kind: FailureKind::NotConnected,
            message: format!(
                "no gateway answers at {DEV_STREAM_ADDRESS} (headgate dev starts one; --local waits for it), and {error}"
            ),
        }),
        Err(error) => Err(of_cluster_error(&error)),
    }
}

/// Without a name the gateway shows its first app, which is a choice only where there are others.
fn only_one(apps: &[String]) -> Result<(), Failure> {
    if apps.len() < 2 {
        return Ok(());
    }
    Err(usage(format_args!("the gateway on this machine has several streams: name one of {}", apps.join(", "))))
}

fn of_server(args: &StreamArgs, server: &str) -> Result<Found, Failure> {
    let address = resolve(args.target.as_deref(), server, &query(args)).map_err(usage)?;
    let issuer = args.access.issuer.as_deref();
    let renewal = issuer.map(|issuer| login_at(&args.access, &logins()?, issuer)).transpose()?;
    let credential = if renewal.is_some() { Credential::Anonymous } else { given(args)? };
    Ok(Found { address, route: Route::Direct, credential, renewal })
}

async fn connect(args: &StreamArgs) -> Result<Cluster, Failure> {
    Cluster::connect(&args.cluster).await.map_err(|error| of_cluster_error(&error))
}

async fn of_cluster(args: &StreamArgs, cluster: &Cluster) -> Result<Found, Failure> {
    let endpoint = match args.target.as_deref() {
        Some(name) => cluster.endpoint(name).await,
        None => cluster.only_endpoint().await,
    };
    let endpoint = endpoint.map_err(|error| of_cluster_error(&error))?;
    let named = args.key_name.is_some() || args.access.issuer.is_some();
    let explicit = if named { Credential::Anonymous } else { given(args)? };
    let decided = explicit != Credential::Anonymous || args.access.anonymous || args.key_name.is_some();
    let renewal = if decided { None } else { login_for(&args.access, &logins()?, (&endpoint, &args.cluster))? };
    let credential = if explicit != Credential::Anonymous || args.access.anonymous || renewal.is_some() {
        explicit
    } else {
        match reading_key(&endpoint, args.key_name.as_deref()).map_err(of_access_error)? {
            None => Credential::Anonymous,
            Some(secret) => from_key(&cluster.key(&secret).await.map_err(of_access_error)?).map_err(usage)?,
        }
    };
    let access = cluster.access(&endpoint, args.port_forward).await.map_err(of_access_error)?;
    let address = resolve(Some(&access.address), DEFAULT_SERVER, &query(args)).map_err(usage)?;
    if let Some(renewal) = &renewal {
        notice(format_args!("as logged in at {}", renewal.login().request.issuer));
    }
    let way = if access.port_forward.is_some() { ", through the API server" } else { "" };
    notice(format_args!("StreamEndpoint {} in namespace {}{way}", endpoint.name_any(), cluster.namespace()));
    Ok(Found {
        address,
        route: access.port_forward.map_or(Route::Direct, |forward| Route::PortForward(Box::new(forward))),
        credential,
        renewal,
    })
}

/// The credential of the command line or the environment.
fn given(args: &StreamArgs) -> Result<Credential, Failure> {
    let access = &args.access;
    let given = Given { key: access.key.as_deref(), token: access.token.as_deref(), anonymous: access.anonymous };
    choose(given, |name| std::env::var(name).ok()).map_err(usage)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn usage(message: impl ToString) -> Failure {
    Failure { kind: FailureKind::Usage, message: message.to_string() }
}

fn of_cluster_error(error: &ClusterError) -> Failure {
    let kind = if error.is_unreachable() { FailureKind::NotConnected } else { FailureKind::Refused };
    Failure { kind, message: error.to_string() }
}

fn of_access_error(error: AccessError) -> Failure {
    match error {
        AccessError::Cluster(error) => of_cluster_error(&error),
        other => Failure { kind: FailureKind::Refused, message: other.to_string() },
    }
}

fn query(args: &StreamArgs) -> Query {
    let mut parameters = Vec::new();
    let mut add = |name: &str, value: Option<&String>| {
        parameters.extend(value.map(|value| (name.to_owned(), value.clone())));
    };
    add("type", args.event_type.as_ref());
    add("filter.device", args.device.as_ref());
    add("metadata", args.metadata.then(|| "kafka".to_owned()).as_ref());
    for (attribute, value) in &args.filters {
        parameters.push((format!("filter.{attribute}"), value.clone()));
    }
    Query { channel: args.channel.clone(), parameters }
}

/// Whether a host of a URL is this machine.
pub(super) fn is_local(host: Option<&str>) -> bool {
    host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

fn tell(summary: Summary) {
    let Summary { events, gaps, reconnects } = summary;
    notice(format_args!("{events} event(s), {gaps} gap(s), {reconnects} reconnect(s)"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::cluster::fake::{self, ApiServer};
    use clap::Parser as _;
    use k8s_openapi::ByteString;
    use serde_json::json;

    fn arguments(line: &str) -> StreamArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Stream(args) => args,
            _ => unreachable!("parsed as another command"),
        }
    }

    fn parameters(line: &str) -> Query {
        query(&arguments(line))
    }

    /// Where the line means, with or without HEADGATE_SERVER.
    fn meant(line: &str, variable: Option<&str>) -> Result<Place, String> {
        let mut args = arguments(line);
        if args.server.is_none() {
            args.server = variable.map(str::to_owned);
        }
        place(&args, variable).map_err(|failure| failure.message)
    }

    #[test]
    fn what_was_said_decides_where_a_name_is_looked_for() {
        let server = |url: &str| Ok(Place::Server(url.to_owned()));
        assert_eq!(meant("headgate stream orders", None), Ok(Place::Open));
        assert_eq!(meant("headgate stream", None), Ok(Place::Open));
        assert_eq!(meant("headgate stream ws://h/orders", None), Ok(Place::Address));
        assert_eq!(meant("headgate stream ws://h/orders", Some("http://s")), Ok(Place::Address));
        assert_eq!(meant("headgate stream orders --local", Some("http://s")), server(DEFAULT_SERVER));
        assert_eq!(meant("headgate stream orders --server http://s", None), server("http://s"));
        assert_eq!(meant("headgate stream orders", Some("http://s")), server("http://s"));
        for option in ["-N shop", "--context c", "--kubeconfig f", "--key-name web", "--port-forward"] {
            assert_eq!(meant(&format!("headgate stream orders {option}"), Some("http://s")), Ok(Place::Cluster));
        }
    }

    #[test]
    fn two_places_at_once_are_refused() {
        for line in ["orders --local -N shop", "orders --server http://s -N shop", "ws://h/orders -N shop"] {
            assert!(meant(&format!("headgate stream {line}"), None).is_err(), "{line}");
        }
    }

    #[test]
    fn without_a_name_there_must_be_only_one_stream() {
        let apps = |names: &[&str]| only_one(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!((apps(&[]), apps(&["orders"])), (Ok(()), Ok(())));
        let several = apps(&["orders", "sensors"]).unwrap_err();
        assert_eq!(several.kind, FailureKind::Usage);
        assert!(several.message.ends_with("name one of orders, sensors"), "{}", several.message);
    }

    #[tokio::test]
    async fn an_endpoint_brings_its_address_and_its_key() {
        let server = ApiServer::new();
        let mut orders = fake::endpoint("shop", "orders");
        orders["status"] = json!({
            "url": "ws://orders-gateway.shop.svc.cluster.invalid:8080/orders",
            "keys": [{ "name": "default", "state": "Active", "secretRef": { "name": "orders-key-default" } }],
        });
        server.then("GET", "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders", orders);
        let data = json!({ "api-key": ByteString(b"brought-key-of-mine".to_vec()) });
        let secret = json!({ "metadata": { "name": "orders-key-default" }, "data": data });
        server.then("GET", "/api/v1/namespaces/shop/secrets/orders-key-default", secret);
        let args = arguments("headgate stream orders -N shop --key-name default --type t");
        let found = of_cluster(&args, &server.cluster("shop")).await.unwrap();
        let address = "ws://orders-gateway.shop.svc.cluster.invalid:8080/orders?format=cloudevents&type=t";
        assert_eq!(found.address, address);
        assert!(matches!(found.route, Route::PortForward(_)));
        assert!(found.credential == from_key("brought-key-of-mine").unwrap());
    }

    #[test]
    fn channel_and_device_are_two_different_filters() {
        let query = parameters("headgate stream orders --channel eu --device till-3 --type t --filter a.prefix=b");
        assert_eq!(query.channel.as_deref(), Some("eu"));
        let expected = [("type", "t"), ("filter.device", "till-3"), ("filter.a.prefix", "b")];
        assert_eq!(query.parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn only_this_machine_is_local() {
        assert!(["localhost", "127.0.0.1", "127.9.9.9", "[::1]"].into_iter().all(|host| is_local(Some(host))));
        assert!(["example.com", "10.0.0.1", "localhost.example.com"].into_iter().all(|host| !is_local(Some(host))));
    }
}
