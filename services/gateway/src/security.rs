//! Who may come in: a web page of another origin must not drive a lab that listens on loopback,
//! neither straight (cross-site calls and WebSockets) nor through a name that it controls (DNS
//! rebinding).
//!
//! [`Guard`] looks at every request before [`crate::api`] does. The token is for labs that other
//! machines can reach.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chassis::config::Secret;
use chassis::http::Problem;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Shorter tokens can be guessed.
const TOKEN_MIN_LEN: usize = 16;

/// Whom to let in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pages besides our own that may call and listen, such as `http://localhost:5173`.
    pub allowed_origins: Vec<String>,
    /// Names besides `localhost` under which we may be called, with or without port.
    pub allowed_hosts: Vec<String>,
    /// What mutating calls and WebSockets must carry in `Authorization: Bearer`.
    pub token: Option<Secret>,
}

impl Default for Settings {
    /// Our own page, and Vite's development server.
    fn default() -> Self {
        Self {
            allowed_origins: vec![
                "http://localhost:5173".into(),
                "http://127.0.0.1:5173".into(),
            ],
            allowed_hosts: Vec::new(),
            token: None,
        }
    }
}

/// # Errors
/// With the reason, when `text` is not an exact origin.
pub fn check_origin(text: &str) -> Result<(), &'static str> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("is not an origin such as http://localhost:5173")?;
    let is_exact = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if is_exact {
        Ok(())
    } else {
        Err("is not an exact origin: scheme, host and port, without path or wildcard")
    }
}

/// # Errors
/// With the reason, when a token could be guessed or not be sent.
pub fn check_token(token: &str) -> Result<(), impl fmt::Display> {
    if token.len() >= TOKEN_MIN_LEN && token.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!(
            "must be at least {TOKEN_MIN_LEN} printable ASCII characters without spaces"
        ))
    }
}

/// Cross-origin answers for exactly the allowed origins.
pub fn cors(settings: &Settings) -> CorsLayer {
    let origins: Vec<HeaderValue> = settings
        .allowed_origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([header::RETRY_AFTER])
}

/// Looks at every request.
#[derive(Debug)]
pub struct Guard {
    settings: Settings,
}

impl Guard {
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings })
    }

    /// Lets a request through, or says why not.
    ///
    /// # Errors
    /// 403 for a foreign Host or Origin, 401 without the token, 415 for a mutating call that is
    /// not JSON.
    pub fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let host = host(request);
        self.check_host(host)?;
        let mutates = !matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        if !mutates && request.uri().path() != crate::websocket::PATH {
            return Ok(());
        }
        self.check_origin(headers, host)?;
        self.check_token(headers)?;
        if mutates { check_json(headers) } else { Ok(()) }
    }

    fn check_host(&self, host: &str) -> Result<(), Problem> {
        let name = without_port(host);
        // An address is nobody's to rebind; only names are looked up.
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is =
            |known: &String| known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(name);
        if is_address
            || name.eq_ignore_ascii_case("localhost")
            || self.settings.allowed_hosts.iter().any(is)
        {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "The Host {host:?} is not one of this gateway's; call it as localhost or \
                 127.0.0.1, or add the name to GATEWAY_ALLOWED_HOSTS."
            ),
        ))
    }

    fn check_origin(&self, headers: &HeaderMap, host: &str) -> Result<(), Problem> {
        // Only browsers send it, and they always do where it matters.
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let is_own = ["http://", "https://"]
            .iter()
            .filter_map(|scheme| origin.strip_prefix(scheme))
            .any(|from| from.eq_ignore_ascii_case(host));
        if is_own
            || self
                .settings
                .allowed_origins
                .iter()
                .any(|known| known == origin)
        {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "Pages of {origin:?} may not do this; add the origin to GATEWAY_ALLOWED_ORIGINS \
                 if they should."
            ),
        ))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.settings.token else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        if equals(given.as_bytes(), token.expose().as_bytes()) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "This gateway wants its token in the header Authorization: Bearer.",
        ))
    }
}

