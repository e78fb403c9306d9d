//! Configuration in three layers: built-in defaults (what `cargo xtask up` uses), then a YAML
//! file named by `EDALAB_CONFIG`, then environment variables. Every bad field is named at once.
//!
//! A service reads its own struct once, in `main`:
//! ```
//! use chassis::config::{KafkaConfig, Source};
//! let mut source = Source::from_parts(None, [("KAFKA_BOOTSTRAP_SERVERS".into(), "k:9092".into())])?;
//! let kafka = KafkaConfig::read(&mut source);
//! let parking_ms: u64 = source.get("bancaire.parking_time_ms", "BANCAIRE_PARKING_TIME_MS", 60_000);
//! source.finish()?;
//! assert_eq!((kafka.bootstrap_servers.as_str(), parking_ms), ("k:9092", 60_000));
//! # Ok::<(), chassis::config::ConfigError>(())
//! ```

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde_yaml_ng::Value;

/// Everything that was wrong with the configuration, one line per field.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// A value that must not appear in logs, in `Debug` output or in `--help`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A field that a reader asked for; the reference pages list them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// In the YAML file, dotted.
    pub key: &'static str,
    pub env: &'static str,
    pub default: Option<String>,
}

/// The layers, what was asked of them and the problems found so far.
pub struct Source {
    yaml: Value,
    env: HashMap<String, String>,
    fields: Vec<Field>,
    problems: Vec<String>,
}

impl Source {
    /// Reads the process environment and the file that `EDALAB_CONFIG` names, if any.
    pub fn from_env() -> Result<Self, ConfigError> {
        let yaml = match std::env::var_os("EDALAB_CONFIG").map(PathBuf::from) {
            None => None,
            Some(path) => Some(std::fs::read_to_string(&path).map_err(|e| {
                ConfigError(vec![format!(
                    "EDALAB_CONFIG: failed to read {}: {e}",
                    path.display()
                )])
            })?),
        };
        Self::from_parts(yaml.as_deref(), std::env::vars())
    }

    /// The same from explicit parts, for tests and for xtask.
    pub fn from_parts(
        yaml: Option<&str>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let yaml = match yaml {
            None => Value::Null,
            Some(text) => serde_yaml_ng::from_str(text)
                .map_err(|e| ConfigError(vec![format!("configuration file: {e}")]))?,
        };
        Ok(Self {
            yaml,
            env: env.into_iter().collect(),
            fields: Vec::new(),
            problems: Vec::new(),
        })
    }

    /// The value of one field: environment `env`, else YAML `key` (dotted), else `default`.
    ///
    /// A value that does not parse is recorded for [`Source::finish`] and replaced by the default;
    /// a value that is set but empty counts as missing, and is recorded too.
    pub fn get<T>(&mut self, key: &'static str, env: &'static str, default: T) -> T
    where
        T: FromStr + fmt::Debug,
        T::Err: Display,
    {
        let shown = format!("{default:?}").trim_matches('"').to_owned();
        self.note(key, env, Some(shown));
        match self.raw(key, env) {
            None => default,
            Some(text) if text.trim().is_empty() => {
                self.problem(key, env, "is required but empty");
                default
            }
            Some(text) => match text.trim().parse() {
                Ok(value) => value,
                Err(e) => {
                    self.problem(key, env, format_args!("{text:?} is not valid: {e}"));
                    default
                }
            },
        }
    }

