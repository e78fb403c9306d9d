//! `perf gateway` and `perf ui`: what those who watch the lab see, with reports of their own.

use anyhow::Context as _;

use super::HowArgs;
use crate::Context;
use crate::components::Part;
use crate::junit::write_file;
use crate::perf::gateway::{self, GatewayOptions};
use crate::perf::lab::{Own, on_own};
use crate::perf::ui;

#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    /// Clients that watch every topic.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_990))]
    pub clients: u32,
    /// Events per second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// How long a round takes, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Rounds with a stalled client, and as many without.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
}

#[derive(Debug, clap::Args)]
pub struct UiArgs {
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    pub seconds: u32,
}

pub async fn run_gateway(ctx: &Context, how: &HowArgs, args: &GatewayArgs) -> anyhow::Result<()> {
    let options = GatewayOptions {
        clients: args.clients as usize,
        rate: args.rate,
        seconds: args.seconds,
        rounds: args.rounds,
    };
    let measure = async |on: &Context| gateway::run(on, options).await;
    let report = on_whole_lab(ctx, how, measure).await?;
    judged(ctx, &report, "gateway", &report.text(), report.met())
}

pub async fn run_ui(ctx: &Context, how: &HowArgs, args: &UiArgs) -> anyhow::Result<()> {
    let measure = async |on: &Context| ui::run(on, args.seconds).await;
    let report = on_whole_lab(ctx, how, measure).await?;
    judged(ctx, &report, "ui", &report.text(), report.met())
}

async fn on_whole_lab<T>(
    ctx: &Context,
    how: &HowArgs,
    measure: impl AsyncFnOnce(&Context) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if how.here {
        return measure(ctx).await;
    }
    let own = Own {
        parts: Part::ALL.into(),
        build: !how.no_build,
        keep: how.keep,
    };
    on_own(ctx, own, measure).await
}

/// Prints and writes a report whose goals decide how the verb ends.
fn judged(
    ctx: &Context,
    report: &impl serde::Serialize,
    name: &str,
    text: &str,
    met: bool,
) -> anyhow::Result<()> {
    let stamp = chrono::Utc::now().format("%Y%m%d-%H%M%S");
    let dir = ctx.reports_dir().join(format!("perf-{name}-{stamp}"));
    let json = serde_json::to_string_pretty(report).context("failed to write the report")?;
    write_file(&dir.join("report.json"), &json)?;
    write_file(&dir.join("report.txt"), text)?;
    if ctx.json {
        ctx.print_json(report)?;
    } else {
        println!("\n{text}\nReports: {}", dir.display());
    }
    anyhow::ensure!(met, "a goal is missed");
    Ok(())
}
