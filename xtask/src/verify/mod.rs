//! Asks the running lab whether anything was lost, doubled or reordered.
//!
//! [`settle`] waits until nothing moves. Then three witnesses are heard: the broker's logs
//! ([`chassis::kafka::log`], [`letters`]), PostgreSQL's rows as of one moment ([`books`]) and bancaire's own
//! ledger. [`lines`] balances the books of each partition, [`audit`] compares the logs with the
//! rows record by record ([`read_back`] brings both together), [`checks`] gives the verdicts and
//! [`report`] prints them.

pub mod audit;
pub mod books;
pub mod checks;
pub mod letters;
pub mod lines;
pub mod read_back;
pub mod report;
pub mod settle;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::http::HttpClient;
use chassis::kafka::EventDecoder;
use chassis::kafka::admin::Inspector;
use chassis::registry::RegistryClient;
use schemas::{DLQ_TOPIC, DeadLetter, EventType};
use serde_json::Value;

use self::books::{Books, Snapshot};
use self::checks::Evidence;
use self::read_back::{Dead, ReadBack};
use self::report::Report;
use self::settle::Quiet;
use crate::output::Step;
use crate::state::LabState;
use crate::verbs::simulate;

/// How to judge.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long to wait for the flow to go quiet.
    pub settle: Duration,
    /// Longer logs are not read back record by record.
    pub read_back_limit: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(30),
            read_back_limit: 2_000_000,
        }
    }
}

/// Waits, asks, compares.
///
/// # Errors
/// When the broker or PostgreSQL cannot be asked. A violation is no error: see
/// [`Report::passed`].
pub async fn judge(lab: &LabState, options: Options, step: &Step) -> anyhow::Result<Report> {
    let pool = chassis::postgres::connect(&lab.postgres())?;
    let inspector = Inspector::new(&lab.kafka())?;
    step.tick("waits until nothing moves");
    let quiet = settle::settle(lab, &pool, &inspector, options.settle, step).await?;
    step.tick("reads PostgreSQL");
    let mut snapshot = Snapshot::open(&pool).await?;
    let books = snapshot.books().await?;
    // Later than the snapshot: what was published since is then in the logs, and in flight.
    let patience = options
        .settle
        .saturating_sub(Duration::from_millis(quiet.waited_ms));
    let ledger = settled_ledger(lab, &quiet, patience, step).await;
    let ledger = ledger.map_err(|e| format!("{e:#}"));
    let acknowledged = acknowledged(lab).await;
    let watermarks = inspector.watermarks(&settle::event_topics()).await?;
    let letters = letters::read(&lab.kafka(), &inspector).await?;
    let (dead, dead_in_outbox) = dead_by_place(&books, &letters)?;
    let decoder = EventDecoder::new(RegistryClient::new(&lab.registry_url()));
    let lines = lines::lines(&watermarks, &books);
    let counts = dead.iter().map(|(place, letters)| {
        let next = books.flux.get(place).map_or(0, |flux| flux.next_offset);
        // Parked at the snapshot and dead since: still counted as parked.
        let parked = |offset: &i64| {
            let mut rows = books.parked.iter();
            rows.any(|row| row.place == *place && row.offset == *offset)
        };
        let handled = letters
            .keys()
            .filter(|offset| **offset < next && !parked(offset));
        (*place, handled.count() as i64)
    });
    let counts = counts.collect();
    let records: i64 = watermarks.values().map(|(low, high)| high - low).sum();
    let read_back = if records > options.read_back_limit {
        Err(format!(
            "the logs hold {records} records, more than --read-back-limit {}",
            options.read_back_limit
        ))
    } else {
        let kafka = lab.kafka();
        let read = read_back::read_back(
            &kafka,
            &decoder,
            &watermarks,
            &mut snapshot,
            &books,
            dead,
            step,
        );
        read.await.map_err(|e| format!("{e:#}"))
    };
    let causes = pending_causes(&decoder, &books, read_back.as_ref().ok()).await;
    let evidence = Evidence {
        acknowledged,
        quiet,
        lines,
        watermarks,
        cluster_id: inspector.cluster_id().await,
        letters,
        dead: counts,
        dead_in_outbox,
        read_back,
        causes,
        ledger,
        books,
    };
    Ok(Report::new(&evidence))
}

