//! A client of the schema registry's REST contract, with a cache of what never changes.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use schemas::EventType;
use schemas::evolution::WriterSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Why the registry did not give what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The registry answered that there is no such thing: final.
    #[error("the registry has no {0}")]
    NotFound(String),
    /// The schema breaks the subject's compatibility: final.
    #[error("the schema is incompatible: {0}")]
    Incompatible(String),
    /// The registry refused the request as wrong, or answered with something unusable: final.
    #[error("the registry refused: {0}")]
    Invalid(String),
    /// The registry is away or failing: try again later.
    #[error("the registry does not answer: {0}")]
    Unavailable(String),
}

/// The ids under which the current schemas are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaIds([u32; EventType::ALL.len()]);

impl SchemaIds {
    pub fn new(ids: [u32; EventType::ALL.len()]) -> Self {
        Self(ids)
    }
    pub fn id(&self, event_type: EventType) -> u32 {
        self.0[event_type.index()]
    }
}

/// Cheap to clone; clones share the cache. An id, once seen, is never asked for again.
#[derive(Clone)]
pub struct RegistryClient {
    http: reqwest::Client,
    url: String,
    /// Bounded in practice by the number of schemas registered in the lab.
    by_id: Arc<RwLock<HashMap<u32, Arc<WriterSchema>>>>,
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}
#[derive(Deserialize)]
struct SchemaText {
    schema: String,
}
#[derive(Deserialize)]
struct ErrorBody {
    error_code: u32,
    message: String,
}

impl RegistryClient {
    /// `url` without a trailing slash, such as `http://127.0.0.1:8081`.
    pub fn new(url: &str) -> Self {
        let http = crate::http::client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a plain HTTP client can be built");
        Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            by_id: Arc::default(),
        }
    }

    /// Registers a schema under a subject; the same schema again gives the same id.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let id: Id = self.post(&url, schema, subject).await?;
        Ok(id.id)
    }

    /// The id of a schema that is already registered under a subject.
    pub async fn lookup(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let url = format!("{}/subjects/{subject}", self.url);
        let id: Id = self.post(&url, schema, subject).await?;
        Ok(id.id)
    }

    /// The schema of an id, if this client has seen it before. Does no I/O.
    pub fn cached(&self, id: u32) -> Option<Arc<WriterSchema>> {
        self.by_id
            .read()
            .expect("the cache's lock is not poisoned")
            .get(&id)
            .cloned()
    }

    /// The schema of an id, from the cache or from the registry.
    pub async fn schema(&self, id: u32) -> Result<Arc<WriterSchema>, RegistryError> {
        if let Some(schema) = self.cached(id) {
            return Ok(schema);
        }
        let request = self.http.get(format!("{}/schemas/ids/{id}", self.url));
        let text: SchemaText = answer(request, || format!("schema id {id}")).await?;
        let schema = WriterSchema::new(&text.schema)
            .map_err(|e| RegistryError::Invalid(format!("schema id {id}: {e}")))?;
        let schema = Arc::new(schema);
        self.by_id
            .write()
            .expect("the cache's lock is not poisoned")
            .insert(id, schema.clone());
        Ok(schema)
    }

    /// Registers all seven schemas, retrying with backoff while the registry is away.
    ///
    /// # Errors
    /// When the registry refuses one for good, or at shutdown.
    pub async fn wait_ids(&self, shutdown: &CancellationToken) -> Result<SchemaIds, RegistryError> {
        let mut ids = [0; EventType::ALL.len()];
        let mut backoff = crate::kafka::Backoff::default();
        for event_type in EventType::ALL {
            ids[event_type.index()] = loop {
                let subject = event_type.subject();
                match self.register(&subject, event_type.schema_json()).await {
                    Ok(id) => break id,
                    Err(e @ RegistryError::Unavailable(_)) => {
                        tracing::warn!(error = %e, "Waiting for the schema registry");
                        if !backoff.wait(shutdown).await {
                            return Err(e);
                        }
                    }
                    Err(e) => return Err(e),
                }
            };
        }
        Ok(SchemaIds(ids))
    }

    async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        url: &str,
        schema: &str,
        subject: &str,
    ) -> Result<T, RegistryError> {
        let request = self.http.post(url).json(&json!({ "schema": schema }));
        answer(request, || format!("such schema under {subject}")).await
    }
}

async fn answer<T: for<'de> Deserialize<'de>>(
    request: reqwest::RequestBuilder,
    what: impl Fn() -> String,
) -> Result<T, RegistryError> {
    let unavailable = |e: reqwest::Error| RegistryError::Unavailable(e.without_url().to_string());
    let response = request.send().await.map_err(unavailable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unavailable)?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|e| RegistryError::Invalid(format!("an unreadable answer: {e}")));
    }
    let message = match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(error) => format!("{} ({})", error.message, error.error_code),
        Err(_) => format!("HTTP {status}"),
    };
    Err(match status.as_u16() {
        404 => RegistryError::NotFound(what()),
        409 => RegistryError::Incompatible(message),
        429 | 500.. => RegistryError::Unavailable(message),
        _ => RegistryError::Invalid(message),
    })
}
