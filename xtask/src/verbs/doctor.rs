//! `doctor`: what this machine lacks, what for, and how to get it.
//!
//! Nothing here is fatal for another verb: each names what it misses by itself. This page shows
//! all of it at once, and `--fix` installs what needs root.

mod containers;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::Serialize;

use crate::Context;
use crate::components::Part;
use crate::components::kafka::Java;
use crate::components::postgres::server_account;
use crate::ports;
use crate::process;
use crate::{npm, page};

/// Measured: the whole lab at rest, and some for a simulation and the compiler beside it.
const MEMORY_MB: u64 = 1_500;
/// Measured: the target folder after a build with tests, and the lab's data.
const DISK_MB: u64 = 8_000;

#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Install what is missing with apt (as root).
    #[arg(long)]
    pub fix: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// How to get it; empty when all is well.
    remedy: String,
    /// Debian's packages that mend it.
    #[serde(skip)]
    packages: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// The lab runs without it.
    Note,
    Missing,
}

pub async fn run(ctx: &Context, args: &DoctorArgs) -> anyhow::Result<()> {
    let mut findings = examine(ctx).await;
    if args.fix && install(ctx, &findings)? {
        findings = examine(ctx).await;
    }
    if ctx.json {
        ctx.print_json(&findings)?;
    } else {
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Missing => "MISSING",
            };
            println!("{mark:8} {:12} {}", finding.name, finding.found);
            if !finding.remedy.is_empty() {
                println!("{:21} → {}", "", finding.remedy);
            }
        }
    }
    let missing = findings.iter().filter(|f| f.verdict == Verdict::Missing);
    let missing: Vec<&str> = missing.map(|finding| finding.name).collect();
    anyhow::ensure!(missing.is_empty(), "missing: {}", missing.join(", "));
    Ok(())
}

/// What no lab can do without, whatever its broker, and how to get it.
pub fn missing_for_a_lab(ctx: &Context) -> Option<(String, String)> {
    lacking(vec![postgres(ctx), server_user()])
}

/// What Apache Kafka needs, and how to get it. The light broker needs none of it.
pub async fn missing_for_kafka(ctx: &Context) -> Option<(String, String)> {
    lacking(vec![java().await, kafka(ctx)])
}

/// The reasons and the remedies of what is missing among these.
fn lacking(findings: Vec<Finding>) -> Option<(String, String)> {
    let missing: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| finding.verdict == Verdict::Missing)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let list = |part: fn(&Finding) -> &str| -> String {
        missing.iter().map(part).collect::<Vec<_>>().join("; ")
    };
    Some((
        list(|finding| &finding.found),
        list(|finding| &finding.remedy),
    ))
}

async fn examine(ctx: &Context) -> Vec<Finding> {
    let mut findings = vec![
        tool(
            "cargo",
            &["--version"],
            "Rust",
            "install rustup: https://rustup.rs",
            &[],
        ),
        tool(
            "cc",
            &["--version"],
            "C compiler",
            "apt install build-essential",
            &["build-essential"],
        ),
        tool(
            "make",
            &["--version"],
            "make",
            "apt install make",
            &["make"],
        ),
        header("zlib", "zlib.h", "apt install zlib1g-dev", &["zlib1g-dev"]),
        header(
            "OpenSSL",
            "openssl/ssl.h",
            "apt install libssl-dev pkg-config",
            &["libssl-dev", "pkg-config"],
        ),
        without(java().await),
        without(kafka(ctx)),
        postgres(ctx),
    ];
    findings.extend([server_user(), memory(), disk(ctx)]);
    findings.extend(Part::ALL.map(|part| port(ctx, part)));
    let mut optional = [
        node(ctx).await,
        chromium().await,
        tool(
            "docker",
            &["--version"],
            "Docker",
            "only the Docker backend needs it: apt install docker.io",
            &[],
        ),
    ];
    for finding in &mut optional {
        if finding.verdict == Verdict::Missing {
            finding.verdict = Verdict::Note;
        }
    }
    findings.extend(optional);
    findings.push(containers::memory(ctx).await);
    findings
}

