//! Writing to the lab's topics, and knowing where a record is.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::kafka::admin::Inspector;
use chassis::kafka::consumer::{EventConsumer, Start};
use chassis::kafka::{EventDecoder, EventProducer, RawRecord, event_headers};
use chassis::registry::{RegistryClient, SchemaIds};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::{DLQ_TOPIC, DeadLetter, Event, EventType, wire};
use tests::Lab;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// A partition whose log begins here, because what came before was deleted, as retention does.
pub const CUT_SHORT: Place = Place {
    topic: EventType::PaiementPrimeEffectue,
    partition: 0,
    offset: 2,
};

/// The infrastructure of this binary's lab, without the bank's services.
pub async fn lab() -> &'static Lab {
    static LAB: OnceCell<Lab> = OnceCell::const_new();
    LAB.get_or_init(async || {
        let start = || {
            let lab = Lab::prepare("bancaire");
            lab.xtask(&["infra", "up", "--no-build"]).success();
            lab
        };
        let lab = tokio::task::spawn_blocking(start)
            .await
            .expect("the lab starts");
        // Now, while no bank reads: one that is on its way would stop.
        cut_short(&lab).await;
        lab
    })
    .await
}

async fn cut_short(lab: &Lab) {
    let (topic, partition) = (CUT_SHORT.topic.topic(), CUT_SHORT.partition);
    let producer = EventProducer::new(&lab.kafka(), "test").expect("it is configured well");
    for _ in 0..CUT_SHORT.offset {
        let record = RawRecord {
            topic: topic.into(),
            value: Some(b"too old".to_vec()),
            partition: Some(partition),
            ..RawRecord::default()
        };
        producer.send_raw(record).await.expect("it is acknowledged");
    }
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", lab.kafka_bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().expect("a client");
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, partition, Offset::Offset(CUT_SHORT.offset))
        .expect("an offset");
    let deleted = admin.delete_records(&offsets, &AdminOptions::new()).await;
    let deleted = deleted.expect("the broker answers");
    deleted.elements()[0].error().expect("they are deleted");
}

/// A record's place in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub topic: EventType,
    pub partition: i32,
    pub offset: i64,
}

/// The producer of all tests of this binary.
pub struct Log {
    producer: EventProducer,
    pub ids: SchemaIds,
}

impl Log {
    pub async fn open() -> &'static Log {
        static LOG: OnceCell<Log> = OnceCell::const_new();
        LOG.get_or_init(async || {
            let lab = lab().await;
            let registry = RegistryClient::new(&lab.registry_url());
            let ids = registry.wait_ids(&CancellationToken::new()).await;
            Log {
                producer: EventProducer::new(&lab.kafka(), "test").expect("it is configured well"),
                ids: ids.expect("the schemas are registered"),
            }
        })
        .await
    }

    /// A good record of an event, as the simulator would send it.
    pub fn record(&self, event: &Event) -> RawRecord {
        RawRecord {
            topic: event.event_type().topic().to_owned(),
            key: Some(event.key().as_bytes().to_vec()),
            value: Some(wire::frame(self.ids.id(event.event_type()), event)),
            headers: event_headers(event, "test"),
            partition: None,
        }
    }

    pub async fn send(&self, event: &Event) -> Place {
        self.send_raw(self.record(event)).await
    }

    /// Sends one after the other, and gives the last one's place.
    pub async fn send_all<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> Place {
        let mut last = None;
        for event in events {
            last = Some(self.send(event).await);
        }
        last.expect("there is an event")
    }

    /// Sends all at once, in their order, and gives every one's place.
    pub async fn send_at_once(&self, events: &[Event]) -> Vec<Place> {
        let sends = events.iter().map(|event| self.send(event));
        futures_util::future::join_all(sends).await
    }

    /// Sends to a partition whatever the key says.
    pub async fn send_to(&self, partition: i32, event: &Event) -> Place {
        let record = RawRecord {
            partition: Some(partition),
            ..self.record(event)
        };
        self.send_raw(record).await
    }

    /// The last record of each partition of a topic.
    pub async fn ends(&self, topic: EventType) -> Vec<Place> {
        let inspector = Inspector::new(&lab().await.kafka()).expect("a client");
        let ends = inspector
            .watermarks(&[topic.topic()])
            .await
            .expect("the broker answers");
        let filled = ends.into_iter().filter(|(_, (low, high))| high > low);
        let place = |((_, partition), (_, high))| Place {
            topic,
            partition,
            offset: high - 1,
        };
        filled.map(place).collect()
    }

    pub async fn send_raw(&self, record: RawRecord) -> Place {
        let topic = EventType::from_topic(&record.topic).expect("a topic of events");
        let sent = tokio::time::timeout(Duration::from_secs(30), self.producer.send_raw(record));
        let sent = sent
            .await
            .expect("the broker answers")
            .expect("it is acknowledged");
        Place {
            topic,
            partition: sent.partition,
            offset: sent.offset,
        }
    }
}

/// The dead letters that are on their topic now, of one consumer group.
pub async fn dead_letters(group: &str) -> Vec<DeadLetter> {
    let lab = lab().await;
    let inspector = Inspector::new(&lab.kafka()).expect("a client");
    let ends = inspector
        .watermarks(&[DLQ_TOPIC])
        .await
        .expect("the broker answers");
    let filled = ends.into_iter().filter(|(_, (low, high))| high > low);
    // Others write meanwhile: it is the end of each partition that counts.
    let mut unread: BTreeMap<i32, i64> = filled
        .map(|((_, partition), (_, high))| (partition, high))
        .collect();
    let decoder = EventDecoder::new(RegistryClient::new(&lab.registry_url()));
    let mut reader = EventConsumer::new(&lab.kafka(), decoder, &[DLQ_TOPIC], Start::Beginning)
        .expect("it is configured well");
    let mut letters = Vec::new();
    while !unread.is_empty() {
        let stop = CancellationToken::new();
        let record = lab
            .deadline(reader.next(&stop))
            .await
            .expect("nobody stops it");
        let end = unread.get(&record.partition);
        if end.is_some_and(|end| record.offset + 1 >= *end) {
            unread.remove(&record.partition);
        }
        let value = record.value.expect("a dead letter has a value");
        let letter: DeadLetter = serde_json::from_slice(&value).expect("a dead letter is JSON");
        assert_eq!(record.key.as_deref(), Some(letter.key_string().as_bytes()));
        if letter.metadata.consumer_group == group {
            letters.push(letter);
        }
    }
    letters
}
