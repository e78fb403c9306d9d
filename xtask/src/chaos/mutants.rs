//! Proves the proof: with each of these deliberate defects in a service, a fault that the sound
//! service survives must break the lab, and be seen. A suite that passes a broken lab says nothing.
//!
//! The defects are in the services' sources, at `chassis::mutant!`, and only in binaries that are
//! built with the feature `faults`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::build::Programs;
use super::lab::{self, ChaosLab, Shape};
use super::run::{self, Outcome, Verdict};
use super::scenario::{self, Fault, Time};
use super::{Options, random_seed, ready};
use crate::Context;
use crate::junit::{self, Case, Suite};

/// A defect, and the cheapest fault that shows it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Mutant {
    pub name: &'static str,
    pub defect: &'static str,
    pub fault: &'static str,
    pub quick: bool,
}

const fn mutant(
    name: &'static str,
    defect: &'static str,
    fault: &'static str,
    quick: bool,
) -> Mutant {
    Mutant {
        name,
        defect,
        fault,
        quick,
    }
}

/// Every defect, those of the same fault together.
pub const MUTANTS: [Mutant; 15] = [
    mutant(
        "wrong-balance-on-withdrawal",
        "a withdrawal takes a cent too little",
        "backlog",
        true,
    ),
    mutant(
        "fold-out-of-order",
        "a batch is applied from its end to its beginning",
        "backlog",
        false,
    ),
    mutant(
        "allow-overdraft",
        "a withdrawal beyond the balance is accepted",
        "backlog",
        false,
    ),
    mutant(
        "reject-silently",
        "a refused event leaves no row",
        "backlog",
        false,
    ),
    mutant(
        "lose-outbox-row",
        "a transfer is debited and its credit is never published",
        "backlog",
        false,
    ),
    mutant(
        "ack-before-broker",
        "the producer calls an event acknowledged before the broker has answered",
        "backlog",
        false,
    ),
    mutant(
        "forget-dedupe",
        "nobody looks whether an event was there before",
        "duplicates",
        false,
    ),
    mutant(
        "credit-twice-on-replay",
        "a repeated deposit moves the balance again",
        "duplicates",
        true,
    ),
    mutant(
        "swallow-poison",
        "what cannot be read is skipped without a dead letter",
        "poison-values",
        true,
    ),
    mutant(
        "cut-dead-letters",
        "a dead letter lacks the last byte of its original",
        "poison-values",
        false,
    ),
    mutant(
        "skip-parking",
        "an event that comes before its account is refused at once",
        "permuted",
        false,
    ),
    mutant(
        "commit-offsets-first",
        "the stored offsets are committed before the rows are written",
        "kill-before-copy",
        true,
    ),
    mutant(
        "relay-deletes-first",
        "the outbox forgets a credit before the broker has it",
        "kill-before-relay",
        false,
    ),
    mutant(
        "forget-compare-and-set",
        "a batch moves the stored offsets without looking where they are",
        "zombie-poison",
        false,
    ),
    mutant(
        "forget-doubt-and-offsets",
        "after a lost answer the batch is simply done again, wherever the offsets are",
        "lost-commit-reply",
        false,
    ),
];

/// What came of one defect.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    pub name: String,
    pub defect: String,
    pub fault: String,
    pub seed: u64,
    /// The fault broke the lab, as it should.
    pub killed: bool,
    /// What was seen; for the sound services, what should not have been.
    pub by: Vec<String>,
    pub took_ms: u64,
    pub outcome: Outcome,
}

