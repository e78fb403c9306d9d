//! `services-overview`: the lab's own services.

use super::{Dashboard, Kind, Panel, Row, Variable, heat};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "edalab-services-overview",
        title: "Services overview",
        description: "Health, events, latencies, errors and resources of the services.",
        variables: vec![Variable {
            name: "service",
            label: "Service",
            query: "label_values(edalab_build_info, service)",
        }],
        rows: vec![health(), events(), latencies(), errors(), resources()],
    }
}

fn health() -> Row {
    let status = |title, job| {
        let description =
            "UP when Prometheus could ask it a moment ago; the worst of its instances.";
        Panel::new(Kind::Status, title, "short", description)
            .width(6)
            .query(format!("min(up{{job=\"{job}\"}})"), "")
    };
    Row {
        title: "Health of the services",
        panels: vec![
            status("Simulator", "simulator"),
            status("Bancaire", "bancaire"),
            status("Gateway", "gateway"),
            status("Registry", "registry"),
        ],
    }
}

fn events() -> Row {
    Row {
        title: "Events",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Events produced by service",
                "cps",
                "Records that the broker acknowledged, per second.",
            )
            .query(
                "sum by (service) (rate(edalab_messages_produced_total{service=~\"$service\"}[$__rate_interval]))",
                "{{service}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Events consumed by service",
                "cps",
                "Records that were dealt with, per second.",
            )
            .query(
                "sum by (service) (rate(edalab_messages_consumed_total{service=~\"$service\"}[$__rate_interval]))",
                "{{service}}",
            ),
        ],
    }
}

fn latencies() -> Row {
    Row {
        title: "Latencies",
        panels: vec![
            Panel::new(
                Kind::Heatmap,
                "Produce to acknowledgement (simulator)",
                "s",
                "How many records took how long until the broker had acknowledged them.",
            )
            .query(
                heat("edalab_message_latency_seconds", "service=\"simulator\""),
                "{{le}}",
            ),
            Panel::new(
                Kind::Heatmap,
                "Processing of a batch (bancaire)",
                "s",
                "How many batches took how long from poll to commit.",
            )
            .query(
                heat("edalab_processing_latency_seconds", "service=\"bancaire\""),
                "{{le}}",
            ),
        ],
    }
}

fn errors() -> Row {
    Row {
        title: "Errors",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Errors by service and kind",
                "cps",
                "Attempts that failed and were repeated, and records that went to the dead letters.",
            )
            .query(
                "sum by (service, kind) (rate(edalab_processing_errors_total{service=~\"$service\"}[$__rate_interval])) \
                 or sum by (service) (edalab_build_info{service=~\"$service\"}) * 0",
                "{{service}} {{kind}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Error rate",
                "percentunit",
                "Errors as a share of what was dealt with in the last five minutes.",
            )
            .query(
                "edalab:processing_errors:ratio5m{service=~\"$service\"}",
                "{{service}}",
            )
            .limits(0.01, 0.05),
            Panel::new(
                Kind::TimeSeries,
                "Dead letters",
                "short",
                "Dead letters since the service started.",
            )
            .query("sum by (job) (edalab_dead_letters_total{job=~\"$service\"})", "{{job}}"),
            Panel::new(
                Kind::TimeSeries,
                "Parked events",
                "short",
                "Events that wait for their account to be opened.",
            )
            .query("sum(edalab_parked_events)", "parked"),
        ],
    }
}

fn resources() -> Row {
    Row {
        title: "Resources",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Memory",
                "bytes",
                "Resident memory of each process.",
            )
            .query(
                "sum by (job, instance) (process_resident_memory_bytes{job=~\"$service\"})",
                "{{job}} {{instance}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "CPU",
                "percentunit",
                "Share of one core.",
            )
            .query(
                "sum by (job, instance) (rate(process_cpu_seconds_total{job=~\"$service\"}[$__rate_interval]))",
                "{{job}} {{instance}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Open files",
                "short",
                "Open files and sockets of each process.",
            )
            .query(
                "sum by (job, instance) (process_open_fds{job=~\"$service\"})",
                "{{job}} {{instance}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Tokio tasks",
                "short",
                "Tasks alive in each service's runtime; one that only grows is a leak.",
            )
            .query(
                "sum by (job, instance) (edalab_tokio_alive_tasks{job=~\"$service\"})",
                "{{job}} {{instance}}",
            ),
        ],
    }
}