    /// The same for a field without a default: absent stays `None`, and so does empty.
    pub fn get_optional<T>(&mut self, key: &'static str, env: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.note(key, env, None);
        let text = self.raw(key, env)?;
        if text.trim().is_empty() {
            return None;
        }
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.problem(key, env, format_args!("{text:?} is not valid: {e}"));
                None
            }
        }
    }

    /// Records a problem that only the reader of the field can see (a range, a combination).
    pub fn problem(&mut self, key: &'static str, env: &'static str, message: impl Display) {
        self.problems.push(format!("{key} ({env}): {message}"));
    }

    /// Fails when any field was bad, naming all of them.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.problems))
        }
    }

    /// Every field that was asked for so far.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn note(&mut self, key: &'static str, env: &'static str, default: Option<String>) {
        let default = default.filter(|text| !text.is_empty());
        self.fields.push(Field { key, env, default });
    }

    fn raw(&self, key: &str, env: &str) -> Option<String> {
        if let Some(text) = self.env.get(env) {
            return Some(text.clone());
        }
        let mut node = &self.yaml;
        for part in key.split('.') {
            node = node.get(part)?;
        }
        match node {
            Value::Null => None,
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            other => Some(format!("{other:?}")),
        }
    }
}

/// Where Kafka is.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port[,host:port…]`.
    pub bootstrap_servers: String,
    /// `earliest`, `latest` or `error`.
    pub auto_offset_reset: String,
    pub security: KafkaSecurity,
}

/// How a client proves to Kafka who it is, and what hides its words. The lab's own brokers listen
/// on loopback and ask for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSecurity {
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: String,
    pub sasl_username: String,
    pub sasl_password: Secret,
    /// The file of the authority that signed the brokers' certificates; empty for the system's.
    pub ssl_ca_location: String,
}

impl Default for KafkaSecurity {
    fn default() -> Self {
        Self {
            protocol: "PLAINTEXT".into(),
            sasl_mechanism: "SCRAM-SHA-512".into(),
            sasl_username: String::new(),
            sasl_password: Secret::new(""),
            ssl_ca_location: String::new(),
        }
    }
}

impl KafkaSecurity {
    pub fn read(source: &mut Source) -> Self {
        const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
        let default = Self::default();
        let (key, env) = ("kafka.security_protocol", "KAFKA_SECURITY_PROTOCOL");
        let protocol = source.get(key, env, default.protocol).to_uppercase();
        if !PROTOCOLS.contains(&protocol.as_str()) {
            let known = PROTOCOLS.join(", ");
            source.problem(key, env, format_args!("{protocol:?} is none of {known}"));
        }
        let (key, env) = ("kafka.sasl_mechanism", "KAFKA_SASL_MECHANISM");
        let sasl_mechanism = source.get(key, env, default.sasl_mechanism).to_uppercase();
        if !MECHANISMS.contains(&sasl_mechanism.as_str()) {
            let known = MECHANISMS.join(", ");
            source.problem(
                key,
                env,
                format_args!("{sasl_mechanism:?} is none of {known}"),
            );
        }
        let mut text = |key, env| source.get_optional::<String>(key, env).unwrap_or_default();
        let sasl_username = text("kafka.sasl_username", "KAFKA_SASL_USERNAME");
        let sasl_password = text("kafka.sasl_password", "KAFKA_SASL_PASSWORD");
        let ssl_ca_location = text("kafka.ssl_ca_location", "KAFKA_SSL_CA_LOCATION");
        if protocol.starts_with("SASL") && sasl_username.is_empty() {
            let (key, env) = ("kafka.sasl_username", "KAFKA_SASL_USERNAME");
            source.problem(key, env, format_args!("is needed with {protocol}"));
        }
        Self {
            protocol,
            sasl_mechanism,
            sasl_username,
            sasl_password: Secret(sasl_password),
            ssl_ca_location,
        }
    }

    /// What librdkafka is to be told; nothing for a broker that asks for nothing.
    pub fn properties(&self) -> Vec<(&'static str, &str)> {
        if self.protocol == "PLAINTEXT" {
            return Vec::new();
        }
        let mut properties = vec![("security.protocol", self.protocol.as_str())];
        if self.protocol.starts_with("SASL") {
            properties.extend([
                ("sasl.mechanisms", self.sasl_mechanism.as_str()),
                ("sasl.username", self.sasl_username.as_str()),
                ("sasl.password", self.sasl_password.expose()),
            ]);
        }
        if self.protocol.ends_with("SSL") && !self.ssl_ca_location.is_empty() {
            properties.push(("ssl.ca.location", self.ssl_ca_location.as_str()));
        }
        properties
    }
}

