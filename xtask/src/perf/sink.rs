//! How fast bancaire drains a backlog into PostgreSQL, beside a plain COPY of the same rows into an
//! identical table, in turn in one run.
//!
//! A run: bancaire is stopped; a backlog of deposits is published; bancaire is started and timed
//! until its stored offsets have reached the logs' ends; the rows that it wrote are read back as CSV
//! and copied, timed, into a table like its own, and into one that refers to the accounts too. All three
//! tables begin alike and grow alike. A checkpoint before each timed part keeps what came before
//! out of it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::KafkaConfig;
use chassis::kafka::admin::{Inspector, Watermarks};
use chrono::{DateTime, Utc};
use load::deposits::Depositor;
use load::{bare, fsync};
use schemas::EventType;
use serde::Serialize;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool};

use super::findings::{Ticking, verified};
use super::machine::CpuTicks;
use super::sink_table::{SinkReport, Summary};
use crate::Context;
use crate::components::Part;
use crate::lab::{self, UpOptions};
use crate::output::Step;
use crate::process;

/// A sink that commits nothing for this long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much is handed to the connection at once.
const COPY_CHUNK: usize = 64 * 1024;
/// How long the disk is asked in each run.
const FSYNC_FOR: Duration = Duration::from_millis(500);
/// The baselines' tables, without and with the reference to the accounts. Dropped at the end.
const COPIES: [&str; 2] = ["bancaire.perf_copie", "bancaire.perf_copie_comptes"];

/// How to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SinkOptions {
    /// Deposits per run.
    pub events: usize,
    pub runs: usize,
    pub accounts: usize,
}

impl SinkOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            events: if quick { 50_000 } else { 1_000_000 },
            runs: if quick { 2 } else { 3 },
            accounts: 1_000,
        }
    }
}

/// One run. Times in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct SinkRun {
    pub rows: usize,
    /// Publishing the backlog.
    pub produce_ms: f64,
    /// From the begin of the first transaction to the last commit.
    pub sink_ms: f64,
    /// From the start of bancaire's process to the last commit.
    pub sink_from_start_ms: f64,
    /// Transactions that wrote the rows.
    pub batches: i64,
    pub copy_ms: f64,
    /// Into the table that has everything that bancaire's own has.
    pub copy_same_ms: f64,
    /// What Kafka gives to a consumer that drops it, records per second.
    pub discard_rate: f64,
    /// Writes of 8 kB that the disk under PostgreSQL makes durable, per second.
    pub fsync_rate: f64,
    pub csv_bytes: usize,
    pub cpu_ms: CpuMs,
    /// Of the whole run: time that a hypervisor gave to others.
    pub steal_percent: f64,
}

/// CPU time that the parts used while the backlog was drained; `None` where it cannot be told.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct CpuMs {
    pub bancaire: Option<u64>,
    pub postgres: Option<u64>,
    pub kafka: Option<u64>,
}

impl SinkRun {
    fn rate(&self, ms: f64) -> f64 {
        self.rows as f64 * 1000.0 / ms
    }
    pub fn sink_rate(&self) -> f64 {
        self.rate(self.sink_ms)
    }
    pub fn sink_rate_from_start(&self) -> f64 {
        self.rate(self.sink_from_start_ms)
    }
    pub fn copy_rate(&self) -> f64 {
        self.rate(self.copy_ms)
    }
    pub fn copy_same_rate(&self) -> f64 {
        self.rate(self.copy_same_ms)
    }
}

/// Measures on the lab of `ctx`, which is up.
///
/// # Errors
/// When a part does not do what is asked of it. A verdict that is bad is no error.
pub async fn measure(ctx: &Context, options: SinkOptions) -> anyhow::Result<SinkReport> {
    let lab = ctx.lab()?;
    let pool = chassis::postgres::connect(&lab.postgres())?;
    let admin = chassis::postgres::connect(&lab.postgres_admin())?;
    let ticking = Ticking::start();
    let kafka = lab.kafka();
    let bench = Bench {
        ctx,
        pool: &pool,
        admin: &admin,
        inspector: Inspector::new(&kafka)?,
        depositor: Depositor::new(&kafka, &lab.registry_url(), options.accounts).await?,
        kafka,
    };
    let step = ctx.out.step("accounts", "are opened");
    bench.depositor.open().await?;
    bench.wait_drained(EventType::CompteOuvert, &step).await?;
    step.done(format_args!("{} accounts are open", options.accounts));
    let measured = bench.runs(options).await;
    // Whatever happened, the lab is left as it was found.
    let dropped = bench.drop_copies().await;
    let runs = measured?;
    dropped?;
    Ok(SinkReport {
        options,
        summary: Summary::of(&runs).context("nothing was measured")?,
        runs,
        verified: verified(ctx).await?,
        steal_percent: ticking.steal_percent(),
    })
}

struct Bench<'a> {
    ctx: &'a Context,
    pool: &'a PgPool,
    /// May write checkpoints.
    admin: &'a PgPool,
    inspector: Inspector,
    depositor: Depositor,
    kafka: KafkaConfig,
}

