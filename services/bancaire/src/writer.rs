//! A writer: one transaction per batch, offsets included, for as long as it takes.
//!
//! There may be several, with a connection and a part of the partitions each. One takes work from the
//! [consumer](crate::consumer), one piece after the other, and never skips any: it backs off and tries
//! again, unless the batch's offsets are not its own any more. What it commits leaves through the
//! [outbox](crate::outbox).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::kafka::{Backoff, EventDecoder};
use chassis::postgres;
use chassis::registry::SchemaIds;
use chassis::telemetry::sql;
use chrono::Utc;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::domain::{Batch, Effect, Input, Known, Operation, Outcome, fold};
use crate::handoff::Handed;
use crate::health::Dependency;
use crate::shared::Shared;
use crate::store::flux::{Mismatch, Position, Stored, Window};
use crate::store::load::{LoadError, ParkingLock};
use crate::store::{flux, load, write};
use crate::{metrics, outbox, parking};

/// An attempt that takes longer is given up: the connection may be half open.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// PostgreSQL ends a transaction in which nothing is said for so long, and gives what it had locked to
/// others: its worker stands still, and its partitions are somebody else's by now.
const STANDSTILL: Duration = Duration::from_secs(10);
/// After a duplicate, or after an event had to be parked, this many batches expect another.
const EXPECT_AGAIN: u32 = 20;

/// What the writer is asked to do, in order.
pub enum Work {
    Batch(Batch),
    /// Where to begin in newly assigned partitions; any writer can say.
    Positions(PositionsRequest),
}

pub struct PositionsRequest {
    pub cluster_id: String,
    pub windows: Vec<Window>,
    pub reply: oneshot::Sender<Result<Vec<Position>, Mismatch>>,
}

/// Why an attempt did not commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Abort {
    /// The stored offsets are not the ones that the batch follows.
    #[error("another instance has moved the stored offsets")]
    Fenced,
    /// The parking lock must be held alone: something is to be parked.
    #[error("events are to be parked")]
    NeedsParkingLock,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("no answer from PostgreSQL within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Timeout,
}

impl From<sqlx::Error> for Abort {
    fn from(error: sqlx::Error) -> Self {
        Self::Load(error.into())
    }
}

impl Abort {
    fn is_duplicate(&self) -> bool {
        matches!(self, Self::Load(LoadError::Sql(e)) if postgres::is_unique_violation(e))
    }
}

/// What the writer works with.
pub struct Sink {
    pub pool: PgPool,
    pub ids: SchemaIds,
    pub decoder: EventDecoder,
    pub group: String,
    pub parking_time: Duration,
    pub shared: Arc<Shared>,
    pub shutdown: CancellationToken,
}

pub struct Writer {
    pub(crate) sink: Arc<Sink>,
    /// Refuses what has been parked for too long: one of all does.
    sweeps: bool,
    /// Kept between batches; given up after any error.
    pub(crate) conn: Option<PoolConnection<Postgres>>,
    /// Batches that still look for duplicates beforehand.
    expect_duplicates: u32,
    /// Batches that still take the parking lock alone from the start.
    expect_parking: u32,
    /// The last attempt failed because the registry did not answer.
    needs_registry: bool,
}

/// How an attempt goes about it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// An earlier attempt may have been committed.
    doubt: bool,
    /// Look for duplicates in the tables before folding: the slow path.
    look_up: bool,
    /// Take the parking lock alone.
    alone: bool,
}

/// What a committed batch tells about the next ones.
#[derive(Debug, Clone, Copy, Default)]
struct Committed {
    duplicates: bool,
    parked: bool,
}

impl Writer {
    pub fn new(sink: Arc<Sink>, sweeps: bool) -> Self {
        Self {
            sink,
            sweeps,
            conn: None,
            expect_duplicates: 0,
            expect_parking: 0,
            needs_registry: false,
        }
    }

