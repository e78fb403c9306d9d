//! `verify`: was anything lost, doubled or reordered? Non-zero when an invariant is broken.

use std::time::Duration;

use crate::Context;
use crate::verify::settle::parse_duration;
use crate::verify::{self, Options};

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// How long to wait until nothing moves any more.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub settle: Duration,
    /// Do not compare record by record when the logs hold more records than this.
    #[arg(long, default_value_t = Options::default().read_back_limit, value_name = "RECORDS")]
    pub read_back_limit: i64,
}

pub async fn run(ctx: &Context, args: &VerifyArgs) -> anyhow::Result<()> {
    let lab = ctx.lab()?;
    let options = Options {
        settle: args.settle,
        read_back_limit: args.read_back_limit,
    };
    let step = ctx.out.step("verify", "asks the lab");
    let report = verify::judge(&lab, options, &step).await?;
    if report.passed {
        step.done("every invariant that could be judged holds");
    } else {
        step.fail("an invariant is broken");
    }
    report.write(&ctx.reports_dir())?;
    if ctx.json {
        ctx.print_json(&report)?;
    } else {
        report.print();
    }
    report.check()
}
