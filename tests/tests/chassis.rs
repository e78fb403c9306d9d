//! The chassis against real parts: a broker, a registry and PostgreSQL of the lab's fixture.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::config::{CommonConfig, KafkaConfig, Source};
use chassis::kafka::consumer::{EventConsumer, Received, Start};
use chassis::kafka::{EventDecoder, EventProducer, Failure, ProduceError, RawRecord};
use chassis::registry::{RegistryClient, RegistryError};
use schemas::{Event, EventType};
use tests::Lab;
use tokio_util::sync::CancellationToken;

fn config_file(name: &str) -> CommonConfig {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../infra/config")
        .join(name);
    let text = std::fs::read_to_string(&path).expect("the configuration file is there");
    let mut source = Source::from_parts(Some(&text), []).expect("it is YAML");
    let config = CommonConfig::read(&mut source, 8083);
    source.finish().expect("every field is valid");
    config
}

/// Plan: TestLoadLocalConfig
#[test]
fn load_local_config() {
    let config = config_file("embedded.yaml");
    assert_eq!(config.kafka.bootstrap_servers, "127.0.0.1:9092");
    assert_eq!(config.schema.url, "http://127.0.0.1:8081");
    assert_eq!(config.postgres.host, "127.0.0.1");
}

/// Plan: TestLoadDockerConfig
#[test]
fn load_docker_config() {
    let config = config_file("docker.yaml");
    assert_eq!(config.kafka.bootstrap_servers, "kafka:29092");
    assert_eq!(config.schema.url, "http://schema-registry:8081");
    assert_eq!(config.postgres.host, "postgres");
}

/// Plan: TestNewAvroProducer_InvalidConfig
#[test]
fn new_avro_producer_invalid_config() {
    let config = KafkaConfig {
        bootstrap_servers: " ".into(),
        auto_offset_reset: "earliest".into(),
        security: Default::default(),
    };
    let error = EventProducer::new(&config, "test")
        .err()
        .expect("it is refused");
    assert!(matches!(error, ProduceError::Config(_)), "{error}");
}

/// Plan: TestNewAvroConsumer_InvalidConfig
#[test]
fn new_avro_consumer_invalid_config() {
    let config = KafkaConfig {
        bootstrap_servers: String::new(),
        auto_offset_reset: "earliest".into(),
        security: Default::default(),
    };
    let decoder = EventDecoder::new(RegistryClient::new("http://127.0.0.1:1"));
    let error = EventConsumer::new(
        &config,
        decoder,
        &["bancaire.compte.ouvert"],
        Start::Beginning,
    )
    .err()
    .expect("it is refused");
    assert!(error.to_string().contains("bootstrap"), "{error}");
}

/// A producer that never reached a broker still answers every call: with an error, in time.
///
/// Plan: TestProduce_Interface
#[tokio::test]
async fn produce_interface() {
    let config = KafkaConfig {
        bootstrap_servers: "127.0.0.1:1".into(),
        auto_offset_reset: "earliest".into(),
        security: Default::default(),
    };
    let producer = EventProducer::new(&config, "test").expect("the configuration is valid");
    let answered = Arc::new(Mutex::new(None));
    let done = answered.clone();
    let record = RawRecord {
        topic: EventType::CompteOuvert.topic().into(),
        value: Some(b"x".to_vec()),
        ..RawRecord::default()
    };
    producer
        .enqueue_raw(record, move |outcome| *done.lock().unwrap() = Some(outcome))
        .expect("the queue has room");
    assert!(producer.flush(Duration::from_millis(100)).await.is_err());
    assert!(
        answered.lock().unwrap().is_none(),
        "nothing was acknowledged"
    );
}

/// Against librdkafka's own mock cluster: the acknowledgement carries partition and offset.
///
/// Plan: TestProduce_Mock
#[tokio::test]
async fn produce_mock() {
    let cluster = rdkafka::mocking::MockCluster::new(1).expect("a mock cluster starts");
    cluster
        .create_topic(EventType::DepotEffectue.topic(), 3, 1)
        .expect("the topic is created");
    let config = KafkaConfig {
        bootstrap_servers: cluster.bootstrap_servers(),
        auto_offset_reset: "earliest".into(),
        security: Default::default(),
    };
    let producer = EventProducer::new(&config, "test").expect("the configuration is valid");
    let event = tests::events::depot("11111111-1111-4111-8111-111111111111", "12.34");
    let ids = chassis::registry::SchemaIds::new([7; EventType::ALL.len()]);
    let first = producer
        .send(&ids, &event)
        .await
        .expect("it is acknowledged");
    let second = producer
        .send(&ids, &event)
        .await
        .expect("it is acknowledged");
    assert_eq!(first.partition, second.partition, "one key, one partition");
    assert_eq!((first.offset, second.offset), (0, 1));
}

