//! The parts that are built from this workspace: registry, simulator, bancaire and gateway.
//!
//! They differ only in what they are told, so they share one module. [`compile`] builds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chassis::config::Secret;
use chassis::registry::RegistryClient;
use schemas::EventType;

use super::external::External;
use super::{Part, Site, instance, port_answers, wait_ready};
use crate::Context;
use crate::cargo;
use crate::output::Step;
use crate::process::Launch;
use crate::state::{ComponentState, LabState};

const PATIENCE: Duration = Duration::from_secs(45);

/// Starts one of them.
///
/// # Errors
/// When its binary is missing or ends at once.
pub fn start(
    site: &Site,
    bin_dir: &Path,
    part: Part,
    number: u32,
) -> anyhow::Result<ComponentState> {
    let name = instance(part, number);
    let own = site.detour.programs.get(&part).cloned();
    let program = own.unwrap_or_else(|| bin_dir.join(part.name()));
    anyhow::ensure!(
        program.is_file(),
        "{} is not built; leave out --no-build, or set EDALAB_BIN_DIR",
        program.display()
    );
    let launch = Launch {
        program,
        args: Vec::new(),
        env: environment(site, bin_dir, part, &name),
        dir: site.ctx.lab_dir.clone(),
        log: site.log_of(&name),
        user: None,
    };
    let identity = launch.spawn(&site.ctx.lab_dir)?;
    Ok(site.record_instance(part, number, &identity, site.lab.url(&name)))
}

/// Where everything is. Set in full, so that the user's own environment decides nothing here.
fn environment(site: &Site, bin_dir: &Path, part: Part, name: &str) -> Vec<(String, String)> {
    let lab = &site.lab;
    let mut postgres = lab.postgres();
    if part == Part::Registry {
        postgres.user = "registry".into();
        postgres.password = Secret::new("registry_password");
    }
    let mut env = BTreeMap::from([
        ("KAFKA_BOOTSTRAP_SERVERS", lab.kafka_bootstrap()),
        ("SCHEMA_REGISTRY_URL", lab.registry_url()),
        ("REGISTRY_URL", lab.registry_url()),
        ("SIMULATOR_URL", lab.simulator_url()),
        ("BANCAIRE_URL", lab.bancaire_url()),
        ("POSTGRES_HOST", postgres.host),
        ("POSTGRES_PORT", postgres.port.to_string()),
        ("POSTGRES_DB", postgres.database),
        ("POSTGRES_USER", postgres.user),
        ("POSTGRES_PASSWORD", postgres.password.expose().to_owned()),
        ("SERVICE_HOST", "127.0.0.1".to_owned()),
        ("SERVICE_PORT", lab.port(name).to_string()),
        ("LOG_LEVEL", site.log_level.clone()),
        ("LOG_FORMAT", lab.log_format.clone()),
    ]);
    if let Some(endpoint) = &lab.otlp {
        env.insert("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone());
    }
    if let Ok(per_second) = std::env::var("EDALAB_TRACES_PER_SECOND") {
        env.insert("EDALAB_TRACES_PER_SECOND", per_second);
    }
    env.extend(lab.external.iter().flat_map(External::environment));
    if part == Part::Gateway {
        // So that the page can break and mend parts of the lab: the gateway asks us to.
        let beside = bin_dir.join("xtask");
        let xtask = Some(beside).filter(|path| path.is_file());
        if let Some(xtask) = xtask.or_else(|| std::env::current_exe().ok()) {
            env.insert("EDALAB_XTASK", xtask.display().to_string());
        }
        env.insert("EDALAB_DIR", site.ctx.lab_dir.display().to_string());
        let page = site.ctx.root.join("web-ui/dist");
        env.insert("GATEWAY_UI_DIR", page.display().to_string());
    }
    let config = site.ctx.root.join("infra/config/embedded.yaml");
    if std::env::var_os("EDALAB_CONFIG").is_none() && config.is_file() {
        env.insert("EDALAB_CONFIG", config.display().to_string());
    }
    let mut env: BTreeMap<String, String> = env
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    env.extend(site.detour.env.get(&part).cloned().unwrap_or_default());
    env.into_iter().collect()
}

/// Waits until it says that it can work; the registry also has to give a schema back.
pub async fn ready(
    site: &Site,
    part: Part,
    component: &ComponentState,
    step: &Step,
) -> anyhow::Result<()> {
    wait_ready(component, step, PATIENCE, || port_answers(component.port)).await?;
    let http = client()?;
    let url = &component.url;
    // Confluent's registry has no such page; the schemas are its round trip.
    if part != Part::Registry || component.container.is_none() {
        wait_ready(component, step, PATIENCE, || health(&http, url)).await?;
    }
    if part == Part::Registry {
        step.tick("registers the schemas");
        wait_ready(component, step, PATIENCE, || register_schemas(&site.lab)).await?;
    }
    Ok(())
}

/// A client for health questions.
pub fn client() -> anyhow::Result<reqwest::Client> {
    chassis::http::client::builder()
        .timeout(Duration::from_secs(3))
        .build()
        .context("failed to make an HTTP client")
}

/// Asks `/health/ready`; the error is what the service says of itself.
pub async fn health(http: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let answer = http.get(format!("{url}/health/ready")).send().await;
    let answer = answer
        .map_err(|e| e.without_url())
        .context("failed to ask for its health")?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = answer.text().await.unwrap_or_default();
    anyhow::bail!("{status}: {}", body.trim())
}

/// Registers the seven schemas and reads each one back.
pub async fn register_schemas(lab: &LabState) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&lab.registry_url());
    for event_type in EventType::ALL {
        let id = registry
            .register(&event_type.subject(), event_type.schema_json())
            .await?;
        registry.schema(id).await?;
    }
    Ok(())
}

