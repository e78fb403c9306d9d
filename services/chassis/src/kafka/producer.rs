//! The idempotent producer (acks=all): an event is produced once the broker has acknowledged it.
//!
//! From here the event is in the log of its topic; bancaire's consumer and the gateway's streamer
//! read it back with the [`EventDecoder`](super::EventDecoder).

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};
use schemas::{DLQ_MESSAGE_MAX_BYTES, Event, wire};
use tokio::sync::oneshot;

use super::headers::{HeaderPairs, event_headers, to_owned_headers};
use super::sending::Sending;
use crate::config::KafkaConfig;
use crate::metrics::{self, openmetrics::exemplify};
use crate::registry::SchemaIds;

/// Where the broker put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i32,
    pub offset: i64,
}

/// Why a record is not in the log (or, for [`ProduceError::Unknown`], perhaps is).
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProduceError {
    /// The configuration cannot work.
    #[error("failed to create the producer: {0}")]
    Config(KafkaError),
    /// The local queue is full: wait a little and try again. Nothing was sent.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The broker did not acknowledge it.
    #[error("the broker did not acknowledge the record: {0}")]
    Failed(KafkaError),
    /// The producer was dropped before the broker answered.
    #[error("the producer stopped before the broker answered")]
    Unknown,
}

impl ProduceError {
    /// True when the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Config(_) => false,
            Self::QueueFull | Self::Unknown => true,
            Self::Failed(e) => !matches!(
                e.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::MessageSizeTooLarge
                        | RDKafkaErrorCode::InvalidMessage
                        | RDKafkaErrorCode::TopicAuthorizationFailed
                )
            ),
        }
    }
}

/// A record of any content: dead letters, outbox rows, and poison for exercises.
#[derive(Debug, Clone, Default)]
pub struct RawRecord {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderPairs,
    /// `None` lets the key decide, as Java's default partitioner would.
    pub partition: Option<i32>,
}

/// What is handed to librdkafka, which copies it.
struct Outgoing<'a> {
    topic: &'a str,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: HeaderPairs,
    partition: Option<i32>,
}

type Done = Box<dyn FnOnce(Result<Delivered, ProduceError>) + Send + Sync>;

/// What travels with a record through librdkafka and back.
struct Receipt {
    sent: Instant,
    /// Until the broker's answer; none for most.
    sending: Sending,
    done: Done,
}

struct Acks {
    service: &'static str,
}

impl ClientContext for Acks {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = %error, reason, "Kafka producer error");
    }
}

impl ProducerContext for Acks {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => {
                let labels = [self.service, message.topic()];
                metrics::MESSAGES_PRODUCED.with_label_values(&labels).inc();
                let latency_s = receipt.sent.elapsed().as_secs_f64();
                metrics::MESSAGE_LATENCY
                    .with_label_values(&labels)
                    .observe(latency_s);
                let labels = [("service", self.service), ("topic", message.topic())];
                let family = "edalab_message_latency_seconds";
                exemplify(family, &labels, latency_s, receipt.sending.span());
                let delivered = Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                };
                receipt.sending.acknowledged(message.topic(), delivered);
                Ok(delivered)
            }
            Err((error, _)) => {
                metrics::PROCESSING_ERRORS
                    .with_label_values(&[self.service, "produce"])
                    .inc();
                receipt.sending.failed(error);
                Err(ProduceError::Failed(error.clone()))
            }
        };
        (receipt.done)(outcome);
    }
}

/// The settings of every producer of the lab.
pub fn producer_config(config: &KafkaConfig, client_id: &str) -> ClientConfig {
    let mut client = super::client_config(config, client_id);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // The same partition for a key as Java's default partitioner.
        .set("partitioner", "murmur2_random")
        // Long enough to batch under load, short against every latency target.
        .set("linger.ms", "2")
        .set("batch.num.messages", "10000")
        // Of an idempotent producer librdkafka never has more than one request of many records on its way for
        // a partition, and while only that keeps records waiting, its thread turns in a loop without
        // a pause. A request that waits for its turn at the connection ends the loop.
        .set("max.in.flight.requests.per.connection", "2")
        // What a topic takes is the broker's to say; dead letters are the largest.
        .set("message.max.bytes", DLQ_MESSAGE_MAX_BYTES.to_string())
        // Bounds what can wait for an absent broker; beyond it callers get QueueFull.
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536")
        // An outage shorter than this loses nothing and fails nothing.
        .set("message.timeout.ms", "120000");
    client
}

/// Cheap to clone; clones share one connection and one queue.
#[derive(Clone)]
pub struct EventProducer {
    inner: std::sync::Arc<ThreadedProducer<Acks, NoCustomPartitioner>>,
    service: &'static str,
}

