//! `perf ui`: what the page itself measures in a browser, with a report of its own.

use anyhow::Context as _;

use super::HowArgs;
use crate::Context;
use crate::components::Part;
use crate::junit::write_file;
use crate::perf::lab::{Own, on_own};
use crate::perf::ui;

#[derive(Debug, clap::Args)]
pub struct UiArgs {
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    pub seconds: u32,
}

/// Prints and writes a report whose goals decide how the verb ends.
pub async fn run_ui(ctx: &Context, how: &HowArgs, args: &UiArgs) -> anyhow::Result<()> {
    let measure = async |on: &Context| ui::run(on, args.seconds).await;
    let report = if how.here {
        measure(ctx).await?
    } else {
        let own = Own {
            parts: Part::ALL.into(),
            build: !how.no_build,
            keep: how.keep,
        };
        on_own(ctx, own, measure).await?
    };
    let stamp = chrono::Utc::now().format("%Y%m%d-%H%M%S");
    let dir = ctx.reports_dir().join(format!("perf-ui-{stamp}"));
    let json = serde_json::to_string_pretty(&report).context("failed to write the report")?;
    write_file(&dir.join("report.json"), &json)?;
    write_file(&dir.join("report.txt"), &report.text())?;
    if ctx.json {
        ctx.print_json(&report)?;
    } else {
        println!("\n{}\nReports: {}", report.text(), dir.display());
    }
    anyhow::ensure!(report.met(), "a goal is missed");
    Ok(())
}
