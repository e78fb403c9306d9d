//! Hands calls on to the simulator and to bancaire.
//!
//! A call goes on with its headers, without those that concern one connection only, and with the
//! trace that [`chassis::http::server`] began. An upstream that does not answer is asked again when
//! that is harmless, and left alone for a while by its [`crate::breaker`] when it goes on so.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use chassis::http::{HttpClient, Problem};
use chassis::kafka::Backoff;
use futures_util::StreamExt;
use reqwest::Url;

use crate::breaker::{self, Breaker, Outcome};

/// An answer above this is not one of the lab's.
const ANSWER_LIMIT: usize = 16 << 20;

/// What belongs to one connection and is not handed on (RFC 9110, 7.6.1), besides what
/// `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
];

/// How long to wait, and how often to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// For one answer.
    pub timeout: Duration,
    /// Further attempts after one that found nobody, for methods that may be repeated.
    pub retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: chassis::http::client::TIMEOUT,
            retries: 3,
        }
    }
}

/// A service that calls are handed on to.
#[derive(Debug)]
pub struct Upstream {
    pub name: &'static str,
    pub url: String,
    pub breaker: Arc<Breaker>,
}

/// Both upstreams and how they are called.
pub struct Proxy {
    pub simulator: Upstream,
    pub bancaire: Upstream,
    client: HttpClient,
    settings: Settings,
    /// True when `Authorization` is for us and nobody else.
    keeps_authorization: bool,
}

/// A call that can be sent several times.
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
}

/// Why there is no answer.
enum Failure {
    Unreachable(reqwest::Error),
    TimedOut,
    TooLarge,
}

impl Proxy {
    pub fn new(
        simulator_url: &str,
        bancaire_url: &str,
        settings: Settings,
        breaker: breaker::Settings,
    ) -> Self {
        let upstream = |name, url: &str| Upstream {
            name,
            url: url.trim_end_matches('/').to_owned(),
            breaker: Breaker::new(name, breaker),
        };
        Self {
            simulator: upstream("simulator", simulator_url),
            bancaire: upstream("bancaire", bancaire_url),
            client: HttpClient::with_timeout(settings.timeout),
            settings,
            keeps_authorization: false,
        }
    }

    /// The gateway has a token of its own, which is not handed on.
    #[must_use]
    pub fn keeping_authorization(mut self, keeps: bool) -> Self {
        self.keeps_authorization = keeps;
        self
    }

    /// `/api/v1/…` to the same path of the simulator.
    pub async fn forward_to_simulator(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        self.forward(&self.simulator, request, path).await
    }

    /// `/api/v1/bancaire/…` to bancaire's `/api/v1/…`.
    pub async fn forward_to_bancaire(&self, request: Request) -> Response {
        let path = request.uri().path().replacen("/bancaire/", "/", 1);
        self.forward(&self.bancaire, request, path).await
    }

    /// Any request to one path of bancaire.
    pub async fn forward_to_bancaire_at(&self, request: Request, path: &str) -> Response {
        self.forward(&self.bancaire, request, path.to_owned()).await
    }

    async fn forward(&self, upstream: &Upstream, request: Request, path: String) -> Response {
        let call = match self.prepare(upstream, request, &path).await {
            Ok(call) => call,
            Err(problem) => return problem.into_response(),
        };
        let permit = match upstream.breaker.admit() {
            Ok(permit) => permit,
            Err(wait) => return circuit_open(upstream, wait),
        };
        let answer = self.send_with_retries(upstream, &call).await;
        permit.settle(match &answer {
            Ok(response) if !is_failure(response.status()) => Outcome::Success,
            Ok(_) | Err(_) => Outcome::Failure,
        });
        match answer {
            Ok(response) => response,
            Err(failure) => no_answer(upstream, &call, &failure),
        }
    }

