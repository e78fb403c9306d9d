//! From the HTTP call through Kafka and PostgreSQL to the WebSocket, in one trace.

use futures_util::{SinkExt, StreamExt};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tests::{Lab, http, until_async};
use tokio_tungstenite::tungstenite::Message;

use crate::collector::{Collector, Seen};

/// Opens two accounts, with money on the first.
async fn accounts(lab: &Lab) -> [String; 2] {
    let body = json!({"event_type": "CompteOuvert", "count": 2});
    let url = format!("{}/api/v1/events/produce", lab.simulator_url());
    let answer = http().post(&url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    let bancaire = format!("{}/api/v1/comptes?limit=10", lab.bancaire_url());
    until_async("two accounts are open", async || {
        let page: Value = http().get(&bancaire).send().await.ok()?.json().await.ok()?;
        let ids = page["comptes"].as_array()?.iter();
        let ids: Vec<String> = ids.filter_map(|c| Some(c["id"].as_str()?.into())).collect();
        Some([ids.first()?.clone(), ids.get(1)?.clone()])
    })
    .await
}

fn transfer(from: &str, to: &str, id: &str) -> Value {
    json!({
        "event_type": "VirementEmis",
        "event": {
            "event_id": id,
            "timestamp": chrono::Utc::now().to_rfc3339(),
            "compte_source_id": from,
            "compte_destination_id": to,
            "montant": "0.01",
            "devise": "EUR",
            "motif": "test",
            "reference": "trace",
            "statut": "INITIE",
            "metadata": null,
        },
    })
}

/// The span of who asks.
const CALLER: &str = "00f067aa0ba902b7";

/// Publishes an event through the gateway, as a part of a trace that is recorded.
async fn publish(lab: &Lab, trace: &str, event: &Value) {
    let answer = http()
        .post(format!("{}/api/v1/events/produce", lab.gateway_url()))
        .header("traceparent", format!("00-{trace}-{CALLER}-01"))
        .json(event)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    assert_eq!(status, 200, "{}", answer.text().await.unwrap());
}

#[track_caller]
fn one<'a>(spans: &'a [Seen], service: &str, name: &str) -> &'a Seen {
    let mut found = spans
        .iter()
        .filter(|span| span.service == service && span.name == name);
    let first = found.next();
    first.unwrap_or_else(|| panic!("no {name} of {service} in {spans:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_one_trace_from_the_call_to_the_page() {
    let (collector, endpoint) = Collector::start().await;
    let lab = Lab::prepare("traces");
    lab.xtask(&["up", "--detach", "--no-build", "--otlp", &endpoint])
        .success();
    let [from, to] = accounts(&lab).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(lab.ws_url())
        .await
        .unwrap();
    let subscribe = r#"{"action":"subscribe","topics":["*"]}"#;
    socket.send(Message::text(subscribe)).await.unwrap();
    // The second status answers the subscription.
    for _ in 0..2 {
        lab.deadline(socket.next()).await.unwrap().unwrap();
    }
    let id = uuid::Uuid::new_v4().to_string();
    let trace = uuid::Uuid::new_v4().simple().to_string();
    publish(&lab, &trace, &transfer(&from, &to, &id)).await;
    // The page's own copy of the trace id is that of the log.
    let credit = lab
        .deadline(async {
            loop {
                let message = socket.next().await.unwrap().unwrap();
                let Ok(json) = serde_json::from_str::<Value>(&message.into_text().unwrap()) else {
                    continue;
                };
                if json["topic"] == "bancaire.virement.recu" {
                    return json;
                }
            }
        })
        .await;
    assert_eq!(credit["payload"]["trace_id"], trace.as_str());

    let spans = until_async("the trace is whole", async || {
        let spans = collector.of_trace(&trace);
        let sends = spans.iter().filter(|span| span.name == "websocket send");
        let commits = spans.iter().filter(|span| span.name == "COMMIT");
        let calls = spans.iter().filter(|span| span.kind == SpanKind::Server);
        let is_whole = sends.count() == 2 && commits.count() == 2 && calls.count() == 2;
        is_whole.then_some(spans)
    })
    .await;
    let gateway = one(&spans, "gateway", "POST /api/v1/events/{*rest}");
    assert_eq!(
        (gateway.parent.as_str(), gateway.kind),
        (CALLER, SpanKind::Server)
    );
    assert_eq!(gateway.attributes["http.response.status_code"], "200");
    let simulator = one(&spans, "simulator", "POST /api/v1/events/produce");
    assert_eq!(simulator.parent, gateway.id);
    let send = one(&spans, "simulator", "send bancaire.virement.emis");
    assert_eq!(
        (&send.parent, send.kind),
        (&simulator.id, SpanKind::Producer)
    );
    let process = one(&spans, "bancaire", "process bancaire.virement.emis");
    assert_eq!(
        (&process.parent, process.kind),
        (&send.id, SpanKind::Consumer)
    );
    for span in [send, process] {
        let attributes = &span.attributes;
        assert_eq!(attributes["messaging.system"], "kafka");
        assert_eq!(
            attributes["messaging.destination.name"],
            "bancaire.virement.emis"
        );
        assert_eq!(attributes["messaging.message.id"], id);
        assert_eq!(
            attributes["messaging.kafka.offset"],
            send.attributes["messaging.kafka.offset"]
        );
        assert!(attributes.contains_key("messaging.destination.partition.id"));
    }
    assert_eq!(
        process.attributes["messaging.consumer.group.name"],
        "bancaire"
    );
    let batch = one(&spans, "bancaire", "process batch");
    assert!(spans.iter().any(|span| span.id == batch.parent));
    let transaction = one(&spans, "bancaire", "TRANSACTION edalab");
    assert_eq!(transaction.attributes["db.system.name"], "postgresql");
    for statement in [
        "INSERT bancaire.transactions",
        "INSERT bancaire.outbox",
        "COMMIT",
    ] {
        let statement = one(&spans, "bancaire", statement);
        assert!(
            spans.iter().any(|span| span.id == statement.parent),
            "{statement:?}"
        );
        assert_eq!(statement.kind, SpanKind::Client);
    }
    // The credit goes on in the trace of the transfer: out of the outbox, and back in.
    let credit = one(&spans, "bancaire", "send bancaire.virement.recu");
    assert_eq!(credit.parent, process.id);
    let credited = one(&spans, "bancaire", "process bancaire.virement.recu");
    assert_eq!(credited.parent, credit.id);
    let streamed = one(&spans, "gateway", "process bancaire.virement.emis");
    assert_eq!(streamed.parent, send.id);
    let written = spans.iter().filter(|span| span.name == "websocket send");
    assert!(written.into_iter().any(|span| span.parent == streamed.id));
}

/// A batch of many traces is in the first of them, and linked with all others both ways.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_traces_is_linked_with_each() {
    let (collector, endpoint) = Collector::start().await;
    let lab = Lab::prepare("links");
    lab.xtask(&["up", "--detach", "--no-build", "--otlp", &endpoint])
        .success();
    let [from, to] = accounts(&lab).await;
    // Transfers of one account lie in one partition: what waits there is read at once.
    lab.xtask(&["services", "kill", "bancaire"]).success();
    let mut traces = Vec::new();
    for _ in 0..5 {
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let id = uuid::Uuid::new_v4().to_string();
        publish(&lab, &trace, &transfer(&from, &to, &id)).await;
        traces.push(trace);
    }
    lab.xtask(&["services", "up", "bancaire", "--no-build"])
        .success();

    let name = "process bancaire.virement.emis";
    let (batch, processed) = until_async("the batch is there", async || {
        let spans = collector.spans();
        let mut processed = spans.clone();
        processed.retain(|span| span.service == "bancaire" && span.name == name);
        let batch = spans.into_iter().find(|span| {
            span.name == "process batch" && processed.iter().any(|first| first.id == span.parent)
        });
        (processed.len() == traces.len()).then_some((batch?, processed))
    })
    .await;
    assert_eq!(batch.attributes["messaging.batch.message_count"], "5");
    assert_eq!(batch.trace, traces[0]);
    let linked: Vec<&str> = batch
        .links
        .iter()
        .map(|(trace, _)| trace.as_str())
        .collect();
    assert_eq!(linked, traces[1..]);
    for (trace, id) in &batch.links {
        let other = processed.iter().find(|span| span.id == *id);
        let other = other.unwrap_or_else(|| panic!("no {id} in {processed:#?}"));
        assert_eq!(other.trace, *trace);
        let back = (batch.trace.clone(), batch.id.clone());
        assert_eq!(other.links, [back], "{other:#?}");
    }
    // What the database did for all of them is below the batch.
    let commit = until_async("the transaction is there", async || {
        let spans = collector.of_trace(&batch.trace);
        let transaction = spans
            .iter()
            .find(|span| span.parent == batch.id && span.name == "TRANSACTION edalab")?;
        let mut below = spans.iter().filter(|span| span.parent == transaction.id);
        below.find(|span| span.name == "COMMIT").cloned()
    });
    assert_eq!(commit.await.attributes["db.system.name"], "postgresql");
}
