//! One cancellation token per process, cancelled by SIGTERM or SIGINT.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT.
///
/// A second signal ends the process at once, for a drain that hangs.
///
/// # Panics
/// When called outside a tokio runtime or when the handlers cannot be installed.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let mut term = signal(SignalKind::terminate()).expect("the SIGTERM handler is installable");
    let mut int = signal(SignalKind::interrupt()).expect("the SIGINT handler is installable");
    let cancelled = token.clone();
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if round > 0 {
                tracing::warn!("Stopping at once on a second signal");
                std::process::exit(130);
            }
            tracing::info!("Stopping on a signal");
            cancelled.cancel();
        }
    });
    token
}
