//! What the lab wrote down about itself, in its folder.
//!
//! `state.json` is there while the lab is up: which processes, on which ports. `lab.json` outlives
//! it: the ports of the last run and what belongs to the data. Both are replaced atomically, are
//! readable by their owner only (they hold a password), and are changed under [`Lock`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::config::{KafkaConfig, PostgresConfig, Secret};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::components::external::External;
use crate::components::{Part, instance};
use crate::images::ImageUsed;

/// The layout of `state.json`; another number was written by another version of xtask.
const VERSION: u32 = 1;

/// A lab that is up, or was when its starter died.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabState {
    pub version: u32,
    /// `embedded`, `docker` or `external`.
    pub backend: String,
    /// `kafka`.
    pub broker: String,
    pub started_at: DateTime<Utc>,
    /// Where the services' binaries are.
    pub bin_dir: PathBuf,
    /// False when the lab was started with `--no-build`: then single parts are not built either.
    pub build: bool,
    /// Every part's port, also of parts that do not run.
    pub ports: BTreeMap<String, u16>,
    /// What was started, in that order.
    pub components: Vec<ComponentState>,
    /// How many brokers there are.
    #[serde(default = "one")]
    pub brokers: u32,
    /// How many workers of bancaire share its partitions.
    #[serde(default = "one")]
    pub workers: u32,
    /// True when simulator and bancaire run in containers too.
    #[serde(default)]
    pub container_services: bool,
    /// Where the infrastructure is when it is somebody else's.
    #[serde(default)]
    pub external: Option<External>,
    /// Part → the image that it runs from, for parts in containers.
    #[serde(default)]
    pub images: BTreeMap<String, ImageUsed>,
    /// The JMX exporter's jar, when the broker shows its figures.
    #[serde(default)]
    pub jmx_agent: Option<PathBuf>,
    /// What watches a lab but is not here, and why.
    #[serde(default)]
    pub skipped: BTreeMap<String, String>,
    /// Where the services send their traces, when anywhere.
    #[serde(default)]
    pub otlp: Option<String>,
    /// `json` or `pretty`.
    #[serde(default = "json")]
    pub log_format: String,
    postgres_admin_password: String,
}

fn json() -> String {
    "json".into()
}

/// One process or container of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentState {
    /// `kafka`, `postgres`, `registry`, `simulator`, `bancaire` or `gateway`; further instances of
    /// one part are `kafka-2`, ….
    pub name: String,
    /// 0 when the process is hidden in a container.
    pub pid: u32,
    /// Tells this process from a later one with the same pid.
    pub start_id: String,
    /// The container's id, for what runs in one.
    #[serde(default)]
    pub container: Option<String>,
    pub port: u16,
    pub log: PathBuf,
    /// Where a client connects.
    pub url: String,
    pub started_at: DateTime<Utc>,
    /// From its start until it was ready; 0 while it is not.
    #[serde(default)]
    pub start_ms: u64,
    /// The same, counted from the start of the lab.
    #[serde(default)]
    pub ready_after_ms: u64,
}

/// What is remembered between runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LabMemory {
    /// The ports of the last run, `kafka_controller` among them.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// Of PostgreSQL's superuser, made together with the data.
    #[serde(default)]
    pub postgres_admin_password: String,
    /// PostgreSQL's folder when it could not be under the lab's own.
    #[serde(default)]
    pub postgres_dir: Option<PathBuf>,
    /// True once containers, a network or volumes were made: then `clean` needs the daemon.
    #[serde(default)]
    pub docker: bool,
    /// The identity of Kafka's data in volumes.
    #[serde(default)]
    pub kafka_cluster_id: String,
    /// How many brokers that data was made by; 0 while there is none.
    #[serde(default)]
    pub brokers: u32,
}

fn one() -> u32 {
    1
}

impl LabState {
    pub fn new(broker: &str, memory: &LabMemory, bin_dir: PathBuf, build: bool) -> Self {
        Self {
            version: VERSION,
            backend: "embedded".into(),
            broker: broker.into(),
            started_at: Utc::now(),
            bin_dir,
            build,
            ports: memory.ports.clone(),
            components: Vec::new(),
            brokers: 1,
            workers: 1,
            container_services: false,
            external: None,
            images: BTreeMap::new(),
            jmx_agent: None,
            skipped: BTreeMap::new(),
            otlp: None,
            log_format: json(),
            postgres_admin_password: memory.postgres_admin_password.clone(),
        }
    }

