//! Calls to other services: a deadline, the trace context, and errors that say who was called.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder};

/// How long a service waits for another.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct HttpClient(reqwest::Client);

impl Default for HttpClient {
    fn default() -> Self {
        Self::with_timeout(TIMEOUT)
    }
}

impl HttpClient {
    /// # Panics
    /// Never with these settings; the builder only fails on TLS set-up, which is not used.
    pub fn with_timeout(timeout: Duration) -> Self {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(2)))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a plain HTTP client can be built");
        Self(client)
    }

    /// A request that carries the current trace context.
    pub fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> RequestBuilder {
        let mut headers = HeaderMap::new();
        crate::telemetry::inject(|key, value| {
            if let (Ok(key), Ok(value)) = (HeaderName::try_from(key), value.try_into()) {
                headers.insert(key, value);
            }
        });
        self.0.request(method, url).headers(headers)
    }

    pub fn get(&self, url: impl reqwest::IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    pub fn post(&self, url: impl reqwest::IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }
}
