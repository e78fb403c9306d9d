//! Parts of the lab as containers: Kafka, PostgreSQL and the registry, driven through the daemon's
//! API.
//!
//! [`daemon`] finds one, [`definition`] turns `infra/images.toml` into what a container is made
//! from, [`Stack`] starts them, [`own`] lists, stops and removes what carries this lab's label and
//! nothing else, [`watch`] says how a container is. For [`crate::lab`] a part is a process or a
//! container; what is the same for both lives there.

pub mod daemon;
mod definition;
mod own;
mod stack;
mod watch;

use anyhow::Context as _;

pub use daemon::Daemon;
pub use own::{Owned, is_paused, pause, resume, signal, stop};
pub use stack::{Stack, give, prefix};
pub use watch::{follow, is_running, is_running_now, log_lines, log_mark, memory, peak_memory};

/// On all that a lab makes: its folder.
pub const LAB_LABEL: &str = "edalab.lab";
/// On a container: the component's name, such as `kafka-2`.
pub const PART_LABEL: &str = "edalab.part";
/// On a container: the hash of what it was made from.
pub const DEFINITION_LABEL: &str = "edalab.definition";
/// On Kafka's volumes: the cluster that they belong to.
pub const CLUSTER_LABEL: &str = "edalab.cluster";

/// Runs `work` to its end from code that cannot wait: on a thread and a runtime of its own.
///
/// # Errors
/// What `work` says, or that no thread could be had.
pub fn blocking<T, F>(work: impl FnOnce() -> F + Send) -> anyhow::Result<T>
where
    T: Send,
    F: Future<Output = anyhow::Result<T>>,
{
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("failed to start a runtime")?
                .block_on(work())
        });
        thread
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the thread that asked the daemon panicked"))
    })
}
