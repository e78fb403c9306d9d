//! Counts what was committed: log and metrics tell the same story as the tables.

use std::time::Instant;

use chassis::metrics::{
    DEAD_LETTERS, END_TO_END_LATENCY, MESSAGES_CONSUMED, PROCESSING_ERRORS, PROCESSING_LATENCY,
};
use chrono::{DateTime, Utc};

use crate::SERVICE;
use crate::domain::{Outcome, Span};

/// A batch was committed: its records, and how long it took since it was polled.
pub fn committed(spans: &[Span], received: Instant) {
    for span in spans {
        MESSAGES_CONSUMED
            .with_label_values(&[SERVICE, span.topic.topic()])
            .inc_by((span.to - span.from).unsigned_abs());
    }
    PROCESSING_LATENCY
        .with_label_values(&[SERVICE])
        .observe(received.elapsed().as_secs_f64());
}

/// The verdicts of a committed batch: from each event's timestamp to now, and its dead letters.
pub fn decided(outcome: &Outcome<'_>, now: DateTime<Utc>) {
    let latency = END_TO_END_LATENCY.with_label_values(&[SERVICE]);
    for row in &outcome.ledger {
        // A producer's clock may be ahead of ours.
        let elapsed_us = (now - row.evenement_le)
            .num_microseconds()
            .unwrap_or(i64::MAX)
            .max(0);
        latency.observe(elapsed_us as f64 / 1e6);
    }
    for dead in &outcome.dead_letters {
        DEAD_LETTERS.inc();
        PROCESSING_ERRORS
            .with_label_values(&[SERVICE, dead.kind])
            .inc();
        let origin = dead.record.origin;
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
