//! `learn`: exercises on the live lab, with a judge.

use crate::Context;
use crate::learn::{self, EXERCISES, Exercise, Verdict};

#[derive(Debug, clap::Args)]
pub struct LearnArgs {
    #[command(subcommand)]
    pub verb: LearnVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum LearnVerb {
    /// Show the exercises and which are under way.
    List,
    /// Remember how the lab is now, and show the question.
    Start {
        /// Such as 01-3.
        id: String,
    },
    /// Judge what happened since the start.
    Check {
        /// Such as 01-3.
        id: String,
    },
    /// Forget the start; without an id, of every exercise.
    Reset {
        /// Such as 01-3.
        id: Option<String>,
    },
}

pub async fn run(ctx: &Context, args: &LearnArgs) -> anyhow::Result<()> {
    match &args.verb {
        LearnVerb::List => list(ctx),
        LearnVerb::Start { id } => start(ctx, learn::find(id)?).await,
        LearnVerb::Check { id } => check(ctx, learn::find(id)?).await,
        LearnVerb::Reset { id } => reset(ctx, id.as_deref()),
    }
}

fn list(ctx: &Context) -> anyhow::Result<()> {
    if ctx.json {
        let all: Vec<_> = EXERCISES
            .iter()
            .map(|exercise| {
                serde_json::json!({
                    "id": exercise.id,
                    "title": exercise.title,
                    "question": exercise.question,
                    "started": learn::is_started(ctx, exercise),
                })
            })
            .collect();
        return ctx.print_json(&all);
    }
    for exercise in &EXERCISES {
        let mark = if learn::is_started(ctx, exercise) {
            "under way"
        } else {
            ""
        };
        println!("{}  {:24} {mark}", exercise.id, exercise.title);
    }
    println!("\nThe steps are in docs/patterns/01-pub-sub.md");
    Ok(())
}

async fn start(ctx: &Context, exercise: &'static Exercise) -> anyhow::Result<()> {
    learn::start(ctx, exercise).await?;
    if ctx.json {
        return ctx.print_json(&serde_json::json!({ "id": exercise.id, "started": true }));
    }
    println!("{} {}", exercise.id, exercise.title);
    println!("Think first: {}", exercise.question);
    println!(
        "The steps are in docs/patterns/01-pub-sub.md; then: cargo xtask learn check {}",
        exercise.id
    );
    Ok(())
}

async fn check(ctx: &Context, exercise: &'static Exercise) -> anyhow::Result<()> {
    let verdict = learn::check(ctx, exercise).await?;
    if ctx.json {
        ctx.print_json(&verdict)?;
    } else {
        print(&verdict);
    }
    let missing = verdict.findings.iter().filter(|f| !f.passed).count();
    anyhow::ensure!(
        verdict.passed,
        "exercise {} is not done yet: {missing} of {} points are open",
        exercise.id,
        verdict.findings.len()
    );
    Ok(())
}

fn print(verdict: &Verdict) {
    for finding in &verdict.findings {
        let mark = if finding.passed { "ok  " } else { "open" };
        println!("{mark}  {}: {}", finding.what, finding.found);
        if !finding.passed {
            println!("      {}", finding.hint);
        }
    }
    if verdict.passed {
        println!("Exercise {} is passed", verdict.exercise);
    }
}

fn reset(ctx: &Context, id: Option<&str>) -> anyhow::Result<()> {
    let chosen: Vec<&Exercise> = match id {
        Some(id) => vec![learn::find(id)?],
        None => EXERCISES.iter().collect(),
    };
    let mut forgotten = Vec::new();
    for exercise in chosen {
        if learn::reset(ctx, exercise)? {
            forgotten.push(exercise.id);
        }
    }
    if ctx.json {
        return ctx.print_json(&forgotten);
    }
    match forgotten.as_slice() {
        [] => println!("Nothing was under way"),
        ids => println!("Forgotten: {}", ids.join(", ")),
    }
    Ok(())
}
