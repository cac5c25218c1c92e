//! `headgate stream`: from arguments to a plan, then follow it.

use crate::args::{StreamArgs, StreamOutput};
use crate::interruption::interruption;
use crate::output::{Output, notice};
use crate::stream::client::{Plan, Summary, follow};
use crate::stream::{
    Credential, Failure, FailureKind, Given, Query, Style, choose, connector, install_provider, resolve,
};
use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Follows the stream until it is done.
pub(crate) fn run(args: &StreamArgs) -> anyhow::Result<ExitCode> {
    install_provider();
    let mut output = Output::stdout();
    let plan = plan(args, &output).map_err(|message| Failure { kind: FailureKind::Usage, message })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(async {
        let stop = interruption()?;
        anyhow::Ok(follow(plan, &mut output, stop).await?)
    })?;
    if args.output == StreamOutput::Pretty {
        tell(summary);
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(args: &StreamArgs, output: &Output) -> Result<Plan, String> {
    let access = &args.access;
    let given = Given { key: access.key.as_deref(), token: access.token.as_deref(), anonymous: access.anonymous };
    let credential = choose(given, |name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    let address = resolve(args.target.as_deref(), &args.server, &query(args)).map_err(|error| error.to_string())?;
    if credential != Credential::Anonymous && address.scheme_str() == Some("ws") && !is_local(address.host()) {
        notice("warning: the credential travels unencrypted; use an https or wss address");
    }
    Ok(Plan {
        address,
        from: args.from.clone(),
        credential,
        connector: connector(access.ca_cert.as_deref()).map_err(|error| error.to_string())?,
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

fn is_local(host: Option<&str>) -> bool {
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
    use clap::Parser as _;

    fn parameters(line: &str) -> Query {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Stream(args) => query(&args),
            _ => unreachable!("parsed as another command"),
        }
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
