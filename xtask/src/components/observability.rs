//! Prometheus, Grafana and Jaeger: what they are told of this lab, and when they work.
//!
//! Their files are those of `infra/`, with the lab's own addresses put in. As containers they get
//! them before they start; without Docker there is Prometheus alone, as a process, where it is
//! installed. Kafka's figures come from the JMX exporter, an agent inside the broker's JVM.

pub mod checks;
pub mod queries;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use super::docker::{self, Daemon};
use super::{Part, Site, instance, port_answers, services, wait_ready};
use crate::Context;
use crate::output::Step;
use crate::process::{Launch, on_path};
use crate::state::{ComponentState, LabState};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where a container finds what it is given.
const GIVEN: &str = "opt/edalab";

/// A file and where it goes, without a leading slash.
pub type Given = (String, Vec<u8>);

/// What the broker's JVM is started with, when it is to show its figures.
pub fn agent_option(agent: &str, host: &str, port: u16, config: &str) -> String {
    format!("-javaagent:{agent}={host}{port}:{config}")
}

/// The option for a broker in a container; empty without an agent.
pub fn container_agent_option(lab: &LabState) -> String {
    match lab.jmx_agent {
        Some(_) => agent_option(
            &format!("/{GIVEN}/jmx-agent.jar"),
            "",
            7071,
            &format!("/{GIVEN}/jmx-exporter-config.yml"),
        ),
        None => String::new(),
    }
}

/// The file that says which of the broker's figures are shown.
pub fn agent_config(ctx: &Context) -> PathBuf {
    ctx.root.join("infra/kafka/jmx-exporter-config.yml")
}

/// The files of a part's container.
///
/// # Errors
/// When one cannot be read or understood, with its name and line.
pub fn files(site: &Site, part: Part) -> anyhow::Result<Vec<Given>> {
    let infra = site.ctx.root.join("infra");
    match part {
        Part::Kafka => {
            let Some(agent) = &site.lab.jmx_agent else {
                return Ok(Vec::new());
            };
            Ok(vec![
                (format!("{GIVEN}/jmx-agent.jar"), read(agent)?),
                (
                    format!("{GIVEN}/jmx-exporter-config.yml"),
                    read(&agent_config(&site.ctx))?,
                ),
            ])
        }
        Part::Prometheus => {
            let below = |(name, bytes)| (format!("{GIVEN}/prometheus/{name}"), bytes);
            Ok(prometheus_files(site)?.into_iter().map(below).collect())
        }
        Part::Grafana => {
            let mut files = Vec::new();
            for (from, to) in [
                (
                    "grafana/provisioning/datasources",
                    "provisioning/datasources",
                ),
                ("grafana/provisioning/dashboards", "provisioning/dashboards"),
                ("grafana/dashboards", "dashboards"),
            ] {
                for (name, bytes) in folder(&infra.join(from))? {
                    let bytes = addressed(&site.lab, bytes);
                    files.push((format!("{GIVEN}/grafana/{to}/{name}"), bytes));
                }
            }
            Ok(files)
        }
        _ => Ok(Vec::new()),
    }
}

/// The lab's own addresses and folders in place of the usual ones.
fn addressed(lab: &LabState, bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    let url = |part: Part| format!("http://127.0.0.1:{}", lab.port(part.name()));
    text.replace("http://127.0.0.1:9090", &url(Part::Prometheus))
        .replace("http://127.0.0.1:16686", &url(Part::Jaeger))
        .replace(
            "/var/lib/grafana/dashboards",
            &format!("/{GIVEN}/grafana/dashboards"),
        )
        .into_bytes()
}

/// Prometheus' configuration for this lab, and its rules.
fn prometheus_files(site: &Site) -> anyhow::Result<Vec<Given>> {
    let home = site.ctx.root.join("infra/prometheus");
    let path = home.join("prometheus.yml");
    let text = String::from_utf8(read(&path)?).context("prometheus.yml is not UTF-8")?;
    let config = configured(&text, &site.lab).with_context(|| path.display().to_string())?;
    let mut files = vec![("prometheus.yml".to_owned(), config.into_bytes())];
    for (name, bytes) in folder(&home.join("rules"))? {
        files.push((format!("rules/{name}"), bytes));
    }
    Ok(files)
}

