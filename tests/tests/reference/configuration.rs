//! Every setting of the services, from what each asks for when it starts, and every variable of the
//! lab. What each is for is said here: the code has no place for it.

use std::path::Path;

use chassis::config::Source;

use crate::reference::{check, code, columns, head, row};

type Read = fn(&mut Source);

const SERVICES: [(&str, Read); 4] = [
    ("simulator", |source| {
        simulator::config::Config::read(source);
    }),
    ("bancaire", |source| {
        bancaire::config::Config::read(source);
    }),
    ("gateway", |source| {
        gateway::config::Config::read(source);
    }),
    ("registry", |source| {
        registry::config::Config::read(source);
    }),
];

#[rustfmt::skip]
const MEANINGS: [(&str, &str); 47] = [
    ("BANCAIRE_BATCH_MAX", "Records in one transaction at most"),
    ("BANCAIRE_GROUP", "The consumer group, whose members share the partitions"),
    ("BANCAIRE_PARKING_TIME_MS", "How long an event waits for its account to be opened"),
    ("BANCAIRE_URL", "Where bancaire is"),
    ("BANCAIRE_WRITERS", "Transactions at once, each with the partitions of some numbers"),
    ("EDALAB_DIR", "The folder of the lab that the page may break; `up` says it"),
    ("EDALAB_TRACES_PER_SECOND", "Traces begun per second at most"),
    ("EDALAB_XTASK", "The xtask that runs the lab; `up` says it"),
    ("GATEWAY_ALLOWED_HOSTS", "Names besides `localhost` under which it may be called; a list with commas"),
    ("GATEWAY_ALLOWED_ORIGINS", "Pages besides its own that may call and listen; a list with commas"),
    ("GATEWAY_BREAKER_ERRORS", "So many errors of an upstream within the window open its breaker"),
    ("GATEWAY_BREAKER_OPEN_MS", "How long a breaker stays open before it lets probes through"),
    ("GATEWAY_BREAKER_SUCCESSES", "So many successful probes close it"),
    ("GATEWAY_BREAKER_WINDOW_MS", "The window in which errors are counted"),
    ("GATEWAY_TOKEN", "What calls that change something and WebSockets must carry in `Authorization: Bearer`; needed to listen beyond loopback"),
    ("GATEWAY_UI_DIR", "The built page"),
    ("GATEWAY_UPSTREAM_RETRIES", "Further attempts when an upstream is not there, for calls that may be repeated"),
    ("GATEWAY_UPSTREAM_TIMEOUT_MS", "How long an upstream may take to answer"),
    ("GATEWAY_WS_IDLE_MS", "A client of which nothing, not even a pong, came for so long is gone"),
    ("GATEWAY_WS_LAG_PATIENCE_MS", "How long a client may lag before it is disconnected"),
    ("GATEWAY_WS_MAX_CLIENTS", "WebSocket clients at once"),
    ("GATEWAY_WS_PING_MS", "How often a client is pinged"),
    ("GATEWAY_WS_QUEUE", "Messages that may wait for one client"),
    ("KAFKA_AUTO_OFFSET_RESET", "Where a consumer begins that has no offset: earliest, latest or error"),
    ("KAFKA_BOOTSTRAP_SERVERS", "Where the brokers are: `host:port`, a list with commas"),
    ("KAFKA_SASL_MECHANISM", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    ("KAFKA_SASL_PASSWORD", "For SASL"),
    ("KAFKA_SASL_USERNAME", "For SASL"),
    ("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    ("KAFKA_SSL_CA_LOCATION", "The file of the authority that signed the brokers' certificates; without it, the system's"),
    ("LOG_FORMAT", "json or pretty"),
    ("LOG_LEVEL", "error, warn, info, debug, trace, or a filter such as `info,bancaire=debug`"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "Where spans are sent: OTLP over HTTP, such as `http://127.0.0.1:4318`"),
    ("POSTGRES_DB", "The database"),
    ("POSTGRES_HOST", "Where PostgreSQL is"),
    ("POSTGRES_MAX_CONNECTIONS", "Connections in the pool at most"),
    ("POSTGRES_PASSWORD", "The role's password"),
    ("POSTGRES_PORT", "Its port"),
    ("POSTGRES_USER", "The role"),
    ("REGISTRY_MAX_CONNECTIONS", "Connections in the registry's pool at most, whatever `POSTGRES_MAX_CONNECTIONS` says"),
    ("SCHEMA_REGISTRY_URL", "Where the schema registry is"),
    ("SERVICE_HOST", "The address to listen on"),
    ("SERVICE_PORT", "The port to listen on; 0 lets the system choose"),
    ("SIMULATOR_JOURNAL", "A file to which every record and the broker's answer are written"),
    ("SIMULATOR_MAX_RATE", "The most events per second that anybody may ask for"),
    ("SIMULATOR_SCENARIOS_DIR", "A folder whose YAML files add to the built-in scenarios, or replace those of the same name"),
    ("SIMULATOR_URL", "Where the simulator is"),
];

/// What xtask reads besides its options.
#[rustfmt::skip]
const LAB: [(&str, &str); 19] = [
    ("CHROMIUM", "The browser of the page's tests and measurements"),
    ("DOCKER_HOST", "The daemon's socket; also `DOCKER_CONTEXT` and `DOCKER_CONFIG`, as Docker reads them"),
    ("EDALAB_BIN_DIR", "Binaries of the services to run, instead of building them"),
    ("EDALAB_CACHE", "What is fetched once: PostgreSQL's binaries, Kafka's jars; else in the user's cache folder"),
    ("EDALAB_CI", "A test that cannot be run here counts as failed"),
    ("EDALAB_CONFIG", "A YAML file for the services, instead of the backend's"),
    ("EDALAB_CREATE_TOPICS", "`false`: the external cluster's topics are there already"),
    ("EDALAB_DEBIAN_MIRROR", "Where `images build` gets Debian's packages; else where apt does"),
    ("EDALAB_DEBIAN_SUITE", "Of which Debian; else this machine's"),
    ("EDALAB_DIR", "The lab's folder, else `.edalab` in the checkout; a second lab is a second folder"),
    ("EDALAB_EXTERNAL", "The file that says where the external backend's Kafka, registry and PostgreSQL are"),
    ("EDALAB_IMAGES", "`pinned` or `offline`: which images the Docker backend runs"),
    ("EDALAB_IMAGES_FILE", "Another list of images than `infra/images.toml`"),
    ("EDALAB_IMAGE_MIRROR", "A registry with copies of the pinned images, such as `localhost:5000`"),
    ("EDALAB_KAFKA_JVM", "More options for the embedded Kafka's JVM, such as `-Xmx1g`; they count over the lab's own"),
    ("EDALAB_PG_BINDIR", "PostgreSQL's programs, instead of the fetched ones"),
    ("JAVA_HOME", "The Java that runs Kafka, 17 or later"),
    ("KAFKA_HOME", "A Kafka distribution, instead of the fetched jars"),
    ("NO_COLOR", "No colours in progress and tables"),
];

/// A setting, and the default that each of its readers has for it.
struct Setting {
    key: &'static str,
    env: &'static str,
    readers: Vec<(&'static str, String)>,
}

fn settings() -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for (service, read) in SERVICES {
        let mut source = Source::from_parts(None, []).expect("nothing is given");
        read(&mut source);
        for field in source.fields() {
            let default = code(field.default.as_deref().unwrap_or_default());
            match settings.iter_mut().find(|known| known.env == field.env) {
                Some(known) => known.readers.push((service, default)),
                None => settings.push(Setting {
                    key: field.key,
                    env: field.env,
                    readers: vec![(service, default)],
                }),
            }
        }
    }
    settings
}

impl Setting {
    /// The one that all have, or each one's own.
    fn default(&self) -> String {
        let (_, first) = &self.readers[0];
        if self.readers.iter().all(|(_, default)| default == first) {
            return first.clone();
        }
        let each = self.readers.iter();
        let each = each.map(|(service, default)| format!("{default} ({service})"));
        each.collect::<Vec<_>>().join(", ")
    }

    fn meaning(&self) -> &'static str {
        let known = MEANINGS.iter().find(|(env, _)| *env == self.env);
        known
            .unwrap_or_else(|| panic!("say what {} is in MEANINGS", self.env))
            .1
    }
}

#[test]
fn the_page_of_settings_is_current() {
    let mut page = head(
        "Configuration",
        "## The services\n\nA service has built-in defaults, which are what `cargo xtask up` uses; then \
         comes the YAML file that\n`EDALAB_CONFIG` names (for the lab one of [`infra/config/`]\
         (../../infra/config)); then the environment. `up` itself says the\naddresses and ports. A \
         service that is given a bad value names all of them and does not start.",
    );
    let settings = settings();
    page += "\n### Shared\n";
    page += &columns(["variable", "in YAML", "default", "what", "read by"]);
    for setting in settings.iter().filter(|setting| setting.readers.len() > 1) {
        let readers: Vec<&str> = setting
            .readers
            .iter()
            .map(|(service, _)| *service)
            .collect();
        page += &row([
            code(setting.env).as_str(),
            &code(setting.key),
            &setting.default(),
            setting.meaning(),
            &readers.join(", "),
        ]);
    }
    for (service, _) in SERVICES {
        page += &format!("\n### {service}\n");
        page += &columns(["variable", "in YAML", "default", "what"]);
        let own =
            |setting: &&Setting| matches!(setting.readers[..], [(reader, _)] if reader == service);
        for setting in settings.iter().filter(own) {
            page += &row([
                code(setting.env).as_str(),
                &code(setting.key),
                &setting.default(),
                setting.meaning(),
            ]);
        }
    }
    page += "\n## The lab\n\nRead by `cargo xtask`, besides the variables of its \
             [options](cli.md).\n";
    page += &columns(["variable", "what"]);
    page.extend(LAB.map(|(name, what)| row([code(name).as_str(), what])));
    check("configuration.md", &page);
}

#[test]
fn every_meaning_is_of_a_setting() {
    let settings = settings();
    for (env, _) in MEANINGS {
        let is_read = settings.iter().any(|setting| setting.env == env);
        assert!(is_read, "no service reads {env}");
    }
}

/// The variables that xtask's sources read by name, and the ones that are told, are the same.
#[test]
fn every_variable_of_the_lab_is_told() {
    let mut read: Vec<String> = Vec::new();
    variables(&tests::docs::root().join("xtask/src"), &mut read);
    for (name, _) in LAB {
        assert!(
            read.iter().any(|known| known == name),
            "nothing reads {name}"
        );
    }
    let services = settings();
    let told = |name: &str| {
        LAB.iter().any(|(known, _)| *known == name)
            || services.iter().any(|setting| setting.env == name)
    };
    let untold = read
        .iter()
        .filter(|name| name.starts_with("EDALAB_") && !told(name));
    let untold: Vec<&String> = untold.collect();
    assert!(untold.is_empty(), "say what these are in LAB: {untold:?}");
}

fn variables(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            variables(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the source is UTF-8");
        for call in ["var(\"", "var_os(\"", "get(\"topics.create\", \""] {
            let names = text
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}