    async fn prepare(
        &self,
        upstream: &Upstream,
        request: Request,
        path: &str,
    ) -> Result<Call, Problem> {
        let (parts, body) = request.into_parts();
        let url = target(upstream, path, parts.uri.query())?;
        let Parts {
            method, headers, ..
        } = parts.clone();
        let body = Bytes::from_request(Request::from_parts(parts, body), &())
            .await
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::payload_too_large(format!(
                    "The body is larger than {} KiB.",
                    chassis::http::server::BODY_LIMIT / 1024
                )),
                status => Problem::new(status, rejection.body_text()),
            })?;
        // Many events take their time until the broker has acknowledged them all.
        let is_bulk = method == Method::POST && path.starts_with("/api/v1/events/");
        Ok(Call {
            timeout: self.settings.timeout * if is_bulk { 5 } else { 1 },
            headers: self.request_headers(&headers),
            method,
            url,
            body,
        })
    }

    fn request_headers(&self, from: &HeaderMap) -> HeaderMap {
        let mut headers = end_to_end(from);
        headers.remove(header::HOST);
        headers.remove(header::EXPECT);
        if self.keeps_authorization {
            headers.remove(header::AUTHORIZATION);
        }
        // Our own span is the upstream's parent, where there is one.
        chassis::telemetry::inject(|name, value| {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.insert(name, value);
            }
        });
        headers
    }

    async fn send_with_retries(
        &self,
        upstream: &Upstream,
        call: &Call,
    ) -> Result<Response, Failure> {
        let mut retries = if call.method.is_idempotent() {
            self.settings.retries
        } else {
            0
        };
        let mut backoff = Backoff::default();
        loop {
            match self.send(call).await {
                // One that hangs is not helped by asking again.
                Err(Failure::Unreachable(error)) if retries > 0 => {
                    retries -= 1;
                    tracing::debug!(
                        upstream = upstream.name,
                        error = %error,
                        "Asking again after a failed attempt"
                    );
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                answer => return answer,
            }
        }
    }

    async fn send(&self, call: &Call) -> Result<Response, Failure> {
        let response = self
            .client
            .request(call.method.clone(), call.url.clone())
            .timeout(call.timeout)
            .headers(call.headers.clone())
            .body(call.body.clone())
            .send()
            .await
            .map_err(Failure::from)?;
        let status = response.status();
        let headers = end_to_end(response.headers());
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(Failure::from)?;
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(Body::from(body.freeze()));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // Not to find anybody in time is not to find anybody.
        if error.is_timeout() && !error.is_connect() {
            Self::TimedOut
        } else {
            Self::Unreachable(error.without_url())
        }
    }
}

/// The headers that concern both ends, without the body's length, which is counted anew.
fn end_to_end(from: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = from
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut headers = from.clone();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove(header::CONTENT_LENGTH);
    headers
}

fn target(upstream: &Upstream, path: &str, query: Option<&str>) -> Result<Url, Problem> {
    let not_found = || Problem::not_found(format!("There is no {path}."));
    let base = Url::parse(&upstream.url).map_err(|_| not_found())?;
    let mut url = Url::parse(&format!("{}{path}", upstream.url)).map_err(|_| not_found())?;
    // `..` is resolved by now: what leaves the API is none of ours.
    let api = format!("{}/api/v1/", base.path().trim_end_matches('/'));
    if !url.path().starts_with(&api) {
        return Err(not_found());
    }
    url.set_query(query);
    Ok(url)
}

/// True for answers of a service that does not work; a 503 is one that says what it waits for.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

fn circuit_open(upstream: &Upstream, wait: Duration) -> Response {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let problem = Problem::unavailable(format!(
        "{} failed several times and is left alone for now; try again in {seconds} s.",
        upstream.name
    ))
    .with_field("circuit", "open")
    .with_field("service", upstream.name);
    retry_after(problem, seconds as u64)
}

fn no_answer(upstream: &Upstream, call: &Call, failure: &Failure) -> Response {
    let name = upstream.name;
    let (problem, reason) = match failure {
        Failure::Unreachable(error) => {
            let detail = format!("{name} cannot be reached; `cargo xtask status` says more.");
            (Problem::unavailable(detail), error.to_string())
        }
        Failure::TimedOut => {
            let seconds = call.timeout.as_secs_f64();
            let mut detail = format!("{name} did not answer within {seconds} s.");
            if !call.method.is_safe() {
                detail.push_str(" Whether it did what was asked is not known.");
            }
            (Problem::gateway_timeout(detail), "timed out".to_owned())
        }
        Failure::TooLarge => {
            let detail = format!("{name} answered with more than can be handed on.");
            (
                Problem::bad_gateway(detail),
                "the answer is too large".to_owned(),
            )
        }
    };
    tracing::warn!(
        upstream = name,
        http.request.method = %call.method,
        url.path = call.url.path(),
        error = reason,
        "Got no answer from an upstream"
    );
    let problem = problem.with_field("service", name);
    match failure {
        Failure::Unreachable(_) => retry_after(problem, 1),
        Failure::TimedOut | Failure::TooLarge => problem.into_response(),
    }
}

/// A problem that says when to come again.
pub fn retry_after(problem: Problem, seconds: u64) -> Response {
    ([(header::RETRY_AFTER, seconds.to_string())], problem).into_response()
}

#[cfg(test)]
#[path = "proxy/tests.rs"]
mod tests;
