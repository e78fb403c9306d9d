//! The place of the broker: what the lab needs from whatever speaks Kafka's protocol.
//!
//! Two can stand there: [`kafka`], the real one in a JVM, and [`light`], which needs no Java.
//! Nothing outside this file knows which one runs. A lab's data belongs to the one that made it.

use std::fmt;

use anyhow::Context as _;
use clap::ValueEnum;

use super::{Site, kafka, light};
use crate::Context;
use crate::output::Step;
use crate::state::ComponentState;

/// What `--broker` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BrokerChoice {
    /// Apache Kafka in a JVM.
    Kafka,
    /// The broker without Java.
    Light,
}

impl BrokerChoice {
    pub const fn name(self) -> &'static str {
        match self {
            BrokerChoice::Kafka => "kafka",
            BrokerChoice::Light => "light",
        }
    }

    const fn other(self) -> Self {
        match self {
            BrokerChoice::Kafka => BrokerChoice::Light,
            BrokerChoice::Light => BrokerChoice::Kafka,
        }
    }
}

/// Which broker a lab gets, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub broker: BrokerChoice,
    why: String,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, other) = (self.broker.name(), self.broker.other().name());
        write!(
            f,
            "The broker is {name}: {} (--broker {other} for the other one)",
            self.why
        )
    }
}

impl Chosen {
    /// The one that was asked for, else the one that has this lab's data, else Kafka when it is
    /// at hand.
    ///
    /// # Errors
    /// When the lab's data is the other one's, with the way out.
    pub async fn by(ctx: &Context, asked: Option<BrokerChoice>) -> anyhow::Result<Self> {
        let owners = [
            (kafka::has_data(ctx), BrokerChoice::Kafka),
            (light::has_data(ctx), BrokerChoice::Light),
        ];
        let owner = owners
            .into_iter()
            .find(|(has, _)| *has)
            .map(|(_, owner)| owner);
        if let Some(chosen) = settle(asked, owner)? {
            return Ok(chosen);
        }
        Ok(match kafka::at_hand(ctx).await {
            Ok(why) => Self {
                broker: BrokerChoice::Kafka,
                why,
            },
            Err(why) => Self {
                broker: BrokerChoice::Light,
                why,
            },
        })
    }
}

/// What is decided without looking for Java.
fn settle(
    asked: Option<BrokerChoice>,
    owner: Option<BrokerChoice>,
) -> anyhow::Result<Option<Chosen>> {
    if let (Some(asked), Some(owner)) = (asked, owner) {
        anyhow::ensure!(
            asked == owner,
            "this lab's data was made with --broker {}, and PostgreSQL's counts belong to it; \
             `cargo xtask clean` removes it, or EDALAB_DIR names another folder for a lab with \
             --broker {}",
            owner.name(),
            asked.name()
        );
    }
    Ok(match (asked, owner) {
        (Some(broker), _) => Some(Chosen {
            broker,
            why: "asked for".into(),
        }),
        (None, Some(broker)) => Some(Chosen {
            broker,
            why: "this lab's data is its; `cargo xtask clean` first".into(),
        }),
        (None, None) => None,
    })
}

/// A broker that this machine can run, with everything that starting it needs.
#[derive(Debug)]
pub enum Broker {
    Kafka(kafka::Kafka),
    Light(light::Light),
}

impl Broker {
    /// Finds, fetches or builds what it needs. `name` is what the lab's state says.
    pub async fn prepare(ctx: &Context, name: &str, step: &Step) -> anyhow::Result<Self> {
        if name == BrokerChoice::Light.name() {
            light::Light::prepare(ctx, step).await.map(Broker::Light)
        } else {
            let kafka = kafka::Kafka::prepare(ctx, step).await;
            kafka
                .map(Broker::Kafka)
                .context("failed to prepare Kafka (--broker light runs without Java)")
        }
    }

    pub fn start(&self, site: &Site) -> anyhow::Result<ComponentState> {
        match self {
            Broker::Kafka(kafka) => kafka.start(site),
            Broker::Light(light) => light.start(site),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labs_data_keeps_its_broker() {
        use BrokerChoice::{Kafka, Light};
        assert_eq!(settle(None, None).unwrap(), None);
        for (asked, owner, expected) in [
            (Some(Light), None, Light),
            (Some(Kafka), Some(Kafka), Kafka),
            (None, Some(Light), Light),
            (None, Some(Kafka), Kafka),
        ] {
            let chosen = settle(asked, owner).unwrap().expect("it is decided");
            assert_eq!(chosen.broker, expected, "{asked:?} {owner:?}");
            assert!(chosen.to_string().contains(expected.name()));
        }
        let refused = settle(Some(Light), Some(Kafka)).unwrap_err().to_string();
        assert!(
            refused.contains("clean") && refused.contains("EDALAB_DIR"),
            "{refused}"
        );
    }
}