    /// The state in `dir`; `None` when no lab is up there.
    ///
    /// # Errors
    /// When it is unreadable or of another version, with the way out.
    pub fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join("state.json");
        let way_out = || {
            format!(
                "failed to read {}; `cargo xtask clean` removes the lab's data",
                path.display()
            )
        };
        let Some(value) = read_json::<serde_json::Value>(&path).with_context(way_out)? else {
            return Ok(None);
        };
        let version = value["version"].as_u64();
        anyhow::ensure!(
            version == Some(u64::from(VERSION)),
            "{} was made by another version of xtask; `cargo xtask clean` removes the lab's data",
            path.display()
        );
        serde_json::from_value(value)
            .map(Some)
            .with_context(way_out)
    }

    pub fn save(&self, dir: &Path) -> anyhow::Result<()> {
        write_json(&dir.join("state.json"), self)
    }

    /// Forgets the lab, once nothing of it runs.
    pub fn remove(dir: &Path) -> anyhow::Result<()> {
        remove_file_if_there(&dir.join("state.json"))
    }

    pub fn component(&self, name: &str) -> Option<&ComponentState> {
        self.components.iter().find(|c| c.name == name)
    }

    /// Adds a process, or replaces the one of the same name.
    pub fn put(&mut self, component: ComponentState) {
        match self
            .components
            .iter_mut()
            .find(|c| c.name == component.name)
        {
            Some(old) => *old = component,
            None => self.components.push(component),
        }
    }

    /// The port that a part has or would have.
    pub fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(name))
    }
    pub fn gateway_url(&self) -> String {
        self.url("gateway")
    }
    pub fn simulator_url(&self) -> String {
        self.url("simulator")
    }
    pub fn bancaire_url(&self) -> String {
        self.url("bancaire")
    }
    pub fn registry_url(&self) -> String {
        if let Some(external) = &self.external {
            return external.registry_url();
        }
        self.url("registry")
    }
    /// `host:port` of every broker.
    pub fn kafka_bootstrap(&self) -> String {
        if let Some(external) = &self.external {
            return external.bootstrap_servers.clone();
        }
        let broker = |number| format!("127.0.0.1:{}", self.port(&instance(Part::Kafka, number)));
        (1..=self.brokers).map(broker).collect::<Vec<_>>().join(",")
    }

    /// How many instances of a part belong to the lab.
    pub fn instances(&self, part: Part) -> u32 {
        match part {
            Part::Kafka => self.brokers,
            Part::Bancaire => self.workers,
            _ => 1,
        }
    }

    /// The instances of a part that were started.
    pub fn components_of(&self, part: Part) -> impl Iterator<Item = &ComponentState> {
        let of = move |c: &&ComponentState| c.part().is_some_and(|(of, _)| of == part);
        self.components.iter().filter(of)
    }

    /// How many copies of each partition the lab's topics have; -1 leaves it to the cluster.
    pub fn replication(&self) -> i32 {
        match (&self.external, self.brokers) {
            (Some(_), _) => -1,
            (None, 3..) => 3,
            (None, _) => 1,
        }
    }

    pub fn kafka(&self) -> KafkaConfig {
        if let Some(external) = &self.external {
            return external.kafka();
        }
        KafkaConfig {
            bootstrap_servers: self.kafka_bootstrap(),
            auto_offset_reset: "earliest".into(),
            security: Default::default(),
        }
    }

    /// The lab's database as bancaire uses it.
    pub fn postgres(&self) -> PostgresConfig {
        if let Some(external) = &self.external {
            return external.postgres();
        }
        PostgresConfig {
            host: "127.0.0.1".into(),
            port: self.port("postgres"),
            database: "edalab".into(),
            user: "edalab".into(),
            password: Secret::new("edalab_password"),
            max_connections: 2,
        }
    }

    /// The same database as its superuser; in somebody else's, as ourselves.
    pub fn postgres_admin(&self) -> PostgresConfig {
        if let Some(external) = &self.external {
            return external.postgres();
        }
        PostgresConfig {
            user: "postgres".into(),
            password: Secret::new(self.postgres_admin_password()),
            ..self.postgres()
        }
    }

    pub fn postgres_admin_password(&self) -> String {
        self.postgres_admin_password.clone()
    }
}

impl LabMemory {
    /// What the last run left in `dir`, if anything.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("lab.json");
        let memory = read_json(&path).with_context(|| {
            format!(
                "failed to read {}; `cargo xtask clean` removes the lab's data",
                path.display()
            )
        })?;
        Ok(memory.unwrap_or_default())
    }

    pub fn save(&self, dir: &Path) -> anyhow::Result<()> {
        write_json(&dir.join("lab.json"), self)
    }
}

