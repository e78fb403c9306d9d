//! The benchmarks as a list: which lab each needs, and running several into one report.

use anyhow::Context as _;
use chrono::Utc;

use super::findings::Benchmark;
use super::gateway::{self, GatewayOptions};
use super::lab::{Own, on_own};
use super::machine::Machine;
use super::paced::{self, BurstOptions, KneeOptions, LatencyOptions};
use super::producer::{self, ProducerOptions};
use super::registry::{self, RegistryOptions};
use super::report::{Configuration, Report};
use super::simulated::{self, SimulatedOptions};
use super::sink::{self, SinkOptions};
use super::start::{self, StartOptions};
use crate::Context;
use crate::components::{Part, services};

/// A benchmark with its options.
#[derive(Debug, Clone)]
pub enum Job {
    Latency(LatencyOptions),
    Burst(BurstOptions),
    Throughput(SimulatedOptions),
    Sustained(SimulatedOptions),
    Gateway(GatewayOptions),
    Producer(ProducerOptions),
    Knee(KneeOptions),
    Sink(SinkOptions),
    Registry(RegistryOptions),
    Up(StartOptions),
}

/// Where and how.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// On the lab that is up.
    pub here: bool,
    pub build: bool,
    pub keep: bool,
    pub quick: bool,
}

impl Job {
    pub fn name(&self) -> &'static str {
        match self {
            Job::Latency(_) => "latency",
            Job::Burst(_) => "burst",
            Job::Throughput(_) => "throughput",
            Job::Sustained(_) => "sustained",
            Job::Gateway(_) => "gateway",
            Job::Producer(_) => "producer",
            Job::Knee(_) => "knee",
            Job::Sink(_) => "sink",
            Job::Registry(_) => "registry",
            Job::Up(_) => "up",
        }
    }

    /// All of them with the options of a thorough run, or of one that is over within minutes. In
    /// this order: each leaves records behind, which the later ones verify too.
    pub fn all(quick: bool) -> Vec<Self> {
        vec![
            Job::Latency(LatencyOptions::usual(quick)),
            Job::Burst(BurstOptions::usual(quick)),
            Job::Throughput(SimulatedOptions::throughput(quick)),
            Job::Sustained(SimulatedOptions::sustained(quick)),
            Job::Gateway(GatewayOptions::usual(quick)),
            Job::Registry(RegistryOptions::usual(quick)),
            Job::Producer(ProducerOptions::usual(quick)),
            Job::Knee(KneeOptions::usual(quick)),
            Job::Sink(SinkOptions::usual(quick)),
            Job::Up(StartOptions::usual(quick)),
        ]
    }

    /// What it needs to be up; `None` when it starts labs itself.
    fn parts(&self) -> Option<Vec<Part>> {
        use Part::{Bancaire, Gateway, Kafka, Postgres, Registry, Simulator};
        match self {
            Job::Throughput(_) | Job::Sustained(_) | Job::Gateway(_) => Some(vec![
                Kafka, Postgres, Registry, Simulator, Bancaire, Gateway,
            ]),
            Job::Producer(_) => Some(vec![Kafka, Postgres, Registry, Simulator, Bancaire]),
            Job::Latency(_) | Job::Burst(_) | Job::Knee(_) | Job::Sink(_) => {
                Some(vec![Kafka, Postgres, Registry, Bancaire])
            }
            Job::Registry(_) => Some(vec![Postgres, Registry]),
            Job::Up(_) => None,
        }
    }

    /// A backlog of its size wants tables of its own.
    fn wants_fresh_lab(&self) -> bool {
        matches!(self, Job::Sink(_))
    }

    async fn run(&self, ctx: &Context) -> anyhow::Result<Benchmark> {
        let name = self.name();
        let measured = match self.clone() {
            Job::Latency(options) => paced::latency(ctx, options).await,
            Job::Burst(options) => paced::burst(ctx, options).await,
            Job::Throughput(options) => simulated::throughput(ctx, options).await,
            Job::Sustained(options) => simulated::sustained(ctx, options).await,
            Job::Gateway(options) => gateway::measure(ctx, options).await,
            Job::Producer(options) => producer::measure(ctx, options).await,
            Job::Knee(options) => paced::knee(ctx, options).await,
            Job::Sink(options) => match sink::measure(ctx, options).await {
                Ok(found) => found.benchmark(),
                Err(e) => Err(e),
            },
            Job::Registry(options) => registry::run(ctx, options).await,
            Job::Up(options) => start::measure(ctx, options).await,
        };
        measured.with_context(|| format!("failed to measure {name}"))
    }
}

/// Runs them one after the other and collects what they found.
///
/// # Errors
/// When one cannot measure. Bounds that are missed are no error.
pub async fn run(ctx: &Context, jobs: &[Job], how: How) -> anyhow::Result<Report> {
    let at = Utc::now();
    let data = if how.here {
        ctx.lab_dir.clone()
    } else {
        std::env::temp_dir()
    };
    let mut benchmarks = Vec::new();
    let mut configuration = Configuration::default();
    let mut build = how.build;
    for group in groups(jobs) {
        let measure = async |ctx: &Context| -> anyhow::Result<(Vec<Benchmark>, Configuration)> {
            let mut found = Vec::new();
            for job in group {
                ctx.out.line(format_args!("\n{}", job.name()));
                found.push(job.run(ctx).await?);
            }
            Ok((found, Configuration::look(&ctx.lab()?).await?))
        };
        let mut parts: Vec<Part> = group.iter().filter_map(Job::parts).flatten().collect();
        parts.sort_unstable();
        parts.dedup();
        if parts.is_empty() {
            if build {
                let services = Part::ALL.into_iter().filter(|part| part.is_service());
                let step = ctx.out.step("build", "builds the services");
                services::compile(ctx, &services.collect::<Vec<_>>(), &step).await?;
                step.done("the services are built");
            }
            for job in group {
                ctx.out.line(format_args!("\n{}", job.name()));
                benchmarks.push(job.run(ctx).await?);
            }
        } else {
            let (found, looked) = if how.here {
                measure(ctx).await?
            } else {
                let own = Own {
                    parts,
                    build,
                    keep: how.keep,
                };
                on_own(ctx, own, measure).await?
            };
            benchmarks.extend(found);
            configuration = looked;
        }
        // Once is enough.
        build = false;
    }
    Ok(Report {
        at,
        quick: how.quick,
        machine: Machine::look(&ctx.root, &data),
        lab: configuration,
        benchmarks,
    })
}

/// Neighbours that can share a lab.
fn groups(jobs: &[Job]) -> impl Iterator<Item = &[Job]> {
    jobs.chunk_by(|a, b| {
        let shares = |job: &Job| job.parts().is_some() && !job.wants_fresh_lab();
        shares(a) && shares(b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_lab_unless_they_want_one_of_their_own() {
        let jobs = Job::all(true);
        let groups: Vec<Vec<&str>> = groups(&jobs)
            .map(|group| group.iter().map(Job::name).collect())
            .collect();
        assert_eq!(groups.len(), 3, "{groups:?}");
        assert_eq!(groups[1..], [vec!["sink"], vec!["up"]]);
    }
}