/// What only real Kafka needs: the light broker takes its place.
fn without(finding: Finding) -> Finding {
    if finding.verdict != Verdict::Missing {
        return finding;
    }
    Finding {
        verdict: Verdict::Note,
        remedy: format!(
            "{}; without it the lab runs on the light broker",
            finding.remedy
        ),
        ..finding
    }
}

fn ok(name: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        name,
        verdict: Verdict::Ok,
        found: found.into(),
        remedy: String::new(),
        packages: &[],
    }
}

fn missing(
    name: &'static str,
    found: impl Into<String>,
    remedy: impl Into<String>,
    packages: &'static [&'static str],
) -> Finding {
    Finding {
        name,
        verdict: Verdict::Missing,
        found: found.into(),
        remedy: remedy.into(),
        packages,
    }
}

/// A program that answers, with its first line.
fn tool(
    program: &str,
    args: &[&str],
    name: &'static str,
    remedy: &str,
    packages: &'static [&'static str],
) -> Finding {
    match first_line(program, args) {
        Some(line) => ok(name, line),
        None => missing(name, format!("{program} was not found"), remedy, packages),
    }
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// A C header, as the compiler finds it.
fn header(
    name: &'static str,
    header: &str,
    remedy: &str,
    packages: &'static [&'static str],
) -> Finding {
    let compiled = Command::new("cc")
        .args(["-E", "-x", "c", "-include", header, "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // macOS has its own TLS, and Homebrew's headers where only build scripts look.
    if cfg!(target_os = "macos") || compiled.is_ok_and(|status| status.success()) {
        ok(name, format!("{header} is there"))
    } else {
        missing(
            name,
            format!("the header {header} was not found"),
            remedy,
            packages,
        )
    }
}

async fn java() -> Finding {
    match Java::find().await {
        Ok(java) => ok(
            "Java",
            format!("Java {} ({})", java.major, java.program.display()),
        ),
        Err(e) => missing(
            "Java",
            format!("{e:#}"),
            "apt install openjdk-17-jre-headless, or set JAVA_HOME",
            &["openjdk-17-jre-headless"],
        ),
    }
}

async fn node(ctx: &Context) -> Finding {
    match npm::check_node(&ctx.root.join("web-ui")).await {
        Ok(()) => ok("Node", "it builds the web page"),
        Err(e) => {
            let remedy = format!("only the web page needs it: {}", e.remedy);
            missing("Node", e.reason, remedy, &[])
        }
    }
}

async fn chromium() -> Finding {
    match page::chromium().await {
        Some(program) => ok("Chromium", program.display().to_string()),
        None => missing(
            "Chromium",
            "chromium was not found",
            "only the web page's tests need it: apt install chromium",
            &["chromium"],
        ),
    }
}

fn kafka(ctx: &Context) -> Finding {
    if let Some(home) = std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
        let libs = PathBuf::from(home).join("libs");
        return if libs.is_dir() {
            ok("Kafka", format!("{} (KAFKA_HOME)", libs.display()))
        } else {
            missing(
                "Kafka",
                format!("{} is no folder", libs.display()),
                "correct KAFKA_HOME",
                &[],
            )
        };
    }
    let cache = ctx.cache_dir.join("kafka");
    if starts_with_in(&cache, "jars-") {
        return ok("Kafka", format!("its jars are in {}", cache.display()));
    }
    match first_line("mvn", &["--version", "-Dstyle.color=never", "--batch-mode"]) {
        Some(line) => ok("Kafka", format!("its jars will be fetched with {line}")),
        None => missing(
            "Kafka",
            "neither its jars nor Maven to fetch them",
            "apt install maven, or set KAFKA_HOME",
            &["maven"],
        ),
    }
}

fn postgres(ctx: &Context) -> Finding {
    let caches = [ctx.cache_dir.clone(), PathBuf::from("/var/cache/edalab")];
    if let Some(cache) = caches
        .iter()
        .find(|cache| starts_with_in(cache, "postgresql-"))
    {
        return ok(
            "PostgreSQL",
            format!("its binaries are in {}", cache.display()),
        );
    }
    ok("PostgreSQL", "its pinned binaries will be fetched (23 MB)")
}

fn starts_with_in(folder: &Path, prefix: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|e| e.file_name().to_string_lossy().starts_with(prefix))
}

