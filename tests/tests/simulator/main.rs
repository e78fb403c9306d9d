//! The simulator against a real broker and registry. [`generate`] is what arrives in Kafka,
//! [`control`] what the API answers, [`service`] the service as a whole.

mod control;
mod generate;
mod log;
mod service;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use chassis::config::{LogConfig, SchemaConfig, ServiceConfig};
use chassis::telemetry::TelemetryGuard;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{Lab, http, until_async};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A simulator in this process, on the lab's broker and registry, so that tests do not wait for
/// each other's simulations. Ended when dropped.
struct Own {
    lab: &'static Lab,
    url: String,
    _stop: DropGuard,
}

/// As the lab's own, but listening anywhere.
fn config(lab: &Lab) -> simulator::Config {
    simulator::Config {
        kafka: lab.kafka(),
        schema: SchemaConfig {
            url: lab.registry_url(),
        },
        service: ServiceConfig {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
        },
        log: logging(),
        max_rate: 50_000.0,
        scenarios_dir: None,
        journal: None,
    }
}

fn logging() -> LogConfig {
    LogConfig {
        level: "warn".into(),
        ..LogConfig::default()
    }
}

impl Own {
    async fn start() -> Self {
        let lab = Lab::shared().await;
        let own = Self::with(lab, config(lab)).await;
        until_async("the simulator is ready", async || {
            (own.get("/health/ready").await.0 == 200).then_some(())
        })
        .await;
        own
    }

    async fn with(lab: &'static Lab, config: simulator::Config) -> Self {
        // Traces are only passed on where there is a tracer.
        static TELEMETRY: OnceLock<TelemetryGuard> = OnceLock::new();
        TELEMETRY.get_or_init(|| chassis::telemetry::init(simulator::SERVICE, &logging()));
        let stop = CancellationToken::new();
        let (address, _) = simulator::start(config, stop.clone())
            .await
            .expect("it starts");
        Self {
            lab,
            url: format!("http://{address}"),
            _stop: stop.drop_guard(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        http().request(method, format!("{}{path}", self.url))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    async fn start_simulation(&self, body: Value) -> Value {
        let (status, body) = self.post("/api/v1/simulation/start", body).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn status(&self) -> Value {
        let (status, body) = self.get("/api/v1/simulation/status").await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn stop_simulation(&self) -> Value {
        let (status, body) = self.post("/api/v1/simulation/stop", json!({})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["status"], "stopped", "the broker answers: {body}");
        body
    }

    /// Waits until so many events were acknowledged.
    async fn produced(&self, count: u64) -> Value {
        until_async("events were produced", async || {
            let status = self.status().await;
            (status["events_produced"].as_u64()? >= count).then_some(status)
        })
        .await
    }

    /// Waits until the simulation has ended by itself.
    async fn ended(&self) -> Value {
        until_async("the simulation has ended", async || {
            let status = self.status().await;
            (status["status"] == "stopped").then_some(status)
        })
        .await
    }

    /// Publishes and gives the event ids.
    async fn produce(&self, body: Value) -> Vec<String> {
        let (status, body) = self.post("/api/v1/events/produce", body).await;
        assert_eq!(status, 200, "{body}");
        ids(&body)
    }
}

/// The status and the JSON body.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the simulator answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// The event ids of an answer.
fn ids(body: &Value) -> Vec<String> {
    let ids = body["event_ids"].as_array().expect("event_ids").iter();
    ids.map(|id| id.as_str().expect("an id is a text").to_owned())
        .collect()
}
