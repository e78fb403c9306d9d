//! How the web page bears load, measured in the browser: long tasks and heap at a thousand events
//! a second, its share of a core at a hundred.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::findings::Goal;
use super::machine::{CpuTicks, Machine};
use crate::Context;
use crate::{npm, page};

/// What the page's own measurement writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measured {
    /// From the begin of its loading until it could be used.
    interactive_ms: f64,
    loads: Vec<Load>,
}

/// One rate of events.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Load {
    rate: f64,
    seconds: f64,
    longest_task_ms: f64,
    /// The same in the thread's own time, of another while.
    longest_own_ms: f64,
    long_tasks: u32,
    frames_per_second: f64,
    longest_frame_gap_ms: f64,
    heap_start_mb: f64,
    heap_end_mb: f64,
    /// The main thread's, of one core.
    cpu_share: f64,
}

/// What was found, with the goals beside it.
#[derive(Debug, Serialize)]
pub struct UiReport {
    pub benchmark: &'static str,
    pub at: DateTime<Utc>,
    pub machine: Machine,
    measured: Measured,
    pub steal_percent: f64,
    pub goals: Vec<Goal>,
}

impl UiReport {
    pub fn met(&self) -> bool {
        self.goals.iter().all(|goal| goal.found < goal.below)
    }

    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{:>8} {:>7} {:>11} {:>13} {:>7} {:>7} {:>11} {:>15} {:>7}",
            "EVENTS/s",
            "SECONDS",
            "LONG TASKS",
            "LONGEST ms",
            "OWN ms",
            "FRAMES",
            "LONGEST GAP",
            "HEAP MB",
            "CPU"
        )];
        for load in &self.measured.loads {
            let heap = format!("{:.1} → {:.1}", load.heap_start_mb, load.heap_end_mb);
            lines.push(format!(
                "{:>8} {:>7} {:>11} {:>13.0} {:>7.0} {:>5.0}/s {:>8.0} ms {heap:>15} {:>5.1} %",
                load.rate,
                load.seconds,
                load.long_tasks,
                load.longest_task_ms,
                load.longest_own_ms,
                load.frames_per_second,
                load.longest_frame_gap_ms,
                load.cpu_share * 100.0
            ));
        }
        lines.push(String::new());
        for Goal { what, found, below } in &self.goals {
            let verdict = if found < below { "met" } else { "MISSED" };
            lines.push(format!(
                "{what:<52} {found:>8.2}  goal < {below}: {verdict}"
            ));
        }
        lines.push(format!(
            "\nLong tasks are the browser's own entries (above 50 ms, by the clock, which also runs while \
             the lab has\nthe processor); OWN is the longest task without that, CPU the main thread's, both in \
             its own time. {:.0} % of the machine went to others.",
            self.steal_percent
        ));
        lines.join("\n")
    }
}

/// Measures the page of the lab of `ctx`, which is up; each rate for so many seconds.
///
/// # Errors
/// When the page cannot be built, there is no browser, or the measurement does not come to its end.
pub async fn run(ctx: &Context, seconds: u32) -> anyhow::Result<UiReport> {
    let lab = ctx.lab()?;
    let dir = page::folder(ctx).context("this tree has no web page")?;
    let step = ctx.out.step("ui", "builds the page");
    page::ensure_built(ctx, &dir, &step).await?;
    let browser = page::chromium()
        .await
        .context("Chromium was not found: apt install chromium, or name yours in CHROMIUM")?;
    let out = ctx.reports_dir().join("perf-ui.json");
    match std::fs::remove_file(&out) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("failed to remove {}", out.display()));
        }
        _ => {}
    }
    let env = [
        ("EDALAB_URL", lab.gateway_url()),
        ("EDALAB_PERF", "1".to_owned()),
        ("EDALAB_PERF_SECONDS", seconds.to_string()),
        ("EDALAB_PERF_OUT", out.display().to_string()),
        ("CHROMIUM", browser.display().to_string()),
    ];
    step.update(format_args!("measures, {seconds} s at each rate"));
    let before = CpuTicks::now();
    let args = ["run", "e2e", "--", "performance"];
    let ran = npm::run(&dir, &args, &env, |line| step.tick(line)).await?;
    let steal = CpuTicks::now().zip(before);
    anyhow::ensure!(ran.passed, "the measurement failed:\n{}", ran.tail());
    step.done("measured");
    let measured = read(&out)?;
    let goals = goals(&measured)?;
    Ok(UiReport {
        benchmark: "ui",
        at: Utc::now(),
        machine: Machine::look(&ctx.root, &ctx.lab_dir),
        measured,
        steal_percent: steal.map_or(0.0, |(now, then)| now.steal_since(then)),
        goals,
    })
}

fn read(path: &Path) -> anyhow::Result<Measured> {
    let failed = || format!("failed to read {}", path.display());
    let text = std::fs::read_to_string(path).with_context(failed)?;
    serde_json::from_str(&text).with_context(failed)
}

fn goals(measured: &Measured) -> anyhow::Result<Vec<Goal>> {
    let at = |rate: f64| {
        let mut loads = measured.loads.iter();
        let load = loads.find(|load| load.rate == rate);
        load.with_context(|| format!("nothing was measured at {rate} events/s"))
    };
    let (calm, busy) = (at(100.0)?, at(1000.0)?);
    let goal = |what, found, below| Goal { what, found, below };
    Ok(vec![
        goal("interactive, ms", measured.interactive_ms, 1000.0),
        goal(
            "longest task at 1,000 events/s, ms",
            busy.longest_task_ms,
            100.0,
        ),
        goal(
            "heap gained at 1,000 events/s, MB",
            busy.heap_end_mb - busy.heap_start_mb,
            5.0,
        ),
        goal(
            "CPU of the page at 100 events/s, % of a core",
            calm.cpu_share * 100.0,
            25.0,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(rate: f64) -> Load {
        Load {
            rate,
            seconds: 60.0,
            longest_task_ms: 99.0,
            longest_own_ms: 12.0,
            long_tasks: 3,
            frames_per_second: 60.0,
            longest_frame_gap_ms: 40.0,
            heap_start_mb: 10.0,
            heap_end_mb: 14.9,
            cpu_share: 0.24,
        }
    }

    #[test]
    fn each_goal_is_of_its_own_rate() {
        let mut measured = Measured {
            interactive_ms: 999.0,
            loads: vec![load(100.0), load(1000.0)],
        };
        let missed = |measured: &Measured| {
            let goals = goals(measured).unwrap().into_iter();
            let missed = goals.filter(|goal| goal.found >= goal.below);
            missed.map(|goal| goal.what).collect::<Vec<_>>()
        };
        assert!(missed(&measured).is_empty());
        measured.loads[0].longest_task_ms = 500.0;
        measured.loads[1].cpu_share = 0.9;
        assert!(missed(&measured).is_empty(), "these are not asked for");
        measured.loads[1].heap_end_mb = 15.1;
        assert_eq!(missed(&measured), ["heap gained at 1,000 events/s, MB"]);
        measured.loads.pop();
        assert!(goals(&measured).is_err());
    }
}
