//! `services`: single parts of a lab that is up, by name. Kafka, PostgreSQL and the registry may
//! be named too, so that anything can be broken and mended.

use std::str::FromStr;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::Context;
use crate::components::Part;
use crate::lab::{self, Failures};

use super::up::StartArgs;

/// What the plan calls services; the registry is infrastructure there.
const SERVICES: [Part; 3] = [Part::Simulator, Part::Bancaire, Part::Gateway];

#[derive(Debug, clap::Args)]
pub struct ServicesArgs {
    #[command(subcommand)]
    pub verb: ServicesVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum ServicesVerb {
    /// Start what does not run; without names, every part of the lab.
    Up {
        names: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Stop cleanly; without names, simulator, bancaire and gateway.
    Down { names: Vec<String> },
    /// Stop, build and start; without names, simulator, bancaire and gateway.
    Restart {
        names: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Run several workers of bancaire, which share its partitions: `bancaire=3`.
    Scale {
        #[arg(value_name = "bancaire=N", value_parser = parse_scale)]
        workers: u32,
        #[command(flatten)]
        start: StartArgs,
    },
    /// End without warning, as kill -9 does.
    Kill {
        #[arg(required = true)]
        names: Vec<String>,
        /// Another signal: TERM, INT, STOP, CONT, …
        #[arg(long, default_value = "KILL", value_parser = parse_signal)]
        signal: Signal,
    },
    /// Suspend: it keeps its connections and answers nothing, until `resume`.
    Pause {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Let what was paused go on.
    Resume {
        #[arg(required = true)]
        names: Vec<String>,
    },
}

pub async fn run(ctx: &Context, args: &ServicesArgs) -> anyhow::Result<()> {
    match &args.verb {
        ServicesVerb::Up { names, start: how } => start(ctx, how, parts(names, &Part::ALL)?).await,
        ServicesVerb::Down { names } if names.is_empty() => {
            lab::stop_components(ctx, &SERVICES).await.map(drop)
        }
        ServicesVerb::Down { names } => lab::stop_named(ctx, names).await.map(drop),
        ServicesVerb::Restart { names, start: how } => {
            let parts = parts(names, &SERVICES)?;
            if names.is_empty() {
                lab::stop_components(ctx, &parts).await?;
            } else {
                lab::stop_named(ctx, names).await?;
            }
            start(ctx, how, parts).await
        }
        ServicesVerb::Scale {
            workers,
            start: how,
        } => scale(ctx, how, *workers).await,
        ServicesVerb::Kill { names, signal } => kill(ctx, names, *signal).await,
        ServicesVerb::Pause { names } => {
            pause(ctx, names, ("Paused", "paused"), lab::pause_component)
        }
        ServicesVerb::Resume { names } => {
            pause(ctx, names, ("Resumed", "resumed"), lab::resume_component)
        }
    }
}

/// The parts of these names, or `all` without any.
pub fn parts(names: &[String], all: &[Part]) -> anyhow::Result<Vec<Part>> {
    if names.is_empty() {
        return Ok(all.into());
    }
    names.iter().map(|name| Part::from_name(name)).collect()
}

/// Brings parts up, and returns when they are ready.
pub async fn start(ctx: &Context, how: &StartArgs, parts: Vec<Part>) -> anyhow::Result<()> {
    let lab = lab::up(ctx, how.options(ctx, parts)?).await?;
    if ctx.json {
        return ctx.print_json(&super::status::report(Some(lab)).await);
    }
    Ok(())
}

/// As many workers as `workers` says: the missing ones are started, the last ones stopped.
async fn scale(ctx: &Context, how: &StartArgs, workers: u32) -> anyhow::Result<()> {
    let now = ctx.lab()?.workers;
    if workers < now {
        lab::scale_down(ctx, workers).await?;
    }
    let mut options = how.options(ctx, vec![Part::Bancaire])?;
    options.workers = Some(workers);
    let lab = lab::up(ctx, options).await?;
    if ctx.json {
        return ctx.print_json(&super::status::report(Some(lab)).await);
    }
    Ok(())
}

/// From `bancaire=3`. Each topic has three partitions, but there are seven topics to share.
fn parse_scale(text: &str) -> Result<u32, String> {
    let count = text
        .strip_prefix("bancaire=")
        .and_then(|count| count.parse().ok());
    let count = count.filter(|count| (1..=21).contains(count));
    count.ok_or_else(|| "bancaire=N with N from 1 to 21 (one per partition)".into())
}

async fn kill(ctx: &Context, names: &[String], signal: Signal) -> anyhow::Result<()> {
    let mut failures = Failures(Vec::new());
    let mut signalled = Vec::new();
    for name in names {
        match lab::kill_component(ctx, name, signal).await {
            Ok(pid) => {
                if !ctx.json {
                    println!("Sent {signal} to {name} (pid {pid})");
                }
                signalled.push(json!({ "name": name, "pid": pid, "signal": signal.as_str() }));
            }
            Err(e) => failures.0.push(e),
        }
    }
    if ctx.json {
        ctx.print_json(&signalled)?;
    }
    failures.check()
}

/// Pauses or resumes, which is the same but for `act`.
fn pause(
    ctx: &Context,
    names: &[String],
    (said, action): (&str, &str),
    act: fn(&Context, &str) -> anyhow::Result<u32>,
) -> anyhow::Result<()> {
    let mut failures = Failures(Vec::new());
    let mut done = Vec::new();
    for name in names {
        match act(ctx, name) {
            Ok(pid) => {
                if !ctx.json {
                    println!("{said} {name} (pid {pid})");
                }
                done.push(json!({ "name": name, "pid": pid, "action": action }));
            }
            Err(e) => failures.0.push(e),
        }
    }
    if ctx.json {
        ctx.print_json(&done)?;
    }
    failures.check()
}

/// `KILL` and `SIGKILL` alike.
fn parse_signal(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    Signal::from_str(&name).map_err(|_| format!("{text:?} is not a signal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bancaire_scales() {
        assert_eq!(parse_scale("bancaire=3"), Ok(3));
        for text in ["bancaire=0", "gateway=2", "bancaire", "bancaire=22"] {
            assert!(parse_scale(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_with_and_without_their_prefix() {
        assert_eq!(parse_signal("kill"), Ok(Signal::SIGKILL));
        assert_eq!(parse_signal("SIGTERM"), Ok(Signal::SIGTERM));
        assert!(parse_signal("nope").is_err());
    }
}
