//! Apache Kafka as one child JVM, broker and controller in one (KRaft).
//!
//! [`java`] finds the JVM, [`jars`] the classes, [`archive`] makes their start quick. Its data is
//! a folder under the lab's, which survives a stop and a kill -9.

mod archive;
pub mod jars;
mod java;
mod probe;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
pub use java::Java;
pub use probe::{PROBE_TOPIC, answers, round_trip, round_trip_replicated};
use uuid::Uuid;

use super::{Part, SideDoor, Site, observability, wait_ready};
use crate::Context;
use crate::output::Step;
use crate::process::Launch;
use crate::state::ComponentState;

/// Recovery after a kill -9 logs as it goes, which counts as progress.
const PATIENCE: Duration = Duration::from_secs(90);

const SETTINGS: &str = include_str!("../../../../infra/kafka/server.properties");
const LOGGING: &str = include_str!("../../../../infra/kafka/log4j.properties");

/// A Kafka that can be started here.
#[derive(Debug)]
pub struct Kafka {
    java: Java,
    jars: jars::Jars,
    /// Classes that the JVM need not parse and verify again.
    archive: Option<PathBuf>,
}

impl Kafka {
    /// Finds Java and Kafka's jars, fetching the latter once.
    ///
    /// # Errors
    /// Naming what is missing and how to get it.
    pub async fn prepare(ctx: &Context, step: &Step) -> anyhow::Result<Self> {
        let java = Java::find().await?;
        let jars = jars::find_or_fetch(ctx, step).await?;
        let mut kafka = Self {
            java,
            jars,
            archive: None,
        };
        kafka.archive = archive::find_or_make(ctx, &kafka, step).await;
        Ok(kafka)
    }

    /// `Kafka 3.9.2 on Java 17`.
    pub fn describe(&self) -> String {
        format!("Kafka {} on Java {}", self.jars.version, self.java.major)
    }

    /// Starts it on the lab's data.
    ///
    /// # Errors
    /// When the data is another version's or somebody else's, or the JVM does not start.
    pub fn start(&self, site: &Site) -> anyhow::Result<ComponentState> {
        let home = site.ctx.lab_dir.join("kafka");
        let data = home.join("data");
        format_once(&data, &self.jars.version)?;
        let ports = (site.lab.port("kafka"), site.lab.port("kafka_controller"));
        self.write_settings(&home, &data, ports, site.detour.kafka)?;
        let launch = Launch {
            program: self.java.program.clone(),
            args: self.arguments(&home, self.options(site)),
            env: environment(),
            dir: home,
            log: site.log(Part::Kafka),
            user: None,
        };
        let identity = launch.spawn(&site.ctx.lab_dir)?;
        Ok(site.record(Part::Kafka, &identity, site.lab.kafka_bootstrap()))
    }

    /// The class archive, the agent that shows the broker's figures, and what the user adds.
    fn options(&self, site: &Site) -> Vec<OsString> {
        let mut options: Vec<OsString> = self.archive.iter().map(use_archive).collect();
        if let Some(agent) = &site.lab.jmx_agent {
            let agent = observability::agent_option(
                &agent.display().to_string(),
                "127.0.0.1:",
                site.lab.port("kafka_jmx"),
                &observability::agent_config(&site.ctx).display().to_string(),
            );
            options.push(agent.into());
        }
        // Last: of two options that say the same thing the later one counts.
        let more = std::env::var("EDALAB_KAFKA_JVM").unwrap_or_default();
        options.extend(more.split_whitespace().map(OsString::from));
        options
    }

