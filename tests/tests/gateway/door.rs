//! Who is let in, and how much of one is read.

use std::time::Duration;

use chassis::config::Source;
use futures_util::SinkExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Lab, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::socket::Socket;

/// The status with which a WebSocket is refused under some headers; 101 when it is not.
pub async fn refused(url: &str, headers: &[(&'static str, &str)]) -> u16 {
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, value.parse().expect("a header"));
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused() {
    let lab = Lab::shared().await;
    let own = lab.gateway_url();
    for (origin, status) in [
        (own.as_str(), 101),
        ("http://localhost:5173", 101),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:5174", 403),
    ] {
        assert_eq!(
            refused(&lab.ws_url(), &[("origin", origin)]).await,
            status,
            "{origin}"
        );
    }
    assert_eq!(
        refused(&lab.ws_url(), &[("host", "evil.example")]).await,
        403,
        "rebound"
    );
    let stop = || {
        http()
            .post(format!("{own}/api/v1/simulation/stop"))
            .json(&json!({}))
    };
    let response = stop()
        .header("origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let problem: Value = response.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("evil.example"),
        "{problem}"
    );
    let response = http()
        .get(format!("{own}/api/v1/health"))
        .header("host", "evil.example");
    assert_eq!(
        response.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cross_origin_answers_are_for_exactly_the_allowed() {
    let lab = Lab::shared().await;
    let preflight = |origin: &'static str| {
        http()
            .request(
                reqwest::Method::OPTIONS,
                format!("{}/api/v1/simulation", lab.gateway_url()),
            )
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let allowed = preflight("http://localhost:5173").await.unwrap();
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "http://localhost:5173"
    );
    let methods = allowed.headers()["access-control-allow-methods"]
        .to_str()
        .unwrap();
    assert!(methods.contains("PATCH"), "{methods}");
    let foreign = preflight("http://evil.example").await.unwrap();
    assert!(
        foreign
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_in_a_frame_end_with_1009_and_hurt_nobody() {
    let lab = Lab::shared().await;
    let mut other = Socket::watch(&lab.ws_url(), &["*"]).await;
    let mut socket = Socket::open(&lab.ws_url()).await;
    socket
        .0
        .send(Message::text("x".repeat(10 << 20)))
        .await
        .expect("it is read to its end");
    let frame = socket.closing().await.expect("it says why");
    assert_eq!(frame.code, CloseCode::Size);
    other.hear_of("stats").await;
}

/// What a service answers to a body of ten megabytes, announced and then sent as far as it is read.
async fn ten_megabytes_to(service: &str, path: &str) -> String {
    let address = service.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut reading, mut writing) = stream.into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: \
         {}\r\n\r\n",
        10 << 20
    );
    let sending = tokio::spawn(async move {
        writing.write_all(head.as_bytes()).await?;
        for _ in 0..160 {
            writing.write_all(&[b' '; 64 << 10]).await?;
        }
        // The answer is waited for with the connection open.
        Ok::<_, std::io::Error>(writing)
    });
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(reading.read_u8().await.expect("it answers"));
    }
    sending.abort();
    String::from_utf8(line).expect("a status line is text")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_in_a_body_are_answered_with_413() {
    let lab = Lab::shared().await;
    for (service, path) in [
        (lab.gateway_url(), "/api/v1/events/produce"),
        (lab.simulator_url(), "/api/v1/events/produce"),
        (lab.registry_url(), "/subjects/large-value/versions"),
    ] {
        let answer = ten_megabytes_to(&service, path);
        let answer = lab.deadline(answer).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{service}: {answer}");
        let health = http().get(format!("{service}/metrics")).send().await;
        assert_eq!(health.expect("it goes on").status(), 200, "{service}");
    }
}

/// A gateway of this process, before the shared lab, with settings of its own.
pub async fn own_gateway(lab: &Lab, env: &[(&str, &str)]) -> (String, CancellationToken) {
    let own = [
        ("SERVICE_PORT", "0".to_owned()),
        ("KAFKA_BOOTSTRAP_SERVERS", lab.kafka_bootstrap()),
        ("SCHEMA_REGISTRY_URL", lab.registry_url()),
        ("SIMULATOR_URL", lab.simulator_url()),
        ("BANCAIRE_URL", lab.bancaire_url()),
    ];
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let env = own
        .into_iter()
        .chain(env)
        .map(|(name, value)| (name.to_owned(), value));
    let mut source = Source::from_parts(None, env).expect("there is no file");
    let config = gateway::Config::read(&mut source);
    source.finish().expect("the configuration is valid");
    let shutdown = CancellationToken::new();
    let running = gateway::start(config, shutdown.clone())
        .await
        .expect("it starts");
    let address = running.address;
    (address.to_string(), shutdown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_wanted_where_one_is_set() {
    let lab = Lab::shared().await;
    let token = "correct-horse-battery";
    let (address, shutdown) = own_gateway(lab, &[("GATEWAY_TOKEN", token)]).await;
    let socket = format!("ws://{address}/ws");
    assert_eq!(refused(&socket, &[]).await, 401);
    assert_eq!(
        refused(&format!("{socket}?token={token}"), &[]).await,
        401,
        "not in the URL"
    );
    let bearer = format!("Bearer {token}");
    assert_eq!(refused(&socket, &[("authorization", &bearer)]).await, 101);
    let stop = || {
        http()
            .post(format!("http://{address}/api/v1/simulation/stop"))
            .json(&json!({}))
    };
    let response = stop().send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(
        stop().bearer_auth(token).send().await.unwrap().status(),
        409
    );
    let health = http()
        .get(format!("http://{address}/api/v1/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 200, "to look is free");
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_clients_than_may_and_all_are_told_when_it_stops() {
    let lab = Lab::shared().await;
    let (address, shutdown) = own_gateway(lab, &[("GATEWAY_WS_MAX_CLIENTS", "2")]).await;
    let url = format!("ws://{address}/ws");
    let mut first = Socket::watch(&url, &["*"]).await;
    let second = Socket::watch(&url, &["*"]).await;
    assert_eq!(refused(&url, &[]).await, 503);
    drop(second);
    tests::until_async("there is room again", async || {
        let is_open = refused(&url, &[]).await == 101;
        is_open.then_some(())
    })
    .await;
    shutdown.cancel();
    let frame = tokio::time::timeout(Duration::from_secs(5), first.closing()).await;
    assert_eq!(
        frame.expect("soon").expect("it says why").code,
        CloseCode::Away
    );
}

/// The page, or how to get it, with what protects it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_with_its_policy() {
    let lab = Lab::shared().await;
    let response = http().get(lab.gateway_url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
    for (path, status) in [
        ("/api/v1/nowhere", 404),
        ("/health/nowhere", 404),
        ("/nowhere.js", 404),
    ] {
        let url = format!("{}{path}", lab.gateway_url());
        let response = http().get(url).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
    }
    let url = format!("{}/ws", lab.gateway_url());
    assert_eq!(http().get(url).send().await.unwrap().status(), 426);
}
