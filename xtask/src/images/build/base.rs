//! The base of every offline image: a minimal Debian with a JRE, by debootstrap from the mirror
//! that this machine's own apt uses. Its tarball stays in the user's cache, so that another daemon,
//! or the same one after a `docker system prune`, only imports it.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use bollard::body_try_stream;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::Context;
use crate::components::docker::Daemon;
use crate::components::kafka::jars::hex;
use crate::images::inventory::{Inventory, folder};
use crate::images::transfer;
use crate::output::Step;

const PACKAGES: &str = "ca-certificates,default-jre-headless";

/// Raised when what is done to the tree changes.
const RECIPE: u32 = 1;

/// A base image that the daemon has.
#[derive(Debug, Clone)]
pub struct Base {
    pub id: String,
    /// `2.36`: programs that need a later one do not run in it.
    pub glibc: (u32, u32),
}

/// Beside the tarball.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    suite: String,
    glibc: (u32, u32),
}

/// Which Debian, and from where.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    suite: String,
    mirror: String,
}

/// The base image and how it came to be there.
pub async fn ensure(
    ctx: &Context,
    daemon: &Daemon,
    fresh: bool,
    step: &Step,
) -> anyhow::Result<(Base, String)> {
    let suite = suite()?;
    let key = hex(&Sha256::digest(format!(
        "{RECIPE} {suite} {PACKAGES} {}",
        std::env::consts::ARCH
    )));
    let key = &key[..12];
    let reference = format!("edalab/base:{suite}-{key}");
    let tarball = folder(ctx).join(format!("base-{suite}-{key}.tar.zst"));
    let facts_file = tarball.with_extension("json");
    let known =
        || -> Option<Facts> { serde_json::from_slice(&std::fs::read(&facts_file).ok()?).ok() };
    if fresh || !tarball.is_file() || known().is_none() {
        let source = source(suite.clone())?;
        debootstrap(ctx, &source, &tarball, &facts_file, step).await?;
    } else if let Some(image) = Inventory::read(ctx, daemon).await?.tagged(&reference)
        && let Some(facts) = known()
    {
        let base = Base {
            id: image.id.clone(),
            glibc: facts.glibc,
        };
        return Ok((base, format!("{reference} is current")));
    }
    let facts = known().context("failed to read what the base is")?;
    step.update(format_args!("imports {reference}"));
    let id = import(daemon, &tarball, &reference).await?;
    let base = Base {
        id,
        glibc: facts.glibc,
    };
    Ok((base, format!("{reference} imported")))
}

async fn import(daemon: &Daemon, tarball: &Path, reference: &str) -> anyhow::Result<String> {
    let path = tarball.to_owned();
    let (stream, writing) = transfer::from_writer(move |sink| {
        let file = std::fs::File::open(&path).context("failed to open the base")?;
        zstd::stream::copy_decode(file, sink).context("failed to unpack the base")
    });
    let (repository, tag) = reference.split_once(':').context("a reference has a tag")?;
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .build();
    let mut events = daemon
        .create_image(Some(options), Some(body_try_stream(stream)), None)
        .boxed();
    while let Some(event) = events.next().await {
        event.context("failed to import the base")?;
    }
    writing.await.context("failed to wait for the base")??;
    let image = daemon.inspect_image(reference).await;
    image
        .context("the daemon does not know what it imported")?
        .id
        .context("the daemon gave the base no id")
}

/// `EDALAB_DEBIAN_SUITE`, else this machine's own: then what cargo built here runs there.
fn suite() -> anyhow::Result<String> {
    if let Some(suite) = var("EDALAB_DEBIAN_SUITE") {
        return Ok(suite);
    }
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned());
    name.filter(|name| !name.is_empty()).context(
        "this system is no Debian or Ubuntu of known name; set EDALAB_DEBIAN_SUITE and \
         EDALAB_DEBIAN_MIRROR, or use `images pull` or `images load`",
    )
}

