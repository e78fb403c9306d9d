//! The registry against a real PostgreSQL. [`contract`] is what clients see, [`references`] schemas
//! that use others, [`import`] schemas that bring their ids, [`instances`] what depends on the
//! process: settings of all subjects, several instances, a PostgreSQL that goes away. [`clients`]
//! are clients that others wrote, [`comparison`] is with another registry; [`tools`] gets both.
//! [`decoder`] is what consumers do with a registered schema and any bytes.

mod clients;
mod comparison;
mod contract;
mod decoder;
mod import;
mod instances;
mod references;
mod tools;

use chassis::config::{LogConfig, PostgresConfig, ServiceConfig};
use reqwest::{Method, header};
use serde_json::{Value, json};
use tests::{Lab, until_async};
use tokio_util::sync::{CancellationToken, DropGuard};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A registry to talk to.
#[derive(Clone)]
struct Registry {
    url: String,
    http: reqwest::Client,
}

impl Registry {
    fn at(url: String) -> Self {
        Self {
            url,
            http: tests::http(),
        }
    }

    async fn shared() -> Self {
        Self::at(Lab::shared().await.registry_url())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, CONTENT_TYPE)
                .body(body.to_string());
        }
        let response = request.send().await.expect("the registry answers");
        let status = response.status().as_u16();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            CONTENT_TYPE,
            "{path}"
        );
        (status, response.json().await.expect("an answer is JSON"))
    }
    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }
    async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, None).await
    }
    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, Some(body)).await
    }
    async fn post(&self, path: &str, schema: &Value) -> (u16, Value) {
        let text = schema.to_string();
        self.call(Method::POST, path, Some(json!({ "schema": text })))
            .await
    }
    /// Registers a schema that must be fine and returns its id.
    async fn register(&self, subject: &str, schema: &Value) -> i64 {
        let (status, body) = self
            .post(&format!("/subjects/{subject}/versions"), schema)
            .await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_i64().expect("an id")
    }
}

/// A registry in this process, on its own database, ended when dropped.
struct Own {
    registry: Registry,
    _stop: DropGuard,
}

impl Own {
    async fn start(postgres: PostgresConfig) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it has an address");
        drop(free);
        let config = registry::Config {
            service: ServiceConfig {
                host: address.ip(),
                port: address.port(),
            },
            postgres,
            log: LogConfig::default(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(registry::run(config, stop.clone()));
        let own = Self {
            registry: Registry::at(format!("http://{address}")),
            _stop: stop.drop_guard(),
        };
        own.wait_ready().await;
        own
    }

    async fn wait_ready(&self) {
        until_async("the registry is ready", async || {
            let url = format!("{}/health/ready", self.registry.url);
            let response = self.registry.http.get(url).send().await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }
}

fn subject(name: &str) -> String {
    format!("{name}-{}", tests::events::id())
}

/// A record whose name occurs nowhere else, so that its id is new.
fn record(fields: Value) -> Value {
    named(
        &format!("R{}", tests::events::id().replace('-', "")),
        fields,
    )
}

fn named(name: &str, fields: Value) -> Value {
    json!({ "type": "record", "name": name, "namespace": "tests", "fields": fields })
}

fn code((status, body): (u16, Value)) -> (u16, i64) {
    (status, body["error_code"].as_i64().unwrap_or_default())
}