fn server_user() -> Finding {
    match server_account() {
        Ok(None) => ok("user", "not root: PostgreSQL runs as you"),
        Ok(Some(account)) => ok(
            "user",
            format!("root: PostgreSQL runs as uid {}", account.uid),
        ),
        Err(e) => missing(
            "user",
            format!("{e:#}"),
            "run as another user, or `adduser postgres`",
            &[],
        ),
    }
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    match kb.map(|kb| kb / 1024) {
        None => ok("memory", "this system does not say"),
        Some(mb) if mb >= MEMORY_MB => ok("memory", format!("{mb} MB available")),
        Some(mb) => Finding {
            verdict: Verdict::Note,
            ..missing(
                "memory",
                format!("{mb} MB available"),
                format!("{MEMORY_MB} MB are comfortable; close something"),
                &[],
            )
        },
    }
}

fn disk(ctx: &Context) -> Finding {
    let existing = ctx
        .root
        .ancestors()
        .find(|dir| dir.is_dir())
        .unwrap_or(Path::new("/"));
    let Ok(stat) = nix::sys::statvfs::statvfs(existing) else {
        return ok("disk", "this system does not say");
    };
    // Wide enough for both factors of any system.
    let bytes = u128::from(stat.blocks_available()) * u128::from(stat.fragment_size());
    let mb = (bytes >> 20) as u64;
    if mb >= DISK_MB {
        return ok("disk", format!("{mb} MB free at {}", existing.display()));
    }
    Finding {
        verdict: Verdict::Note,
        ..missing(
            "disk",
            format!("{mb} MB free at {}", existing.display()),
            format!("a build with tests takes up to {DISK_MB} MB"),
            &[],
        )
    }
}

fn port(ctx: &Context, part: Part) -> Finding {
    let port = part.usual_port();
    if ports::is_free(port) {
        return ok("port", format!("{port} for {} is free", part.name()));
    }
    let ours = process::marked(&ctx.lab_dir);
    let owner = ports::owner(port);
    if ours
        .iter()
        .any(|(process, _)| owner.starts_with(&format!("pid {} ", process.pid)))
    {
        return ok(
            "port",
            format!("{port} for {} is the running lab's", part.name()),
        );
    }
    Finding {
        verdict: Verdict::Note,
        ..missing(
            "port",
            format!("{port} for {} is taken by {owner}", part.name()),
            "`up` takes a free one and says which",
            &[],
        )
    }
}

/// True when something was installed.
fn install(ctx: &Context, findings: &[Finding]) -> anyhow::Result<bool> {
    let lacking = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Missing);
    let packages: Vec<&str> = lacking
        .flat_map(|finding| finding.packages)
        .copied()
        .collect();
    if packages.is_empty() {
        ctx.out.line("Nothing that apt could install is missing");
        return Ok(false);
    }
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "only root may install: sudo apt-get install {}",
        packages.join(" ")
    );
    ctx.out
        .line(format_args!("Installing {}", packages.join(", ")));
    for args in [
        vec!["update", "-qq"],
        vec!["install", "-y", "--no-install-recommends"],
    ] {
        let is_install = args[0] == "install";
        let status = Command::new("apt-get")
            .args(&args)
            .args(is_install.then_some(&packages).into_iter().flatten())
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(std::io::stderr())
            .status()
            .context("failed to start apt-get")?;
        anyhow::ensure!(status.success(), "apt-get {} failed ({status})", args[0]);
    }
    Ok(true)
}
