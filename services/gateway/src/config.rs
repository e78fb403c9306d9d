//! What the gateway can be told; the defaults are what `cargo xtask up` uses.

use std::path::PathBuf;
use std::time::Duration;

use chassis::config::{
    ConfigError, KafkaConfig, LogConfig, SchemaConfig, Secret, ServiceConfig, Source, read_url,
};

use crate::{breaker, proxy, security, websocket};

#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens: `SERVICE_HOST`, `SERVICE_PORT` (8080). Anything but loopback needs
    /// `GATEWAY_TOKEN`.
    pub service: ServiceConfig,
    /// `KAFKA_BOOTSTRAP_SERVERS`.
    pub kafka: KafkaConfig,
    /// `SCHEMA_REGISTRY_URL`.
    pub schema: SchemaConfig,
    /// `LOG_LEVEL`, `LOG_FORMAT`.
    pub log: LogConfig,
    /// `SIMULATOR_URL`.
    pub simulator_url: String,
    /// `BANCAIRE_URL`.
    pub bancaire_url: String,
    /// `GATEWAY_UPSTREAM_TIMEOUT_MS`, `GATEWAY_UPSTREAM_RETRIES`.
    pub upstream: proxy::Settings,
    /// `GATEWAY_BREAKER_ERRORS`, `_WINDOW_MS`, `_OPEN_MS`, `_SUCCESSES`.
    pub breaker: breaker::Settings,
    /// `GATEWAY_WS_MAX_CLIENTS`, `_QUEUE`, `_LAG_PATIENCE_MS`, `_PING_MS`, `_IDLE_MS`.
    pub websocket: websocket::Settings,
    /// `GATEWAY_ALLOWED_ORIGINS`, `GATEWAY_ALLOWED_HOSTS` (lists with commas), `GATEWAY_TOKEN`.
    pub security: security::Settings,
    /// The built page, `GATEWAY_UI_DIR`.
    pub ui_dir: PathBuf,
    /// The xtask that runs the lab, `EDALAB_XTASK`, and its folder, `EDALAB_DIR`: said by xtask.
    pub lab_xtask: Option<PathBuf>,
    pub lab_dir: Option<PathBuf>,
}

impl Config {
    /// # Errors
    /// Naming every bad field.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut source = Source::from_env()?;
        let config = Self::read(&mut source);
        source.finish()?;
        Ok(config)
    }

    pub fn read(source: &mut Source) -> Self {
        let service = ServiceConfig::read(source, 8080);
        let security = read_security(source);
        if !service.is_loopback() && security.token.is_none() {
            source.problem(
                "service.host",
                "SERVICE_HOST",
                format_args!(
                    "{} can be reached from other machines; set GATEWAY_TOKEN, or use 127.0.0.1",
                    service.host
                ),
            );
        }
        Self {
            service,
            kafka: KafkaConfig::read(source),
            schema: SchemaConfig::read(source),
            log: LogConfig::read(source),
            simulator_url: read_url(
                source,
                "simulator.url",
                "SIMULATOR_URL",
                "http://127.0.0.1:8082",
            ),
            bancaire_url: read_url(
                source,
                "bancaire.url",
                "BANCAIRE_URL",
                "http://127.0.0.1:8083",
            ),
            upstream: read_upstream(source),
            breaker: read_breaker(source),
            websocket: read_websocket(source),
            security,
            ui_dir: source.get("gateway.ui_dir", "GATEWAY_UI_DIR", "web-ui/dist".into()),
            lab_xtask: source.get_optional("lab.xtask", "EDALAB_XTASK"),
            lab_dir: source.get_optional("lab.dir", "EDALAB_DIR"),
        }
    }
}

fn read_upstream(source: &mut Source) -> proxy::Settings {
    let default = proxy::Settings::default();
    proxy::Settings {
        timeout: read_ms(
            source,
            "gateway.upstream.timeout_ms",
            "GATEWAY_UPSTREAM_TIMEOUT_MS",
            default.timeout,
        ),
        retries: source.get(
            "gateway.upstream.retries",
            "GATEWAY_UPSTREAM_RETRIES",
            default.retries,
        ),
    }
}

fn read_breaker(source: &mut Source) -> breaker::Settings {
    let default = breaker::Settings::default();
    breaker::Settings {
        errors: read_positive(
            source,
            "gateway.breaker.errors",
            "GATEWAY_BREAKER_ERRORS",
            default.errors,
        ),
        window: read_ms(
            source,
            "gateway.breaker.window_ms",
            "GATEWAY_BREAKER_WINDOW_MS",
            default.window,
        ),
        open: read_ms(
            source,
            "gateway.breaker.open_ms",
            "GATEWAY_BREAKER_OPEN_MS",
            default.open,
        ),
        successes: read_positive(
            source,
            "gateway.breaker.successes",
            "GATEWAY_BREAKER_SUCCESSES",
            default.successes as usize,
        ) as u32,
    }
}