/// `EDALAB_DEBIAN_MIRROR`, else where apt gets the suite from.
fn source(suite: String) -> anyhow::Result<Source> {
    if let Some(mirror) = var("EDALAB_DEBIAN_MIRROR") {
        return Ok(Source { suite, mirror });
    }
    let output = std::process::Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(CODENAME) $(COMPONENT)",
        ])
        .arg("Identifier: Packages")
        .stderr(Stdio::null())
        .output()
        .context("failed to ask apt for its mirror; set EDALAB_DEBIAN_MIRROR")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mirror = mirror_of(&text, &suite).with_context(|| {
        format!("apt knows no mirror of {suite}; run `apt-get update`, or set EDALAB_DEBIAN_MIRROR")
    })?;
    Ok(Source { suite, mirror })
}

/// The first line of this suite's main component.
fn mirror_of(targets: &str, suite: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (uri, name, component) = (words.next()?, words.next()?, words.next()?);
        (name == suite && component == "main").then(|| uri.to_owned())
    })
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn debootstrap(
    ctx: &Context,
    source: &Source,
    tarball: &Path,
    facts_file: &Path,
    step: &Step,
) -> anyhow::Result<()> {
    anyhow::ensure!(
        geteuid().is_root(),
        "debootstrap needs root; run `sudo -E cargo xtask images build` once, or use `images load`"
    );
    let folder = folder(ctx);
    let work = tempfile::tempdir_in(&folder).context("failed to write to the cache")?;
    let root = work.path().join("root");
    step.update(format_args!(
        "makes a minimal {} with a JRE by debootstrap (once, about 2 min)",
        source.suite
    ));
    run_debootstrap(source, &root, step).await?;
    step.update("packs it");
    trim(&root)?;
    let status = std::fs::read_to_string(root.join("var/lib/dpkg/status"))
        .context("failed to read the base's packages")?;
    let facts = Facts {
        suite: source.suite.clone(),
        glibc: glibc_of(&status).context("the base has no libc6")?,
    };
    let packed = work.path().join("base.tar.zst");
    let (from, to) = (root.clone(), packed.clone());
    tokio::task::spawn_blocking(move || pack(&from, &to))
        .await
        .context("failed to wait for packing")??;
    let facts = serde_json::to_vec(&facts).context("failed to write the base's facts")?;
    std::fs::write(facts_file, facts).context("failed to write to the cache")?;
    std::fs::rename(&packed, tarball).context("failed to write to the cache")
}

/// In namespaces of its own, so that nothing stays mounted or running when it is cut short.
async fn run_debootstrap(source: &Source, root: &Path, step: &Step) -> anyhow::Result<()> {
    let mut child = tokio::process::Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["debootstrap", "--variant=minbase"])
        .arg(format!("--include={PACKAGES}"))
        .arg(&source.suite)
        .arg(root)
        .arg(&source.mirror)
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start debootstrap in a namespace (unshare is part of util-linux)")?;
    let stdout = child
        .stdout
        .take()
        .context("failed to read what debootstrap says")?;
    let stderr = child
        .stderr
        .take()
        .context("failed to read what debootstrap says")?;
    let complaints = tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        let mut last = Vec::new();
        while let Ok(Some(line)) = lines.next_line().await {
            last.push(line);
        }
        last
    });
    let mut lines = BufReader::new(stdout).lines();
    let mut errors = Vec::new();
    while let Some(line) = lines
        .next_line()
        .await
        .context("failed to read what debootstrap says")?
    {
        if let Some(now) = line.strip_prefix("I: ") {
            step.tick(now);
        } else if line.starts_with("E: ") || line.starts_with("W: Failure") {
            errors.push(line);
        }
    }
    let status = child
        .wait()
        .await
        .context("failed to wait for debootstrap")?;
    errors.extend(complaints.await.unwrap_or_default());
    let tail = errors.len().saturating_sub(4);
    anyhow::ensure!(
        status.success(),
        "debootstrap of {} from {} failed ({status}; is it installed? apt install debootstrap): {}",
        source.suite,
        source.mirror,
        errors[tail..].join("; ")
    );
    Ok(())
}

