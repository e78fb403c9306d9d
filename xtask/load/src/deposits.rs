//! A backlog of deposits on open accounts, published as fast as the broker takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::KafkaConfig;
use chassis::kafka::{EventProducer, ProduceError};
use chassis::registry::{RegistryClient, SchemaIds};
use chrono::{SubsecRound, Utc};
use rust_decimal::Decimal;
use schemas::{Canal, CompteOuvert, DepotEffectue, Event, TypeCompte};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A broker that acknowledges nothing for this long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes events of its own accounts.
pub struct Depositor {
    producer: EventProducer,
    ids: SchemaIds,
    accounts: Vec<String>,
}

impl Depositor {
    /// # Errors
    /// When the registry does not give the schemas' ids.
    pub async fn new(
        kafka: &KafkaConfig,
        registry_url: &str,
        accounts: usize,
    ) -> anyhow::Result<Self> {
        let producer = EventProducer::new(kafka, "perf")?;
        let registry = RegistryClient::new(registry_url);
        let ids = registry.wait_ids(&CancellationToken::new()).await?;
        Ok(Self {
            producer,
            ids,
            accounts: (0..accounts).map(|_| Uuid::new_v4().to_string()).collect(),
        })
    }

    /// Opens the accounts.
    ///
    /// # Errors
    /// When the broker does not acknowledge every event.
    pub async fn open(&self) -> anyhow::Result<()> {
        let ouvertures = self.accounts.iter().map(|compte_id| {
            Event::CompteOuvert(CompteOuvert {
                event_id: Uuid::new_v4().to_string(),
                timestamp: Utc::now().trunc_subsecs(3),
                compte_id: compte_id.clone(),
                client_id: Uuid::new_v4().to_string(),
                type_compte: TypeCompte::Courant,
                devise: "EUR".into(),
                solde_initial: Decimal::new(10_000, 2),
                metadata: None,
            })
        });
        self.publish(ouvertures, |_| {}).await.map(drop)
    }

    /// Publishes `count` deposits, spread over the accounts, and says now and then how many it has
    /// published; returns how long that took.
    ///
    /// # Errors
    /// When the broker does not acknowledge every event.
    pub async fn deposit(
        &self,
        count: usize,
        progress: impl FnMut(u64),
    ) -> anyhow::Result<Duration> {
        self.publish((0..count).map(|i| self.depot(i)), progress)
            .await
    }

    /// A deposit that is new, on any of the accounts.
    pub(crate) fn depot(&self, number: usize) -> Event {
        let event_id = Uuid::new_v4();
        // The id's own randomness chooses.
        let account = event_id.as_u128() % self.accounts.len() as u128;
        Event::DepotEffectue(DepotEffectue {
            event_id: event_id.to_string(),
            timestamp: Utc::now().trunc_subsecs(3),
            compte_id: self.accounts[account as usize].clone(),
            montant: Decimal::new((event_id.as_u128() % 1_000_000) as i64 + 1, 2),
            devise: "EUR".into(),
            reference: format!("DEP-{number:08}"),
            canal: Canal::Virement,
            metadata: None,
        })
    }

    pub(crate) fn ids(&self) -> SchemaIds {
        self.ids
    }

    pub(crate) fn producer(&self) -> &EventProducer {
        &self.producer
    }

    async fn publish(
        &self,
        events: impl Iterator<Item = Event>,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(AtomicU64::new(0));
        let mut sent: u64 = 0;
        for event in events {
            loop {
                let (acknowledged, failed) = (acknowledged.clone(), failed.clone());
                let done = move |outcome: Result<_, ProduceError>| {
                    let counter = if outcome.is_ok() {
                        &acknowledged
                    } else {
                        &failed
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                };
                match self.producer.enqueue(&self.ids, &event, done) {
                    Ok(()) => break,
                    Err(ProduceError::QueueFull) => {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    Err(e) => return Err(e).context("failed to publish"),
                }
            }
            sent += 1;
            if sent.is_multiple_of(10_000) {
                progress(sent);
                tokio::task::yield_now().await;
            }
        }
        self.producer
            .flush(PATIENCE)
            .await
            .context("failed to publish")?;
        let took = began.elapsed();
        // Callbacks run on another thread: the last ones may still be on their way.
        let deadline = Instant::now() + PATIENCE;
        let answered = || acknowledged.load(Ordering::Relaxed) + failed.load(Ordering::Relaxed);
        while answered() < sent {
            anyhow::ensure!(
                Instant::now() < deadline,
                "the broker does not acknowledge events"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let failed = failed.load(Ordering::Relaxed);
        anyhow::ensure!(failed == 0, "the broker refused {failed} of {sent} events");
        Ok(took)
    }
}
