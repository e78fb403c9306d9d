use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};

use super::*;

/// A service that says back what it was asked.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    let answer = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let headers = [
        ("x-upstream", "yes"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
    ];
    (StatusCode::ACCEPTED, headers, axum::Json(answer)).into_response()
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An address on which nothing listens.
async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn proxy_to(address: SocketAddr) -> Proxy {
    let url = format!("http://{address}");
    let settings = Settings {
        timeout: Duration::from_millis(500),
        retries: 2,
    };
    Proxy::new(&url, &url, settings, breaker::Settings::default())
}

fn get(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn read(response: Response) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    (parts.status, parts.headers, json)
}

/// Plan: TestForwardToSimulator_Success
#[tokio::test]
async fn forward_to_simulator_success() {
    let proxy = proxy_to(serve(Router::new().fallback(echo)).await);
    let request = Request::post("/api/v1/simulation/start?dry=1")
        .header("content-type", "application/json")
        .body(Body::from("{\"rate\":1}"))
        .unwrap();
    let (status, headers, answer) = read(proxy.forward_to_simulator(request).await).await;
    assert_eq!(status, StatusCode::ACCEPTED, "the upstream's own status");
    assert_eq!(headers["x-upstream"], "yes");
    assert!(
        headers.get("x-hop").is_none(),
        "it concerned that connection only"
    );
    assert_eq!(answer["method"], "POST");
    assert_eq!(answer["uri"], "/api/v1/simulation/start?dry=1");
    assert_eq!(answer["body"], "{\"rate\":1}");
}

/// Plan: TestForwardToBancaire_Success
#[tokio::test]
async fn forward_to_bancaire_success() {
    let proxy = proxy_to(serve(Router::new().fallback(echo)).await);
    let request = get("/api/v1/bancaire/comptes/7/transactions?limit=3");
    let (_, _, answer) = read(proxy.forward_to_bancaire(request).await).await;
    assert_eq!(answer["uri"], "/api/v1/comptes/7/transactions?limit=3");
    let request = get("/api/v1/ledger");
    let response = proxy
        .forward_to_bancaire_at(request, "/api/v1/ledger")
        .await;
    assert_eq!(read(response).await.2["uri"], "/api/v1/ledger");
    for outside in [
        "/api/v1/bancaire/../../metrics",
        "/api/v1/bancaire/%2e%2e/%2e%2e/metrics",
    ] {
        let response = proxy.forward_to_bancaire(get(outside)).await;
        assert_eq!(response.status(), 404, "{outside}");
    }
}

/// Plan: TestForward_ServiceUnavailable
#[tokio::test]
async fn forward_service_unavailable() {
    let proxy = proxy_to(nobody().await);
    let response = proxy
        .forward_to_bancaire(get("/api/v1/bancaire/stats"))
        .await;
    let (status, headers, problem) = read(response).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert!(headers.contains_key(header::RETRY_AFTER));
    assert_eq!(problem["status"], 503);
    assert!(
        problem["detail"].as_str().unwrap().contains("bancaire"),
        "{problem}"
    );
}

/// Plan: TestForward_PropagatesHeaders
#[tokio::test]
async fn forward_propagates_headers() {
    let log = chassis::config::LogConfig {
        level: "error".into(),
        ..Default::default()
    };
    let _telemetry = chassis::telemetry::init("test", &log);
    let upstream = serve(Router::new().fallback(echo)).await;
    let proxy = Arc::new(proxy_to(upstream));
    let forward = move |request: Request| async move { proxy.forward_to_simulator(request).await };
    let router = Router::new().route("/api/v1/{*rest}", any(forward));
    let gateway = serve(chassis::http::standard(router, "test")).await;
    let trace = "0123456789abcdef0123456789abcdef";
    let answer: Value = reqwest::Client::new()
        .get(format!("http://{gateway}/api/v1/scenarios"))
        .header("x-request-id", "42")
        .header("accept-language", "fr")
        .header("authorization", "Bearer of a service")
        .header("traceparent", format!("00-{trace}-0123456789abcdef-01"))
        .header("connection", "keep-alive, x-private")
        .header("x-private", "secret")
        .header("te", "trailers")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let headers = &answer["headers"];
    assert_eq!(headers["x-request-id"], "42");
    assert_eq!(headers["accept-language"], "fr");
    assert_eq!(headers["authorization"], "Bearer of a service");
    assert_eq!(
        headers["host"],
        upstream.to_string(),
        "not the gateway's own"
    );
    assert!(
        headers.get("x-private").is_none() && headers.get("te").is_none(),
        "{headers}"
    );
    let parent = headers["traceparent"].as_str().expect("the trace goes on");
    assert!(parent.starts_with(&format!("00-{trace}-")), "{parent}");
    assert!(
        !parent.contains("-0123456789abcdef-01"),
        "with the gateway's own span: {parent}"
    );
}

