//! Stops parts, and ends what an xtask that was killed left behind.

use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::{Failures, lock};
use crate::Context;
use crate::components::Part;
use crate::components::docker::{Daemon, Owned};
use crate::process::{self, Identity, Stopped};
use crate::state::{ComponentState, LabMemory, LabState};

/// Stops everything and forgets it. Returns what was stopped, and how.
///
/// # Errors
/// Every part that could not be stopped; the others are.
pub async fn down(ctx: &Context) -> anyhow::Result<Vec<(String, Stopped)>> {
    // An empty folder must not come to be by asking whether there is a lab.
    if !ctx.lab_dir.exists() {
        return Ok(Vec::new());
    }
    let _lock = lock(ctx).await?;
    stop_everything(ctx).await
}

/// The same for a caller that holds the lock.
pub(crate) async fn stop_everything(ctx: &Context) -> anyhow::Result<Vec<(String, Stopped)>> {
    let stopped = match LabState::load(&ctx.lab_dir)? {
        Some(_) => stop_where(ctx, |_| true).await,
        None => Ok(Vec::new()),
    };
    // Also when one part could not be stopped.
    let orphans = end_orphans(ctx, &[]).await;
    let stopped = stopped?;
    orphans?;
    LabState::remove(&ctx.lab_dir)?;
    Ok(stopped)
}

/// Stops some parts. The lab stays up without them, and is forgotten with its last one.
///
/// # Errors
/// When no lab is up, or one does not stop.
pub async fn stop_components(
    ctx: &Context,
    parts: &[Part],
) -> anyhow::Result<Vec<(String, Stopped)>> {
    let _lock = lock(ctx).await?;
    ctx.lab()?;
    stop_where(ctx, |component| {
        component
            .part()
            .is_some_and(|(part, _)| parts.contains(&part))
    })
    .await
}

/// The same by name: a part's name stands for all of its instances, `kafka-2` for one.
///
/// # Errors
/// When there is no such part, no lab is up, or one does not stop.
pub async fn stop_named(ctx: &Context, names: &[String]) -> anyhow::Result<Vec<(String, Stopped)>> {
    for name in names {
        Part::from_name(name)?;
    }
    let _lock = lock(ctx).await?;
    ctx.lab()?;
    stop_where(ctx, |component| {
        let part = component.part().map(|(part, _)| part.name());
        names
            .iter()
            .any(|name| *name == component.name || Some(name.as_str()) == part)
    })
    .await
}

/// Keeps the first `count` workers of bancaire and stops the others.
///
/// # Errors
/// When no lab is up, or one does not stop.
pub async fn scale_down(ctx: &Context, count: u32) -> anyhow::Result<Vec<(String, Stopped)>> {
    let _lock = lock(ctx).await?;
    let mut lab = ctx.lab()?;
    lab.workers = count;
    lab.save(&ctx.lab_dir)?;
    stop_where(
        ctx,
        |component| matches!(component.part(), Some((Part::Bancaire, number)) if number > count),
    )
    .await
}

/// Stops services before what they write to, each group concurrently.
pub(super) async fn stop_where(
    ctx: &Context,
    pick: impl Fn(&ComponentState) -> bool,
) -> anyhow::Result<Vec<(String, Stopped)>> {
    let Some(mut lab) = LabState::load(&ctx.lab_dir)? else {
        return Ok(Vec::new());
    };
    let mut stopped = Vec::new();
    let mut failures = Failures(Vec::new());
    for services in [true, false] {
        let mut stopping = JoinSet::new();
        for component in lab.components.iter().filter(|component| pick(component)) {
            let Some((part, _)) = component.part() else {
                continue;
            };
            if part.is_service() != services {
                continue;
            }
            let component = component.clone();
            let step = ctx.out.step(&component.name, "stops");
            stopping.spawn(async move {
                let result = part.stop(&component).await;
                match &result {
                    Ok(Stopped::Cleanly) => step.done("stopped"),
                    Ok(Stopped::WasGone) => step.done("was already gone"),
                    Ok(Stopped::Killed) => step.done("killed, it did not stop by itself"),
                    Err(_) => step.fail("does not stop"),
                }
                (component.name, result)
            });
        }
        for (name, result) in stopping.join_all().await {
            match result {
                Ok(how) => stopped.push((name, how)),
                Err(e) => failures.0.push(e.context(format!("failed to stop {name}"))),
            }
        }
    }
    lab.components
        .retain(|component| !stopped.iter().any(|(name, _)| *name == component.name));
    let unknown = !failures.0.is_empty();
    if unknown || lab.components.iter().any(ComponentState::is_alive) {
        lab.save(&ctx.lab_dir)?;
    } else {
        // With the last part the network goes too.
        sweep_containers(ctx, &[]).await?;
        LabState::remove(&ctx.lab_dir)?;
    }
    failures.check()?;
    Ok(stopped)
}

/// Ends what is this lab's and not known: left by an xtask that was killed.
pub(super) async fn end_orphans(ctx: &Context, known: &[ComponentState]) -> anyhow::Result<()> {
    let identities: Vec<Identity> = known.iter().map(ComponentState::identity).collect();
    for (orphan, name) in process::marked(&ctx.lab_dir) {
        // PostgreSQL's children carry the marker too, and go with their server.
        let parents = process::ancestors(orphan.pid);
        if identities
            .iter()
            .any(|k| *k == orphan || parents.contains(&k.pid))
        {
            continue;
        }
        if orphan.is_alive() {
            ctx.out.line(format_args!(
                "Ends {name} (pid {}), which was left over",
                orphan.pid
            ));
            orphan.stop(Signal::SIGINT, Duration::from_secs(5)).await?;
        }
    }
    sweep_containers(ctx, known).await
}

/// Removes this lab's containers except the known ones; without any, its network as well.
async fn sweep_containers(ctx: &Context, known: &[ComponentState]) -> anyhow::Result<()> {
    if !LabMemory::load(&ctx.lab_dir).is_ok_and(|memory| memory.docker) {
        return Ok(());
    }
    let keep: Vec<String> = known
        .iter()
        .filter_map(|component| component.container.clone())
        .collect();
    let daemon = Daemon::connect()
        .await
        .context("this lab has things in Docker")?;
    let owned = Owned::list(&daemon, &ctx.lab_dir).await?;
    owned.sweep(&daemon, &keep).await.map(drop)
}
