//! A lab for experiments: in a temporary folder, on free ports, with wires between the services and
//! what they need, and a journal of everything that the producers hand over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::faults;
use chassis::kafka::admin::{self, Inspector, Watermarks};
use chassis::kafka::journal::{self, Entry};
use nix::sys::signal::Signal;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use schemas::DLQ_TOPIC;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::build::Programs;
use super::disk::SmallDisk;
use super::scenario::{Component, Fault, LabWish, Need, State, Wired};
use super::wire::Wire;
use crate::Context;
use crate::cli::Backend;
use crate::components::broker::{BrokerChoice, Chosen};
use crate::components::{Detour, Part, SideDoor};
use crate::lab::{self, UpOptions};
use crate::output::Output;
use crate::ports::{self, PortPolicy};
use crate::process::Identity;
use crate::state::LabState;
use crate::verbs::clean;
use crate::verify::settle::event_topics;

/// The front of the name of each experiment's folder; the pid of its owner follows.
const PREFIX: &str = "edalab-chaos-";

/// What a lab is for: the same lab serves all faults that want the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub backend: Backend,
    pub broker: BrokerChoice,
    pub brokers: u32,
    pub wish: LabWish,
    /// bancaire with its fail points.
    pub holds: bool,
    /// A deliberate defect, of bancaire or the simulator.
    pub mutant: Option<String>,
}

impl Shape {
    /// What a fault wants. `broker` is the user's wish.
    ///
    /// # Errors
    /// When that broker is not to be had.
    pub async fn of(
        ctx: &Context,
        fault: &Fault,
        broker: Option<BrokerChoice>,
    ) -> anyhow::Result<Self> {
        let docker = fault.needs.contains(&Need::Docker);
        let broker = if docker || fault.needs.contains(&Need::Kafka) {
            BrokerChoice::Kafka
        } else {
            Chosen::by(ctx, broker).await?.broker
        };
        Ok(Self {
            backend: if docker {
                Backend::Docker
            } else {
                Backend::Embedded
            },
            broker,
            brokers: if docker { 3 } else { 1 },
            wish: fault.lab.clone(),
            holds: fault.holds(),
            mutant: None,
        })
    }

    /// Whether a lab of the one shape can be made one of the other by a restart of its services.
    fn serves(&self, other: &Self) -> bool {
        let infra = |shape: &Self| {
            (
                shape.backend,
                shape.broker,
                shape.brokers,
                shape.wish.postgres_mb,
            )
        };
        infra(self) == infra(other) && !self.wish.own && !other.wish.own
    }
}

/// A lab that runs.
pub struct ChaosLab {
    pub ctx: Context,
    pub lab: LabState,
    pub shape: Shape,
    pub wires: BTreeMap<Wired, Wire>,
    pub pool: PgPool,
    pub inspector: Inspector,
    pub disk: Option<SmallDisk>,
    /// Where fail points are armed.
    pub faults_dir: PathBuf,
    journal: PathBuf,
    journal_from: u64,
    options: UpOptions,
    programs: Programs,
}

impl ChaosLab {
    /// Brings one up.
    ///
    /// # Errors
    /// When a part does not come up; what was started is stopped again.
    pub async fn start(
        ctx: &Context,
        shape: Shape,
        programs: &Programs,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let dir = new_folder()?;
        let mut own = ctx.clone();
        own.lab_dir = dir;
        own.backend = shape.backend;
        own.out = Output::silent();
        let started = Self::start_in(own.clone(), shape, programs, stop).await;
        if started.is_err() {
            remove(&own).await?;
        }
        started
    }

