//! The dead letters over HTTP: a list, newest first, and publishing one again. Reading, decoding
//! and replaying are [`chassis::dead_letters`], which `cargo xtask dlq` uses too.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chassis::config::KafkaConfig;
use chassis::dead_letters::{self, Letters, ReplayError, Replayed, Shown};
use chassis::http::Problem;
use chassis::kafka::EventProducer;
use chassis::kafka::admin::Inspector;
use chassis::registry::{RegistryClient, RegistryError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

/// How long reading the topic may take.
const TIMEOUT: Duration = Duration::from_secs(8);
/// What was read is given again for so long, however many ask.
const FRESH: Duration = Duration::from_millis(500);
const MOST: usize = 500;

/// A page of dead letters, newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page {
    pub dead_letters: Vec<Shown>,
    /// How many there are.
    pub total: usize,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Dead letters at most, 1 to 500; 50 without it.
    pub limit: Option<usize>,
    /// The key of the last one of the page before.
    pub before: Option<String>,
}

/// What to publish.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The mended event; without it, the original bytes.
    #[schema(value_type = Option<Object>)]
    pub event: Option<Value>,
}

pub struct DeadLetters {
    kafka: KafkaConfig,
    registry: RegistryClient,
    inspector: Inspector,
    /// Made when it is first needed.
    producer: OnceLock<EventProducer>,
    cache: Mutex<Option<(Instant, Arc<Letters>)>>,
}

impl DeadLetters {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig, registry: RegistryClient) -> anyhow::Result<Self> {
        Ok(Self {
            kafka: kafka.clone(),
            registry,
            inspector: Inspector::new(kafka)?,
            producer: OnceLock::new(),
            cache: Mutex::default(),
        })
    }

    /// # Errors
    /// 400 for a bad limit or an unknown key, 503 when the broker does not answer.
    pub async fn page(&self, query: &PageQuery) -> Result<Page, Problem> {
        let limit = query.limit.unwrap_or(50);
        if !(1..=MOST).contains(&limit) {
            let detail = format!("limit is {limit}, not between 1 and {MOST}.");
            return Err(Problem::bad_request(detail));
        }
        let letters = self.letters().await?;
        let older = match &query.before {
            None => &letters.letters[..],
            Some(key) => {
                let at = letters.letters.iter().position(|letter| letter.key == *key);
                let at = at.ok_or_else(|| {
                    Problem::bad_request(format!(
                        "before is {key:?}, which is no dead letter's key."
                    ))
                })?;
                &letters.letters[..at]
            }
        };
        let mut shown = Vec::new();
        for letter in older.iter().rev().take(limit) {
            shown.push(letter.show(&self.registry).await);
        }
        Ok(Page {
            dead_letters: shown,
            total: letters.letters.len(),
        })
    }

    /// # Errors
    /// 404 for an unknown key, 400 for an event that is not one of the topic, 503 when the broker
    /// or the registry do not answer.
    pub async fn replay(&self, key: &str, replay: Replay) -> Result<Replayed, Problem> {
        // What the list showed a moment ago may have been replayed since.
        *self.cache.lock().await = None;
        let letters = self.letters().await?;
        let letter = letters
            .get(key)
            .ok_or_else(|| Problem::not_found(format!("There is no dead letter {key:?}.")))?;
        let producer = self.producer()?;
        let replayed = dead_letters::replay(producer, &self.registry, letter, replay.event).await;
        *self.cache.lock().await = None;
        replayed.map_err(|error| match error {
            ReplayError::BadEvent(why) => {
                Problem::bad_request(format!("The event cannot be published: {why}."))
            }
            ReplayError::BadLetter(why) => {
                Problem::conflict(format!("The dead letter cannot be published again: {why}."))
            }
            ReplayError::Registry(RegistryError::Unavailable(_)) => {
                Problem::unavailable("The schema registry does not answer; try again.")
            }
            ReplayError::Produce(_) => {
                Problem::unavailable("The broker did not acknowledge the record; try again.")
            }
            error => Problem::internal(error),
        })
    }

    fn producer(&self) -> Result<&EventProducer, Problem> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let new = EventProducer::new(&self.kafka, crate::SERVICE).map_err(Problem::internal)?;
        Ok(self.producer.get_or_init(|| new))
    }

    async fn letters(&self) -> Result<Arc<Letters>, Problem> {
        let mut cache = self.cache.lock().await;
        if let Some((read, letters)) = &*cache
            && read.elapsed() < FRESH
        {
            return Ok(letters.clone());
        }
        let letters = dead_letters::read(&self.kafka, &self.inspector, TIMEOUT).await;
        let letters = letters.map_err(|e| {
            tracing::warn!(error = format!("{e:#}"), "Failed to read the dead letters");
            Problem::unavailable("The broker does not give the dead letters at the moment.")
        })?;
        let letters = Arc::new(letters);
        *cache = Some((Instant::now(), letters.clone()));
        Ok(letters)
    }
}