impl KafkaConfig {
    pub fn read(source: &mut Source) -> Self {
        let bootstrap_servers: String = source.get(
            "kafka.bootstrap_servers",
            "KAFKA_BOOTSTRAP_SERVERS",
            "127.0.0.1:9092".into(),
        );
        let auto_offset_reset: String = source.get(
            "kafka.auto_offset_reset",
            "KAFKA_AUTO_OFFSET_RESET",
            "earliest".into(),
        );
        for server in bootstrap_servers.split(',') {
            let port = server.trim().rsplit_once(':').map(|(host, port)| {
                (!host.is_empty()).then(|| port.parse::<u16>().ok().filter(|p| *p > 0))
            });
            if !matches!(port, Some(Some(Some(_)))) {
                source.problem(
                    "kafka.bootstrap_servers",
                    "KAFKA_BOOTSTRAP_SERVERS",
                    format_args!("{server:?} is not host:port"),
                );
            }
        }
        if !["earliest", "latest", "error"].contains(&auto_offset_reset.as_str()) {
            source.problem(
                "kafka.auto_offset_reset",
                "KAFKA_AUTO_OFFSET_RESET",
                format_args!("{auto_offset_reset:?} is none of earliest, latest, error"),
            );
        }
        Self {
            bootstrap_servers,
            auto_offset_reset,
            security: KafkaSecurity::read(source),
        }
    }
}

/// Where the schema registry is.
#[derive(Debug, Clone)]
pub struct SchemaConfig {
    pub url: String,
}

impl SchemaConfig {
    pub fn read(source: &mut Source) -> Self {
        Self {
            url: read_url(
                source,
                "schema.url",
                "SCHEMA_REGISTRY_URL",
                "http://127.0.0.1:8081",
            ),
        }
    }
}

/// Reads an `http://` or `https://` URL, without its trailing slash.
pub fn read_url(
    source: &mut Source,
    key: &'static str,
    env: &'static str,
    default: &str,
) -> String {
    let url: String = source.get(key, env, default.to_owned());
    match reqwest::Url::parse(&url) {
        Ok(u) if matches!(u.scheme(), "http" | "https") && u.has_host() => {}
        Ok(_) => source.problem(
            key,
            env,
            format_args!("{url:?} is not an http:// or https:// URL"),
        ),
        Err(e) => source.problem(key, env, format_args!("{url:?} is not a URL: {e}")),
    }
    url.trim_end_matches('/').to_owned()
}

/// Where PostgreSQL is, and how many connections the pool may hold.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Secret,
    pub max_connections: u32,
}

impl PostgresConfig {
    /// The banking database's role, as the lab creates it.
    pub fn read(source: &mut Source) -> Self {
        Self::read_as(source, "edalab", "edalab_password")
    }

    /// The same with another default role, for a service that owns another schema.
    pub fn read_as(source: &mut Source, user: &str, password: &str) -> Self {
        let config = Self {
            host: source.get("postgres.host", "POSTGRES_HOST", "127.0.0.1".into()),
            port: source.get("postgres.port", "POSTGRES_PORT", 5432),
            database: source.get("postgres.database", "POSTGRES_DB", "edalab".into()),
            user: source.get("postgres.user", "POSTGRES_USER", user.into()),
            password: Secret(source.get("postgres.password", "POSTGRES_PASSWORD", password.into())),
            max_connections: source.get("postgres.max_connections", "POSTGRES_MAX_CONNECTIONS", 8),
        };
        if config.port == 0 {
            source.problem("postgres.port", "POSTGRES_PORT", "must be 1 to 65535");
        }
        if config.max_connections == 0 {
            source.problem(
                "postgres.max_connections",
                "POSTGRES_MAX_CONNECTIONS",
                "must be at least 1",
            );
        }
        config
    }
}

