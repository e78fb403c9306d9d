//! Whether events can be published now: the schemas are registered and the broker answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::publish::Publisher;

/// How long the broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// An answer younger than this is given again, however many ask.
const FRESH: Duration = Duration::from_millis(250);

/// How well the service does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HealthStatus)]
pub enum Status {
    Healthy,
    /// Something is away; the work goes on when it is back.
    Degraded,
}

/// How the service and what it needs are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    pub status: Status,
    /// `connected` or `disconnected`.
    pub kafka: &'static str,
    /// `registered`, or `waiting` for the registry to take them.
    pub schemas: &'static str,
    /// What is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks the broker at most every [`FRESH`].
pub struct Health {
    publisher: Arc<Publisher>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    pub fn new(publisher: Arc<Publisher>) -> Self {
        let last = Mutex::default();
        Self { publisher, last }
    }

    pub async fn report(&self) -> Report {
        let kafka = self.kafka_answers().await;
        let schemas = self.publisher.ids().is_some();
        let reason = match (kafka, schemas) {
            (true, true) => None,
            (false, _) => Some("The broker does not answer."),
            (true, false) => Some("The schemas are not registered yet."),
        };
        Report {
            status: match reason {
                None => Status::Healthy,
                Some(_) => Status::Degraded,
            },
            kafka: if kafka { "connected" } else { "disconnected" },
            schemas: if schemas { "registered" } else { "waiting" },
            reason: reason.map(str::to_owned),
        }
    }

    async fn kafka_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((asked, answered)) = *last
            && asked.elapsed() < FRESH
        {
            return answered;
        }
        let answered = self.publisher.is_connected(TIMEOUT).await;
        *last = Some((Instant::now(), answered));
        answered
    }
}
