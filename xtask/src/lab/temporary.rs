//! A lab of a command's own, in a temporary folder, beside the user's: gone when the command is.

use anyhow::Context as _;

use super::{UpOptions, down, up};
use crate::Context;
use crate::cli::Backend;

/// The context of an embedded lab that is up in a temporary folder.
#[derive(Debug)]
pub struct Temporary {
    pub ctx: Context,
}

impl Temporary {
    /// Starts it. What was started is stopped again when that fails.
    ///
    /// # Errors
    /// When the folder cannot be made or a part does not start.
    pub async fn start(ctx: &Context, name: &str, options: UpOptions) -> anyhow::Result<Self> {
        let lab = Self::prepare(ctx, name)?;
        match up(&lab.ctx, options).await {
            Ok(_) => Ok(lab),
            Err(e) => {
                // The first failure is what counts.
                let _ = lab.end().await;
                Err(e)
            }
        }
    }

    /// The folder of a lab that is not up yet, which PostgreSQL's user can enter.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prepare(ctx: &Context, name: &str) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("edalab-{name}-{}", std::process::id()));
        let failed = || format!("failed to make {}", dir.display());
        std::fs::create_dir_all(&dir).with_context(failed)?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&dir, mode).with_context(failed)?;
        Ok(Self {
            ctx: Context {
                lab_dir: dir,
                backend: Backend::Embedded,
                ..ctx.clone()
            },
        })
    }

    /// Stops it and removes its folder.
    ///
    /// # Errors
    /// When a part cannot be stopped, or something of the folder stays.
    pub async fn end(self) -> anyhow::Result<()> {
        down(&self.ctx).await?;
        let dir = &self.ctx.lab_dir;
        std::fs::remove_dir_all(dir).with_context(|| format!("failed to remove {}", dir.display()))
    }
}
