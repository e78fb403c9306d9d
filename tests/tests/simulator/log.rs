//! What came into some topics since a test began.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chassis::config::KafkaConfig;
use chassis::kafka::headers::to_text;
use chassis::kafka::{EventDecoder, Failure, client_config};
use chassis::registry::RegistryClient;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use schemas::{Event, EventType, PARTITIONS};
use tests::Lab;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Offsets by topic and partition.
type Offsets = BTreeMap<(EventType, i32), i64>;

/// The ends of the topics at a moment, to read on from there.
pub struct Log {
    kafka: KafkaConfig,
    decoder: EventDecoder,
    from: Offsets,
}

/// A record, and what it says.
pub struct Record {
    pub topic: EventType,
    pub partition: i32,
    pub key: String,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
    pub event: Result<Event, Failure>,
}

impl Record {
    #[track_caller]
    pub fn event(&self) -> &Event {
        self.event
            .as_ref()
            .unwrap_or_else(|e| panic!("{} cannot be read: {e}", self.topic))
    }
}

impl Log {
    pub async fn from_now(lab: &Lab) -> Self {
        let kafka = lab.kafka();
        let from = blocking(&kafka, |consumer| ends(&consumer)).await;
        Self {
            kafka,
            decoder: EventDecoder::new(RegistryClient::new(&lab.registry_url())),
            from,
        }
    }

    /// Everything that is in the logs now and was not then, by topic and partition in order.
    pub async fn records(&self) -> Vec<Record> {
        let from = self.from.clone();
        let mut records = blocking(&self.kafka, move |consumer| read(&consumer, &from)).await;
        for record in &mut records {
            let topic = record.topic.topic();
            record.event = self.decoder.decode(topic, record.value.as_deref()).await;
        }
        records
    }

    /// The records with these event ids, in their order.
    pub async fn of(&self, ids: &[String]) -> Vec<Record> {
        let mut records = self.records().await;
        records.retain(|r| matches!(&r.event, Ok(e) if ids.iter().any(|id| id == e.event_id())));
        records.sort_by_key(|r| ids.iter().position(|id| id == r.event().event_id()));
        records
    }
}

async fn blocking<T: Send + 'static>(
    kafka: &KafkaConfig,
    work: impl FnOnce(BaseConsumer) -> T + Send + 'static,
) -> T {
    let consumer: BaseConsumer = client_config(kafka, "test")
        .set("group.id", "test-simulator")
        .set("enable.auto.commit", "false")
        .create()
        .expect("the configuration is valid");
    tokio::task::spawn_blocking(move || work(consumer))
        .await
        .expect("the broker answers")
}

fn ends(consumer: &BaseConsumer) -> Offsets {
    let mut ends = Offsets::new();
    for topic in EventType::ALL {
        for partition in 0..PARTITIONS {
            let (_, high) = consumer
                .fetch_watermarks(topic.topic(), partition, TIMEOUT)
                .expect("the broker answers");
            ends.insert((topic, partition), high);
        }
    }
    ends
}

fn read(consumer: &BaseConsumer, from: &Offsets) -> Vec<Record> {
    let mut left = ends(consumer);
    left.retain(|place, end| *end > from[place]);
    let mut assignment = TopicPartitionList::new();
    for (topic, partition) in left.keys() {
        let offset = Offset::Offset(from[&(*topic, *partition)]);
        assignment
            .add_partition_offset(topic.topic(), *partition, offset)
            .expect("a plain offset");
    }
    consumer.assign(&assignment).expect("it can be assigned");
    let mut records = Vec::new();
    let started = Instant::now();
    while !left.is_empty() {
        assert!(
            started.elapsed() < TIMEOUT,
            "these logs do not come to their ends: {left:?}"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.expect("the broker answers");
        let topic = EventType::from_topic(message.topic()).expect("it was asked for");
        let partition = message.partition();
        if left
            .get(&(topic, partition))
            .is_some_and(|end| message.offset() + 1 >= *end)
        {
            left.remove(&(topic, partition));
        }
        records.push(Record {
            topic,
            partition,
            key: String::from_utf8(message.key().unwrap_or_default().to_vec()).expect("UTF-8"),
            value: message.payload().map(<[u8]>::to_vec),
            headers: to_text(message.headers()).into_iter().collect(),
            event: Err(Failure::Transient("not decoded yet".into())),
        });
    }
    records
}
