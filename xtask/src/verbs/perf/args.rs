//! The options of `perf`'s verbs, and what is measured when they are left out.

use clap::builder::RangedU64ValueParser;

use crate::perf::gateway::GatewayOptions;
use crate::perf::jobs::Job;
use crate::perf::paced::{BurstOptions, KneeOptions, LatencyOptions};
use crate::perf::producer::ProducerOptions;
use crate::perf::registry::RegistryOptions;
use crate::perf::simulated::SimulatedOptions;
use crate::perf::sink::SinkOptions;
use crate::perf::start::StartOptions;

use super::PerfVerb;

#[derive(Debug, clap::Args)]
pub struct LatencyArgs {
    /// Events per second.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// How long a run takes, such as 20s or 5m.
    #[arg(long, value_parser = seconds)]
    pub duration: Option<u64>,
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
    /// Accounts that the deposits go to.
    #[arg(long, value_parser = count())]
    pub accounts: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct BurstArgs {
    #[arg(long, value_parser = count())]
    pub events: Option<usize>,
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
    /// Accounts that the deposits go to.
    #[arg(long, value_parser = count())]
    pub accounts: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct SimulatedArgs {
    /// Events per second.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// How long, such as 60s or 5m.
    #[arg(long, value_parser = seconds)]
    pub duration: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct ProducerArgs {
    /// Events per run.
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub events: Option<usize>,
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct KneeArgs {
    /// The first rate that is tried, in events per second.
    #[arg(long, value_parser = rate)]
    pub from: Option<f64>,
    /// How long each rate is held, such as 8s.
    #[arg(long, value_parser = seconds)]
    pub duration: Option<u64>,
    /// At 50 % and at 80 % of the knee.
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
    /// Accounts that the deposits go to.
    #[arg(long, value_parser = count())]
    pub accounts: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct SinkArgs {
    /// Deposits per run.
    #[arg(long, value_parser = count())]
    pub events: Option<usize>,
    /// How often sink and COPY are measured, in turn.
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
    /// Accounts that the deposits go to.
    #[arg(long, value_parser = count())]
    pub accounts: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct RegistryArgs {
    /// Requests in a second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// How long a round takes, in seconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: Option<u32>,
    /// How often requests are measured.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Distinct schemas to register.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub registrations: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    /// Clients that watch every topic.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_990))]
    pub clients: Option<u32>,
    /// Events per second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// How long a round takes, in seconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: Option<u32>,
    /// Rounds with a stalled client, and as many without.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// New labs, each started twice.
    #[arg(long, value_parser = count())]
    pub runs: Option<usize>,
    /// Which brokers' labs.
    #[arg(long = "brokers", value_delimiter = ',', value_parser = ["kafka", "light"])]
    pub brokers: Option<Vec<String>>,
}

#[derive(Debug, clap::Args)]
pub struct AllArgs {
    /// Only these, such as latency,sink.
    #[arg(long, value_delimiter = ',')]
    pub only: Option<Vec<String>>,
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=100_000_000)
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is 1 to 1000000 events per second".into()),
    }
}

/// `90`, `90s`, `5m`, `1h`.
fn seconds(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    match digits.parse::<u64>() {
        Ok(number) if (1..=86_400 / factor).contains(&number) => Ok(number * factor),
        _ => Err("a duration is such as 90s, 5m or 1h, a day at most".into()),
    }
}

/// The job that a verb names; none for those that do not measure.
pub fn job(verb: &PerfVerb, quick: bool) -> Option<Job> {
    Some(match verb {
        PerfVerb::Latency(args) => {
            let usual = LatencyOptions::usual(quick);
            Job::Latency(LatencyOptions {
                rate: args.rate.unwrap_or(usual.rate),
                seconds: args.duration.map_or(usual.seconds, |s| s as f64),
                runs: args.runs.unwrap_or(usual.runs),
                accounts: args.accounts.unwrap_or(usual.accounts),
            })
        }
        PerfVerb::Burst(args) => {
            let usual = BurstOptions::usual(quick);
            Job::Burst(BurstOptions {
                events: args.events.unwrap_or(usual.events),
                runs: args.runs.unwrap_or(usual.runs),
                accounts: args.accounts.unwrap_or(usual.accounts),
            })
        }
        PerfVerb::Throughput(args) => {
            Job::Throughput(simulated(args, SimulatedOptions::throughput(quick)))
        }
        PerfVerb::Sustained(args) => {
            Job::Sustained(simulated(args, SimulatedOptions::sustained(quick)))
        }
        PerfVerb::Producer(args) => {
            let usual = ProducerOptions::usual(quick);
            Job::Producer(ProducerOptions {
                events: args.events.unwrap_or(usual.events),
                runs: args.runs.unwrap_or(usual.runs),
            })
        }
        PerfVerb::Knee(args) => {
            let usual = KneeOptions::usual(quick);
            Job::Knee(KneeOptions {
                from: args.from.unwrap_or(usual.from),
                seconds: args.duration.map_or(usual.seconds, |s| s as f64),
                runs: args.runs.unwrap_or(usual.runs),
                accounts: args.accounts.unwrap_or(usual.accounts),
            })
        }
        PerfVerb::Sink(args) => {
            let usual = SinkOptions::usual(quick);
            Job::Sink(SinkOptions {
                events: args.events.unwrap_or(usual.events),
                runs: args.runs.unwrap_or(usual.runs),
                accounts: args.accounts.unwrap_or(usual.accounts),
            })
        }
        PerfVerb::Registry(args) => {
            let usual = RegistryOptions::usual(quick);
            Job::Registry(RegistryOptions {
                rate: args.rate.unwrap_or(usual.rate),
                seconds: args.seconds.unwrap_or(usual.seconds),
                rounds: args.rounds.unwrap_or(usual.rounds),
                registrations: args.registrations.unwrap_or(usual.registrations),
            })
        }
        PerfVerb::Up(args) => {
            let usual = StartOptions::usual(quick);
            Job::Up(StartOptions {
                runs: args.runs.unwrap_or(usual.runs),
                brokers: args.brokers.clone().unwrap_or(usual.brokers),
            })
        }
        PerfVerb::Gateway(args) => {
            let usual = GatewayOptions::usual(quick);
            Job::Gateway(GatewayOptions {
                clients: args.clients.map_or(usual.clients, |n| n as usize),
                rate: args.rate.unwrap_or(usual.rate),
                seconds: args.seconds.unwrap_or(usual.seconds),
                rounds: args.rounds.unwrap_or(usual.rounds),
            })
        }
        PerfVerb::Ui(_) | PerfVerb::All(_) | PerfVerb::Compare { .. } | PerfVerb::Report => {
            return None;
        }
    })
}

fn simulated(args: &SimulatedArgs, usual: SimulatedOptions) -> SimulatedOptions {
    SimulatedOptions {
        rate: args.rate.unwrap_or(usual.rate),
        seconds: args.duration.unwrap_or(usual.seconds),
    }
}

/// All, or those that were named.
pub fn chosen(args: &AllArgs, quick: bool) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Job::all(quick);
    let Some(only) = &args.only else {
        return Ok(jobs);
    };
    let known: Vec<&str> = jobs.iter().map(Job::name).collect();
    for name in only {
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "there is no benchmark {name:?}; they are {}",
            known.join(", ")
        );
    }
    jobs.retain(|job| only.iter().any(|name| name == job.name()));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::PerfArgs;
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: PerfArgs,
    }

    fn parse(line: &str) -> PerfArgs {
        let words = std::iter::once("perf").chain(line.split(' '));
        Cli::try_parse_from(words).expect(line).args
    }

    #[test]
    fn options_replace_the_usual_ones() {
        let args = parse("sustained --duration 5m --rate 50 --quick");
        let Some(Job::Sustained(options)) = job(&args.verb, args.how.quick) else {
            panic!("{args:?}");
        };
        assert_eq!((options.rate, options.seconds), (50.0, 300));
        let args = parse("latency --quick");
        let Some(Job::Latency(options)) = job(&args.verb, args.how.quick) else {
            panic!("{args:?}");
        };
        assert!(options.seconds < LatencyOptions::usual(false).seconds);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("5m"), Ok(300));
        assert_eq!(seconds("1h"), Ok(3600));
        for wrong in [
            "",
            "m",
            "0",
            "-1s",
            "5d",
            "25h",
            "1.5m",
            "9999999999999999999m",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn benchmarks_are_chosen_by_name() {
        let only = |names: &[&str]| AllArgs {
            only: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        };
        let names = |jobs: Vec<Job>| jobs.iter().map(Job::name).collect::<Vec<_>>();
        let two = chosen(&only(&["sink", "latency"]), true).unwrap();
        assert_eq!(names(two), ["latency", "sink"]);
        let error = chosen(&only(&["speed"]), true).unwrap_err().to_string();
        assert!(error.contains("there is no benchmark \"speed\""), "{error}");
    }
}
