//! Apache Kafka: its jars through Maven, and a class archive that makes every start faster.
//!
//! It installs only; brokers are started by the tests' harness.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::Task;
use crate::{cache, process, progress, workspace};

/// The archive must lie beside the jars, under this name: the harness looks for it there.
const ARCHIVE: &str = "kafka.jsa";
/// How long the broker runs that is watched for the archive; it is up after three seconds.
const WATCHED_SECONDS: &str = "8";

/// A broker that only has to start.
const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:19990
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:19990,PLAINTEXT://127.0.0.1:19991
offsets.topic.replication.factor=1
";

/// Gives the folder of the jars.
pub(super) fn set_up() -> Result<PathBuf> {
    let sources = workspace::root()?.join("tests/servers/kafka");
    let pom = fs::read(sources.join("pom.xml")).context("cannot read the pom of Kafka")?;
    let lib = cache::entry("kafka", &[&pom], |folder| {
        let mut mvn = Command::new("mvn");
        mvn.args(["-B", "-ntp", "dependency:copy-dependencies"]).current_dir(&sources);
        mvn.arg(prefixed("-DoutputDirectory=", folder));
        process::quiet(&mut mvn)
    })?;
    if !lib.join(ARCHIVE).is_file() {
        let task = Task::start("making Kafka's class archive");
        let outcome = archive(&lib);
        task.end(outcome.is_ok());
        if let Err(error) = outcome {
            progress::note(&format!("brokers start a little slower without it: {error:#}"));
        }
    }
    Ok(lib)
}

/// Runs a broker for a short while; Java writes the archive when it ends.
fn archive(lib: &Path) -> Result<()> {
    let scratch = lib.join(format!("archive.{}.part", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let outcome = archive_in(lib, &scratch);
    fs::remove_dir_all(&scratch)?;
    outcome
}

fn archive_in(lib: &Path, scratch: &Path) -> Result<()> {
    let properties = scratch.join("server.properties");
    fs::write(&properties, format!("{PROPERTIES}log.dirs={}\n", scratch.join("data").display()))?;
    let class_path = class_path(lib)?;
    let mut format = Command::new("java");
    format.arg("-cp").arg(&class_path).arg("kafka.tools.StorageTool");
    format.args(["format", "--cluster-id", "aGVhZGdhdGUtdGVzdHMtMQ", "--config"]).arg(&properties);
    process::quiet(&mut format)?;

    let archive = scratch.join(ARCHIVE);
    let mut broker = Command::new("timeout");
    // The same garbage collector as in the tests: an archive belongs to one.
    broker.args([WATCHED_SECONDS, "java", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN"]);
    broker.arg(prefixed("-XX:ArchiveClassesAtExit=", &archive));
    broker.arg("-cp").arg(&class_path).arg("kafka.Kafka").arg(&properties);
    // `timeout` always reports that the time was up; whether it worked shows in the file.
    let ended = process::quiet(&mut broker);
    fs::rename(&archive, lib.join(ARCHIVE)).or(ended)
}

/// All jars in the order of their names: the archive belongs to exactly this order.
fn class_path(lib: &Path) -> Result<OsString> {
    let mut jars: Vec<PathBuf> = fs::read_dir(lib)?.flatten().map(|entry| entry.path()).collect();
    jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
    jars.sort();
    std::env::join_paths(jars).context("a path of the jars cannot stand in a class path")
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
