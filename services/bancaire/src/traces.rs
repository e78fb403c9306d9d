//! The records of a batch whose traces are recorded: few, whatever the load.
//!
//! Each has a span from its poll to its commit, in the trace of its producer. The batch's own span,
//! with the statements of its transaction below it, is in the trace of the first of them and linked
//! with the others. A `VirementRecu` goes on in the trace of the transfer that caused it.

use chassis::kafka::headers::sampled_context;
use chassis::telemetry;
use rdkafka::message::{BorrowedMessage, Message};
use schemas::{Event, VirementRecu};
use tracing::Span;

use crate::domain::Outcome;
use crate::domain::outcome::Verdict;
use crate::domain::record::{Batch, Content, Origin};

/// Headers are only looked at for so many records of a batch: above, a batch has far more records
/// than traces are begun, and looking would cost more than all of them are worth.
pub const LOOK_AT: usize = 256;
/// The most spans of one batch, and links of its span.
const SPANS_MAX: usize = 32;

/// The span of a record that was just polled, when its trace is recorded.
pub fn receive(message: &BorrowedMessage<'_>, group: &str) -> Option<Span> {
    let parent = sampled_context(message.headers())?;
    let topic = message.topic();
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {topic}"),
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = topic,
        messaging.destination.partition.id = message.partition().to_string(),
        messaging.kafka.offset = message.offset(),
        messaging.consumer.group.name = group,
        messaging.message.id = tracing::field::Empty,
        event.id = tracing::field::Empty,
    );
    telemetry::set_parent(&span, parent);
    Some(span)
}

/// The traced records of a batch: where each is, and its span.
#[derive(Debug, Clone, Default)]
pub struct Traces(Vec<Traced>);

#[derive(Debug, Clone)]
struct Traced {
    origin: Origin,
    span: Span,
    /// The transfer that it is, or belongs to.
    emis_id: Option<String>,
}

impl Traces {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first record's span, or none.
    pub fn first(&self) -> Span {
        let first = self.0.first();
        first.map_or_else(Span::none, |traced| traced.span.clone())
    }

    /// True when another one may be followed.
    pub fn has_room(&self) -> bool {
        self.0.len() < SPANS_MAX
    }

    pub fn add(&mut self, origin: Origin, content: &Content, span: Span) {
        let mut emis_id = None;
        if let Content::Event(event) = content {
            span.record("messaging.message.id", event.event_id());
            span.record("event.id", event.event_id());
            emis_id = match event {
                Event::VirementEmis(emis) => Some(emis.event_id.clone()),
                // A credit that is refused sends the money back.
                Event::VirementRecu(recu) => recu.virement_emis_id.clone(),
                _ => None,
            };
        }
        self.0.push(Traced {
            origin,
            span,
            emis_id,
        });
    }

    /// The span of a batch; none when none of its records is followed.
    pub fn batch_span(&self, batch: &Batch, group: &str) -> Span {
        let Some(first) = self.0.first() else {
            return Span::none();
        };
        let span = tracing::info_span!(
            parent: &first.span,
            "process batch",
            messaging.system = "kafka",
            messaging.operation.name = "process",
            messaging.operation.r#type = "process",
            messaging.batch.message_count = batch.records.len(),
            messaging.consumer.group.name = group,
        );
        for other in &self.0[1..] {
            telemetry::link(&span, &other.span);
            telemetry::link(&other.span, &span);
        }
        span
    }

    /// The span of a record; none for one that is not followed.
    pub fn span_of(&self, origin: Origin) -> Span {
        let found = self.0.iter().find(|traced| traced.origin == origin);
        found.map_or_else(Span::none, |traced| traced.span.clone())
    }

    /// The span of the record that caused a credit.
    pub fn cause_of(&self, recu: &VirementRecu) -> Span {
        let emis_id = recu.virement_emis_id.as_ref();
        let is_cause = |traced: &&Traced| emis_id.is_some() && traced.emis_id.as_ref() == emis_id;
        let found = self.0.iter().find(is_cause);
        found.map_or_else(Span::none, |traced| traced.span.clone())
    }

    /// Says in the log what became of the followed records, once that is committed.
    pub fn committed(&self, batch: &Batch, outcome: &Outcome<'_>) {
        for Traced { origin, span, .. } in &self.0 {
            let record = batch.records.iter().find(|r| r.origin == *origin);
            let event_id = record.and_then(|r| r.event()).map(Event::event_id);
            let row = outcome.ledger.iter().find(|row| row.origin == *origin);
            let is_parked = outcome.parked.iter().any(|r| r.origin == *origin);
            let is_dead = outcome
                .dead_letters
                .iter()
                .any(|d| d.record.origin == *origin);
            let said = match row.map(|row| row.verdict) {
                // It is said where all dead letters are.
                _ if is_dead => continue,
                Some(Verdict::Accepted { .. }) => "Applied an event",
                Some(Verdict::Rejected(_)) => "Rejected an event",
                None if is_parked => "Parked an event",
                None => "Skipped a duplicate",
            };
            let motif = match row.map(|row| row.verdict) {
                Some(Verdict::Rejected(motif)) => Some(motif.as_str()),
                _ => None,
            };
            span.in_scope(|| {
                tracing::info!(
                    event.id = event_id,
                    kafka.topic = origin.topic.topic(),
                    kafka.partition = origin.partition,
                    kafka.offset = origin.offset,
                    motif,
                    "{said}"
                );
            });
        }
    }
}