/// Runs the defects of these names, or all; before them the sound services, built the same way.
///
/// # Errors
/// When there is no such defect, or the services do not build.
pub async fn run(
    ctx: &Context,
    names: &[String],
    quick: bool,
    options: &Options,
) -> anyhow::Result<Vec<Judged>> {
    let chosen = choose(names, quick)?;
    lab::sweep(ctx).await?;
    let programs = Programs::prepare(ctx, true, options.build).await?;
    let faults: BTreeSet<&str> = chosen.iter().map(|mutant| mutant.fault).collect();
    let mut found = BTreeMap::new();
    for name in faults {
        found.insert(name, scenario::find(ctx, name)?);
    }
    let mut current = None;
    let mut all = Vec::new();
    for (name, fault) in &found {
        let sound = Work::new(fault, None, options);
        let outcome = sound.run(ctx, &mut current, &programs, options).await?;
        let mut judged = sound.judged("none", "the sound services", &outcome);
        // They are to live.
        judged.killed = outcome.verdict == Verdict::Passed;
        all.push(judged);
        for mutant in chosen.iter().filter(|mutant| mutant.fault == *name) {
            if options.stop.is_cancelled() {
                break;
            }
            let work = Work::new(fault, Some(mutant.name), options);
            let outcome = work.run(ctx, &mut current, &programs, options).await?;
            all.push(work.judged(mutant.name, mutant.defect, &outcome));
        }
    }
    if let Some(lab) = current {
        lab.end().await?;
    }
    anyhow::ensure!(!options.stop.is_cancelled(), "interrupted");
    Ok(all)
}

fn choose(names: &[String], quick: bool) -> anyhow::Result<Vec<Mutant>> {
    if names.is_empty() {
        let all = MUTANTS.into_iter();
        return Ok(all.filter(|mutant| mutant.quick || !quick).collect());
    }
    let find = |name: &String| {
        let found = MUTANTS.into_iter().find(|mutant| mutant.name == name);
        found.with_context(|| {
            let known = MUTANTS.map(|mutant| mutant.name).join(", ");
            format!("there is no defect {name:?}; there are {known}")
        })
    };
    names.iter().map(find).collect()
}

/// One run of a fault, with a defect or without.
struct Work {
    fault: Fault,
    mutant: Option<&'static str>,
    seed: u64,
}

impl Work {
    fn new(fault: &Fault, mutant: Option<&'static str>, options: &Options) -> Self {
        let mut fault = fault.clone();
        if mutant.is_some() {
            // What is broken need not be waited for as long as what is to recover.
            fault.recover_within = Time(fault.recover_within.0.min(Duration::from_secs(10)));
            fault.settle = Time(Duration::from_secs(10));
        }
        Self {
            fault,
            mutant,
            seed: options.seed.unwrap_or_else(random_seed),
        }
    }

    async fn run(
        &self,
        ctx: &Context,
        current: &mut Option<ChaosLab>,
        programs: &Programs,
        options: &Options,
    ) -> anyhow::Result<Outcome> {
        let name = self.mutant.unwrap_or("none");
        let step = ctx
            .out
            .step("mutant", format_args!("{name} under {}", self.fault.name));
        let shape = Shape::of(ctx, &self.fault, options.broker).await?;
        let shape = Shape {
            mutant: Some(name.to_owned()),
            ..shape
        };
        // Without a lab nothing is proved: that is an error, not a defect that was seen.
        ready(ctx, shape, current, programs, &options.stop).await?;
        let lab = current.as_mut().context("a lab that came up is there")?;
        let outcome = run::run(lab, &self.fault, self.seed, &options.stop).await;
        match (outcome.verdict, self.mutant) {
            (Verdict::Failed, Some(_)) => step.done(format_args!("{name} is seen")),
            (_, Some(_)) => step.fail(format_args!("{name} SURVIVES")),
            (Verdict::Failed, None) => step.fail("the sound services break"),
            (_, None) => step.done("the sound services hold"),
        }
        Ok(outcome)
    }

    fn judged(&self, name: &str, defect: &str, outcome: &Outcome) -> Judged {
        let mut by: Vec<String> = outcome
            .broken()
            .map(|finding| format!("{} {}", finding.invariant, finding.name))
            .collect();
        if by.is_empty() {
            by.extend(outcome.reason.clone());
        }
        Judged {
            name: name.into(),
            defect: defect.into(),
            fault: self.fault.name.0.clone(),
            seed: self.seed,
            killed: outcome.verdict == Verdict::Failed,
            by,
            took_ms: outcome.took_ms,
            outcome: outcome.clone(),
        }
    }
}

