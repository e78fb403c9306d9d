//! Calls to other services: a deadline, the trace context, and errors that say who was called.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder};

/// How long a service waits for another.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// For every client of this program: they share one reading of the system's certificates, which takes
/// OpenSSL 70 ms, also where only `http` is spoken.
///
/// # Panics
/// Never: the system's TLS library can be set up.
pub fn builder() -> reqwest::ClientBuilder {
    static TLS: LazyLock<native_tls::TlsConnector> =
        LazyLock::new(|| native_tls::TlsConnector::new().expect("TLS can be set up"));
    reqwest::Client::builder().tls_backend_preconfigured(TLS.clone())
}

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
    /// Never with these settings: only TLS could fail, and [`builder`] has set it up.
    pub fn with_timeout(timeout: Duration) -> Self {
        let client = builder()
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
