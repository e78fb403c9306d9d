//! What these tests need beside the lab: real clients from PyPI and npm, and a second registry
//! from Maven Central. They are fetched once, into the user's cache folder.
//!
//! Where a tool or a package registry is missing, a test says so and is skipped; under CI it fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use xtask::cli::Backend;

/// The folder of the clients' scripts and of what they need, in the tree.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/registry")
}

/// What a set-up gave, or nothing where that is allowed.
#[track_caller]
pub fn required<T>(what: &str, result: anyhow::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) if std::env::var_os("CI").is_some() => panic!("{what} cannot be set up: {e:#}"),
        Err(e) => {
            eprintln!("Skipped: {what} cannot be set up here: {e:#}");
            None
        }
    }
}

/// A virtual environment of Python with the packages of `requirements.txt`; its `bin` folder.
pub fn python() -> anyhow::Result<PathBuf> {
    let requirements = sources().join("requirements.txt");
    let dir = prepare("python", &[&requirements], |dir| {
        run(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        run(pip.arg(&requirements))
    })?;
    Ok(dir.join("bin"))
}

/// A folder with the modules of `package-lock.json`, for `NODE_PATH`.
pub fn node_modules() -> anyhow::Result<PathBuf> {
    let files = ["package.json", "package-lock.json"].map(|name| sources().join(name));
    let dir = prepare("node", &[&files[0], &files[1]], |dir| {
        std::fs::create_dir_all(dir)?;
        for file in &files {
            std::fs::copy(file, dir.join(file.file_name().expect("it is a file")))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(npm.current_dir(dir))
    })?;
    Ok(dir.join("node_modules"))
}

/// Apicurio's registry, unpacked; the folder with its jar.
pub fn apicurio() -> anyhow::Result<PathBuf> {
    let pins = sources().join("apicurio.sha256");
    prepare("apicurio", &[&pins], |dir| {
        let pins = std::fs::read_to_string(&pins)?;
        let (hash, name) = pins
            .trim()
            .split_once("  ")
            .context("it is a hash and a name")?;
        let version = name
            .strip_prefix("apicurio-registry-app-")
            .and_then(|name| name.strip_suffix("-all.tar.gz"))
            .context("the name has a version")?;
        std::fs::create_dir_all(dir)?;
        let artifact = format!("io.apicurio:apicurio-registry-app:{version}:tar.gz:all");
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "dependency:copy"]);
        maven.arg(format!("-Dartifact={artifact}"));
        run(maven
            .arg(format!("-DoutputDirectory={}", dir.display()))
            .current_dir(dir))?;
        let sum = Command::new("sha256sum").arg(dir.join(name)).output()?;
        let found = String::from_utf8_lossy(&sum.stdout);
        ensure!(found.starts_with(hash), "{name} has the hash {found}");
        run(Command::new("tar").arg("-xzf").arg(name).current_dir(dir))?;
        Ok(std::fs::remove_file(dir.join(name))?)
    })
}

/// A folder in the cache that `make` filled, once for each content of `inputs`.
fn prepare(
    name: &str,
    inputs: &[&Path],
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = xtask::Context::new(false, Backend::Embedded)?.cache_dir;
    let cache = cache.join("registry-clients");
    std::fs::create_dir_all(&cache)?;
    // Other test processes wait for the first, and find what it made.
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock().context("failed to lock the cache")?;
    let (dir, made_of) = (cache.join(name), cache.join(format!("{name}.inputs")));
    let mut wanted = String::new();
    for input in inputs {
        wanted += &std::fs::read_to_string(input)
            .with_context(|| format!("failed to read {}", input.display()))?;
    }
    if std::fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == wanted) {
        return Ok(dir);
    }
    for old in [&dir, &made_of] {
        let removed = if old.is_dir() {
            std::fs::remove_dir_all(old)
        } else {
            remove_file(old)
        };
        removed.with_context(|| format!("failed to remove {}", old.display()))?;
    }
    make(&dir)?;
    std::fs::write(&made_of, wanted)?;
    Ok(dir)
}

fn remove_file(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Runs a command to its good end.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

/// Runs a command to its good end; what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to run {name}"))?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{name} failed: {out}\n{err}");
    Ok(out.into_owned())
}

/// A process that ends with its owner.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
