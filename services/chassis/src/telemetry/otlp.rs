//! Sends finished spans to a collector: OTLP over HTTP, on a thread of its own.
//!
//! Nothing waits for it. What the collector does not take is dropped and counted
//! (`edalab_spans_dropped_total`); that it is away is said once, and once that it is back.

use std::sync::Mutex;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;
use tokio::sync::mpsc;

use crate::metrics::{SPANS_DROPPED, SPANS_EXPORTED};

/// Spans that wait: a few seconds' worth of the sampler's traces, about 2 MB.
const QUEUE: usize = 2048;
/// Spans in one request.
const BATCH: usize = 512;
/// How long the first span of a request waits for company.
const LINGER: Duration = Duration::from_millis(200);
/// For one request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// After a request that failed, spans are only collected, and dropped when there is no room.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the last spans.
const FLUSH: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Item {
    Span(Box<SpanData>),
    Flush(std_mpsc::Sender<()>),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Exporter {
    queue: Mutex<Option<mpsc::Sender<Item>>>,
}

impl Exporter {
    /// Starts the thread; the collector need not be there.
    pub(super) fn start(service: &'static str, endpoint: &str) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let thread = std::thread::Builder::new().name("otlp".into());
        let started = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(Sender::new(service, url).run(receiver)),
                Err(error) => tracing::warn!(error = %error, "Failed to start exporting spans"),
            }
        });
        if let Err(error) = started {
            tracing::warn!(error = %error, "Failed to start exporting spans");
        }
        Self {
            queue: Mutex::new(Some(sender)),
        }
    }

    fn queue(&self) -> Option<mpsc::Sender<Item>> {
        let queue = self.queue.lock();
        queue
            .expect("nothing panics while it holds this lock")
            .clone()
    }

    fn flush(&self, queue: &mpsc::Sender<Item>, patience: Duration) -> OTelSdkResult {
        let (done, answer) = std_mpsc::channel();
        // A queue that is full has nobody at its other end who could answer in time.
        if queue.try_send(Item::Flush(done)).is_err() {
            return Err(OTelSdkError::Timeout(patience));
        }
        let answer = answer.recv_timeout(patience);
        answer.map_err(|_| OTelSdkError::Timeout(patience))
    }
}

impl SpanProcessor for Exporter {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let item = Item::Span(Box::new(span));
        if self
            .queue()
            .is_none_or(|queue| queue.try_send(item).is_err())
        {
            SPANS_DROPPED.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        let queue = self.queue().ok_or(OTelSdkError::AlreadyShutdown)?;
        self.flush(&queue, FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let queue = self.queue.lock();
        let queue = queue
            .expect("nothing panics while it holds this lock")
            .take();
        let queue = queue.ok_or(OTelSdkError::AlreadyShutdown)?;
        self.flush(&queue, timeout.min(FLUSH))
    }
}

/// The thread's side.
struct Sender {
    url: String,
    client: reqwest::Client,
    resource: ResourceAttributesWithSchema,
    /// The last request failed.
    is_away: bool,
}

impl Sender {
    fn new(service: &'static str, url: String) -> Self {
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.namespace", "edalab"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", std::process::id().to_string()),
        ]);
        let client = crate::http::client::builder().timeout(TIMEOUT).build();
        Self {
            url,
            client: client.expect("a plain HTTP client can be built"),
            resource: (&resource.build()).into(),
            is_away: false,
        }
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Item>) {
        while let Some(first) = queue.recv().await {
            let mut spans = Vec::new();
            let mut flushes = Vec::new();
            let mut take = |item, spans: &mut Vec<SpanData>| match item {
                Item::Span(span) => {
                    spans.push(*span);
                    true
                }
                Item::Flush(done) => {
                    flushes.push(done);
                    false
                }
            };
            let mut goes_on = take(first, &mut spans);
            let deadline = tokio::time::Instant::now() + LINGER;
            while goes_on && spans.len() < BATCH {
                match tokio::time::timeout_at(deadline, queue.recv()).await {
                    Ok(Some(item)) => goes_on = take(item, &mut spans),
                    Ok(None) | Err(_) => break,
                }
            }
            let is_last = !flushes.is_empty();
            if !spans.is_empty() {
                self.send(spans).await;
            }
            for done in flushes {
                // Whoever waited may go on, whether they were taken or not.
                let _ = done.send(());
            }
            if self.is_away && !is_last {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn send(&mut self, spans: Vec<SpanData>) {
        let count = spans.len() as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        };
        let sent = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        match sent {
            Ok(_) => {
                SPANS_EXPORTED.inc_by(count);
                if std::mem::take(&mut self.is_away) {
                    tracing::info!(url.full = self.url, "The collector takes spans again");
                }
            }
            Err(error) => {
                SPANS_DROPPED.inc_by(count);
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(
                        url.full = self.url,
                        error = %error.without_url(),
                        "The collector takes no spans, dropping them until it does"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_collector_that_is_away_costs_no_time_and_a_bounded_queue() {
        let before = SPANS_DROPPED.get();
        // Nothing listens on port 1.
        let exporter = Exporter::start("test", "http://127.0.0.1:1/");
        let provider = SdkTracerProvider::builder()
            .with_span_processor(exporter)
            .build();
        let tracer = provider.tracer("test");
        let began = Instant::now();
        for _ in 0..2 * QUEUE {
            tracer.start("work").end();
        }
        // Milliseconds where nothing else runs.
        assert!(began.elapsed() < Duration::from_secs(2));
        // Those in the queue and in one request apart, they are dropped by now.
        let dropped = SPANS_DROPPED.get() - before;
        assert!(dropped >= (QUEUE - 2 * BATCH) as u64, "{dropped}");
        let began = Instant::now();
        let _ = provider.shutdown();
        assert!(began.elapsed() < FLUSH + Duration::from_secs(2));
        assert_eq!(SPANS_EXPORTED.get(), 0);
    }
}
