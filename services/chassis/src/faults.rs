//! Deliberate faults, for proving that the lab's verdicts see them.
//!
//! A service that is built with its feature `faults` has named points at which it can be held
//! ([`fail_point!`](crate::fail_point)) until somebody kills it, and deliberate defects
//! ([`mutant!`](crate::mutant)) of which one is chosen when it starts. Both macros come to nothing
//! without the feature: the binaries that people run contain neither.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Names the defect that a service is to have.
pub const MUTANT: &str = "EDALAB_MUTANT";
/// A folder: a file named like a fail point holds the first that reaches it.
pub const FOLDER: &str = "EDALAB_FAULTS_DIR";

/// True when this process was started with the defect of this name.
pub fn is_mutant(name: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var(MUTANT).ok());
    chosen.as_deref() == Some(name)
}

/// Goes on, unless the point is armed: then says who reached it, and waits to be killed or released.
pub async fn reach(point: &str) {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    let dir = DIR.get_or_init(|| std::env::var_os(FOLDER).map(PathBuf::from));
    let Some(dir) = dir else {
        return;
    };
    // Taken by renaming, so that whoever is started next is not held as well.
    let reached = dir.join(format!("{point}.reached"));
    if std::fs::rename(dir.join(point), &reached).is_ok() {
        tracing::warn!(point, "Held at a fail point");
        let _ = std::fs::write(&reached, std::process::id().to_string());
        // A held process still holds what it had: connections, locks, an open transaction.
        let release = dir.join(format!("{point}.release"));
        while !release.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// Whether this process has the deliberate defect of this name; never without the caller's feature
/// `faults`.
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        cfg!(feature = "faults") && $crate::faults::is_mutant($name)
    };
}

/// A place at which a process can be held; nothing without the caller's feature `faults`.
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        $crate::faults::reach($name).await;
    };
}
