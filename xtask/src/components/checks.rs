//! What must hold of an infrastructure that is up, whoever runs it: the plan's infrastructure tests
//! (phase 0) as `cargo xtask infra test` runs them.
//!
//! They work on a topic and a subject of their own, which they remove again.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::KafkaConfig;
use chassis::kafka::{admin, client_config};
use chassis::registry::RegistryClient;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::TopicSpec;
use serde::Serialize;
use serde_json::{Value, json};

use super::postgres;
use crate::state::LabState;

const TIMEOUT: Duration = Duration::from_secs(10);

/// One check and how it went.
#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    pub took_ms: u64,
    /// What was found, or what is wrong.
    pub detail: String,
}

/// All of them, side by side.
pub async fn all(lab: &LabState) -> Vec<Check> {
    let (kafka, topics, registry, postgres) = tokio::join!(
        timed("kafka", kafka(lab)),
        timed("topics", topics(lab)),
        timed("registry", registry(lab)),
        timed("postgres", postgres(lab)),
    );
    vec![kafka, topics, registry, postgres]
}

pub(super) async fn timed(
    name: &'static str,
    check: impl Future<Output = anyhow::Result<String>>,
) -> Check {
    let began = Instant::now();
    let result = tokio::time::timeout(TIMEOUT * 3, check).await;
    let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within 30 s")));
    Check {
        name,
        passed: result.is_ok(),
        took_ms: began.elapsed().as_millis() as u64,
        detail: result.unwrap_or_else(|e| format!("{e:#}")),
    }
}

/// A topic made, a record produced, consumed and compared, the topic removed.
pub async fn kafka(lab: &LabState) -> anyhow::Result<String> {
    let config = lab.kafka();
    let name = format!("edalab.test.{}", uuid::Uuid::new_v4().simple());
    let topic = TopicSpec {
        // A specification names topics of this program; this one lives as long as it does.
        name: name.clone().leak(),
        partitions: 1,
        retention_ms: Some(3_600_000),
    };
    admin::ensure_topics(&config, &[topic], lab.replication()).await?;
    let result = produce_and_consume(&config, &name).await;
    let admin: AdminClient<DefaultClientContext> = client_config(&config, "edalab-check")
        .create()
        .context("failed to create the admin client")?;
    let removed = admin.delete_topics(&[&name], &AdminOptions::new()).await;
    let brokers = result?;
    removed.context("failed to remove the test topic")?;
    let wanted = lab.brokers as usize;
    anyhow::ensure!(
        brokers >= wanted,
        "{brokers} of {wanted} brokers are in the cluster"
    );
    Ok(format!("a record came back; brokers: {brokers}"))
}

async fn produce_and_consume(config: &KafkaConfig, topic: &str) -> anyhow::Result<usize> {
    let producer: FutureProducer = client_config(config, "edalab-check")
        .create()
        .context("failed to create a producer")?;
    let record = FutureRecord::to(topic).key("test").payload("bonjour");
    let sent = producer.send(record, TIMEOUT).await;
    sent.map_err(|(e, _)| e).context("failed to produce")?;
    let consumer: BaseConsumer = client_config(config, "edalab-check")
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .context("failed to create a consumer")?;
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        consumer
            .subscribe(&[&topic])
            .context("failed to subscribe")?;
        let began = Instant::now();
        while began.elapsed() < TIMEOUT {
            // An error or nothing: the topic is new, and not every broker knows it yet.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                anyhow::ensure!(
                    message.payload() == Some(b"bonjour"),
                    "another record came back"
                );
                let metadata = consumer.fetch_metadata(None, TIMEOUT);
                return Ok(metadata
                    .context("failed to ask for the brokers")?
                    .brokers()
                    .len());
            }
        }
        anyhow::bail!(
            "the record did not come back within {} s",
            TIMEOUT.as_secs()
        )
    })
    .await
    .context("failed to wait for the consumer")?
}

