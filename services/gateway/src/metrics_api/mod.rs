//! The numbers that the page shows, in one answer: from the services' own metrics, from the broker,
//! and from the [`crate::flow`] of records.

mod scrape;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chassis::http::HttpClient;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::flow::Flow;
use crate::health::{Health, Status};
use crate::kafka_view::{Cluster, KafkaView};
use crate::proxy::Proxy;
use crate::websocket::{Hub, TOPICS};
use scrape::{Figures, Histogram};

/// The group that the bank reads with.
const GROUP: &str = "bancaire";
/// Latencies are of about this time.
const WINDOW: Duration = Duration::from_secs(60);
/// Answers younger than this are given again, however many ask.
const FRESH: Duration = Duration::from_millis(500);
/// Errors that are remembered for each service.
const ERRORS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(2);

/// Everything.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = MetricsReport)]
pub struct Report {
    pub timestamp: DateTime<Utc>,
    /// As `GET /api/v1/simulation/status` says; `null` while the simulator is away.
    #[schema(value_type = Option<Object>)]
    pub simulation: Value,
    /// `null` while Kafka is away.
    pub kafka: Option<KafkaFigures>,
    pub services: Vec<ServiceFigures>,
    pub latencies: Latencies,
    pub websocket: WebsocketFigures,
    pub uptime_seconds: u64,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct KafkaFigures {
    /// Records ever written to the topics of the lab.
    pub messages_total: i64,
    pub messages_per_second: f64,
    /// Records that bancaire has not read yet.
    pub lag_total: i64,
    pub topics: Vec<TopicFigures>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TopicFigures {
    pub topic: &'static str,
    pub messages: i64,
    /// Per second, over the last two seconds.
    pub rate: f64,
    /// Of bancaire; `null` where it does not read.
    pub lag: Option<i64>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ServiceFigures {
    pub name: &'static str,
    pub status: Status,
    /// Mean time of its own work on a batch or a message in the last minute; `null` without any.
    pub latency_ms: Option<f64>,
    /// Newest first.
    pub errors_recent: Vec<RecentErrors>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RecentErrors {
    /// When they were noticed.
    pub at: DateTime<Utc>,
    /// A word for programs, such as `bad_magic`.
    pub kind: String,
    pub count: u64,
}

/// Of the last minute, in milliseconds; `null` where nothing was measured.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Latencies {
    /// Produce call to the broker's acknowledgement, in the simulator.
    pub produce_ms: Quantiles,
    /// The event's timestamp to its rows in PostgreSQL.
    pub end_to_end_ms: Quantiles,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct WebsocketFigures {
    pub clients: usize,
}

/// Where the numbers come from.
pub struct Metrics {
    pub proxy: Arc<Proxy>,
    pub registry_url: String,
    pub health: Arc<Health>,
    pub kafka: Arc<KafkaView>,
    pub hub: Arc<Hub>,
    pub flow: Arc<Flow>,
    client: HttpClient,
    past: Mutex<HashMap<&'static str, Past>>,
    cache: tokio::sync::Mutex<Option<(Instant, Report)>>,
}

/// What a service said before.
#[derive(Debug, Default)]
struct Past {
    /// Of the last minute, oldest first.
    figures: VecDeque<(Instant, Figures)>,
    /// Newest first.
    errors: VecDeque<RecentErrors>,
}

impl Metrics {
    pub fn new(
        proxy: Arc<Proxy>,
        registry_url: &str,
        health: Arc<Health>,
        kafka: Arc<KafkaView>,
        hub: Arc<Hub>,
        flow: Arc<Flow>,
    ) -> Self {
        Self {
            proxy,
            registry_url: registry_url.to_owned(),
            health,
            kafka,
            hub,
            flow,
            client: HttpClient::with_timeout(TIMEOUT),
            past: Mutex::default(),
            cache: tokio::sync::Mutex::default(),
        }
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
        let status_url = format!("{}/api/v1/simulation/status", self.proxy.simulator.url);
        let scrape = |url: &str| self.get(format!("{url}/metrics"));
        let (health, cluster, simulation, simulator, bancaire, registry) = tokio::join!(
            self.health.report(),
            self.kafka.cluster(),
            self.get(status_url),
            scrape(&self.proxy.simulator.url),
            scrape(&self.proxy.bancaire.url),
            scrape(&self.registry_url),
        );
        let now = Instant::now();
        let gateway = Some(chassis::metrics::gather());
        let texts = [
            ("gateway", gateway),
            ("simulator", simulator),
            ("bancaire", bancaire),
            ("registry", registry),
        ];
        let (mut services, mut produce, mut end_to_end) =
            (Vec::new(), Histogram::default(), Histogram::default());
        let mut past = self.past.lock().expect("scraping does not panic");
        for (name, text) in texts {
            let past = past.entry(name).or_default();
            let recent = text.map(|text| past.note(Figures::parse(&text), now));
            if let Some(recent) = &recent {
                match name {
                    "simulator" => produce = recent.produce.clone(),
                    "bancaire" => end_to_end = recent.end_to_end.clone(),
                    _ => {}
                }
            }
            services.push(ServiceFigures {
                name,
                status: health.services[name].status,
                latency_ms: recent.and_then(|recent| recent.processing.mean_ms()),
                errors_recent: past.errors.iter().cloned().collect(),
            });
        }
        drop(past);
        let simulation = simulation.and_then(|text| serde_json::from_str(&text).ok());
        Report {
            timestamp: Utc::now(),
            simulation: simulation.unwrap_or_default(),
            kafka: cluster
                .ok()
                .map(|cluster| self.kafka_figures(&cluster, now)),
            services,
            latencies: Latencies {
                produce_ms: quantiles(&produce),
                end_to_end_ms: quantiles(&end_to_end),
            },
            websocket: WebsocketFigures {
                clients: self.hub.clients(),
            },
            uptime_seconds: self.health.uptime().as_secs(),
        }
    }

    fn kafka_figures(&self, cluster: &Cluster, now: Instant) -> KafkaFigures {
        let flow = self.flow.tick(now);
        let topics: Vec<TopicFigures> = TOPICS
            .iter()
            .zip(flow)
            .map(|(topic, figures)| {
                let found = cluster.topics.iter().find(|found| found.name == *topic);
                let partitions = found.map_or(&[][..], |found| &found.partitions);
                let lags = partitions.iter().filter_map(|p| p.lag.get(GROUP).copied());
                // A partition that was never read is behind by all that it holds.
                let unread = partitions
                    .iter()
                    .filter(|p| !p.lag.contains_key(GROUP))
                    .map(|p| p.high - p.low);
                let is_read = *topic != schemas::DLQ_TOPIC;
                TopicFigures {
                    topic,
                    messages: partitions.iter().map(|p| p.high).sum(),
                    rate: figures.rate,
                    lag: is_read.then(|| lags.sum::<i64>() + unread.sum::<i64>()),
                }
            })
            .collect();
        KafkaFigures {
            messages_total: topics.iter().map(|topic| topic.messages).sum(),
            messages_per_second: topics.iter().map(|topic| topic.rate).sum(),
            lag_total: topics.iter().filter_map(|topic| topic.lag).sum(),
            topics,
        }
    }

    /// The text at an address, if it is given in time.
    async fn get(&self, url: String) -> Option<String> {
        let response = self.client.get(url).send().await.ok()?;
        response.error_for_status().ok()?.text().await.ok()
    }
}

impl Past {
    /// Keeps the figures of now, and gives what happened in the last minute.
    fn note(&mut self, figures: Figures, now: Instant) -> Figures {
        if let Some((_, before)) = self.figures.back() {
            for (kind, count) in &figures.errors {
                let known = before.errors.get(kind).copied().unwrap_or_default();
                // Fewer than before: the service was started anew.
                let new = if *count < known {
                    *count
                } else {
                    count - known
                };
                if new >= 1.0 {
                    self.errors.push_front(RecentErrors {
                        at: Utc::now(),
                        kind: kind.clone(),
                        count: new as u64,
                    });
                }
            }
            self.errors.truncate(ERRORS);
        }
        while self
            .figures
            .get(1)
            .is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW)
        {
            self.figures.pop_front();
        }
        let oldest = self.figures.front().map(|(_, oldest)| oldest.clone());
        let oldest = oldest.unwrap_or_default();
        let recent = Figures {
            produce: figures.produce.since(&oldest.produce),
            processing: figures.processing.since(&oldest.processing),
            end_to_end: figures.end_to_end.since(&oldest.end_to_end),
            errors: Default::default(),
        };
        self.figures.push_back((now, figures));
        recent
    }
}

fn quantiles(histogram: &Histogram) -> Quantiles {
    Quantiles {
        p50: histogram.quantile_ms(0.5),
        p99: histogram.quantile_ms(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(count: f64) -> Figures {
        Figures {
            errors: [("bad_magic".to_owned(), count)].into(),
            ..Figures::default()
        }
    }

    #[test]
    fn only_new_errors_are_recent() {
        let (mut past, now) = (Past::default(), Instant::now());
        // What happened before anybody looked is not recent; a service started anew counts again.
        for count in [3.0, 3.0, 5.0, 1.0] {
            past.note(errors(count), now);
        }
        let counts: Vec<u64> = past.errors.iter().map(|error| error.count).collect();
        assert_eq!(counts, [1, 2]);
    }

    #[test]
    fn no_more_than_a_minute_is_kept() {
        let (mut past, start) = (Past::default(), Instant::now());
        for second in 0..300 {
            past.note(errors(0.0), start + Duration::from_secs(second));
        }
        assert!(past.figures.len() <= 62, "{}", past.figures.len());
    }
}
