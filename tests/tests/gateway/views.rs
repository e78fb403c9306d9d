//! What the gateway shows: health, figures, Kafka, single records, dead letters.

use chassis::kafka::{EventProducer, RawRecord};
use serde_json::{Value, json};
use tests::{Lab, http, until_async};

use crate::socket::{get, produce};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_lab_is_healthy_part_by_part() {
    let lab = Lab::shared().await;
    let health = until_async("all parts are healthy", async || {
        let (status, health) = get(lab, "/api/v1/health").await;
        assert_eq!(status, 200);
        (health["status"] == "healthy").then_some(health)
    })
    .await;
    for part in [
        "gateway",
        "simulator",
        "bancaire",
        "registry",
        "kafka",
        "postgres",
    ] {
        assert_eq!(
            health["services"][part]["status"], "healthy",
            "{part}: {health}"
        );
    }
    assert_eq!(health["services"]["bancaire"]["circuit"], "closed");
    assert!(health["services"]["simulator"]["latency_ms"].is_number());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_follow_what_was_produced() {
    let lab = Lab::shared().await;
    // Latencies are of what came since the first look.
    get(lab, "/api/v1/metrics").await;
    produce(lab, "CompteOuvert", 20).await;
    let metrics = until_async("the figures are there", async || {
        let (status, metrics) = get(lab, "/api/v1/metrics").await;
        assert_eq!(status, 200);
        let kafka = &metrics["kafka"];
        let is_there = kafka["lag_total"] == 0
            && kafka["messages_total"].as_i64()? >= 20
            && metrics["latencies"]["end_to_end_ms"]["p99"].is_number()
            && metrics["latencies"]["produce_ms"]["p50"].is_number();
        is_there.then_some(metrics)
    })
    .await;
    assert!(metrics["simulation"]["status"].is_string(), "{metrics}");
    let topics = metrics["kafka"]["topics"].as_array().unwrap();
    assert_eq!(topics.len(), 8);
    assert_eq!(topics[0]["topic"], "bancaire.compte.ouvert");
    assert!(topics[0]["messages"].as_i64().unwrap() >= 20);
    let names: Vec<&str> = metrics["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["gateway", "simulator", "bancaire", "registry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_shown_down_to_who_reads_which_partition() {
    let lab = Lab::shared().await;
    produce(lab, "CompteOuvert", 30).await;
    let ouvert = |cluster: &Value| {
        let topics = cluster["topics"].as_array().expect("topics").clone();
        topics
            .into_iter()
            .find(|topic| topic["name"] == "bancaire.compte.ouvert")
    };
    let cluster = until_async("bancaire has told the broker how far it is", async || {
        let (status, cluster) = get(lab, "/api/v1/kafka").await;
        assert_eq!(status, 200, "{cluster}");
        let partitions = ouvert(&cluster)?["partitions"].as_array()?.clone();
        let is_read = |p: &Value| p["lag"]["bancaire"] == 0 && p["owner"]["bancaire"].is_string();
        partitions.iter().any(is_read).then_some(cluster)
    })
    .await;
    assert!(cluster["cluster_id"].is_string());
    assert_eq!(cluster["brokers"].as_array().unwrap().len(), 1);
    let partitions = ouvert(&cluster).unwrap()["partitions"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(partitions.len(), 3);
    let total: i64 = partitions.iter().map(|p| p["high"].as_i64().unwrap()).sum();
    assert!(total >= 30, "{partitions:?}");
    let groups = cluster["groups"].as_array().unwrap();
    let group = groups
        .iter()
        .find(|group| group["name"] == "bancaire")
        .expect("its group");
    assert_eq!(group["state"], "Stable");
    let members = group["members"].as_array().unwrap();
    let owned: usize = members
        .iter()
        .map(|m| m["partitions"].as_array().unwrap().len())
        .sum();
    assert_eq!(owned, 21, "seven topics of three partitions: {group}");
    let topics = cluster["topics"].as_array().unwrap();
    assert!(
        topics
            .iter()
            .all(|t| !t["name"].as_str().unwrap().starts_with("__"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_shown_whole() {
    let lab = Lab::shared().await;
    let ids = produce(lab, "CompteOuvert", 1).await;
    let mut found = None;
    for partition in 0..3 {
        let (_, cluster) = get(lab, "/api/v1/kafka").await;
        let topics = cluster["topics"].as_array().unwrap();
        let topic = topics
            .iter()
            .find(|t| t["name"] == "bancaire.compte.ouvert")
            .unwrap();
        let high = topic["partitions"][partition]["high"].as_i64().unwrap();
        for offset in (0..high + 1).rev().take(50) {
            let path = format!("/api/v1/records/bancaire.compte.ouvert/{partition}/{offset}");
            let (status, record) = get(lab, &path).await;
            assert!(
                status == 200 || (status == 404 && offset >= high),
                "{status}: {record}"
            );
            if record["event"]["event_id"] == ids[0].as_str() {
                found = Some(record);
                break;
            }
        }
    }
    let record = found.expect("the record is there");
    assert_eq!(record["key"], record["event"]["compte_id"]);
    assert_eq!(record["headers"]["ce_id"], ids[0].as_str());
    assert_eq!(record["schema"]["name"], "CompteOuvert");
    assert!(record["schema_id"].as_u64().unwrap() > 0);
    let value = record["value_base64"].as_str().unwrap();
    use base64::Engine;
    let value = base64::engine::general_purpose::STANDARD
        .decode(value)
        .unwrap();
    assert_eq!(value.len() as u64, record["size"].as_u64().unwrap());
    assert_eq!(value[0], 0, "the magic byte");
    for (path, status) in [
        ("bancaire.compte.ouvert/0/999999999", 404),
        ("bancaire.compte.ouvert/7/0", 404),
        ("bancaire.compte.ouvert/0/-1", 404),
        ("__consumer_offsets/0/0", 404),
        ("bancaire.compte.ouvert/x/0", 400),
    ] {
        let (got, problem) = get(lab, &format!("/api/v1/records/{path}")).await;
        assert_eq!(got, status, "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_bancaires() {
    let lab = Lab::shared().await;
    let (status, ledger) = get(lab, "/api/v1/ledger").await;
    assert_eq!(status, 200);
    assert_eq!(ledger["topics"].as_array().unwrap().len(), 7, "{ledger}");
    let (_, same) = get(lab, "/api/v1/bancaire/ledger").await;
    assert_eq!(ledger["cluster_id"], same["cluster_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_decoded_and_replayed() {
    let lab = Lab::shared().await;
    let compte = tests::events::id();
    let topic = "bancaire.compte.ouvert";
    let producer = EventProducer::new(&lab.kafka(), "test").unwrap();
    // A whole header of the wire format, and half a body.
    let record = RawRecord {
        topic: topic.into(),
        key: Some(compte.clone().into_bytes()),
        value: Some(vec![0, 0, 0, 0, 1, 4, b'a']),
        ..RawRecord::default()
    };
    let at = producer.send_raw(record).await.expect("it is acknowledged");
    let key = format!("{topic}-{}-{}", at.partition, at.offset);
    let letter = until_async("its dead letter is there", async || {
        let (status, page) = get(lab, "/api/v1/dead-letters?limit=500").await;
        assert_eq!(status, 200, "{page}");
        let letters = page["dead_letters"].as_array()?;
        letters
            .iter()
            .find(|letter| letter["key"] == key.as_str())
            .cloned()
    })
    .await;
    assert_eq!(letter["original_topic"], topic);
    assert_eq!(letter["replayed"], false);
    assert!(
        letter["kind"].is_string() && letter["message"].is_string(),
        "{letter}"
    );
    assert_eq!(letter["decoded"]["schema_id"], 1);

    let url = format!("{}/api/v1/dead-letters/{key}/replay", lab.gateway_url());
    let wrong = json!({"event": {"event_id": "x"}});
    let response = http().post(&url).json(&wrong).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let event = tests::events::compte_ouvert(&compte, "12.34");
    let response = http()
        .post(&url)
        .json(&json!({"event": event}))
        .send()
        .await
        .unwrap();
    let status = response.status();
    let replayed: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{replayed}");
    assert_eq!(replayed["topic"], topic);
    assert_eq!(replayed["event_id"], event.event_id());
    until_async("the mended event is applied", async || {
        let (_, found) = get(lab, &format!("/api/v1/bancaire/comptes/{compte}")).await;
        (found["solde"] == "12.34").then_some(())
    })
    .await;
    until_async("the list says so", async || {
        let (_, page) = get(lab, "/api/v1/dead-letters?limit=500").await;
        let letters = page["dead_letters"].as_array()?;
        let letter = letters
            .iter()
            .find(|letter| letter["key"] == key.as_str())?;
        (letter["replayed"] == true).then_some(())
    })
    .await;
    let nobody = format!(
        "{}/api/v1/dead-letters/nobody-0-0/replay",
        lab.gateway_url()
    );
    assert_eq!(
        http()
            .post(nobody)
            .json(&json!({}))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(get(lab, "/api/v1/dead-letters?limit=0").await.0, 400);
    assert_eq!(get(lab, "/api/v1/dead-letters?before=nobody").await.0, 400);
}