/// Where a service listens.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    pub host: IpAddr,
    /// 0 lets the system choose, for tests.
    pub port: u16,
}

impl ServiceConfig {
    pub fn read(source: &mut Source, default_port: u16) -> Self {
        Self {
            host: source.get(
                "service.host",
                "SERVICE_HOST",
                IpAddr::V4(Ipv4Addr::LOCALHOST),
            ),
            port: source.get("service.port", "SERVICE_PORT", default_port),
        }
    }

    /// True when only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Pretty,
}

/// Which traces are recorded, and where they go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceConfig {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://127.0.0.1:4318`: an OpenTelemetry collector,
    /// or anything else that takes OTLP over HTTP. Without one, spans only give log lines their ids.
    pub endpoint: Option<String>,
    /// `EDALAB_TRACES_PER_SECOND` (10): traces begun per second at most, so that their cost does
    /// not grow with the load.
    pub per_second: f64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            per_second: 10.0,
        }
    }
}

impl TraceConfig {
    pub fn read(source: &mut Source) -> Self {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let endpoint: Option<String> = source.get_optional("traces.otlp_endpoint", ENDPOINT);
        if let Some(url) = &endpoint
            && !["http://", "https://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        {
            source.problem(
                "traces.otlp_endpoint",
                ENDPOINT,
                format_args!("{url:?} is not an http:// address; OTLP over HTTP has port 4318"),
            );
        }
        let default = Self::default().per_second;
        let per_second = source.get("traces.per_second", "EDALAB_TRACES_PER_SECOND", default);
        if !(0.0..=1e6).contains(&per_second) {
            source.problem(
                "traces.per_second",
                "EDALAB_TRACES_PER_SECOND",
                "must be 0 to 1000000",
            );
        }
        Self {
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            per_second,
        }
    }
}

/// What is logged and traced, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `error` … `trace`, or a filter such as `info,bancaire=debug`.
    pub level: String,
    pub format: LogFormat,
    pub traces: TraceConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Json,
            traces: TraceConfig::default(),
        }
    }
}

impl LogConfig {
    pub fn read(source: &mut Source) -> Self {
        let level: String = source.get("log.level", "LOG_LEVEL", "info".into());
        if let Err(e) = level.parse::<tracing_subscriber::EnvFilter>() {
            source.problem("log.level", "LOG_LEVEL", format_args!("{level:?}: {e}"));
        }
        let format = match source
            .get::<String>("log.format", "LOG_FORMAT", "json".into())
            .as_str()
        {
            "json" => LogFormat::Json,
            "pretty" => LogFormat::Pretty,
            other => {
                source.problem(
                    "log.format",
                    "LOG_FORMAT",
                    format_args!("{other:?} is neither json nor pretty"),
                );
                LogFormat::Json
            }
        };
        Self {
            level,
            format,
            traces: TraceConfig::read(source),
        }
    }
}

/// The parts that every service has.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    pub kafka: KafkaConfig,
    pub schema: SchemaConfig,
    pub postgres: PostgresConfig,
    pub service: ServiceConfig,
    pub log: LogConfig,
}

