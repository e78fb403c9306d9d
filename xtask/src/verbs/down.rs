//! `down`: stop the lab, keep its data.

use std::time::Instant;

use serde_json::json;

use crate::Context;
use crate::lab;

#[derive(Debug, clap::Args)]
pub struct DownArgs {}

pub async fn run(ctx: &Context, _args: &DownArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    let stopped = lab::down(ctx).await?;
    let took = began.elapsed();
    if ctx.json {
        let names: Vec<&str> = stopped.iter().map(|(name, _)| name.as_str()).collect();
        return ctx.print_json(&json!({ "stopped": names, "seconds": took.as_secs_f64() }));
    }
    if stopped.is_empty() {
        println!("No lab is up");
    } else {
        println!("The lab is down after {:.1} s", took.as_secs_f64());
    }
    Ok(())
}
