//! Spans with the attribute names of OpenTelemetry's semantic conventions.

use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A statement, or a transaction of several; none outside of a recorded trace, so that what is not
/// followed costs nothing.
pub fn sql(operation: &'static str, collection: &'static str) -> Span {
    let current = Span::current();
    if current.is_none() || !current.context().span().span_context().is_sampled() {
        return Span::none();
    }
    tracing::info_span!(
        "sql",
        otel.name = format!("{operation} {collection}").trim_end(),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = operation,
        db.collection.name = collection,
    )
}

/// Says in `span` that it has to do with `other`, which may be of another trace.
pub fn link(span: &Span, other: &Span) {
    let other = other.context().span().span_context().clone();
    if other.is_valid() {
        span.add_link(other);
    }
}
