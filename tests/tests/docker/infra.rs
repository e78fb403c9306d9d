//! The infrastructure tests of the plan's phase 0, on real Kafka in containers.

use std::sync::OnceLock;

use crate::support::lab;
use tests::Lab;
use xtask::components::checks;

/// Infrastructure alone, which these tests share.
async fn infrastructure() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    let started = tokio::task::spawn_blocking(|| {
        LAB.get_or_init(|| {
            let lab = lab("docker-infra");
            lab.xtask(&["infra", "up", "--no-build"]).success();
            lab
        })
    });
    started.await.expect("it starts")
}

/// A topic made, a record produced, consumed and compared.
/// Plan: TestKafkaConnection
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn test_kafka_connection() {
    let lab = infrastructure().await;
    let found = checks::kafka(&lab.state()).await.expect("Kafka answers");
    assert_eq!(found, "a record came back; brokers: 1");
    let topics = lab.xtask(&["topics", "list", "--json"]).success().json();
    let left = topics.as_array().expect("topics").iter();
    let left = left.filter(|topic| topic["name"].as_str().expect("a name").contains("test"));
    assert_eq!(left.count(), 0, "its topic is removed again: {topics}");
}

/// A schema registered, read back by id, and its compatibility asked for.
/// Plan: TestSchemaRegistryConnection
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn test_schema_registry_connection() {
    let lab = infrastructure().await;
    let found = checks::registry(&lab.state()).await;
    found.expect("the registry keeps what it is given");
}

/// A connection, a query, its result.
/// Plan: TestPostgreSQLConnection
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn test_postgre_sql_connection() {
    let lab = infrastructure().await;
    let found = checks::postgres(&lab.state()).await;
    found.expect("PostgreSQL answers a query");
}