/// What no container reads; the packages' licences stay.
fn trim(root: &Path) -> anyhow::Result<()> {
    let gone = [
        "var/cache/apt",
        "var/lib/apt/lists",
        "var/log",
        "usr/share/man",
        "usr/share/info",
        "usr/share/locale",
        "usr/share/lintian",
    ];
    for path in gone.map(|path| root.join(path)) {
        if !path.exists() {
            continue;
        }
        std::fs::remove_dir_all(&path)
            .and_then(|()| std::fs::create_dir(&path))
            .with_context(|| format!("failed to empty {}", path.display()))?;
    }
    keep_licences(&root.join("usr/share/doc"))
}

fn keep_licences(dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to trim {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_type().with_context(failed)?.is_dir() {
            keep_licences(&entry.path())?;
        } else if entry.file_name() != "copyright" {
            std::fs::remove_file(entry.path()).with_context(failed)?;
        }
    }
    Ok(())
}

/// `(2, 36)` from dpkg's `Version: 2.36-9+deb12u10` of libc6.
fn glibc_of(status: &str) -> Option<(u32, u32)> {
    let package = status
        .split("\n\n")
        .find(|p| p.lines().any(|line| line == "Package: libc6"))?;
    let version = package
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))?;
    let (major, rest) = version.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// tar knows owners, links and devices; the JVM's files alone are worth packing well.
fn pack(root: &Path, to: &Path) -> anyhow::Result<()> {
    let mut tar = std::process::Command::new("tar")
        .args([
            "--numeric-owner",
            "--one-file-system",
            "--sort=name",
            "--directory",
        ])
        .arg(root)
        .args(["--create", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start tar")?;
    let out = std::fs::File::create(to).context("failed to write to the cache")?;
    let from = tar.stdout.take().context("failed to read from tar")?;
    zstd::stream::copy_encode(from, out, 3).context("failed to pack the base")?;
    let status = tar.wait().context("failed to wait for tar")?;
    anyhow::ensure!(status.success(), "tar failed ({status})");
    Ok(())
}

/// The latest version of glibc that a program asks for.
pub fn glibc_needed(program: &Path) -> anyhow::Result<(u32, u32)> {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let bytes = crate::images::inventory::read(program)?;
    let versions = bytes.windows(PREFIX.len() + 2).filter_map(|window| {
        let digits = window.strip_prefix(PREFIX)?;
        let digits = digits.iter().take_while(|b| b.is_ascii_digit());
        let number: String = digits.map(|b| char::from(*b)).collect();
        number.parse::<u32>().ok()
    });
    Ok((2, versions.max().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_own_mirror_is_taken() {
        let targets = "http://m/debian/ bookworm-updates main\nhttp://s/sec/ bookworm-security main\n\
                       http://m/debian/ bookworm contrib\nhttp://m/debian/ bookworm main\n";
        assert_eq!(
            mirror_of(targets, "bookworm").as_deref(),
            Some("http://m/debian/")
        );
        assert_eq!(mirror_of(targets, "trixie"), None);
    }

    #[test]
    fn glibcs_version_is_read() {
        let status = "Package: libc-bin\nVersion: 1\n\nPackage: libc6\nStatus: x\nVersion: 2.36-9+deb12u10\n";
        assert_eq!(glibc_of(status), Some((2, 36)));
        assert_eq!(glibc_of("Package: other\n"), None);
    }

    #[test]
    fn a_programs_need_of_glibc_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, b"\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.2.5\0").unwrap();
        assert_eq!(glibc_needed(&path).unwrap(), (2, 34));
    }
}
