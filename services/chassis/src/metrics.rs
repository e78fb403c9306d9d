//! The metrics that all services share, in prometheus' default registry.
//!
//! The names are the project's contract with its dashboards (`edalab_*`).

pub mod openmetrics;

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, TextEncoder, register_gauge, register_gauge_vec, register_histogram_vec,
    register_int_counter, register_int_counter_vec, register_int_gauge,
};

/// Buckets from 0.5 ms to 30 s: wide enough for an outage, fine enough for a p99 of 25 ms.
const LATENCY_BUCKETS_S: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

fn histogram(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    register_histogram_vec!(
        HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS_S.to_vec()),
        labels
    )
    .expect("the metric is registered once")
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register_int_counter_vec!(name, help, labels).expect("the metric is registered once")
}

/// Events acknowledged by the broker.
pub static MESSAGES_PRODUCED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "edalab_messages_produced_total",
        "Records acknowledged by the broker",
        &["service", "topic"],
    )
});
/// Records taken from the broker and dealt with.
pub static MESSAGES_CONSUMED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "edalab_messages_consumed_total",
        "Records consumed and dealt with",
        &["service", "topic"],
    )
});
/// Produce call to broker acknowledgement.
pub static MESSAGE_LATENCY: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "edalab_message_latency_seconds",
        "From produce to the broker's acknowledgement",
        &["service", "topic"],
    )
});
/// One batch or one message through the service's own logic.
pub static PROCESSING_LATENCY: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "edalab_processing_latency_seconds",
        "From receipt to done, in the service",
        &["service"],
    )
});
/// Event timestamp to visible effect.
pub static END_TO_END_LATENCY: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "edalab_end_to_end_latency_seconds",
        "From the event's timestamp to its effect",
        &["service"],
    )
});
/// Errors by kind: `transient`, or the kind of poison.
pub static PROCESSING_ERRORS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "edalab_processing_errors_total",
        "Errors while processing, by kind",
        &["service", "kind"],
    )
});
/// Records behind the end of the log.
pub static CONSUMER_LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "edalab_consumer_lag",
        "Records behind the end of the partition",
        &["consumer_group", "topic", "partition"]
    )
    .expect("the metric is registered once")
});
/// The next offset to be committed; with the broker's own log ends, another view of the lag.
pub static COMMITTED_OFFSET: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "edalab_committed_offset",
        "The next offset of the partition after what was committed to PostgreSQL",
        &["consumer_group", "topic", "partition"]
    )
    .expect("the metric is registered once")
});
/// Events that wait for their account.
pub static PARKED_EVENTS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "edalab_parked_events",
        "Events that wait for their account to be opened"
    )
    .expect("the metric is registered once")
});
/// How long the oldest of them waits.
pub static PARKED_AGE: LazyLock<Gauge> = LazyLock::new(|| {
    register_gauge!(
        "edalab_parked_oldest_age_seconds",
        "How long the oldest parked event has waited"
    )
    .expect("the metric is registered once")
});
/// Dead letters written.
pub static DEAD_LETTERS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("edalab_dead_letters_total", "Dead letters written")
        .expect("the metric is registered once")
});
/// Spans that the collector took.
pub static SPANS_EXPORTED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "edalab_spans_exported_total",
        "Spans that the collector took"
    )
    .expect("the metric is registered once")
});
/// Spans that it did not take, or that there was no room for.
pub static SPANS_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "edalab_spans_dropped_total",
        "Spans that were dropped on their way to the collector"
    )
    .expect("the metric is registered once")
});
/// WebSocket clients connected now.
pub static WEBSOCKET_CLIENTS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "edalab_websocket_clients",
        "WebSocket clients connected now"
    )
    .expect("the metric is registered once")
});

static BUILD_INFO: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        Opts::new("edalab_build_info", "Always 1; the labels say what runs"),
        &["service", "version"]
    )
    .expect("the metric is registered once")
});

static TASKS: LazyLock<[IntGauge; 2]> = LazyLock::new(|| {
    [
        register_int_gauge!("edalab_tokio_alive_tasks", "Tasks alive in the runtime"),
        register_int_gauge!("edalab_tokio_workers", "Worker threads of the runtime"),
    ]
    .map(|gauge| gauge.expect("the metric is registered once"))
});

/// All of the above, which are registered from then on. The reference pages list them.
pub fn all() -> [&'static dyn Collector; 17] {
    [
        &*BUILD_INFO,
        &*MESSAGES_PRODUCED,
        &*MESSAGES_CONSUMED,
        &*MESSAGE_LATENCY,
        &*PROCESSING_LATENCY,
        &*END_TO_END_LATENCY,
        &*PROCESSING_ERRORS,
        &*CONSUMER_LAG,
        &*COMMITTED_OFFSET,
        &*PARKED_EVENTS,
        &*PARKED_AGE,
        &*DEAD_LETTERS,
        &*SPANS_EXPORTED,
        &*SPANS_DROPPED,
        &*WEBSOCKET_CLIENTS,
        &TASKS[0],
        &TASKS[1],
    ]
}

/// Registers the shared metrics and `edalab_build_info`; calling it again changes nothing.
pub fn register(service: &'static str) {
    all();
    BUILD_INFO
        .with_label_values(&[service, env!("CARGO_PKG_VERSION")])
        .set(1.0);
    // From 0 on, so that the first error is an increase.
    PROCESSING_ERRORS.with_label_values(&[service, "transient"]);
}

/// The exposition text of everything that is registered in the form that the caller asked for, and
/// its content type.
pub fn gather_as(accept: &str) -> (&'static str, String) {
    if accept.contains("application/openmetrics-text") {
        note_runtime();
        return (
            openmetrics::CONTENT_TYPE,
            openmetrics::encode(&prometheus::gather()),
        );
    }
    ("text/plain; version=0.0.4; charset=utf-8", gather())
}

fn note_runtime() {
    if let Ok(handle) = tokio::runtime::Handle::try_current() {
        let figures = handle.metrics();
        TASKS[0].set(figures.num_alive_tasks() as i64);
        TASKS[1].set(figures.num_workers() as i64);
    }
}

/// The exposition text of everything that is registered, with the runtime's figures of now.
pub fn gather() -> String {
    note_runtime();
    let mut text = Vec::with_capacity(16 * 1024);
    TextEncoder::new()
        .encode(&prometheus::gather(), &mut text)
        .expect("metrics are encodable");
    String::from_utf8(text).expect("the exposition format is UTF-8")
}

#[cfg(test)]
mod tests {
    /// Plan: TestRegisterMetrics_Success
    #[test]
    fn register_metrics_success() {
        super::register("test");
        super::register("test");
        super::MESSAGES_PRODUCED
            .with_label_values(&["test", "bancaire.compte.ouvert"])
            .inc_by(3);
        let text = super::gather();
        assert!(text.contains(
            "edalab_messages_produced_total{service=\"test\",topic=\"bancaire.compte.ouvert\"} 3"
        ));
        assert!(text.contains("edalab_build_info{service=\"test\""));
    }
}