    /// Works until the consumer is gone and its last batch is dealt with.
    pub async fn run(mut self, mut work: Handed) {
        let mut sweep = tokio::time::interval(parking::interval(self.sink.parking_time));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                work = work.recv() => {
                    let Some((work, _permit)) = work else { return };
                    match work {
                        Work::Batch(batch) => {
                            let span = batch.traces.batch_span(&batch, &self.sink.group);
                            self.commit(&batch).instrument(span).await;
                        }
                        Work::Positions(request) => self.answer(request).await,
                    }
                }
                _ = sweep.tick(), if self.sweeps => self.sweep().await,
            }
        }
    }

    /// Brings a batch into PostgreSQL, or finds that it is not this worker's to bring.
    async fn commit(&mut self, batch: &Batch) {
        let mut backoff = Backoff::default();
        let mut doubt = false;
        let shared = self.sink.shared.clone();
        loop {
            let commits = shared.commits.read().await;
            if shared.generation.load(Ordering::Acquire) != batch.generation {
                tracing::debug!(
                    records = batch.records.len(),
                    "Dropped a batch of old positions"
                );
                return;
            }
            let plan = Plan {
                doubt,
                look_up: self.expect_duplicates > 0,
                alone: self.expect_parking > 0,
            };
            match self
                .attempt(async |sink, conn| sink.try_batch(conn, batch, plan).await)
                .await
            {
                Ok(committed) => return self.committed(batch, committed),
                Err(Abort::NeedsParkingLock) => self.expect_parking = EXPECT_AGAIN,
                Err(Abort::Fenced) => {
                    tracing::warn!("Another instance moved the stored offsets, reading them again");
                    generation_after(&self.sink.shared, batch.generation);
                    return;
                }
                // The transaction was rolled back and the connection is sound: the slow path.
                Err(abort) if abort.is_duplicate() && !plan.look_up => {
                    self.expect_duplicates = EXPECT_AGAIN;
                }
                Err(abort) => {
                    self.failed(&abort);
                    // Whether a COMMIT went through is read, not guessed.
                    doubt = !chassis::mutant!("forget-doubt-and-offsets");
                    drop(commits);
                    if !backoff.wait(&self.sink.shutdown).await {
                        return;
                    }
                }
            }
        }
    }

    fn committed(&mut self, batch: &Batch, committed: Committed) {
        let expect = |now: bool, left: u32| {
            if now {
                EXPECT_AGAIN
            } else {
                left.saturating_sub(1)
            }
        };
        self.expect_duplicates = match self.expect_duplicates {
            // Duplicates within a batch are found without looking them up.
            0 => 0,
            left => expect(committed.duplicates, left),
        };
        self.expect_parking = expect(committed.parked, self.expect_parking);
        metrics::committed(batch);
        let offsets = batch
            .spans
            .iter()
            .map(|span| ((span.topic, span.partition), span.to));
        self.sink.shared.note_committed(batch.generation, offsets);
    }

    /// Answers where to begin, for as long as it takes or until nobody waits for it.
    async fn answer(&mut self, request: PositionsRequest) {
        let mut backoff = Backoff::default();
        let shared = self.sink.shared.clone();
        while !request.reply.is_closed() {
            let read = async |_: &Sink, conn: &mut PgConnection| {
                Ok(flux::positions(conn, &request.cluster_id, &request.windows).await?)
            };
            let alone = shared.commits.write().await;
            let result = self.attempt(read).await;
            drop(alone);
            match result {
                Ok(positions) => {
                    // The consumer may have been given other partitions meanwhile.
                    let _ = request.reply.send(positions);
                    return;
                }
                Err(abort) => self.failed(&abort),
            }
            if !backoff.wait(&self.sink.shutdown).await {
                return;
            }
        }
    }

    /// One try at something on the writer's connection, with a deadline.
    pub(crate) async fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&Sink, &mut PgConnection) -> Result<T, Abort>,
    ) -> Result<T, Abort> {
        let Self {
            sink,
            conn,
            needs_registry,
            ..
        } = self;
        let attempt = async {
            let conn = match conn {
                Some(conn) => conn,
                None => {
                    let mut new = sink.pool.acquire().await?;
                    postgres::set_up_writer(&mut new, STANDSTILL).await?;
                    conn.insert(new)
                }
            };
            work(sink, conn).await
        };
        let result = tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await;
        if let Ok(Ok(_)) = result {
            sink.shared.health.up(Dependency::Postgres);
            // Only what was said here is taken back: the consumer may still wait for a schema.
            if std::mem::take(needs_registry) {
                sink.shared.health.up(Dependency::Registry);
            }
        }
        result.unwrap_or(Err(Abort::Timeout))
    }

    /// Notes a failed attempt; its connection is not used again.
    pub(crate) fn failed(&mut self, abort: &Abort) {
        if let Some(conn) = self.conn.take() {
            // Not back into the pool: nobody knows what state it is in.
            drop(conn.detach());
        }
        metrics::transient();
        self.needs_registry = matches!(abort, Abort::Load(LoadError::Registry(_)));
        let dependency = if self.needs_registry {
            Dependency::Registry
        } else {
            Dependency::Postgres
        };
        tracing::debug!(error = %abort, "An attempt failed");
        self.sink.shared.health.down(dependency, abort);
    }
}

/// Makes the consumer read its positions again, unless it does so already.
fn generation_after(shared: &Shared, generation: u64) {
    let (old, new) = (generation, generation + 1);
    // A failure to exchange means that the consumer was quicker.
    let _ = shared
        .generation
        .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
}