    fn write_settings(
        &self,
        home: &Path,
        data: &Path,
        ports: (u16, u16),
        side_door: Option<SideDoor>,
    ) -> anyhow::Result<()> {
        let (port, controller) = ports;
        // The later of two lines with the same name counts.
        let (map, listener, announced) = match side_door {
            Some(door) => (
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
                 SIDE:PLAINTEXT\n",
                format!(",SIDE://127.0.0.1:{}", door.listens),
                format!(",SIDE://127.0.0.1:{}", door.announced),
            ),
            None => ("", String::new(), String::new()),
        };
        let settings = format!(
            "{SETTINGS}\n{map}\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listener}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{announced}\n\
             log.dirs={}\n",
            data.display()
        );
        for (name, text) in [
            ("server.properties", settings.as_str()),
            ("log4j.properties", LOGGING),
        ] {
            let path = home.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        Ok(())
    }

    fn arguments(&self, home: &Path, options: Vec<OsString>) -> Vec<OsString> {
        let mut args: Vec<OsString> = [
            // C1 alone: half the start time and memory, enough for a lab's load.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xms64m",
            "-Xmx256m",
            "-Xss512k",
            // Better dead and restarted than alive and deaf.
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
        ]
        .map(OsString::from)
        .into();
        args.extend(options);
        let mut logging = OsString::from("-Dlog4j.configuration=file:");
        logging.push(home.join("log4j.properties"));
        args.push(logging);
        args.extend(self.jars.extra_arguments(home));
        args.extend(["-cp".into(), self.jars.class_path(), "kafka.Kafka".into()]);
        args.push(home.join("server.properties").into());
        args
    }
}

fn use_archive(archive: &PathBuf) -> OsString {
    let mut option = OsString::from("-XX:SharedArchiveFile=");
    option.push(archive);
    option
}

fn environment() -> Vec<(String, String)> {
    // glibc would keep an arena per thread; the JVM has many that hardly allocate.
    vec![("MALLOC_ARENA_MAX".into(), "2".into())]
}

/// True when this lab has records in a Kafka of its own.
pub fn has_data(ctx: &Context) -> bool {
    ctx.lab_dir.join("kafka/data/meta.properties").is_file()
}

/// Whether Kafka can run here without installing anything.
///
/// # Errors
/// What is missing, in a few words.
pub async fn at_hand(ctx: &Context) -> Result<String, String> {
    let java = Java::find().await.map_err(|e| {
        let said = format!("{e:#}");
        said.split([';', '.']).next().unwrap_or_default().to_owned()
    })?;
    match jars::at_hand(ctx) {
        Some(jars) => Ok(format!("Java {} and {jars} are here", java.major)),
        None => Err("neither Kafka's jars nor Maven to fetch them are here".into()),
    }
}

/// Waits until every broker answers and a produced record comes back.
pub async fn ready(site: &Site, brokers: &[ComponentState], step: &Step) -> anyhow::Result<()> {
    for broker in brokers {
        wait_ready(broker, step, PATIENCE, || answers(broker.port)).await?;
    }
    let component = brokers.first().context("there is no broker")?;
    let kafka = site.lab.kafka();
    let replication = site.lab.replication();
    let trip = || round_trip_replicated(&kafka, replication);
    wait_ready(component, step, PATIENCE, trip).await
}

/// Gives a new data folder its identity, as Kafka's own `StorageTool` does, without a second JVM;
/// the metadata version is then Kafka's default. Looks whether an old folder fits.
fn format_once(data: &Path, version: &str) -> anyhow::Result<()> {
    let way_out = "`cargo xtask clean` removes the lab's data";
    let meta = data.join("meta.properties");
    let made_by = data.with_file_name("version");
    if meta.is_file() {
        let text = std::fs::read_to_string(&meta)
            .with_context(|| format!("failed to read {}", meta.display()))?;
        let fits = ["version=1", "node.id=1"]
            .iter()
            .all(|line| text.lines().any(|l| l == *line));
        anyhow::ensure!(
            fits && text.contains("cluster.id="),
            "{} is not the lab's: {way_out}",
            meta.display()
        );
        let old = std::fs::read_to_string(&made_by).unwrap_or_default();
        anyhow::ensure!(
            may_read(version, old.trim()),
            "{} was made by another version: Kafka {}, and this is {version}; {way_out}",
            data.display(),
            old.trim()
        );
    } else {
        let is_empty = std::fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
        anyhow::ensure!(
            is_empty,
            "{} holds data but no meta.properties; {way_out}",
            data.display()
        );
        std::fs::create_dir_all(data)
            .with_context(|| format!("failed to create {}", data.display()))?;
        let text = format!(
            "version=1\ncluster.id={}\nnode.id=1\ndirectory.id={}\n",
            kafka_id(),
            kafka_id()
        );
        let beside = data.with_file_name("meta.properties.new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, &meta))
            .with_context(|| format!("failed to write {}", meta.display()))?;
    }
    std::fs::write(&made_by, version)
        .with_context(|| format!("failed to write {}", made_by.display()))
}

/// A UUID as Kafka writes it: URL-safe base64 without padding.
pub fn kafka_id() -> String {
    use base64::Engine;
    loop {
        let id = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
        // Command-line tools would take it for an option.
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// Kafka reads what an older one wrote, not what a newer one did.
fn may_read(ours: &str, made_by: &str) -> bool {
    let number = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    match (number(ours), number(made_by)) {
        (Some(ours), Some(made_by)) => ours >= made_by,
        _ => made_by.is_empty() || ours == made_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_is_formatted_once_and_refused_when_it_does_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        format_once(&data, "3.9.2").unwrap();
        let first = std::fs::read_to_string(data.join("meta.properties")).unwrap();
        format_once(&data, "4.1.0").unwrap();
        let second = std::fs::read_to_string(data.join("meta.properties")).unwrap();
        assert_eq!(first, second);
        let newer = format_once(&data, "3.9.2").unwrap_err().to_string();
        assert!(
            newer.contains("another version") && newer.contains("clean"),
            "{newer}"
        );
        std::fs::write(data.join("meta.properties"), "version=1\nnode.id=2\n").unwrap();
        assert!(format_once(&data, "4.1.0").is_err());
        std::fs::remove_file(data.join("meta.properties")).unwrap();
        std::fs::write(data.join("topic-0"), "").unwrap();
        let stray = format_once(&data, "4.1.0").unwrap_err().to_string();
        assert!(stray.contains("no meta.properties"), "{stray}");
    }

    #[test]
    fn ids_are_kafkas() {
        for _ in 0..200 {
            let id = kafka_id();
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with('-'));
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(may_read("3.10.0", "3.9.2"));
        assert!(may_read("3.9.1", "3.9.2"));
        assert!(!may_read("3.9.2", "4.0.0"));
        assert!(may_read("3.9.2", ""));
    }
}
