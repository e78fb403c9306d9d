//! Kafka headers: the W3C trace context and CloudEvents in binary mode.

use chrono::SecondsFormat;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use schemas::Event;
use tracing::Span;

use crate::telemetry;

pub(super) const TRACEPARENT: &str = "traceparent";

/// Headers as plain pairs, in order.
pub type HeaderPairs = Vec<(String, Vec<u8>)>;

/// The headers of an event: `traceparent` of the current span (a new trace outside any span) and
/// the CloudEvents attributes `ce_id`, `ce_type`, `ce_source`, `ce_specversion`, `ce_time`.
pub fn event_headers(event: &Event, service: &str) -> HeaderPairs {
    event_headers_in(&Span::current(), event, service)
}

/// The same with the `traceparent` of a given span.
pub fn event_headers_in(span: &Span, event: &Event, service: &str) -> HeaderPairs {
    let mut headers = HeaderPairs::with_capacity(6);
    let context = telemetry::context_of(span);
    telemetry::inject_context(&context, |key, value| {
        headers.push((key.to_owned(), value.into_bytes()));
    });
    if headers.is_empty() {
        headers.push((TRACEPARENT.into(), new_traceparent().into_bytes()));
    }
    let time = event
        .timestamp()
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut ce = |name: &str, value: &str| headers.push((name.to_owned(), value.into()));
    ce("ce_id", event.event_id());
    ce("ce_type", event.event_type().full_name());
    ce("ce_source", &format!("/edalab/{service}"));
    ce("ce_specversion", "1.0");
    ce("ce_time", &time);
    headers
}

/// True for a `traceparent` whose trace is recorded.
pub(super) fn is_sampled(traceparent: &[u8]) -> bool {
    let flags = traceparent.get(53..55);
    let flags = flags.and_then(|flags| std::str::from_utf8(flags).ok());
    flags.is_some_and(|flags| u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1))
}

/// True for a record whose trace is recorded, as far as its `traceparent` says.
pub fn is_recorded<H: Headers>(headers: Option<&H>) -> bool {
    let mut headers = headers.into_iter().flat_map(Headers::iter);
    let parent = headers.find(|header| header.key == TRACEPARENT);
    parent
        .and_then(|parent| parent.value)
        .is_some_and(is_sampled)
}

/// The context that a record carries, when its trace is recorded.
pub fn sampled_context<H: Headers>(headers: Option<&H>) -> Option<Context> {
    if !is_recorded(headers) {
        return None;
    }
    let context = trace_context(headers);
    let is_valid = context.span().span_context().is_sampled();
    is_valid.then_some(context)
}

/// A `traceparent` that starts a trace of its own, marked as not sampled.
fn new_traceparent() -> String {
    let trace = uuid::Uuid::new_v4();
    // The only span of its trace: any id will do, and random bytes cost a call of the kernel.
    let (high, low) = trace.as_u64_pair();
    let (trace, span) = (trace.as_u128(), high ^ low.rotate_left(32));
    format!("00-{trace:032x}-{span:016x}-00")
}

/// The trace context that a record carries.
pub fn trace_context<H: Headers>(headers: Option<&H>) -> Context {
    telemetry::extract(|key| {
        let headers = headers?;
        headers
            .iter()
            .find(|header| header.key == key)
            .and_then(|header| std::str::from_utf8(header.value?).ok())
    })
}

/// The headers of a record as text pairs, for dead letters and for people. Bytes that are not
/// UTF-8 are replaced.
pub fn to_text<H: Headers>(headers: Option<&H>) -> Vec<(String, String)> {
    headers.map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|h| {
                let value = String::from_utf8_lossy(h.value.unwrap_or_default());
                (h.key.to_owned(), value.into_owned())
            })
            .collect()
    })
}

pub(crate) fn to_owned_headers(pairs: &[(String, Vec<u8>)]) -> OwnedHeaders {
    pairs.iter().fold(
        OwnedHeaders::new_with_capacity(pairs.len()),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_flag_says_that_a_trace_is_recorded() {
        let parent = |flags: &str| format!("00-{:032x}-{:016x}-{flags}", 1, 2);
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false)] {
            assert_eq!(is_sampled(parent(flags).as_bytes()), sampled, "{flags}");
        }
        for bad in ["", "00-1-2-01", &parent("zz")] {
            assert!(!is_sampled(bad.as_bytes()), "{bad}");
        }
        assert!(!is_sampled(new_traceparent().as_bytes()));
    }
}