impl Sink {
    /// One attempt at a batch, from BEGIN to COMMIT.
    async fn try_batch(
        &self,
        conn: &mut PgConnection,
        batch: &Batch,
        plan: Plan,
    ) -> Result<Committed, Abort> {
        if plan.doubt {
            match flux::stored(conn, &batch.spans).await? {
                Stored::Whole => return Ok(Committed::default()),
                Stored::Nothing => {}
                Stored::Other => return Err(Abort::Fenced),
            }
        }
        chassis::fail_point!("before-transaction");
        let touched = Touched::of(batch);
        let lock = match (plan.alone, touched.opened.is_empty()) {
            (true, _) => ParkingLock::Exclusive,
            (false, false) => ParkingLock::Shared,
            (false, true) => ParkingLock::None,
        };
        let transaction = sql("TRANSACTION", "edalab");
        self.in_transaction(conn, batch, plan, &touched, lock)
            .instrument(transaction)
            .await
    }

    async fn in_transaction(
        &self,
        conn: &mut PgConnection,
        batch: &Batch,
        plan: Plan,
        touched: &Touched<'_>,
        lock: ParkingLock,
    ) -> Result<Committed, Abort> {
        let mut tx = conn.begin().await?;
        load::take_parking_lock(&mut tx, lock).await?;
        let comptes = load::comptes(&mut tx, &touched.comptes)
            .instrument(sql("SELECT", "bancaire.comptes"))
            .await?;
        let parked = if touched.opened.is_empty() {
            Vec::new()
        } else {
            load::parked(&mut tx, &self.decoder, &touched.opened).await?
        };
        let known = if plan.look_up {
            let parked_ids = parked.iter().map(|parked| parked.event_id.as_str());
            let ids: Vec<&str> = touched.events.iter().copied().chain(parked_ids).collect();
            load::known(&mut tx, &ids).await?
        } else {
            Known::default()
        };
        let outcome = fold(&Input {
            records: &batch.records,
            spans: &batch.spans,
            comptes: &comptes,
            parked: &parked,
            known: &known,
        });
        if !outcome.parked.is_empty() && lock != ParkingLock::Exclusive {
            tx.rollback().await?;
            return Err(Abort::NeedsParkingLock);
        }
        self.store(tx, &outcome, Some(batch)).await?;
        batch.traces.committed(batch, &outcome);
        Ok(Committed {
            duplicates: outcome.flows.iter().any(|flow| flow.duplicates > 0),
            parked: !outcome.parked.is_empty(),
        })
    }

    /// Stores an outcome and commits; `batch` is what it was decided from, unless that was parked.
    pub(crate) async fn store(
        &self,
        mut tx: Transaction<'_, Postgres>,
        outcome: &Outcome<'_>,
        batch: Option<&Batch>,
    ) -> Result<(), Abort> {
        // Before the rows: who does not own the offsets is turned away before it writes much.
        let advance = flux::advance(&mut tx, &outcome.flows);
        if !advance.instrument(sql("UPDATE", "bancaire.flux")).await? {
            tx.rollback().await?;
            return Err(Abort::Fenced);
        }
        if chassis::mutant!("commit-offsets-first") {
            sqlx::raw_sql("COMMIT; BEGIN").execute(&mut *tx).await?;
        }
        let rows = outbox::rows(outcome, &self.ids, &self.group, Utc::now(), batch);
        chassis::fail_point!("before-copy");
        if let Err(e) = write::outcome(&mut tx, outcome, &rows).await {
            if postgres::is_unique_violation(&e) {
                tx.rollback().await?;
            }
            return Err(e.into());
        }
        chassis::fail_point!("before-commit");
        tx.commit().instrument(sql("COMMIT", "")).await?;
        chassis::fail_point!("after-commit");
        metrics::decided(outcome, Utc::now(), batch);
        if !rows.is_empty() {
            self.shared.outbox_ready.notify_one();
        }
        Ok(())
    }
}

/// What a batch touches, without repetition.
struct Touched<'a> {
    comptes: Vec<&'a str>,
    /// Accounts that the batch may open.
    opened: Vec<&'a str>,
    events: Vec<&'a str>,
}

impl<'a> Touched<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut comptes = Vec::with_capacity(batch.records.len());
        let mut opened = Vec::new();
        let mut events = Vec::with_capacity(batch.records.len());
        for event in batch.records.iter().filter_map(|record| record.event()) {
            let operation = Operation::of(event);
            comptes.push(operation.compte_id);
            events.push(operation.event_id);
            if matches!(operation.effect, Effect::Open { .. }) {
                opened.push(operation.compte_id);
            }
        }
        comptes.sort_unstable();
        comptes.dedup();
        Self {
            comptes,
            opened,
            events,
        }
    }
}
