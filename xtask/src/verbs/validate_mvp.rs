//! `validate-mvp`: the plan's ten steps on a lab of its own, with a closing table.

use crate::Context;
use crate::validate::{self, Options};

#[derive(Debug, clap::Args)]
pub struct ValidateMvpArgs {
    /// Run the binaries that are there, instead of building the services first.
    #[arg(long)]
    pub no_build: bool,
    /// Every integration and end-to-end test, not only those that carry the plan's names.
    #[arg(long)]
    pub full: bool,
}

pub async fn run(ctx: &Context, args: &ValidateMvpArgs) -> anyhow::Result<()> {
    let options = Options {
        build: !args.no_build,
        full: args.full,
    };
    let report = validate::run(ctx, options).await?;
    report.write()?;
    if ctx.json {
        ctx.print_json(&report.json())?;
        report.print(&mut std::io::stderr())?;
    } else {
        report.print(&mut std::io::stdout())?;
    }
    report.check()
}
