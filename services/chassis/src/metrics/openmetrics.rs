//! The OpenMetrics form of what is registered: the same series, and with the buckets of the latency
//! histograms the trace of the last event that fell into each (an exemplar).
//!
//! Prometheus asks for it by `Accept: application/openmetrics-text`; everybody else gets the older
//! text form, which knows no exemplars.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex};

use chrono::Utc;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use tracing::Span;

/// The content type of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The last traced observation of a bucket.
#[derive(Debug, Clone)]
struct Exemplar {
    trace_id: String,
    value: f64,
    at_s: f64,
}

/// By series. Few observations are traced, and there are as many series as labels have values.
static EXEMPLARS: LazyLock<Mutex<BTreeMap<String, Vec<Exemplar>>>> = LazyLock::new(Mutex::default);

/// Remembers the trace of an observation; `labels` in the order of their names. A span that is not
/// recorded is none.
pub fn exemplify(histogram: &str, labels: &[(&str, &str)], value: f64, span: &Span) {
    if span.is_none() {
        return;
    }
    let Some(trace_id) = crate::telemetry::sampled_trace_id(span) else {
        return;
    };
    let mut series = histogram.to_owned();
    for (name, value) in labels {
        write_label(&mut series, name, value);
    }
    let exemplar = Exemplar {
        trace_id,
        value,
        at_s: Utc::now().timestamp_millis() as f64 / 1e3,
    };
    let bounds = super::LATENCY_BUCKETS_S;
    let bucket = bounds.iter().position(|bound| value <= *bound);
    let (low, high) = range(bounds, bucket.unwrap_or(bounds.len()));
    let mut all = EXEMPLARS
        .lock()
        .expect("nothing panics while it holds this lock");
    let known = all.entry(series).or_default();
    known.retain(|other| !(other.value > low && other.value <= high));
    known.push(exemplar);
}

fn range(bounds: &[f64], bucket: usize) -> (f64, f64) {
    let low = bucket
        .checked_sub(1)
        .map_or(f64::NEG_INFINITY, |below| bounds[below]);
    (low, bounds.get(bucket).copied().unwrap_or(f64::INFINITY))
}

/// The exposition text.
pub fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::with_capacity(32 * 1024);
    for family in families {
        let kind = family.get_field_type();
        // A counter's name goes without the suffix that its sample has.
        let stem = family.name().strip_suffix("_total");
        let (name, kind) = match (kind, stem) {
            (MetricType::COUNTER, Some(stem)) => (stem, "counter"),
            (MetricType::HISTOGRAM, _) => (family.name(), "histogram"),
            (MetricType::GAUGE, _) => (family.name(), "gauge"),
            _ => (family.name(), "unknown"),
        };
        let help = family.help().replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(text, "# TYPE {name} {kind}\n# HELP {name} {help}");
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::HISTOGRAM => histogram(&mut text, name, metric),
                MetricType::COUNTER => {
                    let value = metric.get_counter().get_value();
                    sample(
                        &mut text,
                        family.name(),
                        metric.get_label(),
                        None,
                        value,
                        None,
                    );
                }
                _ => {
                    let value = metric.get_gauge().get_value();
                    sample(
                        &mut text,
                        family.name(),
                        metric.get_label(),
                        None,
                        value,
                        None,
                    );
                }
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn histogram(text: &mut String, name: &str, metric: &Metric) {
    let labels = metric.get_label();
    let mut series = name.to_owned();
    for label in labels {
        write_label(&mut series, label.name(), label.value());
    }
    let exemplars = EXEMPLARS
        .lock()
        .expect("nothing panics while it holds this lock");
    let exemplars = exemplars.get(&series).cloned().unwrap_or_default();
    let histogram = metric.get_histogram();
    let bucket_name = format!("{name}_bucket");
    let mut low = f64::NEG_INFINITY;
    let bounds = histogram.get_bucket().iter();
    let bounds = bounds.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let last = (f64::INFINITY, histogram.get_sample_count());
    for (bound, count) in bounds.filter(|(bound, _)| bound.is_finite()).chain([last]) {
        let within = |exemplar: &&Exemplar| exemplar.value > low && exemplar.value <= bound;
        let exemplar = exemplars.iter().find(within);
        let le = if bound.is_finite() {
            bound.to_string()
        } else {
            "+Inf".into()
        };
        sample(
            text,
            &bucket_name,
            labels,
            Some(&le),
            count as f64,
            exemplar,
        );
        low = bound;
    }
    let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count());
    sample(text, &format!("{name}_sum"), labels, None, sum, None);
    sample(
        text,
        &format!("{name}_count"),
        labels,
        None,
        count as f64,
        None,
    );
}

fn sample(
    text: &mut String,
    name: &str,
    labels: &[LabelPair],
    le: Option<&str>,
    value: f64,
    exemplar: Option<&Exemplar>,
) {
    let mut set = String::new();
    for label in labels {
        write_label(&mut set, label.name(), label.value());
    }
    if let Some(le) = le {
        write_label(&mut set, "le", le);
    }
    text.push_str(name);
    if let Some(set) = set.strip_prefix(',') {
        let _ = write!(text, "{{{set}}}");
    }
    let _ = write!(text, " {value}");
    if let Some(Exemplar {
        trace_id,
        value,
        at_s,
    }) = exemplar
    {
        let _ = write!(text, " # {{trace_id=\"{trace_id}\"}} {value} {at_s:.3}");
    }
    text.push('\n');
}

/// `,name="value"`.
fn write_label(to: &mut String, name: &str, value: &str) {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let _ = write!(to, ",{name}=\"{value}\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MESSAGE_LATENCY, MESSAGES_PRODUCED};

    const TRACE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn counters_histograms_and_exemplars_have_their_form() {
        let labels = ["openmetrics", "a\"b"];
        MESSAGES_PRODUCED.with_label_values(&labels).inc_by(2);
        MESSAGE_LATENCY.with_label_values(&labels).observe(0.003);
        let series = "edalab_message_latency_seconds,service=\"openmetrics\",topic=\"a\\\"b\"";
        let exemplar = Exemplar {
            trace_id: TRACE.into(),
            value: 0.003,
            at_s: 1.5,
        };
        EXEMPLARS
            .lock()
            .unwrap()
            .insert(series.into(), vec![exemplar]);
        let text = encode(&prometheus::gather());
        for line in [
            "# TYPE edalab_messages_produced counter",
            "edalab_messages_produced_total{service=\"openmetrics\",topic=\"a\\\"b\"} 2",
            "edalab_message_latency_seconds_bucket{service=\"openmetrics\",topic=\"a\\\"b\",\
             le=\"0.005\"} 1 # {trace_id=\"0123456789abcdef0123456789abcdef\"} 0.003 1.500",
            "edalab_message_latency_seconds_bucket{service=\"openmetrics\",topic=\"a\\\"b\",\
             le=\"0.01\"} 1",
            "edalab_message_latency_seconds_bucket{service=\"openmetrics\",topic=\"a\\\"b\",\
             le=\"+Inf\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn every_bucket_has_its_own_range() {
        let bounds = [1.0, 2.0];
        assert_eq!(range(&bounds, 0), (f64::NEG_INFINITY, 1.0));
        assert_eq!(range(&bounds, 1), (1.0, 2.0));
        assert_eq!(range(&bounds, 2), (2.0, f64::INFINITY));
    }
}