/// Every topic of the catalogue with its partitions and copies.
pub async fn topics(lab: &LabState) -> anyhow::Result<String> {
    let consumer: BaseConsumer = client_config(&lab.kafka(), "edalab-check")
        .create()
        .context("failed to create a Kafka client")?;
    // What a cluster of somebody else's thinks right is right.
    let replication = lab.replication().max(1) as usize;
    tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(None, TIMEOUT);
        let metadata = metadata.context("failed to ask the broker for its topics")?;
        let catalogue = schemas::catalogue();
        let mut wrong = Vec::new();
        for spec in &catalogue {
            let found = metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == spec.name);
            let Some(topic) = found else {
                wrong.push(format!("{} is missing", spec.name));
                continue;
            };
            let partitions = topic.partitions();
            if partitions.len() != spec.partitions as usize {
                let count = partitions.len();
                wrong.push(format!(
                    "{} has {count} partitions, not {}",
                    spec.name, spec.partitions
                ));
            }
            let copies = partitions
                .iter()
                .map(|p| p.replicas().len())
                .min()
                .unwrap_or(0);
            if copies < replication {
                wrong.push(format!(
                    "{} has {copies} copies, not {replication}",
                    spec.name
                ));
            }
        }
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(format!("all {} are there", catalogue.len()))
    })
    .await
    .context("failed to wait for the topics")?
}

/// A schema registered and read back by its id; what fits it is accepted, what breaks it is not.
pub async fn registry(lab: &LabState) -> anyhow::Result<String> {
    let subject = format!("edalab-test-{}-value", uuid::Uuid::new_v4().simple());
    let http = super::services::client()?;
    let base = format!("{}/subjects/{subject}", lab.registry_url());
    let result = registry_round_trip(lab, &subject, &http).await;
    // Hard deletion comes after the soft one.
    for url in [base.clone(), format!("{base}?permanent=true")] {
        let _ = http.delete(url).send().await;
    }
    result
}

async fn registry_round_trip(
    lab: &LabState,
    subject: &str,
    http: &reqwest::Client,
) -> anyhow::Result<String> {
    let schema = |more: Option<Value>| {
        let mut fields = vec![
            json!({"name": "id", "type": "string"}),
            json!({"name": "timestamp", "type": "long"}),
        ];
        fields.extend(more);
        json!({"type": "record", "name": "TestEvent", "namespace": "com.edalab.test",
            "fields": fields})
    };
    let registry = RegistryClient::new(&lab.registry_url());
    let id = registry
        .register(subject, &schema(None).to_string())
        .await?;
    let url = format!("{}/schemas/ids/{id}", lab.registry_url());
    let read: Value = http
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let text = read["schema"]
        .as_str()
        .context("the registry gave no schema back")?;
    let there: Value = serde_json::from_str(text).context("the schema is not JSON")?;
    anyhow::ensure!(
        there == schema(None),
        "the registry gave another schema back: {text}"
    );
    let with_default = json!({"name": "note", "type": "string", "default": ""});
    let without = json!({"name": "note", "type": "string"});
    for (field, fits) in [(with_default, true), (without, false)] {
        let url = format!(
            "{}/compatibility/subjects/{subject}/versions/latest",
            lab.registry_url()
        );
        let body = json!({"schema": schema(Some(field)).to_string()});
        let answer = http
            .post(url)
            .json(&body)
            .send()
            .await?
            .error_for_status()?;
        let answer: Value = answer.json().await?;
        anyhow::ensure!(
            answer["is_compatible"] == fits,
            "the registry misjudges a change: {answer} where {fits} is right"
        );
    }
    Ok(format!("schema {id} came back; compatibility is judged"))
}

/// The plan's table answers.
pub async fn postgres(lab: &LabState) -> anyhow::Result<String> {
    postgres::round_trip(&lab.postgres()).await?;
    let pool = chassis::postgres::connect(&lab.postgres())?;
    let version: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&pool)
        .await?;
    Ok(format!(
        "bancaire.health_check says ok; PostgreSQL {version}"
    ))
}
