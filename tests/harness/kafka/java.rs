//! The commands that format the storage and run the broker.
//!
//! It only starts `java`; it never downloads: the jars are where `$HEADGATE_KAFKA_LIB` says.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::properties::{FILE, Mechanism, USERS};
use crate::spawn::{Guarded, command};
use crate::tools;

/// A class archive that `cargo xtask setup` makes; it takes a third off every start.
const ARCHIVE: &str = "kafka.jsa";
const LOG: &str = "broker.log";
/// Formatting takes half a second; a loaded machine gets a lot more.
const FORMAT: Duration = Duration::from_mins(1);
const LOG_TAIL_BYTES: usize = 4096;

/// How to run a class of Kafka's jars.
#[derive(Debug)]
pub(super) struct Java {
    class_path: OsString,
    archive: Option<PathBuf>,
}

impl Java {
    pub(super) fn find() -> Result<Self> {
        let lib = tools::kafka_lib()?;
        let entries = fs::read_dir(&lib).with_context(|| format!("no jars in {}", lib.display()))?;
        let mut jars: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
        // The archive belongs to exactly this order.
        jars.sort();
        let class_path = std::env::join_paths(jars).context("a path of the jars cannot stand in a class path")?;
        let archive = Some(lib.join(ARCHIVE)).filter(|path| path.is_file());
        Ok(Self { class_path, archive })
    }

    /// Prepares an empty storage that knows our users.
    pub(super) async fn format(&self, folder: &Path) -> Result<()> {
        let mut command = self.command(folder, "kafka.tools.StorageTool")?;
        command.args(["format", "--cluster-id", "aGVhZGdhdGUtdGVzdHMtMQ", "--config"]).arg(folder.join(FILE));
        for user in USERS {
            for mechanism in Mechanism::SCRAM {
                let (name, password) = (user.name, user.password);
                command.args(["--add-scram", &format!("{}=[name={name},password={password}]", mechanism.name())]);
            }
        }
        let status = Guarded::start("Kafka's StorageTool", command)?.wait(FORMAT).await?;
        ensure!(status.success(), "Kafka's StorageTool failed:\n{}", log_tail(folder));
        Ok(())
    }

    /// Starts the broker.
    pub(super) fn serve(&self, folder: &Path) -> Result<Guarded> {
        let mut command = self.command(folder, "kafka.Kafka")?;
        command.arg(folder.join(FILE));
        Guarded::start("Kafka", command)
    }

    fn command(&self, folder: &Path, class: &str) -> Result<Command> {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join(LOG))?;
        let mut command = command("java");
        command.args(["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.args(["-Djava.net.preferIPv4Stack=true", "-Dlog4j2.level=WARN"]);
        if let Some(archive) = &self.archive {
            let mut option = OsString::from("-XX:SharedArchiveFile=");
            option.push(archive);
            // An archive of another JVM is left aside without a word.
            command.arg(option).arg("-Xlog:disable").arg("-Xlog:all=error:stderr");
        }
        command.arg("-cp").arg(&self.class_path).arg(class);
        command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

/// The end of the broker's log.
pub(super) fn log_tail(folder: &Path) -> String {
    let bytes = fs::read(folder.join(LOG)).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
}
