//! `headgate publish`: every record is acknowledged before the command says so.

use crate::args::{EventArgs, PublishArgs};
use crate::kafka::{Delivery, Producer, Stored};
use crate::output::{Output, notice};
use crate::publish::{Attributes, Mode, Template};
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::process::ExitCode;
use tokio::sync::mpsc;

/// Records that wait for their acknowledgement at the same time.
const MAX_IN_FLIGHT: usize = 256;
/// Lines read ahead.
const MAX_LINES_AHEAD: usize = 64;
/// Longest line, in bytes: what a broker takes by default.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Stores the data of the command line, or every line of the standard input.
pub(crate) fn run(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let template = template(args)?;
    let producer = Producer::new(&args.kafka, &args.properties)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.data == "-" {
        if std::io::stdin().is_terminal() {
            notice("one record per line; end with Ctrl-D");
        }
        let stored = runtime.block_on(lines(&producer, &template, read_lines()))?;
        notice(format_args!("{stored} record(s) stored in {}", template.topic));
    } else {
        let stored = runtime.block_on(one(&producer, &template, args.data.as_bytes()))?;
        let mut output = Output::stdout();
        let line = format!("stored in {}: partition {}, offset {}", template.topic, stored.partition, stored.offset);
        output.line(line.as_bytes())?;
        output.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn template(args: &PublishArgs) -> anyhow::Result<Template> {
    let topic = match (&args.topic, &args.app) {
        (Some(topic), _) => topic.clone(),
        (None, Some(app)) => topic_of(app, args)?,
        (None, None) => bail!("name a --topic or an --app"),
    };
    Ok(Template { topic, key: args.key.clone(), headers: args.headers.clone(), mode: mode(&args.event)? })
}

fn mode(args: &EventArgs) -> anyhow::Result<Mode> {
    let attributes = Attributes {
        kind: args.event_type.clone(),
        source: args.source.clone(),
        subject: args.subject.clone(),
        extensions: args.attributes.iter().cloned().collect(),
    };
    attributes.check()?;
    Ok(if args.structured {
        Mode::Structured(attributes)
    } else if attributes == Attributes::default() {
        Mode::Plain
    } else {
        Mode::Binary(attributes)
    })
}

fn topic_of(app: &str, args: &PublishArgs) -> anyhow::Result<String> {
    let documents = crate::dev::manifest::documents(&args.files, true)?;
    let spec = documents.iter().map(|document| &document.value["spec"]).find(|spec| spec["app"] == app);
    let topic = spec.and_then(|spec| spec["topic"].as_str());
    topic.map(str::to_owned).with_context(|| format!("no manifest has the app `{app}`: name its --topic, or a --file"))
}

async fn one(producer: &Producer, template: &Template, data: &[u8]) -> anyhow::Result<Stored> {
    Ok(send(producer, template, data)?.stored_or_told(waiting).await?)
}

fn waiting(cause: &str) {
    notice(format_args!("still waiting for Kafka (--kafka or HEADGATE_KAFKA): {cause}"));
}

async fn lines(
    producer: &Producer,
    template: &Template,
    mut lines: mpsc::Receiver<std::io::Result<Vec<u8>>>,
) -> anyhow::Result<u64> {
    let mut in_flight = VecDeque::with_capacity(MAX_IN_FLIGHT);
    let mut stored = 0;
    while let Some(line) = lines.recv().await {
        if in_flight.len() == MAX_IN_FLIGHT {
            settle(&mut in_flight, &mut stored).await?;
        }
        let line = line.context("failed to read the standard input")?;
        in_flight.push_back(send(producer, template, &line).with_context(|| position(stored, &in_flight))?);
    }
    while !in_flight.is_empty() {
        settle(&mut in_flight, &mut stored).await?;
    }
    Ok(stored)
}

async fn settle(in_flight: &mut VecDeque<Delivery>, stored: &mut u64) -> anyhow::Result<()> {
    if let Some(oldest) = in_flight.pop_front() {
        let stored_one = oldest.stored_or_told(waiting).await;
        stored_one.with_context(|| format!("record {} (all before it are stored)", *stored + 1))?;
        *stored += 1;
    }
    Ok(())
}

fn position(stored: u64, in_flight: &VecDeque<Delivery>) -> String {
    format!("record {}", stored + in_flight.len() as u64 + 1)
}

fn send(producer: &Producer, template: &Template, data: &[u8]) -> anyhow::Result<Delivery> {
    let id = format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?);
    Ok(producer.send(&template.record(data, &id, Timestamp::now())?)?)
}

/// Lines of the standard input without their ends; empty ones are left out. A thread of its own, because a terminal
/// blocks until the next line while acknowledgements arrive.
fn read_lines() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(MAX_LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let line = next_line(&mut input);
            let last = !matches!(line, Ok(Some(_)));
            if let Some(line) = line.transpose() {
                if line.as_ref().is_ok_and(Vec::is_empty) {
                    continue;
                }
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
            if last {
                return;
            }
        }
    });
    receiver
}

fn next_line(input: &mut impl std::io::BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(std::io::Error::other("a line is longer than 1 MiB"));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn parsed(line: &str) -> PublishArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Publish(args) => args,
            _ => unreachable!("parsed as another command"),
        }
    }

    #[test]
    fn any_attribute_makes_an_event_and_none_a_plain_record() {
        let mode_of = |options: &str| mode(&parsed(&format!("headgate publish --kafka k --topic t{options} x")).event);
        assert_eq!(mode_of("").unwrap(), Mode::Plain);
        assert!(matches!(mode_of(" --subject eu").unwrap(), Mode::Binary(_)));
        assert!(matches!(mode_of(" --attribute device=d").unwrap(), Mode::Binary(_)));
        assert!(matches!(mode_of(" --ce-structured").unwrap(), Mode::Structured(_)));
        assert!(mode_of(" --attribute DEVICE=d").is_err());
    }

    #[test]
    fn lines_lose_their_ends_and_an_endless_one_is_refused() {
        let mut input: &[u8] = b"a\r\n\nb";
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!([next(), next(), next(), next()], [Some(b"a".to_vec()), Some(vec![]), Some(b"b".to_vec()), None]);
        let endless = vec![b'x'; MAX_LINE_BYTES as usize + 1];
        assert!(next_line(&mut endless.as_slice()).is_err());
    }
}