/// Where the services' binaries are when nothing is built: `EDALAB_BIN_DIR`, else beside xtask.
///
/// # Errors
/// When this program does not know where it is.
pub fn bin_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("EDALAB_BIN_DIR").filter(|dir| !dir.is_empty()) {
        return std::path::absolute(dir).context("failed to resolve EDALAB_BIN_DIR");
    }
    let exe = std::env::current_exe().context("failed to find this program's folder")?;
    let dir = exe
        .parent()
        .context("failed to find this program's folder")?;
    // Tests run from a folder below.
    let dir = if dir.ends_with("deps") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    };
    Ok(dir.to_owned())
}

/// Builds `parts` and returns the folder of their binaries.
///
/// # Errors
/// With the compiler's own words.
pub async fn compile(ctx: &Context, parts: &[Part], step: &Step) -> anyhow::Result<PathBuf> {
    // With xtask among them, what they share is what `cargo xtask` itself was just built from:
    // cargo decides a dependency's features by what is built together.
    let mut args = vec!["build", "--package", "xtask"];
    for part in parts {
        args.extend(["--package", part.name()]);
    }
    let artifacts = cargo::build(ctx, &args, "the services", step).await?;
    let is_part = |name: &str| parts.iter().any(|part| part.name() == name);
    let built = artifacts
        .into_iter()
        .filter(|artifact| is_part(&artifact.target.name));
    let mut executables = built.filter_map(|artifact| artifact.executable);
    let dir = executables
        .next()
        .and_then(|executable| executable.parent().map(Path::to_owned));
    dir.context("cargo built no binary")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another set of features of some deep dependency would build most of the tree twice: once for
    /// `cargo xtask`, once for the services or the tests. Then name the missing features in
    /// xtask's Cargo.toml.
    #[test]
    fn xtask_is_built_with_the_features_of_the_whole_workspace() {
        let tree = |selection: &str| -> BTreeMap<String, Vec<String>> {
            let output = std::process::Command::new(env!("CARGO"))
                .args([
                    "tree",
                    "--offline",
                    selection,
                    "--no-dedupe",
                    "--prefix=none",
                ])
                .args(["--edges=normal,build,dev", "--format={p}|{f}"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let lines: std::collections::BTreeSet<&str> = text.lines().collect();
            let mut features = BTreeMap::new();
            for (package, set) in lines.into_iter().filter_map(|line| line.split_once('|')) {
                let package = package.trim_end_matches(" (proc-macro)").to_owned();
                let sets: &mut Vec<String> = features.entry(package).or_default();
                if !sets.contains(&set.to_owned()) {
                    sets.push(set.to_owned());
                }
            }
            features
        };
        let (ours, all) = (tree("--package=xtask"), tree("--workspace"));
        assert!(ours.len() > 100, "cargo tree says something");
        for (package, features) in &ours {
            assert_eq!(Some(features), all.get(package), "features of {package}");
        }
    }
}