    async fn start_in(
        ctx: Context,
        shape: Shape,
        programs: &Programs,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let ports = free_ports()?;
        let port = |name: &str| ports[name];
        let mut wires = BTreeMap::new();
        for (wired, name) in [
            (Wired::Postgres, "postgres"),
            (Wired::Registry, "registry"),
            (Wired::Kafka, "side"),
        ] {
            let has_side_door =
                shape.broker == BrokerChoice::Kafka && shape.backend == Backend::Embedded;
            if wired != Wired::Kafka || has_side_door {
                wires.insert(wired, Wire::to(port(name)).await?);
            }
        }
        let faults_dir = ctx.lab_dir.join("faults");
        std::fs::create_dir_all(&faults_dir).context("failed to create the faults' folder")?;
        let journal = ctx.lab_dir.join("journal.jsonl");
        let side_door = wires.get(&Wired::Kafka).map(|wire| SideDoor {
            listens: port("side"),
            announced: wire.port,
        });
        let disk = match shape.wish.postgres_mb {
            0 => None,
            mb => Some(SmallDisk::mount(&ctx, mb)?),
        };
        let mut asked = ports.clone();
        asked.remove("side");
        let options = UpOptions {
            parts: Part::ALL
                .into_iter()
                .filter(|part| *part != Part::Gateway)
                .collect(),
            build: false,
            ports: PortPolicy::Free,
            asked_ports: asked,
            broker: (shape.backend == Backend::Embedded).then_some(shape.broker),
            brokers: (shape.brokers > 1).then_some(shape.brokers),
            workers: Some(shape.wish.workers.max(1)),
            detour: Detour {
                kafka: side_door,
                ..Detour::default()
            },
            stop: stop.clone(),
            ..UpOptions::default()
        };
        let mut options = options;
        detour(
            &mut options.detour,
            &shape,
            &wires,
            (&journal, &faults_dir),
            programs,
        );
        let lab = lab::up(&ctx, options.clone()).await?;
        // The first `up` decided; later ones find what there is.
        options.asked_ports.clear();
        Ok(Self {
            pool: chassis::postgres::connect(&lab.postgres())?,
            inspector: Inspector::new(&lab.kafka())?,
            lab,
            shape,
            wires,
            disk,
            faults_dir,
            journal,
            journal_from: 0,
            options,
            programs: programs.clone(),
            ctx,
        })
    }

    /// Starts what does not run among `parts`.
    async fn up(&mut self, parts: Vec<Part>) -> anyhow::Result<()> {
        let options = UpOptions {
            parts,
            ..self.options.clone()
        };
        self.lab = lab::up(&self.ctx, options).await?;
        Ok(())
    }

    /// True when this lab can be made one of that shape by [`ChaosLab::reset`].
    pub fn serves(&self, shape: &Shape) -> bool {
        self.shape.serves(shape) && self.infra_is_well()
    }

    fn infra_is_well(&self) -> bool {
        let infra = Part::INFRA.into_iter();
        infra
            .flat_map(|part| self.lab.components_of(part))
            .all(|component| {
                component.is_alive()
                    && (component.container.is_some() || !component.identity().is_suspended())
            })
    }

    /// Empties logs and tables, so that the next verdict is about the next fault alone, and restarts
    /// the services as `shape` wants them.
    ///
    /// # Errors
    /// When the broker or PostgreSQL refuses.
    pub async fn reset(&mut self, shape: Shape) -> anyhow::Result<()> {
        for wire in self.wires.values() {
            wire.set(State::Through);
        }
        let services = ["bancaire", "simulator"].map(str::to_owned);
        lab::stop_named(&self.ctx, &services).await?;
        self.empty_logs().await?;
        sqlx::raw_sql(
            "TRUNCATE bancaire.comptes, bancaire.transactions, bancaire.flux, bancaire.parques,
                 bancaire.outbox",
        )
        .execute(&self.pool)
        .await
        .context("failed to empty the tables")?;
        for entry in std::fs::read_dir(&self.faults_dir)?.flatten() {
            std::fs::remove_file(entry.path())?;
        }
        self.journal_from = std::fs::metadata(&self.journal).map_or(0, |m| m.len());
        self.options.workers = Some(shape.wish.workers.max(1));
        self.shape = shape;
        let files = (self.journal.as_path(), self.faults_dir.as_path());
        let told = &mut self.options.detour;
        detour(told, &self.shape, &self.wires, files, &self.programs);
        self.up(vec![Part::Simulator, Part::Bancaire]).await
    }

