//! Ctrl-C: the first asks for a clean stop, the second ends everything at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::components::docker::{Daemon, Owned};
use crate::process;
use crate::state::LabMemory;

/// A token that the first Ctrl-C or SIGTERM cancels. A second one kills this lab's processes and
/// ends xtask.
///
/// # Errors
/// When signals cannot be listened for.
pub fn on_ctrl_c(ctx: &Context) -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let (ctx, cancelled) = (ctx.clone(), token.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            if cancelled.is_cancelled() {
                ctx.out.line("Ends everything at once");
                process::end_marked(&ctx.lab_dir).await;
                kill_containers(&ctx).await;
                std::process::exit(130);
            }
            ctx.out
                .line("Stopping; Ctrl-C again ends everything at once");
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// A token that the first Ctrl-C or SIGTERM cancels; a second one ends xtask at once. For verbs with
/// labs of their own, which the next run of the verb removes.
///
/// # Errors
/// When signals cannot be listened for.
pub fn interrupted() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            if cancelled.is_cancelled() {
                std::process::exit(130);
            }
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// Best effort: the next run sweeps what is left.
async fn kill_containers(ctx: &Context) {
    if !LabMemory::load(&ctx.lab_dir).is_ok_and(|memory| memory.docker) {
        return;
    }
    if let Ok(daemon) = Daemon::connect().await
        && let Ok(owned) = Owned::list(&daemon, &ctx.lab_dir).await
    {
        let _ = owned.sweep(&daemon, &[]).await;
    }
}
