//! `docs`: writes what is generated from the code and committed: the reference pages, OpenAPI,
//! AsyncAPI, Grafana's dashboards, the map of the plan's tests.
//!
//! Each has a test that generates it and refuses a committed copy that differs; `UPDATE=1` lets it
//! write. So what is written is what is checked.

use std::process::Stdio;

use anyhow::Context as _;

use crate::Context;
use crate::cargo;

/// Those tests, by parts of their names, and where they are.
const TESTS: &str = "test --workspace --lib --test documents --test plan --no-fail-fast -- \
                     asyncapi openapi dashboards_are_current reference every_name_of_the_plan";

#[derive(Debug, clap::Args)]
pub struct DocsArgs {}

pub async fn run(ctx: &Context, _args: &DocsArgs) -> anyhow::Result<()> {
    let step = ctx
        .out
        .step("docs", "generates what is generated from the code");
    let output = tokio::process::Command::new(cargo::program())
        .args(TESTS.split_whitespace())
        .env("UPDATE", "1")
        .current_dir(&ctx.root)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run cargo")?;
    if output.status.success() {
        step.done("what differed from the code is written anew; `git status` says what");
        return Ok(());
    }
    step.fail("not everything could be generated");
    let said = [output.stdout, output.stderr].concat();
    anyhow::bail!("{}", String::from_utf8_lossy(&said).trim());
}