/// A consumer hands over decoded events with their place, and poison as what it is.
///
/// Plan: TestConsume_Interface
#[tokio::test]
async fn consume_interface() {
    let lab = Lab::shared().await;
    let topic = lab.fresh_topic(EventType::DepotEffectue).await;
    let kafka = lab.kafka();
    let producer = EventProducer::new(&kafka, "test").unwrap();
    let record = RawRecord {
        topic: topic.clone(),
        value: Some(vec![9, 0, 0, 0, 1]),
        ..RawRecord::default()
    };
    let at = producer.send_raw(record).await.expect("it is acknowledged");
    let decoder = EventDecoder::new(RegistryClient::new(&lab.registry_url()));
    let mut consumer =
        EventConsumer::new(&kafka, decoder, &[&topic], Start::Beginning).expect("it is created");
    let received: Received = lab
        .deadline(consumer.next(&CancellationToken::new()))
        .await
        .unwrap();
    assert_eq!(
        (received.partition, received.offset),
        (at.partition, at.offset)
    );
    assert!(
        matches!(received.event, Err(Failure::Poison(_))),
        "{received:?}"
    );
}

/// Plan: TestProducerConsumerRoundTrip
#[tokio::test]
async fn producer_consumer_round_trip() {
    let lab = Lab::shared().await;
    let kafka = lab.kafka();
    let registry = RegistryClient::new(&lab.registry_url());
    let ids = registry
        .wait_ids(&CancellationToken::new())
        .await
        .expect("the ids are known");
    let decoder = EventDecoder::new(registry);
    let topic = EventType::DepotEffectue.topic();
    let mut consumer =
        EventConsumer::new(&kafka, decoder, &[topic], Start::End).expect("it is created");
    consumer.ready().await.expect("the ends are known");
    let producer = EventProducer::new(&kafka, "test").unwrap();
    let mut sent = BTreeSet::new();
    for i in 0..10 {
        let event = tests::events::depot(&tests::events::id(), &format!("{i}.50"));
        producer
            .send(&ids, &event)
            .await
            .expect("it is acknowledged");
        sent.insert(event.event_id().to_owned());
    }
    let mut seen = BTreeSet::new();
    while seen.len() < sent.len() {
        let received = lab
            .deadline(consumer.next(&CancellationToken::new()))
            .await
            .unwrap();
        let event: Event = received.event.expect("it decodes");
        if !sent.contains(event.event_id()) {
            continue; // Another test's event on the shared topic.
        }
        let header = |name: &str| {
            let found = received.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        assert_eq!(header("ce_id"), event.event_id());
        assert_eq!(
            header("ce_type"),
            "com.edalab.bancaire.events.DepotEffectue"
        );
        assert_eq!(header("traceparent").len(), 55);
        assert_eq!(received.key.as_deref(), Some(event.key().as_bytes()));
        let age_ms = chrono::Utc::now().timestamp_millis() - received.timestamp_ms.unwrap();
        assert!(
            (0..60_000).contains(&age_ms),
            "the record's time is {age_ms} ms ago"
        );
        assert!(seen.insert(event.event_id().to_owned()), "each comes once");
    }
}

/// Plan: TestNewDBPool_Success
#[tokio::test]
async fn new_db_pool_success() {
    let lab = Lab::shared().await;
    let pool = chassis::postgres::connect(&lab.fresh_database("pool").await).unwrap();
    chassis::postgres::health_check(&pool)
        .await
        .expect("PostgreSQL answers");
}

async fn notes(name: &str) -> sqlx::PgPool {
    let lab = Lab::shared().await;
    let pool = chassis::postgres::connect(&lab.fresh_database(name).await).unwrap();
    let table = ("notes", "CREATE TABLE notes.note (text TEXT NOT NULL)");
    // Twice: the second run finds nothing to do.
    for _ in 0..2 {
        chassis::postgres::migrate(&pool, "notes", &[table])
            .await
            .expect("it migrates");
    }
    pool
}

async fn count(pool: &sqlx::PgPool) -> i64 {
    let query = sqlx::query_scalar("SELECT count(*) FROM notes.note");
    query.fetch_one(pool).await.expect("the table is there")
}

/// Plan: TestWithTransaction_Commit
#[tokio::test]
async fn with_transaction_commit() {
    let pool = notes("commit").await;
    let result: Result<(), sqlx::Error> = chassis::postgres::with_transaction(&pool, async |tx| {
        sqlx::query("INSERT INTO notes.note VALUES ('a')")
            .execute(&mut **tx)
            .await?;
        Ok(())
    })
    .await;
    result.expect("it commits");
    assert_eq!(count(&pool).await, 1);
}

/// Plan: TestWithTransaction_Rollback
#[tokio::test]
async fn with_transaction_rollback() {
    let pool = notes("rollback").await;
    let result: Result<(), anyhow::Error> =
        chassis::postgres::with_transaction(&pool, async |tx| {
            sqlx::query("INSERT INTO notes.note VALUES ('a')")
                .execute(&mut **tx)
                .await?;
            anyhow::bail!("a change of mind")
        })
        .await;
    assert_eq!(result.unwrap_err().to_string(), "a change of mind");
    assert_eq!(count(&pool).await, 0);
}

/// A registry that answers "no" is not one that does not answer.
#[tokio::test]
async fn the_registry_client_tells_absent_from_away() {
    let lab = Lab::shared().await;
    let registry = RegistryClient::new(&lab.registry_url());
    let absent = registry.schema(999_999).await.err().unwrap();
    assert!(matches!(absent, RegistryError::NotFound(_)), "{absent}");
    let away = RegistryClient::new("http://127.0.0.1:1")
        .schema(1)
        .await
        .err()
        .unwrap();
    assert!(matches!(away, RegistryError::Unavailable(_)), "{away}");
}
