//! What the infrastructure of a lab runs on, and how that is decided: what was asked for, else what
//! the lab already is, else the best that needs no download.

use super::UpOptions;
use crate::Context;
use crate::cli::Backend;
use crate::components::docker::Stack;
use crate::components::external::External;
use crate::components::{Part, services};
use crate::images::build;
use crate::state::{ComponentState, LabState};

/// The gateway stays a process: it is bound to loopback, and runs xtask.
const IN_CONTAINERS: [Part; 2] = [Part::Simulator, Part::Bancaire];

/// A backend that can be used now, with what using it needs.
#[derive(Debug, Clone)]
pub enum Platform {
    /// Child processes.
    Embedded,
    /// Containers for the infrastructure, child processes for the services.
    Docker(Box<Stack>),
    /// Somebody else's.
    External(Box<External>),
}

impl Platform {
    /// `previous` is the lab that is or was up; `runs` says that something of it runs.
    ///
    /// # Errors
    /// When another backend runs, or the one that was asked for cannot be had.
    pub async fn choose(
        ctx: &Context,
        previous: Option<&LabState>,
        runs: bool,
    ) -> anyhow::Result<Self> {
        let asked = ctx.backend;
        if let Some(lab) = previous
            && (runs || asked == Backend::Auto)
        {
            let current = backend_of(&lab.backend)?;
            anyhow::ensure!(
                asked == Backend::Auto || asked == current,
                "the lab is up with the {} backend; `cargo xtask down` stops it first",
                lab.backend
            );
            return Self::of(ctx, current, previous).await;
        }
        if asked != Backend::Auto {
            return Self::of(ctx, asked, None).await;
        }
        match Stack::pinned(ctx).await {
            Ok(stack) => {
                ctx.out.line(
                    "Backend: docker, because a daemon answers and has the pinned images \
                     (--backend embedded runs without)",
                );
                Ok(Platform::Docker(Box::new(stack)))
            }
            Err(why) => {
                ctx.out.line(format_args!(
                    "Backend: embedded, because {why} (--backend docker: see `cargo xtask images`)"
                ));
                Ok(Platform::Embedded)
            }
        }
    }

    async fn of(
        ctx: &Context,
        backend: Backend,
        previous: Option<&LabState>,
    ) -> anyhow::Result<Self> {
        match backend {
            Backend::Docker => Ok(Platform::Docker(Box::new(Stack::open(ctx).await?))),
            Backend::External => {
                // A lab that is up stays where it is, whatever this shell's environment says.
                let known = previous.and_then(|lab| lab.external.clone());
                let external = known.map_or_else(External::read, Ok)?;
                Ok(Platform::External(Box::new(external)))
            }
            Backend::Auto | Backend::Embedded => Ok(Platform::Embedded),
        }
    }

    /// Builds the services' programs and images, unless they run, and has them run in containers.
    ///
    /// # Errors
    /// When the backend has no containers, or something does not build.
    pub(super) async fn with_services(
        self,
        ctx: &Context,
        options: &UpOptions,
        running: &[ComponentState],
    ) -> anyhow::Result<Self> {
        let Platform::Docker(stack) = self else {
            anyhow::bail!("--services container needs --backend docker");
        };
        let runs = |part: &Part| {
            running
                .iter()
                .any(|component| component.name == part.name())
        };
        let wanted = IN_CONTAINERS.into_iter();
        let wanted = wanted.filter(|part| options.parts.contains(part) && !runs(part));
        let wanted: Vec<Part> = wanted.collect();
        if !wanted.is_empty() {
            let bin_dir = if options.build && std::env::var_os("EDALAB_BIN_DIR").is_none() {
                let step = ctx.out.step("build", "builds the services");
                let dir = services::compile(ctx, &wanted, &step).await?;
                step.done("the services are built");
                dir
            } else {
                services::bin_dir()?
            };
            build::services(ctx, &stack.daemon, &wanted, &bin_dir).await?;
        }
        let stack = stack.with_services(ctx, &IN_CONTAINERS).await?;
        Ok(Platform::Docker(Box::new(stack)))
    }

    /// As the lab's state calls it.
    pub const fn name(&self) -> &'static str {
        match self {
            Platform::Embedded => "embedded",
            Platform::Docker(_) => "docker",
            Platform::External(_) => "external",
        }
    }

    pub fn stack(&self) -> Option<&Stack> {
        match self {
            Platform::Docker(stack) => Some(stack),
            Platform::Embedded | Platform::External(_) => None,
        }
    }

    pub fn external(&self) -> Option<&External> {
        match self {
            Platform::External(external) => Some(external),
            Platform::Embedded | Platform::Docker(_) => None,
        }
    }

    /// Where a part is that is not the lab's own.
    pub fn elsewhere(&self, part: Part) -> Option<&External> {
        self.external().filter(|_| Part::INFRA.contains(&part))
    }

    /// The stack, when it runs this part as a container.
    pub fn container(&self, part: Part) -> Option<&Stack> {
        self.stack().filter(|stack| stack.runs(part))
    }

    /// What must be ready before a part is started.
    pub fn needs(&self, part: Part) -> Vec<Part> {
        match self.container(part) {
            Some(stack) => stack.needs(part),
            None => part.needs().into(),
        }
    }
}

fn backend_of(name: &str) -> anyhow::Result<Backend> {
    match name {
        "embedded" => Ok(Backend::Embedded),
        "docker" => Ok(Backend::Docker),
        "external" => Ok(Backend::External),
        _ => anyhow::bail!("the lab's state names an unknown backend {name:?}"),
    }
}
