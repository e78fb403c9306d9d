//! What carries this lab's label: found, signalled, stopped and removed; nothing else is touched.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::future::try_join_all;

use super::{Daemon, LAB_LABEL, PART_LABEL, is_running};
use crate::process::Stopped;

/// A lab's things in the daemon, as of one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Id and component of every container.
    pub containers: Vec<(String, String)>,
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
}

impl Owned {
    pub async fn list(daemon: &Daemon, lab_dir: &Path) -> anyhow::Result<Self> {
        let label = format!("{LAB_LABEL}={}", lab_dir.display());
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let failed = "failed to ask the daemon for the lab's own";
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters);
        let containers = daemon
            .list_containers(Some(options.build()))
            .await
            .context(failed)?;
        let containers = containers.into_iter().filter_map(|container| {
            let mut labels = container.labels.unwrap_or_default();
            Some((container.id?, labels.remove(PART_LABEL).unwrap_or_default()))
        });
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        let networks = daemon.list_networks(Some(options)).await.context(failed)?;
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let volumes = daemon.list_volumes(Some(options)).await.context(failed)?;
        let volumes = volumes.volumes.unwrap_or_default().into_iter();
        Ok(Self {
            containers: containers.collect(),
            networks: networks
                .into_iter()
                .filter_map(|network| network.id)
                .collect(),
            volumes: volumes.map(|volume| volume.name).collect(),
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Removes every container except `keep`, and the networks when none is kept. Volumes stay.
    /// Returns the components whose containers went.
    pub async fn sweep(&self, daemon: &Daemon, keep: &[String]) -> anyhow::Result<Vec<String>> {
        let gone = self.containers.iter().filter(|(id, _)| !keep.contains(id));
        let gone: Vec<&(String, String)> = gone.collect();
        try_join_all(gone.iter().map(|(id, _)| remove(daemon, id))).await?;
        if gone.len() == self.containers.len() {
            for network in &self.networks {
                let removed = daemon.remove_network(network).await;
                unless_gone(removed).context("failed to remove the lab's network")?;
            }
        }
        Ok(gone
            .into_iter()
            .map(|(_, component)| component.clone())
            .collect())
    }

    /// Removes the volumes too. Returns their names.
    pub async fn remove_all(&self, daemon: &Daemon) -> anyhow::Result<Vec<String>> {
        self.sweep(daemon, &[]).await?;
        for volume in &self.volumes {
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            let removed = daemon.remove_volume(volume, Some(options)).await;
            unless_gone(removed)
                .with_context(|| format!("failed to remove the volume {volume}"))?;
        }
        Ok(self.volumes.clone())
    }
}

/// Stops a container cleanly, kills it at the deadline, and removes it.
///
/// # Errors
/// When the daemon does not answer or refuses.
pub async fn stop(daemon: &Daemon, id: &str, deadline: Duration) -> anyhow::Result<Stopped> {
    let ran = is_running(daemon, id).await?;
    let mut stopped = Stopped::WasGone;
    if ran {
        // A frozen one would not hear it.
        if is_paused(daemon, id).await {
            daemon
                .unpause_container(id)
                .await
                .context("failed to resume a container")?;
        }
        let options = StopContainerOptionsBuilder::default().t(deadline.as_secs() as i32);
        unless_gone(daemon.stop_container(id, Some(options.build())).await)
            .context("failed to stop a container")?;
        let state = daemon.inspect_container(id, None).await;
        let code = state.ok().and_then(|container| container.state?.exit_code);
        // 137 is how one that was killed ends.
        stopped = if code == Some(137) {
            Stopped::Killed
        } else {
            Stopped::Cleanly
        };
    }
    remove(daemon, id).await?;
    Ok(stopped)
}

/// Sends a signal to a container's process.
pub async fn signal(daemon: &Daemon, id: &str, signal: &str) -> anyhow::Result<()> {
    let options = KillContainerOptionsBuilder::default()
        .signal(signal)
        .build();
    daemon
        .kill_container(id, Some(options))
        .await
        .context("failed to signal a container")
}

/// Freezes all of a container's processes; one that is frozen already stays so.
pub async fn pause(id: &str) -> anyhow::Result<()> {
    let daemon = Daemon::connect().await?;
    match is_paused(&daemon, id).await {
        true => Ok(()),
        false => daemon
            .pause_container(id)
            .await
            .context("failed to pause a container"),
    }
}

/// Lets them go on.
pub async fn resume(id: &str) -> anyhow::Result<()> {
    let daemon = Daemon::connect().await?;
    match is_paused(&daemon, id).await {
        false => Ok(()),
        true => daemon
            .unpause_container(id)
            .await
            .context("failed to resume a container"),
    }
}

pub async fn is_paused(daemon: &Daemon, id: &str) -> bool {
    let container = daemon.inspect_container(id, None).await;
    container.ok().and_then(|container| container.state?.paused) == Some(true)
}

pub(super) async fn remove(daemon: &Daemon, id: &str) -> anyhow::Result<()> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    unless_gone(daemon.remove_container(id, Some(options)).await)
        .context("failed to remove a container")
}

/// What is gone already need not be removed, and what somebody else removes right now neither.
pub(super) fn unless_gone(result: Result<(), bollard::errors::Error>) -> anyhow::Result<()> {
    use bollard::errors::Error::DockerResponseServerError;
    match result {
        Err(DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        Err(DockerResponseServerError {
            status_code: 409,
            message,
        }) if message.contains("already in progress") => Ok(()),
        other => Ok(other?),
    }
}
