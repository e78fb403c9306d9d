//! Kafka, registry and PostgreSQL that run elsewhere and belong to somebody else: found by address,
//! used with the credentials given, never started, stopped or cleaned.
//!
//! The lab makes its topics there, unless it may not, its subjects in the registry, and its schema
//! in the database. It removes none of them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::{KafkaConfig, KafkaSecurity, PostgresConfig, SchemaConfig, Secret, Source};
use chassis::kafka::{admin, client_config};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};

use super::{Part, Site, checks, services};
use crate::output::Step;
use crate::state::LabState;

/// A cluster that answers at all does so by then.
const PATIENCE: Duration = Duration::from_secs(30);

const REFUSED: &str = "the brokers refuse these credentials";

/// Made in the database when they are not there: what init.sql makes in a lab's own.
const SCHEMA: &str = "\
CREATE SCHEMA IF NOT EXISTS bancaire;
CREATE TABLE IF NOT EXISTS bancaire.health_check (
    id         INT PRIMARY KEY,
    status     VARCHAR(20) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO bancaire.health_check (id, status) VALUES (1, 'ok') ON CONFLICT (id) DO NOTHING;
";

/// Where everything is, and who we are there. Lies in the lab's state, which is its owner's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    pub bootstrap_servers: String,
    security_protocol: String,
    sasl_mechanism: String,
    sasl_username: String,
    sasl_password: String,
    ssl_ca_location: String,
    registry_url: String,
    postgres_host: String,
    postgres_port: u16,
    postgres_database: String,
    postgres_user: String,
    postgres_password: String,
    /// False where topics are made by somebody else.
    pub create_topics: bool,
}

impl External {
    /// From the file that `EDALAB_EXTERNAL` names and the environment, which wins.
    ///
    /// # Errors
    /// Every field that is missing or bad.
    pub fn read() -> anyhow::Result<Self> {
        let file = std::env::var_os("EDALAB_EXTERNAL").filter(|path| !path.is_empty());
        let yaml =
            match file {
                None => None,
                Some(path) => Some(std::fs::read_to_string(&path).with_context(|| {
                    format!("failed to read {} (EDALAB_EXTERNAL)", path.display())
                })?),
            };
        Self::from_parts(yaml.as_deref(), std::env::vars())
            .context("the external backend needs to know where everything is")
    }

    fn from_parts(
        yaml: Option<&str>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut source = Source::from_parts(yaml, env)?;
        // The defaults are a lab's own addresses, which are not meant here.
        for (key, env) in [
            ("kafka.bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
            ("schema.url", "SCHEMA_REGISTRY_URL"),
            ("postgres.host", "POSTGRES_HOST"),
        ] {
            if source.get_optional::<String>(key, env).is_none() {
                source.problem(key, env, "is not set");
            }
        }
        let kafka = KafkaConfig::read(&mut source);
        let schema = SchemaConfig::read(&mut source);
        let postgres = PostgresConfig::read(&mut source);
        let create_topics = source.get("topics.create", "EDALAB_CREATE_TOPICS", true);
        source.finish()?;
        let security = kafka.security;
        Ok(Self {
            bootstrap_servers: kafka.bootstrap_servers,
            security_protocol: security.protocol,
            sasl_mechanism: security.sasl_mechanism,
            sasl_username: security.sasl_username,
            sasl_password: security.sasl_password.expose().to_owned(),
            ssl_ca_location: security.ssl_ca_location,
            registry_url: schema.url,
            postgres_host: postgres.host,
            postgres_port: postgres.port,
            postgres_database: postgres.database,
            postgres_user: postgres.user,
            postgres_password: postgres.password.expose().to_owned(),
            create_topics,
        })
    }

    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: self.bootstrap_servers.clone(),
            auto_offset_reset: "earliest".into(),
            security: KafkaSecurity {
                protocol: self.security_protocol.clone(),
                sasl_mechanism: self.sasl_mechanism.clone(),
                sasl_username: self.sasl_username.clone(),
                sasl_password: Secret::new(&self.sasl_password),
                ssl_ca_location: self.ssl_ca_location.clone(),
            },
        }
    }

    pub fn registry_url(&self) -> String {
        self.registry_url.clone()
    }

    pub fn postgres(&self) -> PostgresConfig {
        PostgresConfig {
            host: self.postgres_host.clone(),
            port: self.postgres_port,
            database: self.postgres_database.clone(),
            user: self.postgres_user.clone(),
            password: Secret::new(&self.postgres_password),
            max_connections: 2,
        }
    }

    /// What a service has to be told beyond addresses.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("KAFKA_SECURITY_PROTOCOL", self.security_protocol.clone()),
            ("KAFKA_SASL_MECHANISM", self.sasl_mechanism.clone()),
            ("KAFKA_SASL_USERNAME", self.sasl_username.clone()),
            ("KAFKA_SASL_PASSWORD", self.sasl_password.clone()),
            ("KAFKA_SSL_CA_LOCATION", self.ssl_ca_location.clone()),
        ]
    }

    /// Where a part is, without credentials.
    pub fn address(&self, part: Part) -> String {
        match part {
            Part::Kafka => self.bootstrap_servers.clone(),
            Part::Postgres => format!(
                "postgresql://{}:{}/{}",
                self.postgres_host, self.postgres_port, self.postgres_database
            ),
            _ => match self.registry_url.split_once('@') {
                Some((before, after)) => {
                    let scheme = before
                        .split_once("://")
                        .map_or("http", |(scheme, _)| scheme);
                    format!("{scheme}://{after}")
                }
                None => self.registry_url.clone(),
            },
        }
    }
}

