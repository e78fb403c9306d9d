//! A small file system for PostgreSQL's data, which can be filled to the last byte.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::Context;

/// A file system in memory of a few hundred megabytes, mounted where PostgreSQL's data goes.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one. Only root may.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(ctx: &Context, megabytes: u64) -> anyhow::Result<Self> {
        let at = ctx.lab_dir.join("postgres");
        std::fs::create_dir_all(&at).with_context(|| format!("failed to make {}", at.display()))?;
        let size = format!("size={megabytes}m,mode=0755");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "edalab"])
            .arg(&at))?;
        Ok(Self { at })
    }

    /// Takes what is left of it.
    ///
    /// # Errors
    /// When it fails for another reason than that nothing is left.
    pub fn fill(&self) -> anyhow::Result<()> {
        let failed = "failed to fill the disk";
        let mut file = std::fs::File::create(self.ballast()).context(failed)?;
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            loop {
                match file.write(&block) {
                    Ok(n) if n == size => {}
                    Ok(_) => break,
                    Err(e) if e.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(e) => return Err(e).context(failed),
                }
            }
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When nothing was taken.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.ballast()).context("failed to free the disk")
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Unmounts what is mounted in a lab's folder; best effort.
    pub fn unmount_all(lab_dir: &Path) {
        let at = lab_dir.join("postgres");
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let is_there = |line: &str| line.split(' ').nth(1) == at.to_str();
        if mounts.lines().any(is_there) {
            let _ = run(Command::new("umount").arg(&at));
        }
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("failed to start mount")?;
    anyhow::ensure!(
        output.status.success(),
        "failed to mount: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
