//! Records that a simulation does not make: too early, cut short, of another day, hostile. Each is
//! noted in the journal, as the simulator's own are.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::journal::{Journal, Kind};
use chassis::kafka::log::{LogReader, LogRecord};
use chassis::kafka::{EventDecoder, EventProducer, RawRecord, event_headers};
use chassis::registry::{RegistryClient, SchemaIds};
use chrono::{SubsecRound, TimeDelta, Utc};
use futures_util::future::try_join_all;
use rust_decimal::Decimal;
use schemas::{Canal, CompteOuvert, DepotEffectue, Event, EventType, TypeCompte, wire};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lab::ChaosLab;
use super::scenario::Made;

/// Accounts of one go.
const ACCOUNTS: u128 = 30;

/// A producer beside the simulator.
pub struct Producer {
    producer: EventProducer,
    ids: SchemaIds,
    journal: Journal,
    seed: u64,
}

/// An event that can be read, or a record that nobody can.
#[expect(clippy::large_enum_variant, reason = "there are some hundreds at most")]
enum Item {
    Event(Event),
    Poison(EventType, Vec<u8>),
}

impl Producer {
    /// # Errors
    /// When the registry does not answer.
    pub async fn new(lab: &ChaosLab, seed: u64) -> anyhow::Result<Self> {
        let registry = RegistryClient::new(&lab.lab.registry_url());
        let never = CancellationToken::new();
        let ids = registry.wait_ids(&never);
        let ids = tokio::time::timeout(Duration::from_secs(20), ids).await;
        Ok(Self {
            producer: EventProducer::new(&lab.lab.kafka(), "chaos")?,
            ids: ids.context("the registry does not answer")??,
            journal: lab.open_journal()?,
            seed,
        })
    }

    /// Publishes what is asked for, and returns how much it was.
    ///
    /// # Errors
    /// When the broker does not acknowledge it.
    pub async fn make(&self, lab: &ChaosLab, made: Made) -> anyhow::Result<usize> {
        let items = match made {
            Made::Early => return self.early(lab).await,
            Made::Truncated => self.truncated(),
            Made::Skewed => {
                self.send(self.openings()).await?;
                let days = [-1, 1, 0, 1, -1];
                self.deposits(days.len())
                    .map(|(n, mut depot)| {
                        depot.timestamp += TimeDelta::days(days[n % days.len()]);
                        Item::Event(Event::DepotEffectue(depot))
                    })
                    .collect()
            }
            Made::Hostile => self.hostile(),
            Made::Invalid => self.invalid(),
        };
        self.send(items).await
    }

