//! What a lab for experiments is to be, and what its services are told accordingly.

use std::collections::BTreeMap;
use std::path::Path;

use chassis::faults;

use crate::Context;
use crate::chaos::build::Programs;
use crate::chaos::scenario::{Fault, LabWish, Need, Wired};
use crate::chaos::wire::Wire;
use crate::cli::Backend;
use crate::components::broker::{BrokerChoice, Chosen};
use crate::components::{Detour, Part};

/// What a lab is for: the same lab serves all faults that want the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub backend: Backend,
    pub broker: BrokerChoice,
    pub brokers: u32,
    pub wish: LabWish,
    /// bancaire with its fail points.
    pub holds: bool,
    /// A deliberate defect, of bancaire or the simulator.
    pub mutant: Option<String>,
}

impl Shape {
    /// What a fault wants. `broker` is the user's wish.
    ///
    /// # Errors
    /// When that broker is not to be had.
    pub async fn of(
        ctx: &Context,
        fault: &Fault,
        broker: Option<BrokerChoice>,
    ) -> anyhow::Result<Self> {
        let docker = fault.needs.contains(&Need::Docker);
        let broker = if docker || fault.needs.contains(&Need::Kafka) {
            BrokerChoice::Kafka
        } else {
            Chosen::by(ctx, broker).await?.broker
        };
        Ok(Self {
            backend: if docker {
                Backend::Docker
            } else {
                Backend::Embedded
            },
            broker,
            brokers: if docker { 3 } else { 1 },
            wish: fault.lab.clone(),
            holds: fault.holds(),
            mutant: None,
        })
    }

    /// Whether a lab of the one shape can be made one of the other by a restart of its services.
    pub(super) fn serves(&self, other: &Self) -> bool {
        let infra = |shape: &Self| {
            (
                shape.backend,
                shape.broker,
                shape.brokers,
                shape.wish.postgres_mb,
            )
        };
        infra(self) == infra(other) && !self.wish.own && !other.wish.own
    }
}

/// What the services are told, and which programs they are, from the shape.
pub(super) fn detour(
    detour: &mut Detour,
    shape: &Shape,
    wires: &BTreeMap<Wired, Wire>,
    (journal, faults_dir): (&Path, &Path),
    programs: &Programs,
) {
    let mut env: BTreeMap<Part, BTreeMap<String, String>> = BTreeMap::new();
    let mut tell = |part, name: &str, value: String| {
        env.entry(part).or_default().insert(name.into(), value);
    };
    for (wired, wire) in wires {
        let at = format!("127.0.0.1:{}", wire.port);
        match wired {
            Wired::Kafka => {
                tell(Part::Bancaire, "KAFKA_BOOTSTRAP_SERVERS", at.clone());
                tell(Part::Simulator, "KAFKA_BOOTSTRAP_SERVERS", at);
            }
            Wired::Postgres => tell(Part::Bancaire, "POSTGRES_PORT", wire.port.to_string()),
            Wired::Registry => tell(
                Part::Bancaire,
                "SCHEMA_REGISTRY_URL",
                format!("http://{at}"),
            ),
        }
    }
    let text = |path: &Path| path.display().to_string();
    tell(Part::Simulator, "SIMULATOR_JOURNAL", text(journal));
    tell(Part::Bancaire, faults::FOLDER, text(faults_dir));
    if let Some(mutant) = &shape.mutant {
        tell(Part::Bancaire, faults::MUTANT, mutant.clone());
        tell(Part::Simulator, faults::MUTANT, mutant.clone());
    }
    for (component, vars) in &shape.wish.env {
        for (name, value) in vars {
            tell(component.part(), name, value.clone());
        }
    }
    detour.env = env;
    detour.programs = match &programs.faulty {
        Some(faulty) if shape.holds || shape.mutant.is_some() => faulty.clone(),
        _ => BTreeMap::new(),
    };
}
