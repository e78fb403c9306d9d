//! What the registry can be told; the defaults are what `cargo xtask up` uses.

use chassis::config::{ConfigError, LogConfig, PostgresConfig, ServiceConfig, Source};

#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens: `SERVICE_HOST`, `SERVICE_PORT` (8081).
    pub service: ServiceConfig,
    /// `POSTGRES_HOST`, `POSTGRES_PORT`, `POSTGRES_DB`, `POSTGRES_USER`, `POSTGRES_PASSWORD`. It
    /// owns the schema `registry` there. The pool has `REGISTRY_MAX_CONNECTIONS` (4): writes
    /// queue behind one lock anyway, and schemas by id come from memory.
    pub postgres: PostgresConfig,
    /// `LOG_LEVEL`, `LOG_FORMAT`.
    pub log: LogConfig,
}

impl Config {
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut source = Source::from_env()?;
        let config = Self::read(&mut source);
        source.finish()?;
        Ok(config)
    }

    pub fn read(source: &mut Source) -> Self {
        let postgres = PostgresConfig::read_as(source, "registry", "registry_password");
        let max_connections = source.get("registry.max_connections", "REGISTRY_MAX_CONNECTIONS", 4);
        if max_connections == 0 {
            source.problem(
                "registry.max_connections",
                "REGISTRY_MAX_CONNECTIONS",
                "must be at least 1",
            );
        }
        Self {
            service: ServiceConfig::read(source, 8081),
            postgres: PostgresConfig {
                max_connections,
                ..postgres
            },
            log: LogConfig::read(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_labs() {
        let mut source = Source::from_parts(None, []).unwrap();
        let config = Config::read(&mut source);
        source.finish().unwrap();
        assert_eq!(config.service.port, 8081);
        assert_eq!(config.postgres.user, "registry");
        assert_eq!(config.postgres.max_connections, 4);
    }

    #[test]
    fn bad_fields_are_named_together() {
        let env = [("REGISTRY_MAX_CONNECTIONS", "0"), ("SERVICE_PORT", "x")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut source = Source::from_parts(None, env).unwrap();
        Config::read(&mut source);
        let text = source.finish().unwrap_err().to_string();
        assert!(text.contains("REGISTRY_MAX_CONNECTIONS") && text.contains("SERVICE_PORT"));
    }
}
