//! `headgate-operator`: reads its flags, builds the operator, runs it until it is told to stop.

use headgate_operator::App;
use headgate_operator::args::{self, KEY_VARIABLE, Startup, Task};
use headgate_operator::check_websocket::{PATIENCE, check_websocket};
use headgate_process::{memory, shutdown, telemetry, telemetry::LogFormat};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Exit code of flags that cannot work (BSD sysexits, `EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// What is logged unless `RUST_LOG` says otherwise.
/// kube's client warns of an answer that it cannot read with the answer itself, which may be a Secret.
const LOG_FILTER: &str = "info,kube_runtime=warn,kube_client=error";

#[expect(clippy::print_stderr, reason = "where logs cannot be set up, nothing else can say so")]
fn main() -> ExitCode {
    let Startup { log_format, warnings, task } = match args::from_process() {
        Ok(startup) => startup,
        Err(args::ArgsError::Usage(error)) => return usage(&error),
    };
    let on_terminal = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let _logs = match telemetry::init(log_format.unwrap_or(on_terminal), LOG_FILTER) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // If nobody reads it, there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

fn run(task: Task) -> anyhow::Result<()> {
    memory::forbid_core_dumps()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match task {
            Task::Run(options) => {
                let shutdown = shutdown::on_signals()?;
                Ok(App::build(&options).await?.run(shutdown).await?)
            }
            Task::CheckWebsocket { address } => {
                Ok(check_websocket(&address, std::env::var(KEY_VARIABLE).ok().as_deref(), PATIENCE).await?)
            }
        }
    });
    // A name that is still being looked up must not hold up the exit.
    runtime.shutdown_background();
    result
}
