//! The programs that experiments run: the lab's own, and for some the services with fail points and
//! deliberate defects, which are built beside them under other names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::components::{Part, services};
use crate::{Context, cargo};

/// The services that have such a twin.
const WITH_FAULTS: [Part; 2] = [Part::Simulator, Part::Bancaire];

/// Where they are.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// The twins, when they were asked for.
    pub faulty: Option<BTreeMap<Part, PathBuf>>,
}

impl Programs {
    /// Builds what is needed, or with `build` false finds it.
    ///
    /// # Errors
    /// With the compiler's own words, or when one is not there.
    pub async fn prepare(ctx: &Context, faulty: bool, build: bool) -> anyhow::Result<Self> {
        if build {
            let step = ctx.out.step("build", "builds the services");
            let parts = [
                Part::Registry,
                Part::Simulator,
                Part::Bancaire,
                Part::Gateway,
            ];
            services::compile(ctx, &parts, &step).await?;
            step.done("the services are built");
        }
        if !faulty {
            return Ok(Self::default());
        }
        let paths = if build {
            twins(ctx).await?
        } else {
            let dir = services::bin_dir()?;
            let path = |part: Part| (part, dir.join(format!("{}-faults", part.name())));
            WITH_FAULTS.map(path).into()
        };
        for path in paths.values() {
            anyhow::ensure!(
                path.is_file(),
                "{} is not built; leave out --no-build",
                path.display()
            );
        }
        Ok(Self {
            faulty: Some(paths),
        })
    }
}

async fn twins(ctx: &Context) -> anyhow::Result<BTreeMap<Part, PathBuf>> {
    let step = ctx
        .out
        .step("build", "builds the services with fail points");
    // Of the same packages as the lab's own, so that they share every dependency with them.
    let mut args = vec!["build".to_owned()];
    for package in ["xtask", "registry", "simulator", "bancaire", "gateway"] {
        args.push(format!("--package={package}"));
    }
    for part in WITH_FAULTS {
        let name = part.name();
        args.push(format!("--features={name}/faults"));
        args.push(format!("--bin={name}-faults"));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let artifacts = cargo::build(ctx, &args, "the services with fail points", &step).await?;
    let mut paths = BTreeMap::new();
    for part in WITH_FAULTS {
        let name = format!("{}-faults", part.name());
        let built = artifacts
            .iter()
            .find(|artifact| artifact.target.name == name);
        let executable = built.and_then(|artifact| artifact.executable.clone());
        paths.insert(
            part,
            executable.with_context(|| format!("cargo built no {name}"))?,
        );
    }
    step.done("the services with fail points are built");
    Ok(paths)
}
