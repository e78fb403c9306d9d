//! `up`: build and start the lab; stay until Ctrl-C, or return when it is ready (`--detach`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::builder::RangedU64ValueParser;
use tokio_util::task::AbortOnDropHandle;

use crate::Context;
use crate::components::Part;
use crate::components::broker::BrokerChoice;
use crate::lab::{self, UpOptions, on_ctrl_c};
use crate::page;
use crate::ports::PortPolicy;
use crate::state::{ComponentState, LabState};

#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// Return when everything is ready, instead of staying until Ctrl-C.
    #[arg(long, short)]
    pub detach: bool,
    /// How many brokers the Docker backend runs: 1, or 3 with every record on all of them. Without
    /// it, as many as the lab's data was made by.
    #[arg(long, value_name = "1|3", value_parser = parse_brokers)]
    pub brokers: Option<u32>,
    /// Where simulator and bancaire run: process, or with the Docker backend container. Without it,
    /// as they are.
    #[arg(long, value_enum)]
    pub services: Option<Hosting>,
    /// Start Prometheus without Docker too, where it is installed; the Docker backend always does.
    #[arg(long)]
    pub prometheus: bool,
    #[command(flatten)]
    pub start: StartArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Hosting {
    /// Child processes of this machine.
    Process,
    /// Containers in the lab's network, built from the compiled binaries.
    Container,
}

fn parse_brokers(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("1 and 3 are what the lab knows".into()),
    }
}

/// How parts are started; the same for every verb that starts some.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StartArgs {
    /// Run the binaries that are there (`EDALAB_BIN_DIR`, else beside xtask).
    #[arg(long)]
    pub no_build: bool,
    /// What speaks Kafka's protocol in the embedded lab; without it, the one that has the lab's
    /// data, else Kafka where there is Java, else the light one.
    #[arg(long, value_enum, env = "EDALAB_BROKER")]
    pub broker: Option<BrokerChoice>,
    /// What the services log: error, warn, info, debug, trace, or a filter of `tracing`.
    #[arg(
        long,
        env = "EDALAB_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: String,
    /// How the services' log lines look; `logs --trace` reads JSON.
    #[arg(long, env = "EDALAB_LOG_FORMAT", value_name = "json|pretty", value_parser = ["json", "pretty"])]
    pub log: Option<String>,
    /// Where the services send their traces: OTLP over HTTP, such as http://127.0.0.1:4318.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "ENDPOINT")]
    pub otlp: Option<String>,
    #[command(flatten)]
    pub ports: PortArgs,
}

/// Ports of the user's own choice. Without them: the last run's, else the usual ones.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Ports (the usual ones when not given)")]
pub struct PortArgs {
    /// Any free ports instead of the usual ones: for a lab that starts beside another.
    #[arg(long, env = "EDALAB_FREE_PORTS")]
    pub free_ports: bool,
    #[arg(long, env = "EDALAB_PORT_GATEWAY", value_name = "PORT", value_parser = port())]
    pub port_gateway: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_REGISTRY", value_name = "PORT", value_parser = port())]
    pub port_registry: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_SIMULATOR", value_name = "PORT", value_parser = port())]
    pub port_simulator: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_BANCAIRE", value_name = "PORT", value_parser = port())]
    pub port_bancaire: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_KAFKA", value_name = "PORT", value_parser = port())]
    pub port_kafka: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_POSTGRES", value_name = "PORT", value_parser = port())]
    pub port_postgres: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_PROMETHEUS", value_name = "PORT", value_parser = port())]
    pub port_prometheus: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_GRAFANA", value_name = "PORT", value_parser = port())]
    pub port_grafana: Option<u16>,
    #[arg(long, env = "EDALAB_PORT_JAEGER", value_name = "PORT", value_parser = port())]
    pub port_jaeger: Option<u16>,
}

fn port() -> RangedU64ValueParser<u16> {
    RangedU64ValueParser::new().range(1..)
}

impl PortArgs {
    fn policy(&self) -> PortPolicy {
        if self.free_ports {
            PortPolicy::Free
        } else {
            PortPolicy::Preferred
        }
    }

    fn asked(&self) -> BTreeMap<String, u16> {
        let all = [
            ("gateway", self.port_gateway),
            ("registry", self.port_registry),
            ("simulator", self.port_simulator),
            ("bancaire", self.port_bancaire),
            ("kafka", self.port_kafka),
            ("postgres", self.port_postgres),
            ("prometheus", self.port_prometheus),
            ("grafana", self.port_grafana),
            ("jaeger", self.port_jaeger),
        ];
        all.into_iter()
            .filter_map(|(name, port)| Some((name.to_owned(), port?)))
            .collect()
    }
}

