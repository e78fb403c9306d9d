//! Kafka's jars: those of `KAFKA_HOME`, else those that the pinned `infra/kafka/pom.xml` names,
//! fetched once through Maven into the user's cache and checked against `jars.sha256`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::Context;
use crate::output::Step;
use crate::state::Lock;

/// Jars that Maven fetches: what a pom names, and the hashes of all that comes of it.
#[derive(Debug, Clone, Copy)]
struct Pinned {
    pom: &'static str,
    checksums: &'static str,
    /// In the cache, before a part of the list's own hash.
    folder: &'static str,
    /// For messages.
    what: &'static str,
    list: &'static str,
}

const KAFKA: Pinned = Pinned {
    pom: include_str!("../../../../infra/kafka/pom.xml"),
    checksums: include_str!("../../../../infra/kafka/jars.sha256"),
    folder: "jars",
    what: "Kafka's jars",
    list: "infra/kafka/jars.sha256",
};

const JMX_AGENT: Pinned = Pinned {
    pom: include_str!("../../../../infra/kafka/jmx-agent.pom.xml"),
    checksums: include_str!("../../../../infra/kafka/jmx-agent.sha256"),
    folder: "jmx-agent",
    what: "the JMX agent",
    list: "infra/kafka/jmx-agent.sha256",
};

/// A folder of jars, and which Kafka they are.
#[derive(Debug, Clone)]
pub struct Jars {
    /// Sorted: a class archive only fits the class path that it was made from.
    pub files: Vec<PathBuf>,
    pub version: String,
    /// Set for a distribution, which brings its own logging.
    home: Option<PathBuf>,
}

impl Jars {
    pub fn class_path(&self) -> OsString {
        std::env::join_paths(&self.files).expect("the folder's name was checked")
    }

    /// Kafka 4 logs through Log4j 2, configured by its distribution, into files of its own.
    pub fn extra_arguments(&self, home: &Path) -> Vec<OsString> {
        let Some(distribution) = &self.home else {
            return Vec::new();
        };
        let option = |name: &str, path: PathBuf| {
            let mut option = OsString::from(name);
            option.push(path);
            option
        };
        let config = distribution.join("config/log4j2.yaml");
        let mut args = vec![option("-Dkafka.logs.dir=", home.to_owned())];
        if config.is_file() {
            args.push(option("-Dlog4j2.configurationFile=", config));
        }
        args
    }

    fn in_folder(libs: &Path, home: Option<PathBuf>) -> anyhow::Result<Self> {
        let failed = || format!("failed to read {}", libs.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(libs).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            if path.extension().is_some_and(|e| e == "jar") {
                files.push(path);
            }
        }
        files.sort();
        std::env::join_paths(&files)
            .with_context(|| format!("{} cannot stand in a class path", libs.display()))?;
        let names = files.iter().filter_map(|path| path.file_stem()?.to_str());
        let version = version_of(names)
            .with_context(|| format!("{} holds no kafka_2.13-….jar", libs.display()))?;
        Ok(Self {
            files,
            version,
            home,
        })
    }
}

/// `3.9.2` from `kafka_2.13-3.9.2`.
fn version_of<'a>(mut stems: impl Iterator<Item = &'a str>) -> Option<String> {
    stems.find_map(|stem| {
        let version = stem.strip_prefix("kafka_2.")?.split_once('-')?.1;
        // Not the jars of tests and sources beside it.
        version
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.')
            .then(|| version.to_owned())
    })
}

/// # Errors
/// Naming what is missing, or which jar is not what it should be.
pub async fn find_or_fetch(ctx: &Context, step: &Step) -> anyhow::Result<Jars> {
    if let Some(home) = std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
        let home = PathBuf::from(home);
        return Jars::in_folder(&home.join("libs"), Some(home)).context("failed to use KAFKA_HOME");
    }
    Jars::in_folder(&fetch_pinned(ctx, step).await?, None)
}

