//! Counts what was committed: log and metrics tell the same story as the tables.

use chassis::metrics::openmetrics::exemplify;
use chassis::metrics::{
    DEAD_LETTERS, END_TO_END_LATENCY, MESSAGES_CONSUMED, PROCESSING_ERRORS, PROCESSING_LATENCY,
};
use chrono::{DateTime, Utc};
use tracing::Span;

use crate::SERVICE;
use crate::domain::Outcome;
use crate::domain::record::Batch;

/// A batch was committed: its records, and how long it took since it was polled.
pub fn committed(batch: &Batch) {
    for span in &batch.spans {
        MESSAGES_CONSUMED
            .with_label_values(&[SERVICE, span.topic.topic()])
            .inc_by((span.to - span.from).unsigned_abs());
    }
    let elapsed_s = batch.received.elapsed().as_secs_f64();
    PROCESSING_LATENCY
        .with_label_values(&[SERVICE])
        .observe(elapsed_s);
    let family = "edalab_processing_latency_seconds";
    exemplify(
        family,
        &[("service", SERVICE)],
        elapsed_s,
        &batch.traces.first(),
    );
}

/// The verdicts of a committed batch: from each event's timestamp to now, and its dead letters.
pub fn decided(outcome: &Outcome<'_>, now: DateTime<Utc>, batch: Option<&Batch>) {
    let latency = END_TO_END_LATENCY.with_label_values(&[SERVICE]);
    for row in &outcome.ledger {
        // A producer's clock may be ahead of ours.
        let elapsed_us = (now - row.evenement_le)
            .num_microseconds()
            .unwrap_or(i64::MAX)
            .max(0);
        let elapsed_s = elapsed_us as f64 / 1e6;
        latency.observe(elapsed_s);
        if let Some(batch) = batch.filter(|batch| !batch.traces.is_empty()) {
            let span = batch.traces.span_of(row.origin);
            let family = "edalab_end_to_end_latency_seconds";
            exemplify(family, &[("service", SERVICE)], elapsed_s, &span);
        }
    }
    for dead in &outcome.dead_letters {
        DEAD_LETTERS.inc();
        PROCESSING_ERRORS
            .with_label_values(&[SERVICE, dead.kind])
            .inc();
        let origin = dead.record.origin;
        let span = batch.map_or_else(Span::none, |batch| batch.traces.span_of(origin));
        let _entered = span.enter();
        tracing::warn!(
            kafka.topic = origin.topic.topic(),
            kafka.partition = origin.partition,
            kafka.offset = origin.offset,
            error.kind = dead.kind,
            error = dead.message,
            "Dead-lettered a record"
        );
    }
}

/// An attempt failed and will be repeated.
pub fn transient() {
    PROCESSING_ERRORS
        .with_label_values(&[SERVICE, "transient"])
        .inc();
}
