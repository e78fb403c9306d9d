//! The door: turns a GET of `/ws` into a socket.
//!
//! Done here rather than by axum's extractor, because the end of a [`super::session`] has to read
//! raw bytes from the connection, and because each socket's buffers are small.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Hub, Settings, session};
use crate::proxy::retry_after;

/// Opens sockets, and knows those that are open.
#[derive(Debug, Clone)]
pub struct Door {
    hub: Arc<Hub>,
    sessions: TaskTracker,
    shutdown: CancellationToken,
}

impl Door {
    pub fn new(hub: Arc<Hub>, shutdown: CancellationToken) -> Self {
        Self {
            hub,
            sessions: TaskTracker::new(),
            shutdown,
        }
    }

    /// Answers 101 and serves the socket from then on.
    pub fn open(&self, mut request: Request) -> Response {
        let accept = match handshake(request.headers()) {
            Ok(accept) => accept,
            Err(problem) => return problem.into_response(),
        };
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            return Problem::bad_request("This connection cannot become a WebSocket.")
                .into_response();
        };
        let Some(registration) = self.hub.register() else {
            let limit = self.hub.settings().max_clients;
            let detail = format!("{limit} clients are watching, which is as many as may.");
            return retry_after(Problem::unavailable(detail), 5);
        };
        let (hub, shutdown) = (self.hub.clone(), self.shutdown.clone());
        self.sessions.spawn(async move {
            match upgrade.await {
                Ok(connection) => {
                    let config = Some(config(hub.settings()));
                    let connection = TokioIo::new(connection);
                    let socket =
                        WebSocketStream::from_raw_socket(connection, Role::Server, config).await;
                    session::serve(socket, &hub, registration, shutdown).await;
                }
                Err(error) => tracing::debug!(error = %error, "Failed to open a WebSocket"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        response
    }

    /// Waits until every session has ended; they do so at shutdown.
    pub async fn closed(&self) {
        self.sessions.close();
        self.sessions.wait().await;
    }
}

/// What the answer proves that it understood the question with.
fn handshake(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let contains = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    if !contains(header::CONNECTION, "upgrade") || !contains(header::UPGRADE, "websocket") {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "This is a WebSocket; connect with ws://.",
        ));
    }
    if !contains(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(Problem::bad_request("Sec-WebSocket-Version must be 13."));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| Problem::bad_request("Sec-WebSocket-Key is missing."))?;
    let accept = derive_accept_key(key.as_bytes());
    Ok(HeaderValue::try_from(accept).expect("base64 is a header's value"))
}

fn config(settings: &Settings) -> WebSocketConfig {
    WebSocketConfig::default()
        // Allocated for every client; they say little.
        .read_buffer_size(4 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(settings.write_buffer)
        .max_message_size(Some(settings.message_limit))
        .max_frame_size(Some(settings.message_limit))
}
