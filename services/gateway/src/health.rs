//! How the lab is, in one answer: every service is asked at once, and the parts that do not speak
//! HTTP are judged by those that use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::http::HttpClient;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::breaker;
use crate::proxy::Proxy;
use crate::websocket::Hub;

/// How long a service may take to say how it is.
const TIMEOUT: Duration = Duration::from_millis(2500);
/// Answers younger than this are given again, however many ask.
const FRESH: Duration = Duration::from_millis(500);

/// How well a part does its work.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    /// Something is away; the work goes on when it is back.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// One part.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PartHealth {
    pub status: Status,
    /// How long it took to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of the services that calls are handed on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<breaker::State>,
}

/// All of them.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = HealthReport)]
pub struct Report {
    /// `degraded` while a part is away, `unhealthy` while nothing can flow: Kafka is away, or every
    /// service.
    pub status: Status,
    /// gateway, simulator, bancaire, registry, kafka and postgres.
    pub services: BTreeMap<&'static str, PartHealth>,
    pub uptime_seconds: u64,
}

/// Asks, at most every [`FRESH`].
pub struct Health {
    proxy: Arc<Proxy>,
    registry_url: String,
    hub: Arc<Hub>,
    client: HttpClient,
    started: Instant,
    cache: Mutex<Option<(Instant, Report)>>,
}

/// What a service says of itself.
struct Answer {
    health: PartHealth,
    body: Value,
}

impl Health {
    pub fn new(proxy: Arc<Proxy>, registry_url: &str, hub: Arc<Hub>) -> Self {
        Self {
            proxy,
            registry_url: registry_url.to_owned(),
            hub,
            client: HttpClient::with_timeout(TIMEOUT),
            started: Instant::now(),
            cache: Mutex::default(),
        }
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub async fn report(&self) -> Report {
        let mut cache = self.cache.lock().await;
        if let Some((asked, report)) = &*cache
            && asked.elapsed() < FRESH
        {
            return report.clone();
        }
        let report = self.ask_all().await;
        *cache = Some((Instant::now(), report.clone()));
        report
    }

    async fn ask_all(&self) -> Report {
        let api = |url: &str| format!("{url}/api/v1/health");
        let (simulator, bancaire, registry) = tokio::join!(
            self.ask(api(&self.proxy.simulator.url)),
            self.ask(api(&self.proxy.bancaire.url)),
            self.ask(format!("{}/health/ready", self.registry_url)),
        );
        let gateway = self.gateway();
        let kafka = kafka(self.hub.feed().connected, &bancaire);
        let postgres = postgres(&bancaire, &registry);
        let circuit = |answer: Answer, breaker: &breaker::Breaker| PartHealth {
            circuit: Some(breaker.state()),
            ..answer.health
        };
        let services = BTreeMap::from([
            ("gateway", gateway),
            (
                "simulator",
                circuit(simulator, &self.proxy.simulator.breaker),
            ),
            ("bancaire", circuit(bancaire, &self.proxy.bancaire.breaker)),
            ("registry", registry.health),
            ("kafka", kafka),
            ("postgres", postgres),
        ]);
        Report {
            status: overall(&services),
            services,
            uptime_seconds: self.uptime().as_secs(),
        }
    }

    fn gateway(&self) -> PartHealth {
        let reason = match self.hub.feed() {
            feed if !feed.ready => Some("The stream from Kafka has not begun yet."),
            feed if !feed.connected => Some("Kafka does not answer."),
            _ => None,
        };
        PartHealth {
            status: reason.map_or(Status::Healthy, |_| Status::Degraded),
            reason: reason.map(str::to_owned),
            ..PartHealth::healthy()
        }
    }

    /// Asks one service; it says `status` itself, or its HTTP status says it.
    async fn ask(&self, url: String) -> Answer {
        let asked = Instant::now();
        let answer = async {
            let response = self.client.get(url).send().await?;
            let is_success = response.status().is_success();
            Ok::<_, reqwest::Error>((is_success, response.bytes().await?))
        };
        match answer.await {
            Ok((is_success, body)) => {
                let latency_ms = asked.elapsed().as_secs_f64() * 1e3;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                Answer {
                    health: said(is_success, &body, latency_ms),
                    body,
                }
            }
            Err(error) => Answer {
                health: PartHealth::unhealthy(unreachable(&error)),
                body: Value::Null,
            },
        }
    }
}

impl PartHealth {
    fn healthy() -> Self {
        Self {
            status: Status::Healthy,
            latency_ms: None,
            reason: None,
            circuit: None,
        }
    }

    fn unhealthy(reason: impl Into<String>) -> Self {
        Self {
            status: Status::Unhealthy,
            reason: Some(reason.into()),
            ..Self::healthy()
        }
    }
}

fn unreachable(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("It did not answer within {} s.", TIMEOUT.as_secs_f64())
    } else if error.is_connect() {
        "Nothing listens where it should; it does not run.".to_owned()
    } else {
        "The connection broke before it answered.".to_owned()
    }
}

