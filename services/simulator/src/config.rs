//! What the simulator can be told; the defaults are what `cargo xtask up` uses.

use std::path::PathBuf;

use chassis::config::{ConfigError, KafkaConfig, LogConfig, SchemaConfig, ServiceConfig, Source};

use crate::scenario::MIN_RATE;

#[derive(Debug, Clone)]
pub struct Config {
    /// `KAFKA_BOOTSTRAP_SERVERS`.
    pub kafka: KafkaConfig,
    /// `SCHEMA_REGISTRY_URL`.
    pub schema: SchemaConfig,
    /// Where it listens: `SERVICE_HOST`, `SERVICE_PORT` (8082).
    pub service: ServiceConfig,
    /// `LOG_LEVEL`, `LOG_FORMAT`.
    pub log: LogConfig,
    /// `SIMULATOR_MAX_RATE` (50000): the most events per second that anybody may ask for.
    pub max_rate: f64,
    /// `SIMULATOR_SCENARIOS_DIR`: a folder whose YAML files add to the built-in scenarios, or
    /// replace those of the same name.
    pub scenarios_dir: Option<PathBuf>,
    /// `SIMULATOR_JOURNAL`: a file to which every record and the broker's answer are written, for
    /// verdicts. Without it nothing is written.
    pub journal: Option<PathBuf>,
}

impl Config {
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut source = Source::from_env()?;
        let config = Self::read(&mut source);
        source.finish()?;
        Ok(config)
    }

    pub fn read(source: &mut Source) -> Self {
        let max_rate = source.get("simulator.max_rate", "SIMULATOR_MAX_RATE", 50_000.0);
        if !(MIN_RATE..=1e6).contains(&max_rate) {
            source.problem(
                "simulator.max_rate",
                "SIMULATOR_MAX_RATE",
                format_args!("must be {MIN_RATE} to 1000000 events per second"),
            );
        }
        let scenarios_dir =
            source.get_optional("simulator.scenarios_dir", "SIMULATOR_SCENARIOS_DIR");
        let journal = source.get_optional("simulator.journal", "SIMULATOR_JOURNAL");
        Self {
            kafka: KafkaConfig::read(source),
            schema: SchemaConfig::read(source),
            service: ServiceConfig::read(source, 8082),
            log: LogConfig::read(source),
            max_rate,
            scenarios_dir,
            journal,
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
        assert_eq!(config.service.port, 8082);
        assert_eq!(config.max_rate, 50_000.0);
        assert_eq!(config.scenarios_dir, None);
        assert_eq!(config.journal, None);
    }

    #[test]
    fn bad_fields_are_named_together() {
        for rate in ["0", "-1", "NaN", "inf", "fast"] {
            let env = [("SIMULATOR_MAX_RATE", rate), ("SERVICE_PORT", "x")];
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut source = Source::from_parts(None, env).unwrap();
            Config::read(&mut source);
            let text = source.finish().unwrap_err().to_string();
            assert!(
                text.contains("SIMULATOR_MAX_RATE") && text.contains("SERVICE_PORT"),
                "{text}"
            );
        }
    }
}