#[tokio::test]
async fn the_gateways_own_token_goes_no_further() {
    let proxy = proxy_to(serve(Router::new().fallback(echo)).await).keeping_authorization(true);
    let mut request = get("/api/v1/scenarios");
    let token = HeaderValue::from_static("Bearer 0123456789abcdef");
    request.headers_mut().insert(header::AUTHORIZATION, token);
    let (_, _, answer) = read(proxy.forward_to_simulator(request).await).await;
    assert!(answer["headers"].get("authorization").is_none());
}

#[tokio::test]
async fn five_failures_open_the_circuit() {
    let proxy = proxy_to(nobody().await);
    let call = || async { read(proxy.forward_to_simulator(get("/api/v1/scenarios")).await).await };
    for _ in 0..5 {
        let (_, _, problem) = call().await;
        assert!(problem.get("circuit").is_none(), "{problem}");
    }
    assert_eq!(proxy.simulator.breaker.state(), breaker::State::Open);
    let (status, headers, problem) = call().await;
    assert_eq!(
        (status.as_u16(), problem["circuit"].as_str()),
        (503, Some("open"))
    );
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    let wait: u64 = headers[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(
        proxy.bancaire.breaker.state(),
        breaker::State::Closed,
        "each has its own"
    );
}

#[tokio::test]
async fn one_that_hangs_is_not_waited_for() {
    let hang = || async { std::future::pending::<()>().await };
    let proxy = proxy_to(serve(Router::new().fallback(hang)).await);
    let request = Request::patch("/api/v1/simulation")
        .body(Body::empty())
        .unwrap();
    let (status, _, problem) = read(proxy.forward_to_simulator(request).await).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert!(
        problem["detail"].as_str().unwrap().contains("0.5 s"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_where_that_is_harmless() {
    /// Gives half an answer twice, then a whole one.
    async fn moody(counter: Arc<AtomicU32>) -> Response {
        let halves = futures_util::stream::iter([
            Ok("{\"half\":"),
            Err(std::io::Error::other("broken off")),
        ]);
        if counter.fetch_add(1, Ordering::SeqCst) < 2 {
            return Body::from_stream(halves).into_response();
        }
        axum::Json(json!({"whole": true})).into_response()
    }
    let counter = Arc::new(AtomicU32::new(0));
    let asked = counter.clone();
    let router = Router::new().fallback(move || moody(asked.clone()));
    let proxy = proxy_to(serve(router).await);
    let request = Request::post("/api/v1/events/produce")
        .body(Body::empty())
        .unwrap();
    let (status, _, _) = read(proxy.forward_to_simulator(request).await).await;
    assert_eq!(
        (status.as_u16(), counter.load(Ordering::SeqCst)),
        (503, 1),
        "not a second time"
    );
    let (status, _, answer) =
        read(proxy.forward_to_simulator(get("/api/v1/scenarios")).await).await;
    assert_eq!((status.as_u16(), &answer["whole"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_service_that_says_what_it_waits_for_is_not_sick() {
    let statuses = Arc::new(Mutex::new(vec![503, 503, 503, 503, 503, 503]));
    let next = statuses.clone();
    let answer = move || async move {
        let status = next.lock().unwrap().pop().unwrap_or(500);
        StatusCode::from_u16(status).unwrap()
    };
    let proxy = proxy_to(serve(Router::new().fallback(answer)).await);
    for _ in 0..6 {
        let response = proxy
            .forward_to_bancaire(get("/api/v1/bancaire/stats"))
            .await;
        assert_eq!(response.status(), 503);
    }
    assert_eq!(proxy.bancaire.breaker.state(), breaker::State::Closed);
    for _ in 0..5 {
        let response = proxy
            .forward_to_bancaire(get("/api/v1/bancaire/stats"))
            .await;
        assert_eq!(response.status(), 500, "handed on as it is");
    }
    assert_eq!(proxy.bancaire.breaker.state(), breaker::State::Open);
}

#[tokio::test]
async fn a_body_above_the_limit_goes_nowhere() {
    let proxy = Arc::new(proxy_to(nobody().await));
    let forward = move |request: Request| async move { proxy.forward_to_simulator(request).await };
    let router = Router::new().fallback(forward);
    let router = router.layer(axum::extract::DefaultBodyLimit::max(1024));
    let gateway = serve(router).await;
    let request = reqwest::Client::new()
        .post(format!("http://{gateway}/api/v1/events/produce"))
        .body(vec![b' '; 2048]);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 413);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], 413);
}