/// Waits for its answer, and makes there what the lab needs.
///
/// # Errors
/// When it does not answer, or refuses.
pub async fn ready(
    site: &Site,
    external: &External,
    part: Part,
    step: &Step,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let result = match part {
            Part::Kafka => kafka(site, external).await,
            Part::Postgres => postgres(external).await,
            _ => services::register_schemas(&site.lab).await,
        };
        let Err(e) = result else {
            return Ok(());
        };
        let text = format!("{e:#}");
        step.tick(format_args!("waits: {}", text.lines().next().unwrap_or("")));
        // Wrong credentials stay wrong.
        if began.elapsed() > PATIENCE || text.contains(REFUSED) {
            let address = external.address(part);
            return Err(e.context(format!("{address} does not do what the lab needs")));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn kafka(site: &Site, external: &External) -> anyhow::Result<()> {
    let config = external.kafka();
    let asked = tokio::task::spawn_blocking(move || lets_us_in(&config));
    asked.await.context("failed to wait for the broker")??;
    if external.create_topics {
        // As many copies as the cluster itself thinks right.
        let topics = schemas::catalogue();
        admin::ensure_topics(&external.kafka(), &topics, -1).await?;
    }
    checks::topics(&site.lab).await.map(drop)
}

/// A client that is refused only says so where it is polled; all else would be a time-out.
fn lets_us_in(config: &KafkaConfig) -> anyhow::Result<()> {
    let consumer: BaseConsumer = client_config(config, "edalab-check")
        .set("group.id", "edalab-check")
        .create()
        .context("failed to create a Kafka client")?;
    let answer = consumer.fetch_metadata(None, Duration::from_secs(5));
    let mut reason = None;
    while let Some(event) = consumer.poll(Duration::from_millis(50)) {
        if let Err(e) = event {
            anyhow::ensure!(
                e.rdkafka_error_code() != Some(RDKafkaErrorCode::Authentication),
                "{REFUSED}: {e}"
            );
            reason = Some(e);
        }
    }
    match (answer, reason) {
        (Ok(_), _) => Ok(()),
        (Err(_), Some(reason)) => Err(reason).context("the brokers do not answer"),
        (Err(e), None) => Err(e).context("the brokers do not answer"),
    }
}

async fn postgres(external: &External) -> anyhow::Result<()> {
    let options = chassis::postgres::options(&external.postgres());
    let mut connection = PgConnection::connect_with(&options).await?;
    let done: bool = sqlx::query_scalar("SELECT to_regclass('bancaire.health_check') IS NOT NULL")
        .fetch_one(&mut connection)
        .await?;
    if !done {
        sqlx::raw_sql(SCHEMA)
            .execute(&mut connection)
            .await
            .context("failed to make the schema bancaire")?;
    }
    connection.close().await?;
    Ok(())
}

/// The answer of one part, now.
pub async fn health(lab: &LabState, external: &External, part: Part) -> anyhow::Result<()> {
    match part {
        Part::Kafka => checks::topics(lab).await.map(drop),
        Part::Postgres => super::postgres::round_trip(&external.postgres()).await,
        _ => services::register_schemas(lab).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: Option<&str>, env: &[(&str, &str)]) -> anyhow::Result<External> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        External::from_parts(yaml, env)
    }

    const FILE: &str = include_str!("../../../infra/config/external.example.yaml");

    #[test]
    fn the_example_is_valid_and_the_environment_wins() {
        let external = read(Some(FILE), &[("POSTGRES_HOST", "elsewhere")]).unwrap();
        assert_eq!(external.postgres().host, "elsewhere");
        let security = external.kafka().security;
        assert_eq!(security.protocol, "SASL_SSL");
        assert_eq!(security.sasl_mechanism, "SCRAM-SHA-512");
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let error = format!("{:#}", read(None, &[]).unwrap_err());
        for name in [
            "KAFKA_BOOTSTRAP_SERVERS",
            "SCHEMA_REGISTRY_URL",
            "POSTGRES_HOST",
        ] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn credentials_do_not_show_in_addresses() {
        let external = read(
            Some(FILE),
            &[(
                "SCHEMA_REGISTRY_URL",
                "https://me:secret@registry.example:8081",
            )],
        )
        .unwrap();
        assert_eq!(
            external.address(Part::Registry),
            "https://registry.example:8081"
        );
        assert!(!external.address(Part::Postgres).contains("password"));
    }
}
