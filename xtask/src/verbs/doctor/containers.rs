//! What the Docker backend's containers hold at most.

use super::{Finding, ok};
use crate::Context;
use crate::components::docker::{self, Daemon};
use crate::state::LabState;

/// Measured: what the containers of the infrastructure held at most (`docker stats`, shared pages
/// counted once) with one broker, and with three, under 70 events per second.
const DOCKER_PEAK_MB: (u64, u64) = (190, 470);

/// The containers' memory: the running lab's own peak, else what was measured once.
pub(super) async fn memory(ctx: &Context) -> Finding {
    let (one, three) = DOCKER_PEAK_MB;
    let usual = format!(
        "a lab's containers peaked at {one} MB with one broker, {three} MB with three; limits are \
         infra/images.toml's"
    );
    let peaks = match LabState::load(&ctx.lab_dir) {
        Ok(Some(lab)) => container_peaks(&lab).await,
        _ => Vec::new(),
    };
    if peaks.is_empty() {
        return ok("containers", usual);
    }
    let each: Vec<String> = peaks
        .iter()
        .map(|(name, bytes)| format!("{name} {} MB", bytes >> 20))
        .collect();
    let sum: u64 = peaks.iter().map(|(_, bytes)| bytes >> 20).sum();
    let text = format!(
        "this lab's peaked at {sum} MB or less ({}); {usual}",
        each.join(", ")
    );
    ok("containers", text)
}

async fn container_peaks(lab: &LabState) -> Vec<(String, u64)> {
    let mut peaks = Vec::new();
    let Ok(daemon) = Daemon::connect().await else {
        return peaks;
    };
    for component in &lab.components {
        if let Some(id) = &component.container
            && let Some(peak) = docker::peak_memory(&daemon, id).await
        {
            peaks.push((component.name.clone(), peak));
        }
    }
    peaks
}