impl EventProducer {
    /// Connects lazily: the broker need not be there yet.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(config: &KafkaConfig, service: &'static str) -> Result<Self, ProduceError> {
        if config.bootstrap_servers.trim().is_empty() {
            return Err(ProduceError::Config(KafkaError::ClientCreation(
                "bootstrap.servers is empty".into(),
            )));
        }
        let client = producer_config(config, service);
        let inner = ThreadedProducer::from_config_and_context(&client, Acks { service })
            .map_err(ProduceError::Config)?;
        Ok(Self {
            inner: std::sync::Arc::new(inner),
            service,
        })
    }

    /// Publishes an event and waits for the broker's acknowledgement.
    pub async fn send(&self, ids: &SchemaIds, event: &Event) -> Result<Delivered, ProduceError> {
        self.acknowledged(|done| self.enqueue(ids, event, done))
            .await
    }

    /// Queues an event and returns; `done` runs on the producer's thread when the broker has
    /// answered, so it must be quick.
    ///
    /// # Errors
    /// [`ProduceError::QueueFull`] when the queue is full: nothing was sent, `done` is not called.
    pub fn enqueue(
        &self,
        ids: &SchemaIds,
        event: &Event,
        done: impl FnOnce(Result<Delivered, ProduceError>) + Send + Sync + 'static,
    ) -> Result<(), ProduceError> {
        let value = wire::frame(ids.id(event.event_type()), event);
        let outgoing = Outgoing {
            topic: event.event_type().topic(),
            key: Some(event.key().as_bytes()),
            value: Some(&value),
            headers: event_headers(event, self.service),
            partition: None,
        };
        self.hand_over(outgoing, done)
    }

    /// Publishes any record and waits for the acknowledgement; waits for room in a full queue.
    pub async fn send_raw(&self, record: RawRecord) -> Result<Delivered, ProduceError> {
        self.acknowledged(|done| self.enqueue_raw(record.clone(), done))
            .await
    }

    /// Offers a record until there is room for it, and waits for the broker's answer.
    async fn acknowledged(
        &self,
        offer: impl Fn(Done) -> Result<(), ProduceError>,
    ) -> Result<Delivered, ProduceError> {
        loop {
            let (tx, rx) = oneshot::channel();
            let done = move |outcome| {
                // The caller may have gone away; the record is in the log all the same.
                let _ = tx.send(outcome);
            };
            match offer(Box::new(done)) {
                Ok(()) => return rx.await.unwrap_or(Err(ProduceError::Unknown)),
                Err(ProduceError::QueueFull) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(e) => return Err(e),
            }
        }
    }

    /// Queues any record; see [`EventProducer::enqueue`].
    pub fn enqueue_raw(
        &self,
        record: RawRecord,
        done: impl FnOnce(Result<Delivered, ProduceError>) + Send + Sync + 'static,
    ) -> Result<(), ProduceError> {
        let outgoing = Outgoing {
            topic: &record.topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: record.headers,
            partition: record.partition,
        };
        self.hand_over(outgoing, done)
    }

    fn hand_over(
        &self,
        mut record: Outgoing<'_>,
        done: impl FnOnce(Result<Delivered, ProduceError>) + Send + Sync + 'static,
    ) -> Result<(), ProduceError> {
        let sending = Sending::begin(record.topic, &mut record.headers);
        let receipt = Box::new(Receipt {
            sent: Instant::now(),
            sending,
            done: Box::new(done),
        });
        let mut base: BaseRecord<'_, [u8], [u8], Box<Receipt>> =
            BaseRecord::with_opaque_to(record.topic, receipt);
        base.key = record.key;
        base.payload = record.value;
        base.partition = record.partition;
        if !record.headers.is_empty() {
            base = base.headers(to_owned_headers(&record.headers));
        }
        self.inner.send(base).map_err(|(error, base)| {
            base.delivery_opaque.sending.failed(&error);
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                ProduceError::QueueFull
            } else {
                ProduceError::Failed(error)
            }
        })
    }

    /// Waits until everything queued has been answered for, up to `deadline`.
    pub async fn flush(&self, deadline: Duration) -> Result<(), ProduceError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || inner.flush(deadline))
            .await
            .expect("flushing does not panic")
            .map_err(ProduceError::Failed)
    }

    /// True when a broker answers a metadata request within `deadline`.
    pub async fn is_connected(&self, deadline: Duration) -> bool {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            inner
                .client()
                .fetch_metadata(Some(schemas::DLQ_TOPIC), deadline)
                .is_ok()
        })
        .await
        .unwrap_or(false)
    }
}