/// Held while a verb changes the lab, so that two of them do not at once.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lab's lock; while another xtask holds it, `waiting` is told its pid, once.
    ///
    /// # Errors
    /// When the other one does not finish within `patience`.
    pub async fn take(
        dir: &Path,
        patience: Duration,
        waiting: impl FnOnce(&str),
    ) -> anyhow::Result<Self> {
        let path = dir.join("lock");
        let mut waiting = Some(waiting);
        let started = Instant::now();
        loop {
            let mut file = open_lock(&path)?;
            match file.try_lock() {
                // `clean` may have removed the file between our opening and our locking it.
                Ok(()) if is_same_file(&file, &path) => {
                    file.set_len(0)
                        .context("failed to write the lock's owner")?;
                    file.rewind().context("failed to write the lock's owner")?;
                    write!(file, "{}", std::process::id())
                        .context("failed to write the lock's owner")?;
                    return Ok(Self { _file: file });
                }
                Ok(()) => continue,
                Err(std::fs::TryLockError::WouldBlock) => {
                    let mut owner = String::new();
                    // Only for the message.
                    let _ = file.read_to_string(&mut owner);
                    if let Some(waiting) = waiting.take() {
                        waiting(&owner);
                    }
                    anyhow::ensure!(
                        started.elapsed() < patience,
                        "another xtask (pid {owner}) is still at work on this lab"
                    );
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(std::fs::TryLockError::Error(e)) => {
                    return Err(e).with_context(|| format!("failed to lock {}", path.display()));
                }
            }
        }
    }
}

fn open_lock(path: &Path) -> anyhow::Result<File> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("failed to open {}", path.display()))
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Writes beside the target and renames, so that a reader or a crash never meets half a file.
fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let dir = path.parent().with_context(failed)?;
    std::fs::create_dir_all(dir).with_context(failed)?;
    let beside = path.with_extension("json.new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .with_context(failed)?;
    serde_json::to_writer_pretty(&mut file, value).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    std::fs::rename(&beside, path).with_context(failed)
}

fn remove_file_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> LabState {
        let memory = LabMemory {
            ports: [("kafka".to_owned(), 19092), ("postgres".to_owned(), 15432)].into(),
            postgres_admin_password: "secret".into(),
            ..LabMemory::default()
        };
        LabState::new("kafka", &memory, "/bin".into(), true)
    }

    fn component(pid: u32) -> ComponentState {
        ComponentState {
            name: "kafka".into(),
            pid,
            start_id: "b:1".into(),
            container: None,
            port: 19092,
            log: "/tmp/kafka.log".into(),
            url: "127.0.0.1:19092".into(),
            started_at: Utc::now(),
            start_ms: 0,
            ready_after_ms: 0,
        }
    }

    #[test]
    fn the_state_survives_a_round_trip_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        assert!(LabState::load(dir.path()).unwrap().is_none());
        let mut state = state();
        state.put(component(1));
        state.put(component(2));
        state.save(dir.path()).unwrap();
        let loaded = LabState::load(dir.path()).unwrap().expect("it was saved");
        assert_eq!(loaded.components, [state.components[0].clone()]);
        assert_eq!(loaded.component("kafka").unwrap().pid, 2);
        assert_eq!(loaded.kafka_bootstrap(), "127.0.0.1:19092");
        assert_eq!(loaded.postgres_admin().port, 15432);
        assert_eq!(loaded.postgres_admin_password(), "secret");
        let mode = std::fs::metadata(dir.path().join("state.json"))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o077, 0, "only its owner reads the password");
        LabState::remove(dir.path()).unwrap();
        LabState::remove(dir.path()).unwrap();
        assert!(LabState::load(dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_broken_or_foreign_state_names_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["{", "{\"version\": 99}", "{\"version\": 1}"] {
            std::fs::write(dir.path().join("state.json"), text).unwrap();
            let error = format!("{:#}", LabState::load(dir.path()).unwrap_err());
            assert!(error.contains("cargo xtask clean"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_lock_excludes_and_names_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path(), Duration::ZERO, |_| ())
            .await
            .unwrap();
        let mut told = String::new();
        let refused = Lock::take(dir.path(), Duration::ZERO, |pid| told = pid.to_owned()).await;
        assert!(refused.is_err());
        assert_eq!(told, std::process::id().to_string());
        drop(held);
        Lock::take(dir.path(), Duration::ZERO, |_| ())
            .await
            .unwrap();
    }
}