impl Bench<'_> {
    async fn runs(&self, options: SinkOptions) -> anyhow::Result<Vec<SinkRun>> {
        self.make_copies().await?;
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            let run = self.run(number, options).await?;
            self.ctx.out.line(format_args!(
                "run {number}: sink {:.0} rows/s, COPY {:.0} rows/s, into the same table {:.0} rows/s",
                run.sink_rate(),
                run.copy_rate(),
                run.copy_same_rate()
            ));
            runs.push(run);
        }
        Ok(runs)
    }

    async fn run(&self, number: usize, options: SinkOptions) -> anyhow::Result<SinkRun> {
        let step = self.ctx.out.step(format!("run {number}"), "stops bancaire");
        let ticks = CpuTicks::now();
        lab::stop_components(self.ctx, &[Part::Bancaire]).await?;
        let topic = [EventType::DepotEffectue.topic()];
        let from = self.inspector.watermarks(&topic).await?;
        let progress = |sent| step.tick(format_args!("publishes: {sent} events"));
        let produced = self.depositor.deposit(options.events, progress).await?;
        let to = self.inspector.watermarks(&topic).await?;
        let discard_rate = self.discard(from, to).await?;
        let fsync_rate = fsync::rate(&self.ctx.lab_dir, FSYNC_FOR)?;
        self.checkpoint().await?;
        step.tick("bancaire drains the backlog");
        let drained = self.drain(&step).await?;
        step.tick("reads the rows back");
        let csv = self.export(drained.first).await?;
        let mut copy_ms = [0.0; 2];
        for (table, ms) in COPIES.iter().zip(&mut copy_ms) {
            self.checkpoint().await?;
            step.tick(format_args!("copies into {table}"));
            *ms = self.copy(table, &csv, options.events).await?;
        }
        let now = CpuTicks::now();
        step.done(format_args!("{} rows each way", options.events));
        let ms = |from: DateTime<Utc>| {
            let took = drained.last.signed_duration_since(from);
            took.num_microseconds().unwrap_or(i64::MAX) as f64 / 1000.0
        };
        let (batches, rows) = self.batches(drained.first).await?;
        anyhow::ensure!(
            rows == options.events as i64,
            "bancaire wrote {rows} rows of {} deposits",
            options.events
        );
        Ok(SinkRun {
            rows: options.events,
            produce_ms: produced.as_secs_f64() * 1000.0,
            sink_ms: ms(drained.first),
            sink_from_start_ms: ms(drained.started),
            batches,
            copy_ms: copy_ms[0],
            copy_same_ms: copy_ms[1],
            discard_rate,
            fsync_rate,
            csv_bytes: csv.len(),
            cpu_ms: drained.cpu_ms,
            steal_percent: now
                .zip(ticks)
                .map_or(0.0, |(now, then)| now.steal_since(then)),
        })
    }

    /// What a consumer that does nothing else reads per second of what was just published.
    async fn discard(&self, from: Watermarks, to: Watermarks) -> anyhow::Result<f64> {
        let kafka = self.kafka.clone();
        let reading = tokio::task::spawn_blocking(move || bare::discard(&kafka, &from, &to));
        let (count, took) = reading.await.context("the consumer panicked")??;
        Ok(count as f64 / took.as_secs_f64())
    }

    async fn checkpoint(&self) -> anyhow::Result<()> {
        let written = sqlx::query("CHECKPOINT").execute(self.admin).await;
        written.map(drop).context("failed to write a checkpoint")
    }

    /// Starts bancaire and waits until it has stored the ends of the deposits' logs.
    async fn drain(&self, step: &Step) -> anyhow::Result<Drained> {
        let before: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(self.pool)
            .await?;
        let cpu = |part: Part| {
            let lab = self.ctx.lab().ok()?;
            process::cpu_ms(lab.component(part.name())?.pid)
        };
        let (postgres, kafka) = (cpu(Part::Postgres), cpu(Part::Kafka));
        let options = UpOptions {
            parts: vec![Part::Bancaire],
            build: false,
            ..UpOptions::default()
        };
        let (started, last) = tokio::join!(
            lab::up(self.ctx, options),
            self.wait_drained(EventType::DepotEffectue, step)
        );
        let last = last?;
        let since = |then: Option<u64>, now: Option<u64>| Some(now?.saturating_sub(then?));
        let cpu_ms = CpuMs {
            bancaire: cpu(Part::Bancaire),
            postgres: since(postgres, cpu(Part::Postgres)),
            kafka: since(kafka, cpu(Part::Kafka)),
        };
        let started = started?;
        let bancaire = started.component(Part::Bancaire.name());
        let started = bancaire.context("bancaire was not started")?.started_at;
        let first: Option<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT min(created_at) FROM bancaire.transactions WHERE created_at > $1",
        )
        .bind(before)
        .fetch_one(self.pool)
        .await?;
        Ok(Drained {
            started,
            first: first.context("bancaire wrote nothing")?,
            last,
            cpu_ms,
        })
    }

    /// Until the stored offsets of a topic have reached its logs' ends; returns when that was seen,
    /// by PostgreSQL's clock.
    async fn wait_drained(
        &self,
        event_type: EventType,
        step: &Step,
    ) -> anyhow::Result<DateTime<Utc>> {
        let topic = event_type.topic();
        let watermarks = self.inspector.watermarks(&[topic]).await?;
        let end: i64 = watermarks.values().map(|(_, high)| high).sum();
        let mut progress = (0, Instant::now());
        loop {
            let (next, at): (i64, DateTime<Utc>) = sqlx::query_as(
                "SELECT coalesce(sum(next_offset), 0)::bigint, clock_timestamp()
                 FROM bancaire.flux WHERE topic = $1",
            )
            .bind(topic)
            .fetch_one(self.pool)
            .await
            .context("failed to ask how far bancaire is")?;
            if next >= end {
                return Ok(at);
            }
            if next != progress.0 {
                progress = (next, Instant::now());
            }
            anyhow::ensure!(
                progress.1.elapsed() < PATIENCE,
                "bancaire has stopped at {next} of {end} records of {topic}"
            );
            step.tick(format_args!(
                "bancaire drains {topic}: {} to go",
                end - next
            ));
            // Seldom enough to cost nothing, often enough for a per mille of the whole.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    /// How many transactions wrote the rows since then, and how many rows.
    async fn batches(&self, first: DateTime<Utc>) -> anyhow::Result<(i64, i64)> {
        let sql = "SELECT count(DISTINCT created_at), count(*) FROM bancaire.transactions
                   WHERE created_at >= $1";
        let counted = sqlx::query_as(sql).bind(first).fetch_one(self.pool).await;
        counted.context("failed to count the rows")
    }

    /// The rows that bancaire wrote since then, as CSV, in the order in which they lie.
    async fn export(&self, first: DateTime<Utc>) -> anyhow::Result<Vec<u8>> {
        use futures_util::TryStreamExt as _;
        let sql = format!(
            "COPY (SELECT * FROM bancaire.transactions WHERE created_at >= '{}') \
             TO STDOUT (FORMAT csv)",
            first.to_rfc3339()
        );
        let failed = "failed to read the rows back";
        let mut rows = self.pool.copy_out_raw(&sql).await.context(failed)?;
        let mut csv = Vec::new();
        while let Some(chunk) = rows.try_next().await.context(failed)? {
            csv.extend_from_slice(&chunk);
        }
        Ok(csv)
    }

    /// Copies the rows into a table, in one transaction; the commit counts.
    async fn copy(&self, table: &str, csv: &[u8], rows: usize) -> anyhow::Result<f64> {
        let failed = || format!("failed to copy into {table}");
        let began = Instant::now();
        let sql = format!("COPY {table} FROM STDIN (FORMAT csv)");
        let mut copy = self.pool.copy_in_raw(&sql).await.with_context(failed)?;
        for chunk in csv.chunks(COPY_CHUNK) {
            copy.send(chunk).await.with_context(failed)?;
        }
        let copied = copy.finish().await.with_context(failed)?;
        let took = began.elapsed();
        anyhow::ensure!(
            copied == rows as u64,
            "{copied} of {rows} rows went into {table}"
        );
        Ok(took.as_secs_f64() * 1000.0)
    }

    /// Tables like bancaire's own, with the rows that it has.
    async fn make_copies(&self) -> anyhow::Result<()> {
        self.drop_copies().await?;
        for (i, table) in COPIES.iter().enumerate() {
            let mut statements = vec![format!(
                "CREATE TABLE {table} (LIKE bancaire.transactions INCLUDING ALL)"
            )];
            if i == 1 {
                statements.push(format!(
                    "CREATE TRIGGER comptes_insert AFTER INSERT ON {table}
                     REFERENCING NEW TABLE AS nouvelles
                     FOR EACH STATEMENT EXECUTE FUNCTION bancaire.verifier_comptes()"
                ));
            }
            statements.push(format!(
                "INSERT INTO {table} SELECT * FROM bancaire.transactions"
            ));
            for sql in statements {
                let done = sqlx::query(AssertSqlSafe(sql)).execute(self.pool).await;
                done.with_context(|| format!("failed to make {table}"))?;
            }
        }
        Ok(())
    }

    async fn drop_copies(&self) -> anyhow::Result<()> {
        for table in COPIES {
            let sql = format!("DROP TABLE IF EXISTS {table}");
            let dropped = sqlx::query(AssertSqlSafe(sql)).execute(self.pool).await;
            dropped.with_context(|| format!("failed to drop {table}"))?;
        }
        Ok(())
    }
}

/// When bancaire drained the backlog.
struct Drained {
    /// Its process was started.
    started: DateTime<Utc>,
    /// Its first transaction began.
    first: DateTime<Utc>,
    /// Its last commit was seen.
    last: DateTime<Utc>,
    cpu_ms: CpuMs,
}
