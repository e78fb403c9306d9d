//! Where an experiment's lab lives, and how it goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::SmallDisk;
use crate::components::Part;
use crate::output::Output;
use crate::ports::{self, PortPolicy};
use crate::process::{self, Identity};
use crate::verbs::clean;
use crate::{Context, lab};

/// The front of the name of each experiment's folder; the pid of its owner follows.
const PREFIX: &str = "edalab-chaos-";

/// A folder that PostgreSQL's user may pass, whoever that is.
pub(super) fn new_folder() -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("{PREFIX}{}-{number}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let made = std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)));
    made.with_context(|| format!("failed to create {}", dir.display()))?;
    Ok(dir)
}

/// Stops a lab and removes its folder, and what was mounted below it.
pub(super) async fn remove(ctx: &Context) -> anyhow::Result<()> {
    lab::down(ctx).await?;
    SmallDisk::unmount_all(&ctx.lab_dir);
    clean::remove(ctx, true).await?;
    let left = process::marked(&ctx.lab_dir);
    anyhow::ensure!(
        left.is_empty(),
        "processes are left of {}: {left:?}",
        ctx.lab_dir.display()
    );
    match std::fs::remove_dir_all(&ctx.lab_dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", ctx.lab_dir.display()))
        }
        _ => Ok(()),
    }
}

/// Ends what experiments left behind that were killed themselves.
///
/// # Errors
/// When something does not end.
pub async fn sweep(ctx: &Context) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(std::env::temp_dir())?.flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(owner_of) else {
            continue;
        };
        if Identity::of(owner).is_none() && is_ours(&entry.path()) {
            ctx.out.line(format_args!(
                "Removes {}, which an experiment left behind",
                entry.path().display()
            ));
            let mut own = ctx.clone();
            own.lab_dir = entry.path();
            own.out = Output::silent();
            remove(&own).await?;
        }
    }
    Ok(())
}

fn owner_of(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .is_ok_and(|m| m.is_dir() && m.uid() == nix::unistd::geteuid().as_raw())
}

pub(super) fn free_ports() -> anyhow::Result<BTreeMap<String, u16>> {
    // All that the lab may need, so that none of them is chosen twice.
    let names = Part::ALL.map(Part::name).into_iter();
    let more = [
        "kafka_controller",
        "kafka-2",
        "kafka-3",
        "bancaire-2",
        "bancaire-3",
        "side",
    ];
    let wanted: Vec<(&str, u16)> = names.chain(more).map(|name| (name, 0)).collect();
    let none = BTreeMap::new();
    let chosen = ports::choose(&wanted, &none, &none, PortPolicy::Free, ports::is_free);
    let chosen = chosen.map_err(|_| anyhow::anyhow!("no free ports"))?;
    Ok(chosen.into_iter().map(|c| (c.name, c.port)).collect())
}
