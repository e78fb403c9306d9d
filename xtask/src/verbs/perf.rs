//! `perf`: measure, against a baseline in the same run.

mod args;
mod ui;

use args::{
    AllArgs, BurstArgs, GatewayArgs, KneeArgs, LatencyArgs, ProducerArgs, RegistryArgs,
    SimulatedArgs, SinkArgs, UpArgs, chosen, job,
};
use ui::{UiArgs, run_ui};

use crate::Context;
use crate::perf::jobs::{self, How};
use crate::perf::report::{self, Report};

#[derive(Debug, clap::Args)]
pub struct PerfArgs {
    #[command(subcommand)]
    pub verb: PerfVerb,
    #[command(flatten)]
    pub how: HowArgs,
}

/// The same for every benchmark.
#[derive(Debug, clap::Args)]
pub struct HowArgs {
    /// Short runs: all benchmarks together take less than five minutes.
    #[arg(long, global = true)]
    pub quick: bool,
    /// On the lab that is up, instead of one of its own in a temporary folder.
    #[arg(long, global = true, conflicts_with = "keep")]
    pub here: bool,
    /// Leave its own lab up afterwards.
    #[arg(long, global = true)]
    pub keep: bool,
    /// Run the binaries that are there.
    #[arg(long, global = true)]
    pub no_build: bool,
    /// Fail when a goal is missed, not only a floor.
    #[arg(long, global = true)]
    pub check: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum PerfVerb {
    /// From the moment an event is due until it is visible in PostgreSQL, at a steady rate.
    Latency(LatencyArgs),
    /// How long a burst takes until the last of its events is visible.
    Burst(BurstArgs),
    /// Whether the simulator reaches the rate that is asked for.
    Throughput(SimulatedArgs),
    /// Whether memory, files, tasks, queues and latency stay what they are.
    Sustained(SimulatedArgs),
    /// How fast the simulator publishes, beside a bare librdkafka loop.
    Producer(ProducerArgs),
    /// The highest rate that the lab keeps, and its latency at 50 % and 80 % of it.
    Knee(KneeArgs),
    /// How fast bancaire drains a backlog into PostgreSQL, beside a plain COPY of the same rows.
    Sink(SinkArgs),
    /// How fast the registry gives schemas by id and takes new ones, and what memory it holds.
    Registry(RegistryArgs),
    /// How long starting the lab takes, and its memory at rest.
    Up(UpArgs),
    /// How long an event takes to a thousand WebSocket clients, and what a stalled one costs.
    Gateway(GatewayArgs),
    /// How the web page bears load: long tasks, heap, CPU, in Chromium.
    Ui(UiArgs),
    /// Every benchmark but `ui`, which needs a browser; prints a Markdown table.
    All(AllArgs),
    /// Two reports side by side: their folders, or the names of folders among the reports.
    Compare { a: String, b: String },
    /// Where the last report is.
    Report,
}

pub async fn run(ctx: &Context, args: &PerfArgs) -> anyhow::Result<()> {
    let quick = args.how.quick;
    let jobs = match &args.verb {
        PerfVerb::Compare { a, b } => {
            let ((_, a), (_, b)) = (Report::read(ctx, a)?, Report::read(ctx, b)?);
            println!("{}", report::compare(&a, &b));
            return Ok(());
        }
        PerfVerb::Report => {
            println!("{}", Report::last(ctx)?.join("report.html").display());
            return Ok(());
        }
        PerfVerb::Ui(ui) => return run_ui(ctx, &args.how, ui).await,
        PerfVerb::All(args) => chosen(args, quick)?,
        verb => job(verb, quick).into_iter().collect(),
    };
    let how = How {
        here: args.how.here,
        build: !args.how.no_build,
        keep: args.how.keep,
        quick,
    };
    let report = jobs::run(ctx, &jobs, how).await?;
    let dir = report.write(ctx)?;
    if ctx.json {
        ctx.print_json(&report)?;
    } else {
        for table in report.benchmarks.iter().filter_map(|b| b.table.as_ref()) {
            println!("\n{table}");
        }
        println!(
            "\n{}\nReport: {}",
            report.markdown(),
            dir.join("report.html").display()
        );
    }
    let mut failures = report.failures();
    if args.how.check {
        failures.extend(report.missed());
    }
    anyhow::ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}