    /// Deposits, which bancaire sees before their accounts; then these.
    async fn early(&self, lab: &ChaosLab) -> anyhow::Result<usize> {
        let deposits = self.deposits(3);
        let deposits = deposits.map(|(_, depot)| Item::Event(Event::DepotEffectue(depot)));
        let first = self.send(deposits.collect()).await?;
        let marks = lab.marks().await?;
        let began = Instant::now();
        while lab.behind(&marks).await? > 0 {
            let waited = began.elapsed();
            anyhow::ensure!(
                waited < Duration::from_secs(30),
                "bancaire does not read the deposits"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(first + self.send(self.openings()).await?)
    }

    fn openings(&self) -> Vec<Item> {
        (0..ACCOUNTS)
            .map(|n| Item::Event(self.opening(n)))
            .collect()
    }

    fn opening(&self, n: u128) -> Event {
        Event::CompteOuvert(CompteOuvert {
            event_id: Uuid::new_v4().to_string(),
            timestamp: Utc::now().trunc_subsecs(3),
            compte_id: self.account(n),
            client_id: Uuid::new_v4().to_string(),
            type_compte: TypeCompte::Courant,
            devise: "EUR".into(),
            solde_initial: Decimal::new(10_000, 2),
            metadata: None,
        })
    }

    /// So many for each account.
    fn deposits(&self, each: usize) -> impl Iterator<Item = (usize, DepotEffectue)> {
        (0..each).flat_map(move |n| (0..ACCOUNTS).map(move |account| (n, self.deposit(account))))
    }

    fn deposit(&self, account: u128) -> DepotEffectue {
        DepotEffectue {
            event_id: Uuid::new_v4().to_string(),
            timestamp: Utc::now().trunc_subsecs(3),
            compte_id: self.account(account),
            montant: Decimal::new(1_234 + account as i64, 2),
            devise: "EUR".into(),
            reference: "DEP-CHAOS".into(),
            canal: Canal::Guichet,
            metadata: None,
        }
    }

    /// The same accounts for the same seed.
    fn account(&self, n: u128) -> String {
        Uuid::new_v5(&Uuid::from_u128(u128::from(self.seed)), &n.to_be_bytes()).to_string()
    }

    fn frame(&self, event: &Event) -> Vec<u8> {
        wire::frame(self.ids.id(event.event_type()), event)
    }

    fn truncated(&self) -> Vec<Item> {
        let whole = self.frame(&Event::DepotEffectue(self.deposit(0)));
        let cut = |length| Item::Poison(EventType::DepotEffectue, whole[..length].to_vec());
        (0..whole.len()).map(cut).collect()
    }

    fn hostile(&self) -> Vec<Item> {
        let texts = [
            "'; DROP TABLE bancaire.transactions; --",
            "\" OR 1=1 --",
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "\\x00'); DELETE FROM bancaire.comptes; --",
            "%s%n$1{{7*7}}\t\r\n",
            "\u{202e}réf\u{301}\u{1f4a5}",
        ];
        let mut items = Vec::new();
        for (n, text) in texts.into_iter().enumerate() {
            let account = 1_000 + n as u128;
            let mut opening = self.opening(account);
            if let Event::CompteOuvert(ouvert) = &mut opening {
                ouvert.client_id = text.chars().take(36).collect();
            }
            items.push(Item::Event(opening));
            let mut depot = self.deposit(account);
            depot.reference = text.into();
            depot.metadata = Some([(text.to_owned(), text.to_owned())].into());
            items.push(Item::Event(Event::DepotEffectue(depot)));
        }
        items
    }

    fn invalid(&self) -> Vec<Item> {
        let mut items = self.openings();
        let depot = EventType::DepotEffectue;
        let mut zero = self.deposit(1);
        zero.reference = "DEP\0CHAOS".into();
        items.push(Item::Poison(depot, self.frame(&Event::DepotEffectue(zero))));
        let mut bytes = self.frame(&Event::DepotEffectue(self.deposit(2)));
        let at = bytes.windows(9).position(|window| window == b"DEP-CHAOS");
        if let Some(at) = at {
            // Never part of any UTF-8.
            bytes[at] = 0xff;
        }
        items.push(Item::Poison(depot, bytes));
        // In the same batch, which must survive them.
        items.extend(
            self.deposits(2)
                .map(|(_, depot)| Item::Event(Event::DepotEffectue(depot))),
        );
        items
    }

    async fn send(&self, items: Vec<Item>) -> anyhow::Result<usize> {
        let count = items.len();
        let sends = items.into_iter().map(|item| {
            let (kind, record, event_id) = match item {
                Item::Event(event) => (Kind::Event, self.record(&event), Some(event)),
                Item::Poison(topic, value) => {
                    let record = RawRecord {
                        topic: topic.topic().into(),
                        key: Some(self.account(0).into_bytes()),
                        value: Some(value),
                        ..RawRecord::default()
                    };
                    (Kind::Poison, record, None)
                }
            };
            self.publish(
                kind,
                event_id.map(|event| event.event_id().to_owned()),
                record,
            )
        });
        try_join_all(sends).await?;
        Ok(count)
    }

    fn record(&self, event: &Event) -> RawRecord {
        RawRecord {
            topic: event.event_type().topic().to_owned(),
            key: Some(event.key().as_bytes().to_vec()),
            value: Some(self.frame(event)),
            headers: event_headers(event, "chaos"),
            partition: None,
        }
    }

    async fn publish(
        &self,
        kind: Kind,
        event_id: Option<String>,
        record: RawRecord,
    ) -> anyhow::Result<()> {
        let ticket = self.journal.sent(kind, &record.topic, event_id.as_deref());
        let answer = self.producer.send_raw(record).await;
        ticket.answered(&answer);
        answer
            .context("the broker does not acknowledge a record")
            .map(drop)
    }

    /// Publishes everything that the logs hold again, in their order, and returns how much it was.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn replay(&self, lab: &ChaosLab) -> anyhow::Result<usize> {
        let marks = lab.marks().await?;
        let decoder = EventDecoder::new(RegistryClient::new(&lab.lab.registry_url()));
        let mut count = 0;
        for ((topic, partition), (low, high)) in marks {
            let kafka = lab.lab.kafka();
            let name = topic.clone();
            let records = tokio::task::spawn_blocking(move || {
                let mut records = Vec::new();
                let reader = LogReader::new(&kafka)?;
                reader.read((&name, partition), low, high, |message| {
                    records.push(LogRecord::from(message));
                    Ok(())
                })?;
                anyhow::Ok(records)
            });
            let records = records.await.context("failed to read a log")??;
            count += records.len();
            for chunk in records.chunks(500) {
                let mut sends = Vec::new();
                for record in chunk {
                    let event = decoder.decode(&topic, record.value.as_deref()).await.ok();
                    let kind = match &event {
                        Some(_) => Kind::Duplicate,
                        None => Kind::Poison,
                    };
                    let headers = record.headers.iter();
                    let raw = RawRecord {
                        topic: topic.clone(),
                        key: record.key.clone(),
                        value: record.value.clone(),
                        headers: headers
                            .map(|(k, v)| (k.clone(), v.as_bytes().to_vec()))
                            .collect(),
                        partition: Some(partition),
                    };
                    let id = event.map(|event| event.event_id().to_owned());
                    sends.push(self.publish(kind, id, raw));
                }
                try_join_all(sends).await?;
            }
        }
        Ok(count)
    }
}