/// The middleware around all routes.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_TYPE).is_some() {
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("The Content-Type is {content_type:?}; send application/json."),
    ))
}

fn host(request: &Request) -> &str {
    let header = request.headers().get(header::HOST);
    let authority = || {
        request
            .uri()
            .authority()
            .map(|authority| authority.as_str())
    };
    header
        .and_then(|value| value.to_str().ok())
        .or_else(authority)
        .unwrap_or_default()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Compares without telling by its time where the difference is.
fn equals(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn check(settings: Settings, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let guard = Guard::new(settings);
        guard.check(&request).map_or_else(|p| p.status, |()| 200)
    }

    fn post(headers: &[(&str, &str)]) -> u16 {
        let mut all = vec![JSON];
        if !headers.iter().any(|(name, _)| *name == "host") {
            all.push(("host", "127.0.0.1:8080"));
        }
        all.extend(headers);
        check(Settings::default(), "POST", "/api/v1/simulation/stop", &all)
    }

    #[test]
    fn only_the_labs_own_names_are_answered_to() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:9",
            "[::1]:8080",
            "10.0.0.7",
        ] {
            let status = check(Settings::default(), "GET", "/", &[("host", host)]);
            assert_eq!(status, 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "",
        ] {
            let status = check(Settings::default(), "GET", "/", &[("host", host)]);
            assert_eq!(status, 403, "{host}");
        }
        let settings = Settings {
            allowed_hosts: vec!["lab.example".into()],
            ..Settings::default()
        };
        assert_eq!(
            check(settings, "GET", "/", &[("host", "lab.example:80")]),
            200
        );
    }

    #[test]
    fn only_known_origins_may_change_things_or_listen() {
        assert_eq!(post(&[]), 200, "not a browser");
        assert_eq!(
            post(&[("origin", "http://127.0.0.1:8080")]),
            200,
            "our own page"
        );
        assert_eq!(post(&[("origin", "http://localhost:5173")]), 200);
        for origin in [
            "http://127.0.0.1:8081",
            "http://evil.example",
            "null",
            "http://localhost",
        ] {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
            let headers = [("host", "localhost:8080"), ("origin", origin)];
            assert_eq!(
                check(Settings::default(), "GET", "/ws", &headers),
                403,
                "{origin}"
            );
            assert_eq!(
                check(Settings::default(), "GET", "/api/v1/health", &headers),
                200
            );
        }
    }

    #[test]
    fn a_change_is_json() {
        let headers = [("host", "localhost"), ("content-type", "text/plain")];
        assert_eq!(check(Settings::default(), "POST", "/x", &headers), 415);
        assert_eq!(check(Settings::default(), "POST", "/x", &headers[..1]), 415);
        let headers = [
            ("host", "localhost"),
            ("content-type", "Application/JSON; charset=utf-8"),
        ];
        assert_eq!(check(Settings::default(), "POST", "/x", &headers), 200);
    }

    #[test]
    fn the_token_is_wanted_for_changes_and_sockets() {
        let settings = || Settings {
            token: Some(Secret::new("0123456789abcdef")),
            ..Settings::default()
        };
        let host = ("host", "localhost");
        for (token, status) in [
            ("Bearer 0123456789abcdef", 200),
            ("Bearer 0123456789abcdeX", 401),
            ("Bearer 0123456789abcde", 401),
            ("0123456789abcdef", 401),
        ] {
            let headers = [host, JSON, ("authorization", token)];
            assert_eq!(check(settings(), "POST", "/x", &headers), status, "{token}");
            assert_eq!(check(settings(), "GET", "/ws", &headers), status, "{token}");
        }
        assert_eq!(
            check(settings(), "GET", "/ws?token=0123456789abcdef", &[host]),
            401
        );
        assert_eq!(check(settings(), "GET", "/api/v1/health", &[host]), 200);
    }

    #[test]
    fn origins_are_exact() {
        for good in [
            "http://localhost:5173",
            "https://lab.example",
            "http://[::1]:80",
        ] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in [
            "*",
            "localhost",
            "http://",
            "http://a/",
            "http://*.example",
            "ftp://a",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }
}