impl CommonConfig {
    pub fn read(source: &mut Source, default_port: u16) -> Self {
        Self {
            kafka: KafkaConfig::read(source),
            schema: SchemaConfig::read(source),
            postgres: PostgresConfig::read(source),
            service: ServiceConfig::read(source, default_port),
            log: LogConfig::read(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: Option<&str>, env: &[(&str, &str)]) -> Result<CommonConfig, ConfigError> {
        let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let mut source = Source::from_parts(yaml, env)?;
        let config = CommonConfig::read(&mut source, 8083);
        source.finish().map(|()| config)
    }

    #[test]
    fn a_brokers_demands_are_read_together_and_secrets_do_not_show() {
        let secure = [
            ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
            ("KAFKA_SASL_USERNAME", "lab"),
            ("KAFKA_SASL_PASSWORD", "hidden"),
            ("KAFKA_SSL_CA_LOCATION", "/ca.pem"),
        ];
        let security = read(None, &secure).unwrap().kafka.security;
        assert!(!format!("{security:?}").contains("hidden"));
        let told = security.properties();
        assert!(told.contains(&("security.protocol", "SASL_SSL")));
        assert!(told.contains(&("sasl.password", "hidden")));
        assert!(told.contains(&("ssl.ca.location", "/ca.pem")));
        assert!(
            read(None, &[])
                .unwrap()
                .kafka
                .security
                .properties()
                .is_empty()
        );
        let wrong = [
            ("KAFKA_SECURITY_PROTOCOL", "SASL_NONE"),
            ("KAFKA_SASL_MECHANISM", "GUESS"),
        ];
        let error = read(None, &wrong).unwrap_err();
        assert_eq!(error.0.len(), 3, "{error}");
    }

    /// Plan: TestLoadFromEnv_Success
    #[test]
    fn load_from_env_success() {
        let config = read(
            None,
            &[
                ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2:9093"),
                ("SCHEMA_REGISTRY_URL", "http://registry:8081/"),
                ("POSTGRES_HOST", "db"),
                ("POSTGRES_PORT", "6543"),
                ("SERVICE_PORT", "9999"),
                ("LOG_FORMAT", "pretty"),
            ],
        )
        .unwrap();
        assert_eq!(config.kafka.bootstrap_servers, "kafka-1:9092,kafka-2:9093");
        assert_eq!(config.schema.url, "http://registry:8081");
        assert_eq!(
            (config.postgres.host.as_str(), config.postgres.port),
            ("db", 6543)
        );
        assert_eq!(config.service.port, 9999);
        assert_eq!(config.log.format, LogFormat::Pretty);
    }

    /// Plan: TestLoadFromEnv_MissingRequired
    #[test]
    fn load_from_env_missing_required() {
        let error = read(
            None,
            &[("KAFKA_BOOTSTRAP_SERVERS", ""), ("POSTGRES_PASSWORD", " ")],
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("KAFKA_BOOTSTRAP_SERVERS"), "{text}");
        assert!(text.contains("POSTGRES_PASSWORD"), "{text}");
    }

    /// Plan: TestValidate_ValidConfig
    #[test]
    fn validate_valid_config() {
        let config = read(None, &[]).unwrap();
        assert_eq!(config.service.port, 8083);
        assert!(config.service.is_loopback());
    }

    /// Plan: TestValidate_InvalidConfig
    #[test]
    fn validate_invalid_config() {
        let error = read(
            None,
            &[
                ("POSTGRES_PORT", "0"),
                ("SERVICE_PORT", "70000"),
                ("SCHEMA_REGISTRY_URL", "ftp://x"),
                ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
                ("LOG_FORMAT", "xml"),
            ],
        )
        .unwrap_err();
        assert_eq!(error.0.len(), 5, "{error}");
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let yaml = "postgres:\n  host: from-file\n  port: 7000\n";
        let config = read(Some(yaml), &[("POSTGRES_PORT", "7001")]).unwrap();
        assert_eq!(config.postgres.host, "from-file");
        assert_eq!(config.postgres.port, 7001);
        assert_eq!(config.postgres.database, "edalab");
    }

    #[test]
    fn what_was_asked_for_is_known_with_its_default() {
        let mut source = Source::from_parts(None, []).unwrap();
        CommonConfig::read(&mut source, 8083);
        let default = |env| {
            let field = source.fields().iter().find(|field| field.env == env);
            field.expect("it is asked for").default.as_deref()
        };
        assert_eq!(default("SERVICE_PORT"), Some("8083"));
        assert_eq!(default("POSTGRES_HOST"), Some("127.0.0.1"));
        assert_eq!(default("KAFKA_SASL_USERNAME"), None);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let config = read(None, &[("POSTGRES_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.postgres.password.expose(), "hunter2");
    }
}
