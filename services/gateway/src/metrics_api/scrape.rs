//! Reads what the services' `/metrics` say: Prometheus' exposition text.

use std::collections::BTreeMap;

/// The figures of one service that the page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Produce call to acknowledgement.
    pub produce: Histogram,
    /// Receipt to done, in the service.
    pub processing: Histogram,
    /// Event's timestamp to its effect.
    pub end_to_end: Histogram,
    /// Errors by kind.
    pub errors: BTreeMap<String, f64>,
}

/// A histogram, summed over its labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds, each with the observations up to it; the last bound is infinite.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

impl Figures {
    /// Understands what it knows and leaves the rest out.
    pub fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, labels, value)) = sample(line) else {
                continue;
            };
            for (family, histogram) in [
                ("edalab_message_latency_seconds", &mut figures.produce),
                ("edalab_processing_latency_seconds", &mut figures.processing),
                ("edalab_end_to_end_latency_seconds", &mut figures.end_to_end),
            ] {
                match name.strip_prefix(family) {
                    Some("_bucket") => histogram.add_bucket(label(labels, "le"), value),
                    Some("_sum") => histogram.sum += value,
                    Some("_count") => histogram.count += value,
                    _ => {}
                }
            }
            if name == "edalab_processing_errors_total"
                && let Some(kind) = label(labels, "kind")
            {
                *figures.errors.entry(kind.to_owned()).or_default() += value;
            }
        }
        figures
    }
}

impl Histogram {
    fn add_bucket(&mut self, bound: Option<&str>, value: f64) {
        let bound = match bound {
            Some("+Inf") => f64::INFINITY,
            Some(bound) => match bound.parse() {
                Ok(bound) => bound,
                Err(_) => return,
            },
            None => return,
        };
        match self.buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += value,
            None => {
                self.buckets.push((bound, value));
                self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
        }
    }

    /// What was observed since `earlier`; all of it when the service was started anew meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self.count < earlier.count || self.buckets.len() != earlier.buckets.len() {
            return self.clone();
        }
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets
                .map(|((bound, a), (_, b))| (*bound, a - b))
                .collect(),
            sum: self.sum - earlier.sum,
            count: self.count - earlier.count,
        }
    }

    /// The mean in milliseconds; `None` when nothing was observed.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0.0).then(|| round(self.sum / self.count * 1e3))
    }

    /// A quantile in milliseconds, interpolated in its bucket as Prometheus does.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total = self.buckets.last().map(|(_, count)| *count)?;
        if total <= 0.0 {
            return None;
        }
        let rank = quantile * total;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= rank {
                if bound.is_infinite() {
                    return Some(round(low * 1e3));
                }
                let inside = (count - below).max(f64::MIN_POSITIVE);
                return Some(round((low + (bound - low) * (rank - below) / inside) * 1e3));
            }
            (low, below) = (*bound, *count);
        }
        None
    }
}

fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let value = value.parse().ok()?;
    match series.split_once('{') {
        Some((name, labels)) => Some((name, labels.strip_suffix('}')?, value)),
        None => Some((series, "", value)),
    }
}

/// The value of a label. The lab's own values hold no quotes and no commas.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|label| {
        let (key, value) = label.split_once('=')?;
        (key.trim() == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP edalab_end_to_end_latency_seconds From the event's timestamp to its effect
# TYPE edalab_end_to_end_latency_seconds histogram
edalab_end_to_end_latency_seconds_bucket{service="bancaire",le="0.01"} 50
edalab_end_to_end_latency_seconds_bucket{service="bancaire",le="0.1"} 100
edalab_end_to_end_latency_seconds_bucket{service="bancaire",le="+Inf"} 100
edalab_end_to_end_latency_seconds_sum{service="bancaire"} 2
edalab_end_to_end_latency_seconds_count{service="bancaire"} 100
edalab_processing_errors_total{kind="bad_magic",service="bancaire"} 3
edalab_processing_errors_total{kind="bad_magic",service="other"} 1
process_resident_memory_bytes 123
nonsense
"#;

    #[test]
    fn quantiles_are_interpolated_and_errors_summed() {
        let figures = Figures::parse(TEXT);
        assert_eq!(figures.end_to_end.mean_ms(), Some(20.0));
        assert_eq!(figures.end_to_end.quantile_ms(0.5), Some(10.0));
        assert_eq!(figures.end_to_end.quantile_ms(0.75), Some(55.0));
        assert_eq!(figures.produce.quantile_ms(0.5), None);
        assert_eq!(figures.errors["bad_magic"], 4.0);
    }

    #[test]
    fn a_difference_is_of_the_time_between() {
        let earlier = Figures::parse(TEXT).end_to_end;
        let later = TEXT
            .replace("\"0.1\"} 100", "\"0.1\"} 110")
            .replace("Inf\"} 100", "Inf\"} 110")
            .replace(
                "_count{service=\"bancaire\"} 100",
                "_count{service=\"bancaire\"} 110",
            );
        let later = Figures::parse(&later).end_to_end;
        let between = later.since(&earlier);
        assert_eq!(between.count, 10.0);
        assert_eq!(between.quantile_ms(0.5), Some(55.0));
        assert_eq!(later.since(&later).quantile_ms(0.5), None);
        assert_eq!(
            earlier.since(&later),
            earlier,
            "the service was started anew"
        );
    }
}
