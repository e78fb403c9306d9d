//! The span of one record on its way into the log, from the call to the broker's answer.
//!
//! Few records have one: those of a recorded trace, and so many per second that begin one. The
//! record's `traceparent` then names this span, so that whoever reads it goes on from here.

use opentelemetry::trace::TraceContextExt;
use rdkafka::error::KafkaError;
use tracing::Span;
use tracing::field::Empty;

use super::headers::{HeaderPairs, TRACEPARENT, is_sampled};
use super::producer::Delivered;
use crate::telemetry::{self, sampling};

#[derive(Debug)]
pub(super) struct Sending {
    span: Span,
    event_id: String,
}

impl Sending {
    /// Begins a span where the record's trace, or the moment, allows one.
    pub(super) fn begin(topic: &str, headers: &mut HeaderPairs) -> Self {
        let parent = headers.iter_mut().find(|(name, _)| name == TRACEPARENT);
        let is_followed = parent.as_ref().is_some_and(|(_, value)| is_sampled(value));
        // Inside a span the decision was made where its trace began.
        let may_begin = Span::current().is_none();
        if !(is_followed || may_begin) || !sampling::admits_event(is_followed) {
            if let Some((_, value)) = parent.filter(|_| is_followed) {
                // Of the same trace, but not recorded: a request for many events is not followed in all.
                value.truncate(53);
                value.extend_from_slice(b"00");
            }
            return Self::none();
        }
        let event_id = text(headers, "ce_id");
        let span = tracing::info_span!(
            parent: None,
            "send",
            otel.name = format!("send {topic}"),
            otel.kind = "producer",
            messaging.system = "kafka",
            messaging.operation.name = "send",
            messaging.operation.r#type = "send",
            messaging.destination.name = topic,
            messaging.destination.partition.id = Empty,
            messaging.kafka.offset = Empty,
            messaging.message.id = event_id,
            event.id = event_id,
            error.r#type = Empty,
        );
        if is_followed {
            let value = text(headers, TRACEPARENT);
            let state = text(headers, "tracestate");
            let context = telemetry::extract(|name| match name {
                TRACEPARENT => Some(value.as_str()),
                _ => Some(state.as_str()).filter(|state| !state.is_empty()),
            });
            telemetry::set_parent(&span, context);
        }
        let context = telemetry::context_of(&span);
        if !context.span().span_context().is_valid() {
            // Nobody records spans in this process: what the record carries stays.
            return Self::none();
        }
        telemetry::inject_context(&context, |name, value| {
            headers.retain(|(known, _)| known != name);
            headers.insert(0, (name.to_owned(), value.into_bytes()));
        });
        Self { span, event_id }
    }

    fn none() -> Self {
        Self {
            span: Span::none(),
            event_id: String::new(),
        }
    }

    /// The broker has it.
    pub(super) fn acknowledged(&self, topic: &str, delivered: Delivered) {
        if self.span.is_none() {
            return;
        }
        let partition = delivered.partition.to_string();
        self.span
            .record("messaging.destination.partition.id", partition.as_str());
        self.span.record("messaging.kafka.offset", delivered.offset);
        self.span.in_scope(|| {
            tracing::info!(
                event.id = self.event_id,
                kafka.topic = topic,
                kafka.partition = delivered.partition,
                kafka.offset = delivered.offset,
                "Published an event"
            );
        });
    }

    /// It is not in the log, or nobody knows.
    pub(super) fn failed(&self, error: &KafkaError) {
        if !self.span.is_none() {
            let code = error.rdkafka_error_code();
            let code = code.map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
            self.span.record("error.type", code.as_str());
        }
    }

    /// For the latency's exemplar.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }
}

fn text(headers: &HeaderPairs, name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map_or_else(String::new, |(_, value)| {
        String::from_utf8_lossy(value).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tracer_the_record_keeps_its_own_trace() {
        let parent = b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".to_vec();
        let mut headers = vec![(TRACEPARENT.to_owned(), parent.clone())];
        let sending = Sending::begin("t", &mut headers);
        assert!(sending.span.is_none());
        assert!(headers[0].1[..53] == parent[..53]);
    }
}
