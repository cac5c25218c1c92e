//! `headgate why`: explains why a StreamEndpoint is not ready. The exit code says whether it is.

use crate::args::{EndpointArgs, Format};
use crate::cluster::Cluster;
use crate::output::{self, Output};
use crate::why::{explain, gather, render};
use jiff::Timestamp;
use std::process::ExitCode;

/// Exit code if it could not be found out.
const EXIT_UNKNOWN: u8 = 2;

/// Prints the explanation.
pub(crate) fn run(args: &EndpointArgs) -> anyhow::Result<ExitCode> {
    let gathered = super::block_on(async {
        let cluster = Cluster::connect(&args.cluster).await?;
        Ok(gather(&cluster, &args.name).await?)
    });
    let evidence = match gathered {
        Ok(evidence) => evidence,
        Err(error) => {
            output::error(format_args!("{error:#}"));
            return Ok(ExitCode::from(EXIT_UNKNOWN));
        }
    };
    let now = Timestamp::now();
    let explanation = explain(&evidence, now);
    let mut output = Output::stdout();
    match args.output {
        Format::Json => output.line(&serde_json::to_vec(&explanation)?)?,
        Format::Text => {
            for line in render(&explanation, now) {
                output.line(line.as_bytes())?;
            }
        }
    }
    output.flush()?;
    Ok(if explanation.ready { ExitCode::SUCCESS } else { ExitCode::from(super::EXIT_FAILURE) })
}