/// Where the jars are or would come from, without fetching them.
pub fn at_hand(ctx: &Context) -> Option<&'static str> {
    if std::env::var_os("KAFKA_HOME").is_some_and(|home| !home.is_empty()) {
        return Some("KAFKA_HOME");
    }
    if cached(ctx, KAFKA).is_dir() {
        return Some("Kafka's jars");
    }
    has_maven().then_some("Maven to fetch Kafka's jars")
}

fn has_maven() -> bool {
    crate::process::on_path("mvn").is_some()
}

/// Another list of jars is another folder, so an upgrade never mixes them.
fn cached(ctx: &Context, pinned: Pinned) -> PathBuf {
    let key = hex(&Sha256::digest(pinned.checksums));
    ctx.cache_dir
        .join("kafka")
        .join(format!("{}-{}", pinned.folder, &key[..12]))
}

/// The folder of the pinned jars in the user's cache, fetched when it is not there.
pub async fn fetch_pinned(ctx: &Context, step: &Step) -> anyhow::Result<PathBuf> {
    fetched(ctx, KAFKA, step).await
}

/// The JMX agent's jar in the user's cache, fetched when it is not there.
///
/// # Errors
/// When it is not there and cannot be fetched.
pub async fn jmx_agent(ctx: &Context, step: &Step) -> anyhow::Result<PathBuf> {
    let folder = fetched(ctx, JMX_AGENT, step).await?;
    let checksums = parse_checksums(JMX_AGENT.checksums)?;
    let name = checksums.keys().next().context("the list names no jar")?;
    Ok(folder.join(name))
}

async fn fetched(ctx: &Context, pinned: Pinned, step: &Step) -> anyhow::Result<PathBuf> {
    let checksums = parse_checksums(pinned.checksums)?;
    let folder = cached(ctx, pinned);
    if !folder.is_dir() {
        let waiting =
            |pid: &str| step.update(format_args!("waits for pid {pid}, which fetches it"));
        let patience = Duration::from_secs(600);
        let _lock = Lock::take(&ctx.cache_dir.join("kafka"), patience, waiting).await?;
        if !folder.is_dir() {
            fetch(&folder, pinned, &checksums, step).await?;
        }
    }
    Ok(folder)
}

async fn fetch(
    folder: &Path,
    pinned: Pinned,
    checksums: &BTreeMap<String, String>,
    step: &Step,
) -> anyhow::Result<()> {
    let what = pinned.what;
    let parent = folder.parent().context("failed to find the cache")?;
    let work = tempfile::tempdir_in(parent).context("failed to write to the cache")?;
    let pom = work.path().join("pom.xml");
    std::fs::write(&pom, pinned.pom).context("failed to write to the cache")?;
    let libs = work.path().join("libs");
    step.update(format_args!("fetches {what} with Maven (once)"));
    run_maven(&pom, &libs, checksums.len(), step).await?;
    step.update(format_args!("checks {what}"));
    let wrong = verify(&libs, checksums)?;
    anyhow::ensure!(
        wrong.is_empty(),
        "{what} is not what {} pins: {}",
        pinned.list,
        wrong.join("; ")
    );
    std::fs::rename(&libs, folder).with_context(|| format!("failed to write {}", folder.display()))
}