/// One line per defect, and the sum.
pub fn print(all: &[Judged]) {
    println!(
        "\n{:28} {:18} {:9} {:>7}  SEEN BY",
        "DEFECT", "FAULT", "VERDICT", "TOOK"
    );
    for judged in all {
        let sound = judged.name == "none";
        let word = match (sound, judged.killed) {
            (true, true) => "holds",
            (true, false) => "BREAKS",
            (false, true) => "killed",
            (false, false) => "SURVIVES",
        };
        println!(
            "{:28} {:18} {word:9} {:>5.1} s  {}",
            judged.name,
            judged.fault,
            judged.took_ms as f64 / 1000.0,
            judged.by.join("; ")
        );
    }
    let defects = all.iter().filter(|judged| judged.name != "none");
    let (killed, alive): (Vec<_>, Vec<_>) = defects.partition(|judged| judged.killed);
    println!("\n{} defects killed, {} alive", killed.len(), alive.len());
}

/// Writes `mutants.json` and `mutants.xml` (JUnit).
///
/// # Errors
/// When they cannot be written.
pub fn write(dir: &std::path::Path, all: &[Judged]) -> anyhow::Result<()> {
    junit::write_file(
        &dir.join("mutants.json"),
        &serde_json::to_string_pretty(all)?,
    )?;
    let cases = all.iter().map(|judged| Case {
        name: format!("{} under {}", judged.name, judged.fault),
        took: Some(Duration::from_millis(judged.took_ms)),
        outcome: if judged.killed {
            junit::Outcome::Passed
        } else {
            junit::Outcome::Failed(format!("{} (seed {})", judged.by.join("\n"), judged.seed))
        },
    });
    let suite = Suite {
        name: "mutants".into(),
        cases: cases.collect(),
    };
    junit::write(&dir.join("mutants.xml"), &[suite])
}

/// # Errors
/// When a defect lives, or the sound services do not.
pub fn check(all: &[Judged]) -> anyhow::Result<()> {
    let wrong: Vec<&str> = all
        .iter()
        .filter(|judged| !judged.killed)
        .map(|judged| {
            if judged.name == "none" {
                judged.fault.as_str()
            } else {
                &judged.name
            }
        })
        .collect();
    anyhow::ensure!(
        wrong.is_empty(),
        "the suite proves nothing about: {}",
        wrong.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Backend;

    #[test]
    fn every_defect_has_a_fault_and_stands_in_a_service() {
        let ctx = Context::new(false, Backend::Embedded).unwrap();
        let mut sources = String::new();
        for service in ["bancaire", "simulator"] {
            let mut folders = vec![ctx.root.join("services").join(service).join("src")];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap().flatten() {
                    match entry.path() {
                        path if path.is_dir() => folders.push(path),
                        path => sources += &std::fs::read_to_string(path).unwrap(),
                    }
                }
            }
        }
        for mutant in MUTANTS {
            assert!(
                sources.contains(&format!("mutant!(\"{}\")", mutant.name)),
                "no service has {}",
                mutant.name
            );
            scenario::find(&ctx, mutant.fault).unwrap();
        }
        assert_eq!(
            sources.matches("chassis::mutant!(").count(),
            MUTANTS.len() + 1,
            "a defect that is not listed (one of them stands in two places)"
        );
    }

    #[test]
    fn a_defect_that_lives_and_a_sound_service_that_does_not_fail_the_suite() {
        let ctx = Context::new(false, Backend::Embedded).unwrap();
        let fault = scenario::find(&ctx, "backlog").unwrap();
        let judged = |name: &str, killed| Judged {
            outcome: Outcome::new(&fault, 1, "embedded"),
            name: name.into(),
            defect: String::new(),
            fault: "backlog".into(),
            seed: 1,
            killed,
            by: Vec::new(),
            took_ms: 0,
        };
        assert!(check(&[judged("none", true), judged("x", true)]).is_ok());
        assert!(check(&[judged("none", true), judged("x", false)]).is_err());
        assert!(check(&[judged("none", false), judged("x", true)]).is_err());
    }
}