/// The committed configuration with this lab's targets.
fn configured(text: &str, lab: &LabState) -> anyhow::Result<String> {
    let mut config: Yaml = serde_yaml_ng::from_str(text)?;
    let jobs = config["scrape_configs"]
        .as_sequence_mut()
        .context("it has no scrape_configs")?;
    for job in jobs.iter_mut() {
        let name = job["job_name"].as_str().context("a job has no name")?;
        let targets: Vec<Yaml> = targets(lab, name).into_iter().map(Yaml::from).collect();
        job["static_configs"][0]["targets"] = Yaml::Sequence(targets);
    }
    // A part that this lab does not have, or that shows nothing, is not asked.
    jobs.retain(|job| {
        let targets = job["static_configs"][0]["targets"].as_sequence();
        targets.is_some_and(|targets| !targets.is_empty())
    });
    Ok(serde_yaml_ng::to_string(&config)?)
}

/// Where a job's figures are.
pub fn targets(lab: &LabState, job: &str) -> Vec<String> {
    let Ok(part) = Part::from_name(job) else {
        return Vec::new();
    };
    let address = |name: String| format!("127.0.0.1:{}", lab.port(&name));
    let each = (1..=lab.instances(part)).map(|number| instance(part, number));
    match part {
        Part::Kafka if lab.jmx_agent.is_none() => Vec::new(),
        Part::Kafka => each.map(|name| address(format!("{name}_jmx"))).collect(),
        // Confluent's, and somebody else's, have no such page.
        Part::Registry if lab.external.is_some() || !has_own_registry(lab) => Vec::new(),
        _ => each.map(address).collect(),
    }
}

fn has_own_registry(lab: &LabState) -> bool {
    let image = lab.images.get(Part::Registry.name());
    image.is_none_or(|image| image.reference.starts_with("edalab/"))
}

/// Starts Prometheus as a process.
///
/// # Errors
/// When it is not installed, or its files cannot be written.
pub fn start(site: &Site) -> anyhow::Result<ComponentState> {
    let program = on_path("prometheus").context(
        "Prometheus is not installed (apt install prometheus); leave out --prometheus, or use \
         --backend docker",
    )?;
    let home = write_prometheus_files(site)?;
    let port = site.lab.port(Part::Prometheus.name());
    let launch = Launch {
        program,
        args: vec![
            "--config.file=prometheus.yml".into(),
            "--storage.tsdb.path=data".into(),
            "--storage.tsdb.retention.time=7d".into(),
            "--enable-feature=exemplar-storage".into(),
            format!("--web.listen-address=127.0.0.1:{port}").into(),
        ],
        env: Vec::new(),
        dir: home,
        log: site.log(Part::Prometheus),
        user: None,
    };
    let identity = launch.spawn(&site.ctx.lab_dir)?;
    let url = site.lab.url(Part::Prometheus.name());
    Ok(site.record(Part::Prometheus, &identity, url))
}