async fn run_maven(pom: &Path, libs: &Path, count: usize, step: &Step) -> anyhow::Result<()> {
    let mut out = OsString::from("-DoutputDirectory=");
    out.push(libs);
    let mut child = tokio::process::Command::new("mvn")
        .args(["--batch-mode", "-Dstyle.color=never", "--file"])
        .arg(pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context(
            "failed to start Maven, which fetches Kafka's jars; install it (apt install maven), \
             or set KAFKA_HOME to an unpacked Kafka",
        )?;
    let stdout = child
        .stdout
        .take()
        .context("failed to read what Maven says")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut errors = Vec::new();
    let mut copied = 0;
    while let Some(line) = lines
        .next_line()
        .await
        .context("failed to read what Maven says")?
    {
        if line.contains("Copying ") {
            copied += 1;
            step.tick(format_args!("copies Kafka's jars {copied}/{count}"));
        } else if line.contains("Downloaded from ") {
            let name = line.rsplit('/').next().unwrap_or_default();
            step.tick(format_args!("fetches {name}"));
        } else if line.contains("ERROR") && errors.len() < 3 {
            errors.push(line);
        }
    }
    let status = child.wait().await.context("failed to wait for Maven")?;
    anyhow::ensure!(
        status.success(),
        "failed to fetch Kafka's jars with Maven ({status}):\n{}",
        errors.join("\n")
    );
    Ok(())
}

/// Lines as `sha256sum` writes them.
fn parse_checksums(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (sum, name) = line
                .split_once("  ")
                .filter(|(sum, _)| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
                .with_context(|| format!("{line:?} is not a line of jars.sha256"))?;
            Ok((name.to_owned(), sum.to_owned()))
        })
        .collect()
}

/// What is missing, unexpected or different.
fn verify(libs: &Path, checksums: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, expected) in checksums {
        match std::fs::read(libs.join(name)) {
            Ok(bytes) if hex(&Sha256::digest(&bytes)) == *expected => {}
            Ok(_) => wrong.push(format!("{name} differs")),
            Err(_) => wrong.push(format!("{name} is missing")),
        }
    }
    for entry in std::fs::read_dir(libs).context("failed to read the fetched jars")? {
        let name = entry
            .context("failed to read the fetched jars")?
            .file_name();
        if !name
            .to_str()
            .is_some_and(|name| checksums.contains_key(name))
        {
            wrong.push(format!("{} is not in the list", name.display()));
        }
    }
    Ok(wrong)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_list_pins_the_poms_version() {
        let checksums = parse_checksums(JMX_AGENT.checksums).unwrap();
        assert_eq!(checksums.len(), 1);
        let name = checksums
            .keys()
            .next()
            .unwrap()
            .strip_suffix(".jar")
            .unwrap();
        let version = name.rsplit('-').next().unwrap();
        assert!(
            JMX_AGENT
                .pom
                .contains(&format!("<version>{version}</version>"))
        );
    }

    #[test]
    fn the_committed_list_is_whole_and_pins_the_poms_kafka() {
        let checksums = parse_checksums(KAFKA.checksums).unwrap();
        let names = checksums
            .keys()
            .filter_map(|name| name.strip_suffix(".jar"));
        let version = version_of(names).expect("kafka itself is in the list");
        assert!(
            KAFKA.pom.contains(&format!("<version>{version}</version>")),
            "{version}"
        );
    }

    #[test]
    fn a_bad_list_is_refused() {
        for text in ["abc  a.jar", "no", &format!("{} a.jar", "0".repeat(64))] {
            assert!(parse_checksums(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_jar_that_differs_is_missing_or_unexpected_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("good.jar", "good"),
            ("bad.jar", "tampered"),
            ("new.jar", "x"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let sum = |text: &str| hex(&Sha256::digest(text));
        let list = format!(
            "{}  good.jar\n{}  bad.jar\n{}  gone.jar\n",
            sum("good"),
            sum("bad"),
            sum("gone")
        );
        let wrong = verify(dir.path(), &parse_checksums(&list).unwrap()).unwrap();
        assert_eq!(
            wrong,
            [
                "bad.jar differs",
                "gone.jar is missing",
                "new.jar is not in the list"
            ]
        );
    }

    #[test]
    fn the_version_is_in_the_name() {
        let names = [
            "kafka-clients-3.9.2",
            "kafka_2.13-3.9.2-test",
            "kafka_2.13-3.9.2",
        ];
        assert_eq!(version_of(names.into_iter()).as_deref(), Some("3.9.2"));
    }
}
