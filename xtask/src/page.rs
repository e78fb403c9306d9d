//! The web page: whether it is built from its sources as they are, and building it. The lab runs
//! without it: the gateway then serves a page that says how to build one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest, Sha256};

use crate::Context;
use crate::components::kafka::jars::hex;
use crate::npm;
use crate::output::Step;
use crate::state::Lock;

/// What the page is made from, under `web-ui/`.
const SOURCES: [&str; 8] = [
    "src",
    "public",
    "scripts",
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
];
/// In the built page: the digest of what it was built from.
const STAMP: &str = ".built-from";
/// In `node_modules`: the digest of the lock file that it was fetched for.
const FETCHED: &str = ".fetched-for";
/// Another xtask may fetch over a slow network.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// The page's folder, if this tree has one.
pub fn folder(ctx: &Context) -> Option<PathBuf> {
    let dir = ctx.root.join("web-ui");
    dir.join("package.json").is_file().then_some(dir)
}

/// Builds the page unless it is there already. Says why not where that cannot be done, and nothing
/// more.
pub async fn ensure(ctx: &Context) {
    let Some(dir) = folder(ctx).filter(|dir| !is_current(dir)) else {
        return;
    };
    let step = ctx.out.step("page", "is built");
    match ensure_built(ctx, &dir, &step).await {
        Ok(()) => step.done("built"),
        Err(e) => {
            step.fail("not built; the lab runs without it");
            ctx.out.line(format_args!("The page is not built: {e:#}"));
        }
    }
}

/// True when what the gateway serves was built from the sources as they are.
pub fn is_current(dir: &Path) -> bool {
    let built_from = std::fs::read_to_string(dir.join("dist").join(STAMP));
    built_from.is_ok_and(|built_from| digest(dir, &SOURCES).is_ok_and(|now| now == built_from))
}

/// Fetches what the page needs, and builds it unless it is there already. What was served before is
/// served until then.
///
/// # Errors
/// When Node is missing or too old, or npm fails, with its last lines.
pub async fn ensure_built(ctx: &Context, dir: &Path, step: &Step) -> anyhow::Result<()> {
    npm::check_node(dir).await?;
    let _lock = lock(ctx, step).await?;
    install(dir, step).await?;
    if is_current(dir) {
        return Ok(());
    }
    step.update("bundles the page (npm run bundle)");
    // Before it is built: what changes meanwhile makes it outdated.
    let built_from = digest(dir, &SOURCES)?;
    let (args, env) = (["run", "bundle"], [("EDALAB_DIST", "dist.new".to_owned())]);
    let built = npm::run(dir, &args, &env, |line| step.tick(line)).await?;
    anyhow::ensure!(built.passed, "npm run bundle failed:\n{}", built.tail());
    let (new, dist, old) = (dir.join("dist.new"), dir.join("dist"), dir.join("dist.old"));
    let swap = || {
        std::fs::write(new.join(STAMP), &built_from)?;
        remove(&old)?;
        if dist.exists() {
            std::fs::rename(&dist, &old)?;
        }
        std::fs::rename(&new, &dist)?;
        remove(&old)
    };
    swap().with_context(|| format!("failed to put the new page at {}", dist.display()))
}

/// Fetches what `package-lock.json` names, unless that is there.
async fn install(dir: &Path, step: &Step) -> anyhow::Result<()> {
    let wanted = digest(dir, &["package.json", "package-lock.json"])?;
    let stamp = dir.join("node_modules").join(FETCHED);
    if std::fs::read_to_string(&stamp).is_ok_and(|fetched| fetched == wanted) {
        return Ok(());
    }
    step.update("fetches the page's packages (npm ci)");
    let fetched = npm::run(dir, &["ci"], &[], |line| step.tick(line)).await?;
    anyhow::ensure!(fetched.passed, "npm ci failed:\n{}", fetched.tail());
    std::fs::write(&stamp, wanted).with_context(|| format!("failed to write {}", stamp.display()))
}

/// One xtask at a time works in the page's folder.
async fn lock(ctx: &Context, step: &Step) -> anyhow::Result<Lock> {
    let dir = ctx.reports_dir().join("page");
    let waiting = |pid: &str| step.update(format_args!("another xtask (pid {pid}) builds it"));
    Lock::take(&dir, PATIENCE, waiting).await
}

/// The browser that the page is tested in: `CHROMIUM`, else what is in `PATH`.
pub async fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = |name: &str| {
        let mut places = std::env::split_paths(&path).map(|dir| dir.join(name));
        places.find(|place| place.is_file())
    };
    let named = std::env::var_os("CHROMIUM").filter(|name| !name.is_empty());
    let program = match named {
        Some(named) => PathBuf::from(named),
        None => ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find_map(in_path)?,
    };
    let answers = npm::version_of(&program).await.is_some();
    answers.then_some(program)
}

/// Of the names and contents of files and folders.
fn digest(dir: &Path, names: &[&str]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for name in names {
        add(&mut hash, dir, Path::new(name))
            .with_context(|| format!("failed to read {}", dir.join(name).display()))?;
    }
    Ok(hex(&hash.finalize()))
}

fn add(hash: &mut Sha256, dir: &Path, name: &Path) -> std::io::Result<()> {
    let path = dir.join(name);
    if path.is_dir() {
        let entries = std::fs::read_dir(&path)?.collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<PathBuf> = entries.iter().map(|e| name.join(e.file_name())).collect();
        names.sort();
        return names.iter().try_for_each(|name| add(hash, dir, name));
    }
    let content = std::fs::read(&path)?;
    hash.update(name.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update((content.len() as u64).to_be_bytes());
    hash.update(&content);
    Ok(())
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, rename, write};

    use super::*;

    #[test]
    fn a_page_is_current_until_a_source_changes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(!is_current(dir), "nothing is there");
        for name in SOURCES {
            match name.contains('.') {
                true => write(dir.join(name), name).unwrap(),
                false => create_dir_all(dir.join(name).join("deep")).unwrap(),
            }
        }
        create_dir_all(dir.join("dist")).unwrap();
        assert!(!is_current(dir), "nothing is built");
        let build = || write(dir.join("dist").join(STAMP), digest(dir, &SOURCES).unwrap()).unwrap();
        build();
        assert!(is_current(dir));
        let source = dir.join("src/deep/a.ts");
        write(&source, "a").unwrap();
        assert!(!is_current(dir), "a file is new");
        build();
        write(&source, "b").unwrap();
        assert!(!is_current(dir), "a file is another");
        build();
        rename(&source, dir.join("src/deep/b.ts")).unwrap();
        assert!(!is_current(dir), "a file has another name");
        build();
        remove_file(dir.join("src/deep/b.ts")).unwrap();
        assert!(!is_current(dir), "a file is gone");
        write(dir.join("unrelated.txt"), "x").unwrap();
        build();
        assert!(is_current(dir));
    }
}
