//! What the broker is told: a data folder, a port, how much to log.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::bail;

/// Where Kafka listens when nobody says otherwise.
const USUAL_PORT: u16 = 9092;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// On 127.0.0.1; the broker never listens elsewhere.
    pub port: u16,
    /// Holds the records, the cluster's id and a lock; made when it is not there.
    pub data: PathBuf,
    /// A filter of `tracing`.
    pub log: String,
}

impl Config {
    /// From the environment (`BROKER_PORT` or `SERVICE_PORT`, `BROKER_DATA`, `LOG_LEVEL`) and the
    /// folder on the command line, which comes first.
    ///
    /// # Errors
    /// Naming every field that is missing or wrong.
    pub fn load(
        var: impl Fn(&str) -> Option<String>,
        folder: Option<OsString>,
    ) -> anyhow::Result<Self> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        let mut wrong = Vec::new();
        let port = match var("BROKER_PORT").or_else(|| var("SERVICE_PORT")) {
            None => USUAL_PORT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .unwrap_or_else(|| {
                    wrong.push(format!("BROKER_PORT: {text:?} is no port (1 to 65535)"));
                    USUAL_PORT
                }),
        };
        let data = folder.or_else(|| var("BROKER_DATA").map(OsString::from));
        if data.is_none() {
            wrong.push("BROKER_DATA: a data folder is needed, also as the first argument".into());
        }
        let log = filter(&var("LOG_LEVEL").unwrap_or_else(|| "info".into()));
        match data {
            Some(data) if wrong.is_empty() => Ok(Self {
                port,
                data: data.into(),
                log,
            }),
            _ => bail!("{}", wrong.join("; ")),
        }
    }
}

/// A bare level means this program; the libraries below only speak when something is wrong.
fn filter(level: &str) -> String {
    let is_level = ["error", "warn", "info", "debug", "trace", "off"]
        .contains(&level.to_ascii_lowercase().as_str());
    if is_level {
        format!("warn,broker={level}")
    } else {
        level.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(vars: &[(&str, &str)], folder: Option<&str>) -> anyhow::Result<Config> {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::load(var, folder.map(OsString::from))
    }

    #[test]
    fn the_environment_is_read_and_the_argument_comes_first() {
        let config = load(
            &[("SERVICE_PORT", "19092"), ("BROKER_DATA", "/a")],
            Some("/b"),
        )
        .unwrap();
        assert_eq!((config.port, config.data), (19092, PathBuf::from("/b")));
        assert_eq!(config.log, "warn,broker=info");
        let config = load(&[("BROKER_PORT", "1"), ("SERVICE_PORT", "2")], Some("/b")).unwrap();
        assert_eq!(config.port, 1);
        let config = load(&[("LOG_LEVEL", "nisshi_storage=debug")], Some("/b")).unwrap();
        assert_eq!(
            (config.port, config.log.as_str()),
            (9092, "nisshi_storage=debug")
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let error = load(&[("BROKER_PORT", "0")], None).unwrap_err().to_string();
        assert!(
            error.contains("BROKER_PORT") && error.contains("BROKER_DATA"),
            "{error}"
        );
    }
}
