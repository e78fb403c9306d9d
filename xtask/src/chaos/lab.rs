//! A lab for experiments: in a temporary folder, on free ports, with wires between the services and
//! what they need, and a journal of everything that the producers hand over.

mod folder;
mod shape;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::admin::{self, Inspector, Watermarks};
use chassis::kafka::journal::{self, Entry};
use nix::sys::signal::Signal;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use schemas::DLQ_TOPIC;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use self::folder::sweep;
use self::folder::{free_ports, new_folder, remove};
pub use self::shape::Shape;
use self::shape::detour;
use super::build::Programs;
use super::disk::SmallDisk;
use super::scenario::{Component, State, Wired};
use super::wire::Wire;
use crate::Context;
use crate::cli::Backend;
use crate::components::broker::BrokerChoice;
use crate::components::{Detour, Part, SideDoor};
use crate::lab::{self, UpOptions};
use crate::output::Output;
use crate::ports::PortPolicy;
use crate::state::LabState;
use crate::verify::settle::event_topics;

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
