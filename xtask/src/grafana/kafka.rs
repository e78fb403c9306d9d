//! `kafka-overview`: the broker by its own figures (the JMX exporter's), and its readers.

use super::{Dashboard, Kind, Panel, Row, Variable};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "edalab-kafka-overview",
        title: "Kafka overview",
        description: "What the broker takes in and gives out, and how far its readers are behind.",
        variables: vec![
            Variable {
                name: "topic",
                label: "Topic",
                query: "label_values(kafka_log_log_logendoffset, topic)",
            },
            Variable {
                name: "consumer_group",
                label: "Consumer group",
                query: "label_values(edalab_consumer_lag, consumer_group)",
            },
        ],
        rows: vec![overview(), messages(), lag(), bytes(), requests()],
    }
}

fn overview() -> Row {
    let stat = |title, unit, description| Panel::new(Kind::Stat, title, unit, description).width(4);
    Row {
        title: "Overview",
        panels: vec![
            stat(
                "Messages per second",
                "cps",
                "Records that all brokers took in per second, over the last minute.",
            )
            .query(
                "sum(rate(kafka_server_brokertopicmetrics_messagesin_total{topic=~\"$topic\"}[1m]))",
                "",
            ),
            stat(
                "Active topics",
                "short",
                "Topics that hold at least one record, Kafka's own left out.",
            )
            .query(
                "count(sum by (topic) (kafka_log_log_logendoffset{topic!~\"__.*\", topic=~\"$topic\"}) > 0)",
                "",
            ),
            stat(
                "Partitions",
                "short",
                "Partitions that the brokers hold, copies and Kafka's own topics included.",
            )
            .query("sum(kafka_server_replicamanager_partitioncount)", ""),
            stat(
                "Leaders",
                "short",
                "Partitions that are led somewhere; fewer than there are means some cannot be written.",
            )
            .query("sum(kafka_server_replicamanager_leadercount)", ""),
            stat(
                "Under-replicated partitions",
                "short",
                "Partitions with fewer copies in sync than they should have.",
            )
            .query("sum(kafka_server_replicamanager_underreplicatedpartitions)", "")
            .limits(1.0, 3.0),
            stat(
                "Active controllers",
                "short",
                "Exactly one broker decides who leads what.",
            )
            .query("sum(kafka_controller_kafkacontroller_activecontrollercount)", "")
            .limits(2.0, 2.0),
        ],
    }
}

fn messages() -> Row {
    Row {
        title: "Messages",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Messages produced by topic (5 min)",
                "cps",
                "What the brokers took in, per second over five minutes.",
            )
            .query(
                "sum by (topic) (rate(kafka_server_brokertopicmetrics_messagesin_total{topic=~\"$topic\"}[5m]))",
                "{{topic}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Messages consumed by topic (5 min)",
                "cps",
                "What the services dealt with, per second over five minutes; each reader counts.",
            )
            .query(
                "sum by (topic, service) (rate(edalab_messages_consumed_total{topic=~\"$topic\"}[5m]))",
                "{{topic}} {{service}}",
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
                "Lag by consumer group",
                "short",
                "Records in the log that the group has not committed, by the group's own count.",
            )
            .query(
                "sum by (consumer_group) (edalab_consumer_lag{consumer_group=~\"$consumer_group\", topic=~\"$topic\"})",
                "{{consumer_group}}",
            )
            .limits(1_000.0, 10_000.0),
            Panel::new(
                Kind::TimeSeries,
                "Lag by the broker's log ends",
                "short",
                "The broker's own ends of its logs, less what the group has committed.",
            )
            .query(
                "sum by (consumer_group) (clamp_min(\
                 max by (topic, partition) (kafka_log_log_logendoffset{topic=~\"$topic\"}) \
                 - on (topic, partition) group_right \
                 edalab_committed_offset{consumer_group=~\"$consumer_group\", topic=~\"$topic\"}, 0))",
                "{{consumer_group}}",
            )
            .limits(1_000.0, 10_000.0),
            Panel::new(
                Kind::Table,
                "Top 10 partitions by lag",
                "short",
                "Where the most records wait.",
            )
            .query(
                "topk(10, max by (consumer_group, topic, partition) \
                 (edalab_consumer_lag{consumer_group=~\"$consumer_group\", topic=~\"$topic\"}))",
                "",
            )
            .width(24)
            .limits(1_000.0, 10_000.0),
        ],
    }
}

fn bytes() -> Row {
    Row {
        title: "Bytes",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Bytes in and out by broker",
                "Bps",
                "What each broker took in and gave out, per second.",
            )
            .query(
                "sum by (instance) (rate(kafka_server_brokertopicmetrics_bytesin_total{topic=~\"$topic\"}[$__rate_interval]))",
                "in {{instance}}",
            )
            .query(
                "sum by (instance) (rate(kafka_server_brokertopicmetrics_bytesout_total{topic=~\"$topic\"}[$__rate_interval]))",
                "out {{instance}}",
            ),
            Panel::new(
                Kind::TimeSeries,
                "Size of the logs by topic",
                "bytes",
                "What lies on the brokers' disks.",
            )
            .query(
                "sum by (topic) (kafka_log_log_size{topic=~\"$topic\"})",
                "{{topic}}",
            ),
        ],
    }
}

fn requests() -> Row {
    Row {
        title: "Requests and JVM",
        panels: vec![
            Panel::new(
                Kind::TimeSeries,
                "Request latency, p99",
                "ms",
                "From a request's arrival at the broker to its answer. Fetches wait for records on purpose.",
            )
            .query(
                "max by (request) (kafka_network_requestmetrics_totaltimems{quantile=\"0.99\", request=~\"Produce|FetchConsumer\"})",
                "{{request}}",
            )
            .limits(500.0, 2_000.0),
            Panel::new(
                Kind::TimeSeries,
                "JVM memory",
                "bytes",
                "What the broker's JVM uses of its heap and beside it.",
            )
            .query(
                "sum by (instance, area) (jvm_memory_used_bytes{job=\"kafka\"})",
                "{{instance}} {{area}}",
            ),
        ],
    }
}