/// Writes them into the lab's folder, and returns where.
fn write_prometheus_files(site: &Site) -> anyhow::Result<PathBuf> {
    let home = site.ctx.lab_dir.join("prometheus");
    for (name, bytes) in prometheus_files(site)? {
        let path = home.join(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        written
            .and_then(|()| std::fs::write(&path, bytes))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(home)
}

/// Tells a Prometheus that runs who is to be asked now: workers come and go.
///
/// # Errors
/// When its files cannot be written, or the daemon of its container does not take them.
pub async fn retarget(site: &Site, prometheus: &ComponentState) -> anyhow::Result<()> {
    // It reads its files again.
    let signal = Signal::SIGHUP;
    let Some(id) = &prometheus.container else {
        write_prometheus_files(site)?;
        anyhow::ensure!(prometheus.identity().signal(signal), "it is gone");
        return Ok(());
    };
    let daemon = Daemon::connect().await?;
    docker::give(&daemon, id, files(site, Part::Prometheus)?).await?;
    docker::signal(&daemon, id, signal.as_str()).await
}

/// Waits until a part answers a question of its own kind.
pub async fn ready(
    site: &Site,
    part: Part,
    component: &ComponentState,
    step: &Step,
) -> anyhow::Result<()> {
    wait_ready(component, step, PATIENCE, || port_answers(component.port)).await?;
    let lab = &site.lab;
    wait_ready(component, step, PATIENCE, || health(part, lab)).await
}

/// Asks a part something that only a working one answers.
pub async fn health(part: Part, lab: &LabState) -> anyhow::Result<()> {
    let base = lab.url(part.name());
    match part {
        Part::Prometheus => query(&base, "vector(1)").await.map(drop),
        Part::Grafana => {
            let found = get(&format!("{base}/api/search?type=dash-db&tag=edalab")).await?;
            let found = found.as_array().map_or(0, Vec::len);
            anyhow::ensure!(found >= 3, "it shows {found} of the 3 dashboards");
            Ok(())
        }
        _ => get(&format!("{base}/api/services")).await.map(drop),
    }
}

/// Prometheus' answer to an instant query: its result.
///
/// # Errors
/// What Prometheus says is wrong with the query, or that it does not answer.
pub async fn query(base: &str, expr: &str) -> anyhow::Result<Vec<Value>> {
    let http = services::client()?;
    let sent = http
        .get(format!("{base}/api/v1/query"))
        .query(&[("query", expr)]);
    let answer = sent.send().await.map_err(|e| e.without_url());
    let answer: Value = answer
        .context("Prometheus does not answer")?
        .json()
        .await
        .context("Prometheus answers something else than JSON")?;
    if answer["status"] != "success" {
        let error = answer["error"].as_str().unwrap_or("it says nothing more");
        anyhow::bail!("{error}");
    }
    let result = answer["data"]["result"].as_array().cloned();
    Ok(result.unwrap_or_default())
}

/// JSON from an address.
pub async fn get(url: &str) -> anyhow::Result<Value> {
    let answer = services::client()?.get(url).send().await;
    let answer = answer.map_err(|e| e.without_url())?.error_for_status();
    let answer = answer.map_err(|e| e.without_url())?;
    answer
        .json()
        .await
        .context("it answers something else than JSON")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

/// The files in a folder, by name.
fn folder(path: &Path) -> anyhow::Result<Vec<Given>> {
    let failed = || format!("failed to read {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is not UTF-8", path.display()))?;
        files.push((name.to_owned(), read(&path)?));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::LabMemory;

    const FILE: &str = include_str!("../../../infra/prometheus/prometheus.yml");

    fn lab() -> LabState {
        let ports = [
            ("prometheus", 19090),
            ("kafka_jmx", 17071),
            ("registry", 18081),
            ("simulator", 18082),
            ("bancaire", 18083),
            ("bancaire-2", 18093),
            ("gateway", 18080),
        ];
        let memory = LabMemory {
            ports: ports.map(|(name, port)| (name.to_owned(), port)).into(),
            ..LabMemory::default()
        };
        let mut lab = LabState::new("kafka", &memory, "/bin".into(), false);
        lab.workers = 2;
        lab.jmx_agent = Some("/agent.jar".into());
        lab
    }

    fn jobs(text: &str) -> Vec<(String, Vec<String>)> {
        let config: Yaml = serde_yaml_ng::from_str(text).unwrap();
        let jobs = config["scrape_configs"].as_sequence().unwrap().iter();
        jobs.map(|job| {
            let targets = job["static_configs"][0]["targets"].as_sequence().unwrap();
            let targets = targets.iter().map(|t| t.as_str().unwrap().to_owned());
            (
                job["job_name"].as_str().unwrap().to_owned(),
                targets.collect(),
            )
        })
        .collect()
    }

    #[test]
    fn the_committed_targets_are_the_usual_ports() {
        for (job, targets) in jobs(FILE) {
            let part = Part::from_name(&job).unwrap();
            let port = match part {
                Part::Kafka => 7071,
                _ => part.usual_port(),
            };
            assert_eq!(targets, [format!("127.0.0.1:{port}")], "{job}");
        }
        assert_eq!(jobs(FILE).len(), 6);
    }

    #[test]
    fn every_worker_is_a_target_and_what_shows_nothing_is_none() {
        let mut lab = lab();
        let found = jobs(&configured(FILE, &lab).unwrap());
        let of = |job: &str| {
            found
                .iter()
                .find(|(name, _)| name == job)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(of("bancaire"), ["127.0.0.1:18083", "127.0.0.1:18093"]);
        assert_eq!(of("kafka"), ["127.0.0.1:17071"]);
        assert_eq!(of("prometheus"), ["127.0.0.1:19090"]);
        lab.jmx_agent = None;
        let found = jobs(&configured(FILE, &lab).unwrap());
        assert!(found.iter().all(|(name, _)| name != "kafka"));
        let wrong = configured("scrape_configs: [\n  a: b", &lab).unwrap_err();
        assert!(wrong.to_string().contains("line"), "{wrong}");
    }
}