fn said(is_success: bool, body: &Value, latency_ms: f64) -> PartHealth {
    let own: Option<Status> = serde_json::from_value(body["status"].clone()).ok();
    let status = match (own, is_success) {
        (Some(status), _) => status,
        (None, true) => Status::Healthy,
        (None, false) => Status::Unhealthy,
    };
    let reason = body["reason"].as_str().or(body["detail"].as_str());
    let reason = match (reason, status) {
        (Some(reason), _) => Some(reason.to_owned()),
        (None, Status::Healthy) => None,
        (None, _) if body["postgres"] == "unavailable" => {
            Some("PostgreSQL does not answer.".to_owned())
        }
        (None, _) if body["kafka"] == "disconnected" => Some("Kafka does not answer.".to_owned()),
        (None, _) if body["postgres"] == "disconnected" => {
            Some("PostgreSQL does not answer.".to_owned())
        }
        (None, _) => Some("It says that it does not work, and not why.".to_owned()),
    };
    PartHealth {
        status,
        latency_ms: Some((latency_ms * 10.0).round() / 10.0),
        reason,
        circuit: None,
    }
}

/// Seen by our own connection, or by bancaire's.
fn kafka(connected: bool, bancaire: &Answer) -> PartHealth {
    if connected || bancaire.body["kafka"] == "connected" {
        PartHealth::healthy()
    } else {
        PartHealth::unhealthy("The broker does not answer.")
    }
}

/// Only bancaire and the registry use it.
fn postgres(bancaire: &Answer, registry: &Answer) -> PartHealth {
    let mut said = [
        (&bancaire.body["postgres"], "connected"),
        (&registry.body["postgres"], "ok"),
    ]
    .into_iter()
    .filter_map(|(value, good)| Some(value.as_str()? == good))
    .peekable();
    if said.peek().is_none() {
        return PartHealth {
            status: Status::Degraded,
            reason: Some("Not known: neither bancaire nor the registry answers.".into()),
            ..PartHealth::healthy()
        };
    }
    if said.any(|good| good) {
        PartHealth::healthy()
    } else {
        PartHealth::unhealthy("PostgreSQL does not answer.")
    }
}

fn overall(services: &BTreeMap<&'static str, PartHealth>) -> Status {
    let is_down = |name: &&str| services[*name].status == Status::Unhealthy;
    if is_down(&"kafka") || ["simulator", "bancaire"].iter().all(is_down) {
        return Status::Unhealthy;
    }
    if services.values().all(|part| part.status == Status::Healthy) {
        Status::Healthy
    } else {
        Status::Degraded
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(is_success: bool, body: Value) -> Answer {
        Answer {
            health: said(is_success, &body, 1.0),
            body,
        }
    }

    #[test]
    fn a_service_is_believed_about_itself() {
        let degraded = json!({"status": "degraded", "kafka": "disconnected", "reason": "away"});
        let health = answer(true, degraded).health;
        assert_eq!(
            (health.status, health.reason.as_deref()),
            (Status::Degraded, Some("away"))
        );
        let health = answer(true, json!({"status": "ok", "postgres": "ok"})).health;
        assert_eq!((health.status, health.reason), (Status::Healthy, None));
        let health = answer(false, json!({"status": 503, "detail": "Not yet."})).health;
        assert_eq!(
            (health.status, health.reason.as_deref()),
            (Status::Unhealthy, Some("Not yet."))
        );
    }

    #[test]
    fn postgresql_is_judged_by_those_that_use_it() {
        let silent = || answer(false, Value::Null);
        let registry = |state| answer(true, json!({ "postgres": state }));
        let bancaire = |state| answer(true, json!({ "postgres": state }));
        assert_eq!(postgres(&silent(), &silent()).status, Status::Degraded);
        assert_eq!(postgres(&silent(), &registry("ok")).status, Status::Healthy);
        assert_eq!(
            postgres(&silent(), &registry("unavailable")).status,
            Status::Unhealthy
        );
        let both = postgres(&bancaire("disconnected"), &registry("unavailable"));
        assert_eq!(both.status, Status::Unhealthy);
    }

    #[test]
    fn without_kafka_nothing_flows() {
        let mut services: BTreeMap<_, _> = [
            "gateway",
            "simulator",
            "bancaire",
            "registry",
            "kafka",
            "postgres",
        ]
        .map(|name| (name, PartHealth::healthy()))
        .into();
        assert_eq!(overall(&services), Status::Healthy);
        services.insert("bancaire", PartHealth::unhealthy("killed"));
        assert_eq!(overall(&services), Status::Degraded);
        services.insert("kafka", PartHealth::unhealthy("killed"));
        assert_eq!(overall(&services), Status::Unhealthy);
    }
}
