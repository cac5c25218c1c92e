//! `headgate-gateway`: reads its configuration, builds the gateway, runs it until it is told to stop.

use anyhow::Context as _;
use headgate_gateway::config::args::{self, ArgsError, Startup};
use headgate_gateway::{App, Config};
use headgate_process::telemetry::{self, LogFormat};
use headgate_process::{memory, shutdown};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Exit code of a configuration that cannot work (BSD sysexits, `EX_USAGE`).
const EXIT_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    let startup = args::from_process();
    if let Err(ArgsError::Usage(error)) = startup {
        error.exit();
    }
    let on_terminal = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let format = startup.as_ref().ok().and_then(|startup| startup.log_format).unwrap_or(on_terminal);
    let _logs = match telemetry::init(format, "info") {
        Ok(logs) => logs,
        Err(error) => return unheard(&error),
    };
    let prepared = memory::forbid_core_dumps().context("cannot forbid core dumps").and_then(|()| prepare(startup));
    match prepared.map(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error, ExitCode::FAILURE),
        Err(error) => fail(&error, ExitCode::from(EXIT_CONFIGURATION)),
    }
}

#[expect(clippy::print_stderr, reason = "where logs cannot be set up, nothing else can say so")]
fn unheard(error: &telemetry::TelemetryError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(EXIT_CONFIGURATION)
}

fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    tracing::error!("{error:#}");
    code
}

/// Everything that can be wrong before any socket exists.
fn prepare(startup: Result<Startup, ArgsError>) -> anyhow::Result<Config> {
    Ok(startup?.load()?)
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signals().context("signals")?;
    let app = App::build(vec![config]).await?;
    app.run(shutdown).await.context("the gateway ended")
}
