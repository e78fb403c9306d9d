//! What every HTTP surface of the lab has: limits, timeouts, problems, traces and `/metrics`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::Instrument;

use super::problem::Problem;
use crate::config::ServiceConfig;

/// Bodies above this are answered with 413.
pub const BODY_LIMIT: usize = 64 * 1024;
/// A handler that takes longer is answered for with 503.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever has not sent a request's headers by then is sent away; so is an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// After a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// How long open connections may finish after a stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Dresses a service's routes; see the module's text.
pub fn standard(router: Router, service: &'static str) -> Router {
    standard_with_limit(router, service, BODY_LIMIT)
}

/// The same with another limit on bodies, in bytes.
pub fn standard_with_limit(router: Router, service: &'static str, body_limit: usize) -> Router {
    crate::metrics::register(service);
    router
        .route("/metrics", get(metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(limit_time))
        .layer(from_fn(trace))
        .layer(DefaultBodyLimit::max(body_limit))
}

async fn metrics(headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let (content_type, text) = crate::metrics::gather_as(accept);
    ([(header::CONTENT_TYPE, content_type)], text)
}

async fn no_route(method: Method, uri: Uri) -> Problem {
    Problem::not_found(format!("There is no {method} {}.", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}.", uri.path()),
    )
}

async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("The request took too long.").into_response(),
    }
}

/// One span per request, child of the caller's; one debug line when it is done.
async fn trace(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    // Probes and scrapes come all the time, and have no story.
    let is_probe = route == "/metrics" || route.contains("/health");
    if is_probe {
        return next.run(request).await;
    }
    let span = tracing::info_span!(
        "http",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        url.path = request.uri().path(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let parent = crate::telemetry::extract(|key| request.headers().get(key)?.to_str().ok());
    crate::telemetry::set_parent(&span, parent);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    async {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        tracing::Span::current().record("http.response.status_code", status);
        tracing::debug!(
            http.request.method = %method,
            url.path = path,
            http.response.status_code = status,
            duration_ms = started.elapsed().as_secs_f64() * 1e3,
            "Answered a request"
        );
        response
    }
    .instrument(span)
    .await
}

/// Binds where the configuration says and serves until `shutdown`.
///
/// # Errors
/// When the address cannot be bound; the message names it.
pub async fn serve(
    config: &ServiceConfig,
    router: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    serve_on(bind(config).await?, router, shutdown).await
}

/// Binds the service's address.
pub async fn bind(config: &ServiceConfig) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(config.host, config.port);
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))
}

/// Serves on a listener until `shutdown`, then lets open requests finish for two seconds.
pub async fn serve_on(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    serve_patiently(listener, router, shutdown, HEADER_TIMEOUT).await
}

/// The same with another patience for headers. Not `axum::serve`: it waits for them for ever, so
/// that whoever sends a byte a minute on many connections would hold all of them.
async fn serve_patiently(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    header_timeout: Duration,
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("failed to read the address")?;
    tracing::info!(server.address = %address, "Listening");
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), shutdown.clone());
                connections.spawn(serve_connection(stream, peer, router, stop, header_timeout));
            }
            Err(e) => {
                // Out of file descriptors, most often: some connection will end.
                tracing::warn!(error = %e, "Failed to accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
    Ok(())
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
    header_timeout: Duration,
) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            // What is being answered is answered; nothing more is taken.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "A connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Json;
    use axum::routing::post;
    use serde::Deserialize;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Deserialize)]
    struct Body1 {
        count: u32,
    }

    async fn take(Json(body): Json<Body1>) -> String {
        body.count.to_string()
    }

    async fn answer(request: Request) -> (StatusCode, Value) {
        let router = standard(Router::new().route("/take", post(take)), "test");
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn post_body(content_type: &str, body: impl Into<Body>) -> Request {
        Request::post("/take")
            .header(header::CONTENT_TYPE, content_type)
            .body(body.into())
            .unwrap()
    }

    #[tokio::test]
    async fn bad_input_is_answered_with_a_problem() {
        let json = "application/json";
        for (request, status) in [
            (post_body(json, "{\"count\":1}"), 200),
            (post_body(json, "{"), 400),
            (post_body(json, "{\"count\":\"x\"}"), 400),
            (post_body("text/plain", "{\"count\":1}"), 415),
            (post_body(json, vec![b' '; BODY_LIMIT + 1]), 413),
            (Request::get("/take").body(Body::empty()).unwrap(), 405),
            (Request::get("/nowhere").body(Body::empty()).unwrap(), 404),
        ] {
            let what = format!("{} {}", request.method(), request.uri());
            let (got, body) = answer(request).await;
            assert_eq!(got.as_u16(), status, "{what}: {body}");
            if status != 200 {
                assert_eq!(body["status"], status, "{what}: {body}");
                assert!(!body["detail"].as_str().unwrap().is_empty());
            }
        }
    }

    /// One byte at a time (slowloris) is no way to keep a connection.
    #[tokio::test]
    async fn headers_that_do_not_come_end_the_connection_and_others_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        let shutdown = CancellationToken::new();
        let patience = Duration::from_millis(300);
        let server = serve_patiently(listener, router, shutdown.clone(), patience);
        let server = tokio::spawn(server);
        let mut slow = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        let trickle = async {
            for byte in b"GET / HTTP/1.1\r\nHost: ".iter().cycle() {
                if slow.write_all(&[*byte]).await.is_err() {
                    return;
                }
                let closed = tokio::time::timeout(patience / 10, slow.read_u8()).await;
                if matches!(closed, Ok(Err(_))) {
                    return;
                }
            }
        };
        let ended = tokio::time::timeout(patience * 20, trickle).await;
        ended.expect("the trickle is sent away");
        assert!(began.elapsed() >= patience);
        let mut quick = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        quick.write_all(request).await.unwrap();
        let mut answer = String::new();
        quick.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        shutdown.cancel();
        server.await.unwrap().unwrap();
    }

    /// Plan: TestMetricsServer_Endpoint
    #[tokio::test]
    async fn metrics_server_endpoint() {
        let router = standard(Router::new(), "test");
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        assert!(String::from_utf8_lossy(&body).contains("edalab_build_info"));
    }
}