    async fn empty_logs(&self) -> anyhow::Result<()> {
        let config = self.lab.kafka();
        let client = chassis::kafka::client_config(&config, "edalab-chaos");
        let admin: AdminClient<DefaultClientContext> =
            client.create().context("failed to create a Kafka client")?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let marks = self.inspector.watermarks(&event_topics()).await?;
        let mut ends = TopicPartitionList::new();
        for ((topic, partition), (low, high)) in &marks {
            if low < high {
                ends.add_partition_offset(topic, *partition, Offset::Offset(*high))?;
            }
        }
        if ends.count() > 0 {
            let deleted = admin.delete_records(&ends, &options).await;
            for element in deleted.context("failed to empty the logs")?.elements() {
                element.error().context("failed to empty a log")?;
            }
        }
        // Dead letters are known by the place of their original, and a log that begins later counts
        // as one from which letters were taken: so this topic is made anew.
        admin
            .delete_topics(&[DLQ_TOPIC], &options)
            .await
            .context("failed to delete the dead letters")?;
        let topics = schemas::catalogue();
        let began = Instant::now();
        loop {
            let made = admin::ensure_topics(&config, &topics, self.lab.replication()).await;
            let marks = self.inspector.watermarks(&[DLQ_TOPIC]).await;
            let is_new = marks
                .is_ok_and(|marks| !marks.is_empty() && marks.values().all(|mark| *mark == (0, 0)));
            if made.is_ok() && is_new {
                return Ok(());
            }
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(20),
                "the topic of dead letters is not made anew: {made:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything that the producers handed over since the last reset.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn journal(&self) -> anyhow::Result<Vec<Entry>> {
        if !self.journal.is_file() {
            return Ok(Vec::new());
        }
        journal::read(&self.journal, self.journal_from)
    }

    /// A producer of our own writes into the same one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_journal(&self) -> anyhow::Result<journal::Journal> {
        journal::Journal::open(&self.journal)
    }

    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, component: &Component, signal: Signal) -> anyhow::Result<()> {
        let sent = lab::kill_component(&self.ctx, &component.0, signal).await;
        sent.map(drop)
    }

    /// # Errors
    /// When it does not stop.
    pub async fn stop(&self, component: &Component) -> anyhow::Result<()> {
        let stopped = lab::stop_named(&self.ctx, std::slice::from_ref(&component.0)).await;
        stopped.map(drop)
    }

    /// Starts what does not run of a part.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_part(&mut self, part: Part) -> anyhow::Result<()> {
        self.up(vec![part]).await
    }

    /// # Errors
    /// When one does not start or stop.
    pub async fn workers(&mut self, count: u32) -> anyhow::Result<()> {
        if count < self.ctx.lab()?.workers {
            lab::scale_down(&self.ctx, count).await?;
        }
        self.options.workers = Some(count);
        self.up(vec![Part::Bancaire]).await
    }

    /// Where the logs end.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn marks(&self) -> anyhow::Result<Watermarks> {
        self.inspector.watermarks(&event_topics()).await
    }

    /// Records up to `marks` that bancaire has not handled.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn behind(&self, marks: &Watermarks) -> anyhow::Result<i64> {
        let query = sqlx::query_as("SELECT topic, partition, next_offset FROM bancaire.flux");
        let asked = tokio::time::timeout(Duration::from_secs(5), query.fetch_all(&self.pool));
        let stored: Vec<(String, i32, i64)> = asked.await.context("PostgreSQL is silent")??;
        let next: BTreeMap<(String, i32), i64> = stored
            .into_iter()
            .map(|(topic, partition, next)| ((topic, partition), next))
            .collect();
        let behind = marks.iter().map(|(place, (low, high))| {
            let next = next.get(place).copied().unwrap_or(*low);
            (high - next).max(0)
        });
        Ok(behind.sum())
    }

    /// Stops it and removes everything that it was.
    ///
    /// # Errors
    /// When something of it is left.
    pub async fn end(self) -> anyhow::Result<()> {
        self.pool.close().await;
        let ctx = self.ctx.clone();
        remove(&ctx).await
    }
}

