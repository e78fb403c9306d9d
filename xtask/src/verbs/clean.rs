//! `clean`: remove the lab's data, and nothing that is not the lab's.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::Context;
use crate::components::docker::{Daemon, Owned};
use crate::lab;
use crate::process;
use crate::state::{ComponentState, LabMemory, LabState};

/// Everything that a lab writes into its folder. The lock goes last: it is held meanwhile.
const OWN: [&str; 10] = [
    "kafka",
    "broker",
    "postgres",
    "logs",
    "learn",
    "state.json",
    "state.json.new",
    "lab.json",
    "lab.json.new",
    "lock",
];

#[derive(Debug, clap::Args)]
pub struct CleanArgs {
    /// Stop the lab first when it is up.
    #[arg(long)]
    pub stop: bool,
}

pub async fn run(ctx: &Context, args: &CleanArgs) -> anyhow::Result<()> {
    let removed = remove(ctx, args.stop).await?;
    if ctx.json {
        return ctx.print_json(&json!({ "removed": removed }));
    }
    match removed.as_slice() {
        [] => println!("There is no lab in {}", ctx.lab_dir.display()),
        _ => removed.iter().for_each(|what| println!("Removed {what}")),
    }
    Ok(())
}

/// Removes it, with `stop` also when it is up; says what was removed.
///
/// # Errors
/// When it is up, or something cannot be removed.
pub async fn remove(ctx: &Context, stop_first: bool) -> anyhow::Result<Vec<String>> {
    let dir = &ctx.lab_dir;
    // Before anything of ours is written there: a folder named by mistake is not a lab.
    let is_lab = ["lab.json", "state.json", "lock"]
        .iter()
        .any(|name| dir.join(name).is_file());
    let mut removed = Vec::new();
    if is_lab {
        let _lock = lab::lock(ctx).await?;
        let in_state = LabState::load(dir).ok().flatten();
        let components = in_state.iter().flat_map(|lab| &lab.components);
        let runs = !process::marked(dir).is_empty()
            || components.into_iter().any(ComponentState::is_alive);
        anyhow::ensure!(
            !runs || stop_first,
            "the lab is up; `cargo xtask down` stops it, or use `cargo xtask clean --stop`"
        );
        if runs {
            stop(ctx).await?;
        }
        remove_from_daemon(ctx, &mut removed).await?;
        removed.extend(
            remove_all(dir)?
                .iter()
                .map(|path| path.display().to_string()),
        );
    } else {
        remove_from_daemon(ctx, &mut removed).await?;
    }
    Ok(removed)
}

/// What carries the lab's label in the daemon. A lab that never used one needs none; what is left
/// of one whose folder was removed by hand is still found when a daemon answers.
async fn remove_from_daemon(ctx: &Context, removed: &mut Vec<String>) -> anyhow::Result<()> {
    let used = LabMemory::load(&ctx.lab_dir).is_ok_and(|memory| memory.docker);
    let daemon = match Daemon::connect().await {
        Ok(daemon) => daemon,
        Err(_) if !used => return Ok(()),
        Err(e) => return Err(e).context("this lab has volumes in Docker"),
    };
    let owned = Owned::list(&daemon, &ctx.lab_dir).await?;
    if !used && owned.is_empty() {
        return Ok(());
    }
    let volumes = owned.remove_all(&daemon).await?;
    removed.extend(volumes.into_iter().map(|name| format!("the volume {name}")));
    Ok(())
}

async fn stop(ctx: &Context) -> anyhow::Result<()> {
    // A state that cannot be read is what one cleans for; then the processes' marker must do.
    if LabState::load(&ctx.lab_dir).is_err() {
        LabState::remove(&ctx.lab_dir)?;
    }
    lab::stop_everything(ctx).await.map(drop)
}

fn remove_all(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    // Outside the lab's folder there is at most PostgreSQL's, and only lab.json knows.
    let outside = LabMemory::load(dir)
        .ok()
        .and_then(|memory| memory.postgres_dir);
    let outside = outside.filter(|folder| !folder.starts_with(dir));
    for path in outside.into_iter().chain(OWN.map(|name| dir.join(name))) {
        let result = match std::fs::symlink_metadata(&path) {
            Err(_) => continue,
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
        };
        result.with_context(|| format!("failed to remove {}", path.display()))?;
        removed.push(path);
    }
    // It stays when something else is in it.
    let _ = std::fs::remove_dir(dir);
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_labs_own_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let lab = dir.path().join("lab");
        let outside = dir.path().join("outside");
        std::fs::create_dir_all(lab.join("kafka/data")).unwrap();
        std::fs::create_dir_all(lab.join("broker")).unwrap();
        std::fs::create_dir_all(outside.join("data")).unwrap();
        std::fs::write(lab.join("lock"), "").unwrap();
        let memory = LabMemory {
            postgres_dir: Some(outside.clone()),
            ..LabMemory::default()
        };
        memory.save(&lab).unwrap();
        std::fs::write(lab.join("notes.txt"), "mine").unwrap();
        let removed = remove_all(&lab).unwrap();
        assert_eq!(removed.len(), 5, "{removed:?}");
        assert!(!outside.exists());
        let left: Vec<_> = std::fs::read_dir(&lab).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        std::fs::remove_file(lab.join("notes.txt")).unwrap();
        remove_all(&lab).unwrap();
        assert!(!lab.exists());
    }
}