impl StartArgs {
    /// The options to bring `parts` up with. A lab that was started with `--no-build` stays so.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn options(&self, ctx: &Context, parts: Vec<Part>) -> anyhow::Result<UpOptions> {
        let lab_builds = LabState::load(&ctx.lab_dir)?.is_none_or(|lab| lab.build);
        Ok(UpOptions {
            parts,
            build: !self.no_build && lab_builds,
            ports: self.ports.policy(),
            asked_ports: self.ports.asked(),
            broker: self.broker,
            log_level: self.log_level.clone(),
            log_format: self.log.clone(),
            otlp: self.otlp.clone().filter(|endpoint| !endpoint.is_empty()),
            stop: on_ctrl_c(ctx)?,
            ..UpOptions::default()
        })
    }
}

pub async fn run(ctx: &Context, args: &UpArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    let all_run = LabState::load(&ctx.lab_dir)?.is_some_and(|lab| {
        let runs = |part: Part| {
            if lab.external.is_some() && Part::INFRA.contains(&part) {
                return true;
            }
            let instances: Vec<&ComponentState> = lab.components_of(part).collect();
            instances.len() as u32 == lab.instances(part)
                && instances.into_iter().all(ComponentState::is_alive)
        };
        Part::ALL.into_iter().all(runs)
    });
    let mut options = args.start.options(ctx, Part::every().collect())?;
    options.prometheus = args.prometheus;
    // `up` is a new decision, whatever the last one was.
    options.build = !args.start.no_build;
    options.brokers = args.brokers;
    options.container_services = args.services.map(|hosting| hosting == Hosting::Container);
    let stop = options.stop.clone();
    // Beside the lab's start; given up when that fails.
    let page = options.build.then(|| {
        let ctx = ctx.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { page::ensure(&ctx).await }))
    });
    let lab = lab::up(ctx, options).await?;
    if !ctx.json {
        print_summary(&lab, all_run, began.elapsed());
    }
    // The lab is ready; its page may need some more seconds the first time.
    if let Some(page) = page {
        tokio::select! {
            _ = page => {}
            () = stop.cancelled() => {}
        }
    }
    if ctx.json {
        ctx.print_json(&super::status::report(Some(lab.clone())).await)?;
    }
    if args.detach || all_run {
        return Ok(());
    }
    ctx.out.line("Ctrl-C stops the lab");
    stay(ctx, &lab, &stop).await
}

fn print_summary(lab: &LabState, all_run: bool, took: Duration) {
    if all_run {
        println!("\nThe lab is already up:");
    } else {
        println!("\nThe lab is ready after {:.1} s:", took.as_secs_f64());
    }
    println!("  page       {}/", lab.gateway_url());
    for component in &lab.components {
        println!("  {:10} {}", component.name, component.url);
    }
    println!("  events     ws://127.0.0.1:{}/ws", lab.port("gateway"));
    if let Some(external) = &lab.external {
        for part in Part::INFRA {
            println!("  {:10} {} (external)", part.name(), external.address(part));
        }
    }
    for (part, image) in &lab.images {
        println!(
            "  {part:10} runs {} ({})",
            image.reference,
            image.origin.describe()
        );
    }
    for (part, why) in &lab.skipped {
        println!("  {part:10} skipped: {why}");
    }
    if let Some(slowest) = lab
        .components
        .iter()
        .max_by_key(|c| c.start_ms)
        .filter(|c| !all_run && c.start_ms > 0)
    {
        let own = slowest.start_ms as f64 / 1000.0;
        let rest = (took.as_secs_f64() - own).max(0.0);
        println!(
            "  The slowest part, {}, took {own:.1} s of its own; the lab waited the other {rest:.1} s, \
             for the compiler, downloads or its other parts",
            slowest.name
        );
    }
    println!("\nNext: cargo xtask simulate --rate 100 --duration 30, then cargo xtask verify");
}

/// Until Ctrl-C, or until another terminal's `down`. A part that dies is said, once.
async fn stay(
    ctx: &Context,
    lab: &LabState,
    stop: &tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    let mut said: Vec<ComponentState> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return lab::down(ctx).await.map(drop),
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let Some(now) = LabState::load(&ctx.lab_dir)? else {
            ctx.out.line("The lab was stopped from elsewhere");
            return Ok(());
        };
        if now.started_at != lab.started_at {
            ctx.out
                .line("The lab was stopped and started anew from elsewhere");
            return Ok(());
        }
        for component in now.components {
            if component.is_alive() || said.contains(&component) {
                continue;
            }
            ctx.out.line(format_args!(
                "{} ended; `cargo xtask services up` starts it again. Its last lines:\n{}",
                component.name,
                component.last_lines(5).await
            ));
            said.push(component);
        }
    }
}