fn read_websocket(source: &mut Source) -> websocket::Settings {
    let default = websocket::Settings::default();
    websocket::Settings {
        max_clients: read_positive(
            source,
            "gateway.websocket.max_clients",
            "GATEWAY_WS_MAX_CLIENTS",
            default.max_clients,
        ),
        queue: read_positive(
            source,
            "gateway.websocket.queue",
            "GATEWAY_WS_QUEUE",
            default.queue,
        ),
        lag_patience: read_ms(
            source,
            "gateway.websocket.lag_patience_ms",
            "GATEWAY_WS_LAG_PATIENCE_MS",
            default.lag_patience,
        ),
        ping: read_ms(
            source,
            "gateway.websocket.ping_ms",
            "GATEWAY_WS_PING_MS",
            default.ping,
        ),
        idle: read_ms(
            source,
            "gateway.websocket.idle_ms",
            "GATEWAY_WS_IDLE_MS",
            default.idle,
        ),
        ..default
    }
}

fn read_security(source: &mut Source) -> security::Settings {
    let default = security::Settings::default();
    let (key, env) = ("gateway.allowed_origins", "GATEWAY_ALLOWED_ORIGINS");
    let origins = read_list(source, key, env, &default.allowed_origins);
    for origin in &origins {
        if let Err(reason) = security::check_origin(origin) {
            source.problem(key, env, format_args!("{origin:?} {reason}"));
        }
    }
    let token: Option<String> = source.get_optional("gateway.token", "GATEWAY_TOKEN");
    if let Some(Err(reason)) = token.as_deref().map(security::check_token) {
        source.problem("gateway.token", "GATEWAY_TOKEN", reason);
    }
    security::Settings {
        allowed_origins: origins,
        allowed_hosts: read_list(
            source,
            "gateway.allowed_hosts",
            "GATEWAY_ALLOWED_HOSTS",
            &default.allowed_hosts,
        ),
        token: token.map(Secret::new),
    }
}

fn read_list(
    source: &mut Source,
    key: &'static str,
    env: &'static str,
    default: &[String],
) -> Vec<String> {
    let text: String = source.get(key, env, default.join(","));
    let items = text.split(',').map(str::trim).filter(|s| !s.is_empty());
    items.map(str::to_owned).collect()
}

fn read_ms(
    source: &mut Source,
    key: &'static str,
    env: &'static str,
    default: Duration,
) -> Duration {
    let default_ms = usize::try_from(default.as_millis()).expect("defaults are short");
    Duration::from_millis(read_positive(source, key, env, default_ms) as u64)
}

fn read_positive(
    source: &mut Source,
    key: &'static str,
    env: &'static str,
    default: usize,
) -> usize {
    let value = source.get(key, env, default);
    if value == 0 || u32::try_from(value).is_err() {
        source.problem(key, env, format_args!("must be 1 to {}", u32::MAX));
        return default;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let mut source = Source::from_parts(None, env)?;
        let config = Config::read(&mut source);
        source.finish().map(|()| config)
    }

    #[test]
    fn the_defaults_are_the_labs() {
        let config = read(&[]).unwrap();
        assert_eq!(config.service.port, 8080);
        assert!(config.service.is_loopback());
        assert_eq!(config.simulator_url, "http://127.0.0.1:8082");
        assert_eq!(config.breaker, breaker::Settings::default());
        assert_eq!(config.websocket.max_clients, 2000);
        assert!(config.security.token.is_none());
    }

    #[test]
    fn every_bad_field_is_named() {
        let error = read(&[
            ("SIMULATOR_URL", "ftp://x"),
            ("GATEWAY_BREAKER_ERRORS", "0"),
            ("GATEWAY_ALLOWED_ORIGINS", "http://ok:1,*"),
            ("GATEWAY_TOKEN", "short"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "SIMULATOR_URL",
            "GATEWAY_BREAKER_ERRORS",
            "GATEWAY_ALLOWED_ORIGINS",
            "GATEWAY_TOKEN",
        ] {
            assert!(error.contains(name), "{name} is not in {error}");
        }
        assert!(!error.contains("short"), "a token is a secret: {error}");
    }

    #[test]
    fn a_wide_bind_needs_a_token() {
        let error = read(&[("SERVICE_HOST", "0.0.0.0")]).unwrap_err();
        assert!(error.to_string().contains("GATEWAY_TOKEN"), "{error}");
        let token = ("GATEWAY_TOKEN", "0123456789abcdef");
        assert!(read(&[("SERVICE_HOST", "0.0.0.0"), token]).is_ok());
    }
}