/// A folder that PostgreSQL's user may pass, whoever that is.
fn new_folder() -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("{PREFIX}{}-{number}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let made = std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)));
    made.with_context(|| format!("failed to create {}", dir.display()))?;
    Ok(dir)
}

/// Stops a lab and removes its folder, and what was mounted below it.
async fn remove(ctx: &Context) -> anyhow::Result<()> {
    lab::down(ctx).await?;
    SmallDisk::unmount_all(&ctx.lab_dir);
    clean::remove(ctx, true).await?;
    match std::fs::remove_dir_all(&ctx.lab_dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", ctx.lab_dir.display()))
        }
        _ => Ok(()),
    }
}

/// Ends what experiments left behind that were killed themselves.
///
/// # Errors
/// When something does not end.
pub async fn sweep(ctx: &Context) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(std::env::temp_dir())?.flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(owner_of) else {
            continue;
        };
        if Identity::of(owner).is_none() && is_ours(&entry.path()) {
            ctx.out.line(format_args!(
                "Removes {}, which an experiment left behind",
                entry.path().display()
            ));
            let mut own = ctx.clone();
            own.lab_dir = entry.path();
            own.out = Output::silent();
            remove(&own).await?;
        }
    }
    Ok(())
}

fn owner_of(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .is_ok_and(|m| m.is_dir() && m.uid() == nix::unistd::geteuid().as_raw())
}

fn free_ports() -> anyhow::Result<BTreeMap<String, u16>> {
    // All that the lab may need, so that none of them is chosen twice.
    let names = Part::ALL.map(Part::name).into_iter();
    let more = [
        "kafka_controller",
        "kafka-2",
        "kafka-3",
        "bancaire-2",
        "bancaire-3",
        "side",
    ];
    let wanted: Vec<(&str, u16)> = names.chain(more).map(|name| (name, 0)).collect();
    let none = BTreeMap::new();
    let chosen = ports::choose(&wanted, &none, &none, PortPolicy::Free, ports::is_free);
    let chosen = chosen.map_err(|_| anyhow::anyhow!("no free ports"))?;
    Ok(chosen.into_iter().map(|c| (c.name, c.port)).collect())
}

/// What the services are told, and which programs they are, from the shape.
fn detour(
    detour: &mut Detour,
    shape: &Shape,
    wires: &BTreeMap<Wired, Wire>,
    (journal, faults_dir): (&Path, &Path),
    programs: &Programs,
) {
    let mut env: BTreeMap<Part, BTreeMap<String, String>> = BTreeMap::new();
    let mut tell = |part, name: &str, value: String| {
        env.entry(part).or_default().insert(name.into(), value);
    };
    for (wired, wire) in wires {
        let at = format!("127.0.0.1:{}", wire.port);
        match wired {
            Wired::Kafka => {
                tell(Part::Bancaire, "KAFKA_BOOTSTRAP_SERVERS", at.clone());
                tell(Part::Simulator, "KAFKA_BOOTSTRAP_SERVERS", at);
            }
            Wired::Postgres => tell(Part::Bancaire, "POSTGRES_PORT", wire.port.to_string()),
            Wired::Registry => tell(
                Part::Bancaire,
                "SCHEMA_REGISTRY_URL",
                format!("http://{at}"),
            ),
        }
    }
    let text = |path: &Path| path.display().to_string();
    tell(Part::Simulator, "SIMULATOR_JOURNAL", text(journal));
    tell(Part::Bancaire, faults::FOLDER, text(faults_dir));
    if let Some(mutant) = &shape.mutant {
        tell(Part::Bancaire, faults::MUTANT, mutant.clone());
        tell(Part::Simulator, faults::MUTANT, mutant.clone());
    }
    for (component, vars) in &shape.wish.env {
        for (name, value) in vars {
            tell(component.part(), name, value.clone());
        }
    }
    detour.env = env;
    detour.programs = match &programs.faulty {
        Some(faulty) if shape.holds || shape.mutant.is_some() => faulty.clone(),
        _ => BTreeMap::new(),
    };
}
