//! `performance`: what to watch while `cargo xtask perf` or a simulation runs.

use super::{Dashboard, Kind, Panel, Row, heat, quantile};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "edalab-performance",
        title: "Performance",
        description: "Throughput, latencies, memory, CPU and lag, for performance tests.",
        variables: Vec::new(),
        rows: vec![throughput(), latencies(), resources(), lag()],
    }
}

fn throughput() -> Row {
    let stat = |title, description, query: &str| {
        Panel::new(Kind::Stat, title, "cps", description).query(query, "")
    };
    Row {
        title: "Throughput",
        panels: vec![
            stat(
                "Produced now",
                "Records per second that the broker acknowledges.",
                "sum(edalab:messages_produced:rate1m)",
            ),
            stat(
                "Persisted now",
                "Records per second that bancaire commits to PostgreSQL.",
                "sum(edalab:messages_consumed:rate1m{service=\"bancaire\"})",
            ),
            stat(
                "Streamed now",
                "Records per second that the gateway reads for the page.",
                "sum(edalab:messages_consumed:rate1m{service=\"gateway\"})",
            ),
            Panel::new(
                Kind::Stat,
                "WebSocket clients",
                "short",
                "Pages and other clients that are connected now.",
            )
            .query("sum(edalab_websocket_clients)", ""),
            Panel::new(
                Kind::TimeSeries,
                "Throughput in real time",
                "cps",
                "Produced, persisted and streamed; the distance between the lines becomes lag.",
            )
            .width(24)
            .query(
                "sum by (service) (rate(edalab_messages_produced_total[$__rate_interval]))",
                "produced by {{service}}",
            )
            .query(
                "sum by (service) (rate(edalab_messages_consumed_total[$__rate_interval]))",
                "consumed by {{service}}",
            ),
        ],
    }
}

fn latencies() -> Row {
    let quantiles = |title, description, histogram: &str| {
        let mut panel = Panel::new(Kind::TimeSeries, title, "s", description).width(8);
        for (value, legend) in [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")] {
            panel = panel.query(quantile(value, histogram, "", ""), legend);
        }
        panel.limits(0.1, 0.5)
    };
    Row {
        title: "Latencies",
        panels: vec![
            quantiles(
                "Produce to acknowledgement",
                "From the produce call to the broker's acknowledgement.",
                "edalab_message_latency_seconds",
            ),
            quantiles(
                "Batch from poll to commit",
                "From the poll of a batch's first record to the commit of its transaction.",
                "edalab_processing_latency_seconds",
            ),
            quantiles(
                "Event to effect",
                "From the event's own timestamp to its commit in PostgreSQL.",
                "edalab_end_to_end_latency_seconds",
            ),
            Panel::new(
                Kind::Heatmap,
                "Event to effect, distribution",
                "s",
                "How many events took how long from their timestamp to their commit.",
            )
            .width(24)
            .query(heat("edalab_end_to_end_latency_seconds", ""), "{{le}}"),
        ],
    }
}

fn resources() -> Row {
    Row {
        title: "Memory and CPU",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Memory",
                "bytes",
                "Resident memory of each service; a slope that does not end is a leak.",
            )
            .query(
                "sum by (job, instance) (process_resident_memory_bytes{job=~\"simulator|bancaire|gateway|registry\"})",
                "{{job}} {{instance}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "CPU",
                "percentunit",
                "Share of one core of each process, the broker's JVM included.",
            )
            .query(
                "sum by (job, instance) (rate(process_cpu_seconds_total{job!=\"prometheus\"}[$__rate_interval]))",
                "{{job}} {{instance}}",
            ),
        ],
    }
}

fn lag() -> Row {
    Row {
        title: "Consumer lag",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Lag by topic",
                "short",
                "Records that are in the log and not yet committed.",
            )
            .query(
                "sum by (consumer_group, topic) (edalab:consumer_lag:sum)",
                "{{consumer_group}} {{topic}}",
            )
            .limits(1_000.0, 10_000.0),
            Panel::new(
                Kind::TimeSeries,
                "Spans exported and dropped",
                "cps",
                "What tracing costs: spans per second, and those that the collector did not take.",
            )
            .query(
                "sum by (job) (rate(edalab_spans_exported_total[$__rate_interval]))",
                "exported by {{job}}",
            )
            .query(
                "sum by (job) (rate(edalab_spans_dropped_total[$__rate_interval]))",
                "dropped by {{job}}",
            ),
        ],
    }
}
