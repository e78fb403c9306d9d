//! Logs and traces: structured lines on standard output, W3C trace context in and out.
//!
//! A span's trace id is on every log line written inside it. Context travels over HTTP and Kafka
//! as `traceparent`/`tracestate`; [`inject`] and [`extract`] are the only two places that know.

mod lines;
mod otlp;
pub mod sampling;
mod spans;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::lines::JsonLines;
use self::otlp::Exporter;
use self::sampling::Sampler;
pub use self::spans::{link, sql};
use crate::config::{LogConfig, LogFormat};

/// Keeps the tracer alive; dropping it at the end of `main` flushes what is left.
pub struct TelemetryGuard {
    provider: SdkTracerProvider,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        // Nothing can be done about a failed flush at the very end.
        let _ = self.provider.shutdown();
    }
}

/// Installs logging and tracing for this process. A second call changes nothing (tests run
/// several services in one process).
pub fn init(service: &'static str, log: &LogConfig) -> TelemetryGuard {
    let (subscriber, provider) = subscriber(service, log, std::io::stdout);
    let _ = subscriber.try_init();
    TelemetryGuard { provider }
}

fn subscriber<W>(
    service: &'static str,
    log: &LogConfig,
    writer: W,
) -> (impl Subscriber + Send + Sync + use<W>, SdkTracerProvider)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    sampling::set_events_per_second(log.traces.per_second);
    let mut provider =
        SdkTracerProvider::builder().with_sampler(Sampler::new(log.traces.per_second));
    if let Some(endpoint) = &log.traces.endpoint {
        provider = provider.with_span_processor(Exporter::start(service, endpoint));
    }
    let provider = provider.build();
    // librdkafka's own chatter is only worth seeing when something is wrong.
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log.format {
        LogFormat::Json => lines.event_format(JsonLines { service }).boxed(),
        LogFormat::Pretty => lines.compact().with_target(false).boxed(),
    };
    let tracer = provider.tracer(service);
    let traces = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        // Where in the code and on which thread: the names of our spans say enough.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_traced).with_max_level_hint(LevelFilter::INFO));
    let subscriber = tracing_subscriber::registry()
        .with(traces)
        .with(lines.with_filter(filter));
    (subscriber, provider)
}

/// The lab's own spans, and what went wrong inside them.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    // The last are the integration tests, which publish events of their own.
    let is_own = [
        "chassis",
        "simulator",
        "bancaire",
        "gateway",
        "registry",
        "tests",
    ]
    .contains(&root);
    is_own && (metadata.is_span() || *metadata.level() <= Level::WARN)
}

/// The trace context of a span; empty when it has none.
pub fn context_of(span: &Span) -> Context {
    span.context()
}

/// True for the context of a trace that is recorded.
pub fn is_sampled(context: &Context) -> bool {
    context.span().span_context().is_sampled()
}

/// The trace id of a span that is recorded, for an exemplar.
pub fn sampled_trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span().span_context().clone();
    span.is_sampled().then(|| span.trace_id().to_string())
}

/// The current trace id as 32 hex digits, when inside a span that has one.
pub fn current_trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// Hands the current span's `traceparent` (and `tracestate`) to `set`; nothing outside a span.
pub fn inject(set: impl FnMut(&str, String)) {
    inject_context(&Span::current().context(), set);
}

/// The same for an explicit context.
pub fn inject_context(context: &Context, set: impl FnMut(&str, String)) {
    struct Set<F>(F);
    impl<F: FnMut(&str, String)> Injector for Set<F> {
        fn set(&mut self, key: &str, value: String) {
            if !value.is_empty() {
                (self.0)(key, value);
            }
        }
    }
    TraceContextPropagator::new().inject_context(context, &mut Set(set));
}

/// The remote context that the headers carry; an invalid or absent one gives an empty context.
pub fn extract<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Context {
    /// The two headers of the W3C trace context, when they are there.
    struct Found<'a>([(&'static str, Option<&'a str>); 2]);
    impl Extractor for Found<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.iter().find(|(name, _)| *name == key)?.1
        }
        fn keys(&self) -> Vec<&str> {
            self.0.iter().map(|(name, _)| *name).collect()
        }
    }
    let found = Found(["traceparent", "tracestate"].map(|name| (name, get(name))));
    TraceContextPropagator::new().extract(&found)
}

/// Makes a remote context the parent of `span`, when it is a valid one.
pub fn set_parent(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // It fails only when no tracer is installed, and then there is nothing to link.
        let _ = span.set_parent(parent);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn captured_lines(work: impl FnOnce()) -> Vec<Value> {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = LogConfig {
            level: "debug".into(),
            ..LogConfig::default()
        };
        let (subscriber, _provider) = subscriber("test", &log, move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = captured.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    /// Plan: TestLogOutput_JSONFormat
    #[test]
    fn log_output_json_format() {
        let lines = captured_lines(|| {
            tracing::info!(
                kafka.topic = "bancaire.compte.ouvert",
                kafka.offset = 7,
                "Applied a batch"
            );
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "Applied a batch");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["service"], "test");
        assert_eq!(lines[0]["kafka.topic"], "bancaire.compte.ouvert");
        assert_eq!(lines[0]["kafka.offset"], 7);
    }

    /// Plan: TestWithTraceID_IncludesTraceID
    #[test]
    fn with_trace_id_includes_trace_id() {
        let mut seen = None;
        let lines = captured_lines(|| {
            let span = tracing::info_span!("work");
            let _entered = span.enter();
            seen = current_trace_id();
            tracing::info!("Inside");
        });
        assert_eq!(lines[0]["trace_id"].as_str(), seen.as_deref());
        assert_eq!(seen.expect("a trace id inside a span").len(), 32);
    }

    /// Plan: TestStartSpan_CreatesSpan
    #[test]
    fn start_span_creates_span() {
        captured_lines(|| {
            assert_eq!(current_trace_id(), None);
            let span = tracing::info_span!("work");
            let _entered = span.enter();
            assert!(!span.is_none());
            assert!(current_trace_id().is_some());
        });
    }

    /// Plan: TestInjectExtractTraceContext_RoundTrip
    #[test]
    fn inject_extract_trace_context_round_trip() {
        captured_lines(|| {
            let mut headers = HashMap::new();
            let sender = tracing::info_span!("send");
            let sent = sender.in_scope(|| {
                inject(|k, v| {
                    headers.insert(k.to_owned(), v);
                });
                current_trace_id()
            });
            let remote = extract(|k| headers.get(k).map(String::as_str));
            let receiver = tracing::info_span!(parent: None, "receive");
            set_parent(&receiver, remote);
            assert_eq!(receiver.in_scope(current_trace_id), sent);
            assert!(sent.is_some());
        });
    }
}
