//! What bancaire can be told; the defaults are what `cargo xtask up` uses.

use std::time::Duration;

use chassis::config::{CommonConfig, ConfigError, Source};

#[derive(Debug, Clone)]
pub struct Config {
    /// `KAFKA_BOOTSTRAP_SERVERS`, `SCHEMA_REGISTRY_URL`, `POSTGRES_*`, `SERVICE_HOST`,
    /// `SERVICE_PORT` (8083), `LOG_*`. It owns the schema `bancaire` of its database.
    pub common: CommonConfig,
    /// `BANCAIRE_GROUP` (bancaire): the consumer group. Its members share the partitions.
    pub group: String,
    /// `BANCAIRE_PARKING_TIME_MS` (60000): how long an event waits for its account to be opened.
    pub parking_time: Duration,
    /// `BANCAIRE_BATCH_MAX` (10000): records in one transaction at most.
    pub batch_max: usize,
    /// `BANCAIRE_WRITERS` (1): transactions at once. Each writer has the partitions of some numbers. Three
    /// drain a backlog at the speed of more cores; at a low rate their smaller batches only cost more.
    pub writers: usize,
}

impl Config {
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut source = Source::from_env()?;
        let config = Self::read(&mut source);
        source.finish()?;
        Ok(config)
    }

    pub fn read(source: &mut Source) -> Self {
        let group = source.get("bancaire.group", "BANCAIRE_GROUP", "bancaire".to_owned());
        let parking_time_ms = source.get(
            "bancaire.parking_time_ms",
            "BANCAIRE_PARKING_TIME_MS",
            60_000,
        );
        let batch_max = source.get("bancaire.batch_max", "BANCAIRE_BATCH_MAX", 10_000);
        if !(1..=50_000).contains(&batch_max) {
            source.problem(
                "bancaire.batch_max",
                "BANCAIRE_BATCH_MAX",
                "must be 1 to 50000",
            );
        }
        let writers = source.get("bancaire.writers", "BANCAIRE_WRITERS", 1);
        if !(1..=8).contains(&writers) {
            source.problem("bancaire.writers", "BANCAIRE_WRITERS", "must be 1 to 8");
        }
        let common = CommonConfig::read(source, 8083);
        // Each writer keeps one, and so does the relay of the outbox; the API needs another.
        if (common.postgres.max_connections as usize) < writers + 2 {
            source.problem(
                "postgres.max_connections",
                "POSTGRES_MAX_CONNECTIONS",
                format!(
                    "must be at least {}, two more than BANCAIRE_WRITERS",
                    writers + 2
                ),
            );
        }
        Self {
            common,
            group,
            parking_time: Duration::from_millis(parking_time_ms),
            batch_max,
            writers,
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
        assert_eq!(config.common.service.port, 8083);
        assert_eq!(config.group, "bancaire");
        assert_eq!(config.parking_time, Duration::from_secs(60));
    }

    #[test]
    fn bad_fields_are_named_together() {
        let env = [
            ("BANCAIRE_BATCH_MAX", "0"),
            ("BANCAIRE_WRITERS", "7"),
            ("POSTGRES_PORT", "x"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut source = Source::from_parts(None, env).unwrap();
        Config::read(&mut source);
        let text = source.finish().unwrap_err().to_string();
        for name in [
            "BANCAIRE_BATCH_MAX",
            "POSTGRES_PORT",
            "POSTGRES_MAX_CONNECTIONS",
        ] {
            assert!(text.contains(name), "{text}");
        }
    }
}