/// bancaire's ledger in its own words.
pub async fn own_ledger(lab: &LabState) -> anyhow::Result<Value> {
    let response = HttpClient::default()
        .get(format!("{}/api/v1/ledger", lab.bancaire_url()))
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context("bancaire does not answer")?;
    let status = response.status();
    anyhow::ensure!(status.is_success(), "bancaire answers {status}");
    let ledger = response.json().await.map_err(reqwest::Error::without_url);
    ledger.context("failed to read bancaire's ledger")
}

/// The same, once bancaire too reaches the broker and PostgreSQL: after an outage its connections may
/// come back later than this program makes new ones. A bancaire that does not run is not waited for.
async fn settled_ledger(
    lab: &LabState,
    quiet: &Quiet,
    patience: Duration,
    step: &Step,
) -> anyhow::Result<Value> {
    let deadline = Instant::now() + patience;
    loop {
        let ledger = own_ledger(lab).await;
        let is_over = !quiet.is_quiet() || Instant::now() >= deadline;
        match &ledger {
            _ if is_over => return ledger,
            Ok(ledger) if checks::unknown_ends(ledger) > 0 => {
                step.tick("waits until bancaire reaches the broker");
            }
            Err(e) if !is_refused(e) => {
                step.tick(format_args!("waits for bancaire's ledger: {e:#}"));
            }
            Ok(_) | Err(_) => return ledger,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether nobody listens at bancaire's port.
fn is_refused(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|e| e.downcast_ref::<reqwest::Error>());
    causes.any(reqwest::Error::is_connect)
}

/// Dead letters by the place of their original: published ones, and those in the outbox.
fn dead_by_place(books: &Books, letters: &letters::Letters) -> anyhow::Result<(Dead, i64)> {
    let mut dead = Dead::new();
    let mut in_outbox = 0;
    let mut add = |letter: &DeadLetter| -> anyhow::Result<bool> {
        let Some(event_type) = EventType::from_topic(&letter.original_topic) else {
            return Ok(false);
        };
        let originals = dead.entry((event_type, letter.partition)).or_default();
        let original = chassis::dead_letters::original(letter)?;
        Ok(originals.insert(letter.offset, original).is_none())
    };
    for letter in &letters.letters {
        add(&letter.letter)?;
    }
    for row in books.outbox.iter().filter(|row| row.topic == DLQ_TOPIC) {
        let letter = serde_json::from_slice(&row.valeur)
            .context("failed to read a dead letter in the outbox")?;
        in_outbox += i64::from(add(&letter)?);
    }
    Ok((dead, in_outbox))
}

/// Transfers whose credit is still on its way.
async fn pending_causes(
    decoder: &EventDecoder,
    books: &Books,
    read_back: Option<&ReadBack>,
) -> std::collections::HashSet<String> {
    if books.transfers_open.is_empty() {
        return std::collections::HashSet::new();
    }
    let recu = EventType::VirementRecu;
    let outbox = books.outbox.iter().filter(|row| row.topic == recu.topic());
    let parked = books.parked.iter().filter(|row| row.place.0 == recu);
    let values = outbox
        .map(|row| row.valeur.as_slice())
        .chain(parked.map(|row| row.valeur.as_slice()));
    let mut causes = read_back::causes(decoder, values).await;
    for audit in read_back.iter().flat_map(|r| r.audits.values()) {
        causes.extend(audit.causes_in_flight.iter().cloned());
    }
    causes
}

/// What the simulator was acknowledged for in its last simulation; nothing when it does not answer.
async fn acknowledged(lab: &LabState) -> BTreeMap<String, i64> {
    simulate::status(lab)
        .await
        .map(|status| status.by_type)
        .unwrap_or_default()
}
