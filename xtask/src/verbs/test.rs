//! `test`: builds and runs every test that this machine can run.

use std::collections::BTreeSet;
use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::testing::suites::Group;
use crate::testing::{self, report::Report};

#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Which tests.
    #[arg(value_enum, default_value = "all")]
    pub groups: Vec<Group>,
    /// Only Rust tests whose name contains this.
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
}

pub async fn run(ctx: &Context, args: &TestArgs) -> anyhow::Result<()> {
    let mut groups: BTreeSet<Group> = args.groups.iter().copied().collect();
    if groups.remove(&Group::All) {
        groups.extend([Group::Unit, Group::Integration, Group::E2e, Group::Ui]);
    }
    let stop = on_interrupt()?;
    let report = testing::run(ctx, &groups, args.filter.as_deref(), &stop).await;
    let report = match report {
        Ok(report) => report,
        Err(e) => {
            // So that who reads only the last line does not take silence for success.
            println!("{e:#}\n0 passed, 1 failed");
            anyhow::bail!("the tests could not be run to their end");
        }
    };
    report.write()?;
    tell(ctx, &report)?;
    report.check()
}

fn tell(ctx: &Context, report: &Report) -> anyhow::Result<()> {
    if ctx.json {
        ctx.print_json(&report.json())?;
        report.print(&mut std::io::stderr())?;
    } else {
        let mut out = std::io::stdout();
        report.print(&mut out)?;
        out.flush()?;
    }
    Ok(())
}

/// Cancelled by Ctrl-C or SIGTERM. The tests end, and their labs with them.
fn on_interrupt() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
