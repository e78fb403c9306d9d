//! How requests and answers look: content types, bodies, parameters, and the time that a request
//! may take.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
use crate::store::Wanted;

/// What the registry answers with unless the client asks for another.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Acceptable in both directions, in order of preference.
const CONTENT_TYPES: [&str; 3] = [
    CONTENT_TYPE,
    "application/vnd.schemaregistry+json",
    "application/json",
];

/// Less than the five seconds after which the lab's own clients give up, so that they hear why.
const DEADLINE: Duration = Duration::from_secs(4);

/// An answer as JSON; [`dress`] gives it the content type that the client wants.
pub struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response(),
            Err(e) => Error::Unprocessable(e.to_string()).into_response(),
        }
    }
}

/// Around every handler: the deadline, the content type, the latency.
pub async fn dress(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let wanted = wanted_type(request.headers());
    let mut response = match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::StoreTimeout.into_response(),
    };
    if let Some(content_type) = response.headers_mut().get_mut(header::CONTENT_TYPE)
        && content_type == CONTENT_TYPE
    {
        *content_type = HeaderValue::from_static(wanted);
    }
    chassis::metrics::PROCESSING_LATENCY
        .with_label_values(&["registry"])
        .observe(started.elapsed().as_secs_f64());
    response
}

fn wanted_type(headers: &HeaderMap) -> &'static str {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(media_type)
        .collect();
    let found = CONTENT_TYPES
        .into_iter()
        .find(|known| accepted.contains(known));
    found.unwrap_or(CONTENT_TYPE)
}

fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// A JSON body, under any of the contract's content types or none.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if let Some(content_type) = request.headers().get(header::CONTENT_TYPE) {
            let name = media_type(content_type.to_str().unwrap_or_default()).to_lowercase();
            // Confluent's registry takes the last one for clients that do not say what they send.
            if !CONTENT_TYPES.contains(&name.as_str()) && name != "application/octet-stream" {
                return Err(Error::UnsupportedMediaType);
            }
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    Error::TooLarge(super::BODY_LIMIT)
                } else {
                    Error::BadRequest(rejection.body_text())
                }
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|e| match e.classify() {
                serde_json::error::Category::Data => Error::Unprocessable(e.to_string()),
                _ => Error::BadRequest(format!("The body is not JSON: {e}")),
            })
    }
}

/// Query parameters.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Error::BadRequest(rejection.body_text())),
        }
    }
}

/// Parts of the path.
pub struct Segments<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Error::NoRoute),
        }
    }
}

/// `true` in any case; everything else is false, as in Java.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(deserializer)?.eq_ignore_ascii_case("true"))
}

/// A schema id, else there is no such route.
pub fn schema_id(text: &str) -> Result<i32> {
    text.parse().map_err(|_| Error::NoRoute)
}

/// A subject's name without the default context's prefix.
///
/// # Errors
/// When it has control characters, is reserved, is in another context than the default one, or is
/// longer than an index entry may be.
pub fn subject(name: String) -> Result<String> {
    let name = name.strip_prefix(":.:").map(str::to_owned).unwrap_or(name);
    let is_bad = name.is_empty() || name.len() > 1024 || name.chars().any(char::is_control);
    if is_bad || name == "__GLOBAL" || name.starts_with(":.") {
        return Err(Error::InvalidSubject(name));
    }
    Ok(name)
}

/// A version's number, `latest` or -1.
///
/// # Errors
/// For anything else.
pub fn version(text: &str) -> Result<Wanted> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("latest") {
        return Ok(Wanted::Latest);
    }
    match text.parse() {
        Ok(-1) => Ok(Wanted::Latest),
        Ok(number @ 1..) => Ok(Wanted::Number(number)),
        _ => Err(Error::InvalidVersion(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_or_the_latest() {
        for (text, expected) in [
            ("1", Some(Wanted::Number(1))),
            ("2147483647", Some(Wanted::Number(i32::MAX))),
            ("latest", Some(Wanted::Latest)),
            ("LATEST", Some(Wanted::Latest)),
            ("-1", Some(Wanted::Latest)),
            ("0", None),
            ("-2", None),
            ("2147483648", None),
            ("first", None),
            ("", None),
        ] {
            assert_eq!(version(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn subjects_are_plain_names() {
        assert_eq!(subject(":.:s".into()).unwrap(), "s");
        assert_eq!(subject("é/x y".into()).unwrap(), "é/x y");
        for bad in [
            "",
            "a\nb",
            "a\0b",
            "__GLOBAL",
            ":.other:s",
            &"x".repeat(1025),
        ] {
            assert_eq!(subject(bad.into()).unwrap_err().code(), 42208, "{bad:?}");
        }
    }

    #[test]
    fn clients_get_the_content_type_that_they_ask_for() {
        for (accept, expected) in [
            (None, CONTENT_TYPE),
            (Some("*/*"), CONTENT_TYPE),
            (Some("application/json"), "application/json"),
            (
                Some("application/json, application/vnd.schemaregistry.v1+json;q=0.9"),
                CONTENT_TYPE,
            ),
            (
                Some("application/vnd.schemaregistry+json, application/json; q=0.5"),
                "application/vnd.schemaregistry+json",
            ),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(wanted_type(&headers), expected, "{accept:?}");
        }
    }
}
