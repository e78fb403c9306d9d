//! From an entry of `infra/images.toml` and the lab's addresses to what the daemon is told.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding,
};
use sha2::{Digest, Sha256};

use super::{DEFINITION_LABEL, LAB_LABEL, PART_LABEL};
use crate::components::kafka::jars::hex;
use crate::components::{Part, Site, instance, observability};
use crate::images::{ImageSpec, ImageUsed, Network};

/// Everything a container is made from.
#[derive(Debug)]
pub struct Definition<'a> {
    pub site: &'a Site,
    pub part: Part,
    /// From 1.
    pub number: u32,
    pub spec: &'a ImageSpec,
    pub image: &'a ImageUsed,
    /// `edalab-0a1b2c`: in front of the names of all that is this lab's.
    pub prefix: &'a str,
}

fn on_loopback(port: u16) -> PortBinding {
    PortBinding {
        host_ip: Some("127.0.0.1".into()),
        host_port: Some(port.to_string()),
    }
}

/// Where broker `node` listens for the lab's network. No two brokers share a port: after a restart one
/// may get the address that another one had, and who still knows the old name's address must then be
/// refused rather than talk to the wrong broker for as long as the connection lasts.
fn network_port(node: u32) -> u32 {
    29_090 + 2 * node
}

/// The same for the controllers' quorum, which a member that talks to the wrong one disturbs with one
/// election after another.
fn controller_port(node: u32) -> u32 {
    network_port(node) + 1
}

impl Definition<'_> {
    /// `kafka-2`.
    pub fn component(&self) -> String {
        instance(self.part, self.number)
    }

    /// The container's name in the daemon.
    pub fn container(&self) -> String {
        format!("{}-{}", self.prefix, self.component())
    }

    /// The volume's name in the daemon, when it has one.
    pub fn volume(&self) -> Option<String> {
        self.spec.volume.as_ref().map(|_| self.container())
    }

    /// What the daemon is told.
    pub fn body(&self) -> ContainerCreateBody {
        let mut body = self.unlabelled();
        // The daemon's types hold maps without an order.
        let mut value = serde_json::to_value(&body).unwrap_or_default();
        value.sort_all_objects();
        let hash = Sha256::digest(value.to_string());
        let labels = HashMap::from([
            (
                LAB_LABEL.to_owned(),
                self.site.ctx.lab_dir.display().to_string(),
            ),
            (PART_LABEL.to_owned(), self.component()),
            (DEFINITION_LABEL.to_owned(), hex(&hash)[..16].to_owned()),
        ]);
        body.labels = Some(labels);
        body
    }

    fn unlabelled(&self) -> ContainerCreateBody {
        let spec = self.spec;
        let bindings = self.published();
        let mounts = spec.volume.as_ref().map(|target| {
            vec![Mount {
                target: Some(target.clone()),
                source: self.volume(),
                typ: Some(MountType::VOLUME),
                ..Mount::default()
            }]
        });
        let memory = spec.memory_mb << 20;
        let host_config = HostConfig {
            memory: Some(memory),
            // No swap: what does not fit is to show.
            memory_swap: Some(memory),
            port_bindings: Some(
                bindings
                    .iter()
                    .map(|(inside, port)| (inside.clone(), Some(vec![on_loopback(*port)])))
                    .collect(),
            ),
            mounts,
            network_mode: Some(match spec.network {
                Network::Lab => self.prefix.to_owned(),
                Network::Host => "host".into(),
            }),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), "16m".to_owned()),
                    ("max-file".to_owned(), "2".to_owned()),
                ])),
            }),
            ..HostConfig::default()
        };
        let is_in_lab = spec.network == Network::Lab;
        let mut aliases = vec![self.component()];
        aliases.extend(spec.aliases.iter().cloned());
        let endpoint = EndpointSettings {
            aliases: Some(aliases),
            ..EndpointSettings::default()
        };
        let env = spec
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", self.fill(value)));
        let command: Vec<String> = spec.command.iter().map(|word| self.fill(word)).collect();
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
            // In the machine's own network a container has the machine's name.
            hostname: is_in_lab.then(|| self.component()),
            env: Some(env.collect()),
            cmd: (!command.is_empty()).then_some(command),
            exposed_ports: Some(bindings.into_iter().map(|(inside, _)| inside).collect()),
            // PostgreSQL would wait for its clients after a SIGTERM.
            stop_signal: (self.part == Part::Postgres).then(|| "SIGINT".to_owned()),
            host_config: Some(host_config),
            networking_config: is_in_lab.then(|| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.prefix.to_owned(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Ports inside, and where they are on the host's loopback.
    fn published(&self) -> Vec<(String, u16)> {
        if self.spec.network == Network::Host {
            return Vec::new();
        }
        let lab = &self.site.lab;
        let own = (self.spec.port, lab.port(&self.component()));
        let further = self.spec.ports.iter().filter_map(|(name, inside)| {
            let port = lab.ports.get(&format!("{}_{name}", self.component()))?;
            Some((*inside, *port))
        });
        let all = [own].into_iter().chain(further);
        all.map(|(inside, port)| (format!("{inside}/tcp"), port))
            .collect()
    }

    /// Puts the lab's own values in the place of `{…}`.
    fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let lab = &self.site.lab;
        let brokers = lab.brokers;
        let each = |form: &dyn Fn(u32, String) -> String| -> String {
            let all = (1..=brokers).map(|node| form(node, instance(Part::Kafka, node)));
            all.collect::<Vec<_>>().join(",")
        };
        let values = [
            ("{node}", self.number.to_string()),
            ("{host}", self.component()),
            ("{port}", lab.port(&self.component()).to_string()),
            (
                "{voters}",
                each(&|node, host| format!("{node}@{host}:{}", controller_port(node))),
            ),
            (
                "{bootstrap}",
                each(&|node, host| format!("{host}:{}", network_port(node))),
            ),
            ("{network_port}", network_port(self.number).to_string()),
            (
                "{controller_port}",
                controller_port(self.number).to_string(),
            ),
            ("{replicas}", lab.replication().to_string()),
            (
                "{min_in_sync}",
                if brokers >= 3 { "2" } else { "1" }.to_owned(),
            ),
            ("{log_level}", self.site.log_level.clone()),
            ("{jmx}", observability::container_agent_option(lab)),
            ("{cluster_id}", self.site.memory.kafka_cluster_id.clone()),
            ("{admin_password}", lab.postgres_admin_password()),
        ];
        let mut text = text.to_owned();
        for (name, value) in values {
            text = text.replace(name, &value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;
    use crate::cli::Backend;
    use crate::images::{Catalogue, Origin};
    use crate::state::{LabMemory, LabState};

    fn site(brokers: u32) -> Site {
        let mut ctx = Context::new(false, Backend::Docker).unwrap();
        ctx.lab_dir = "/tmp/lab".into();
        let memory = LabMemory {
            ports: [("kafka".to_owned(), 19092), ("kafka-2".to_owned(), 19093)].into(),
            kafka_cluster_id: "cluster".into(),
            ..LabMemory::default()
        };
        let mut lab = LabState::new("kafka", &memory, "/bin".into(), false);
        lab.brokers = brokers;
        Site {
            ctx,
            lab,
            memory,
            log_level: "info".into(),
            detour: Default::default(),
        }
    }

    fn body(site: &Site, number: u32) -> ContainerCreateBody {
        let catalogue = Catalogue::load(&site.ctx).unwrap();
        let image = ImageUsed {
            reference: "x".into(),
            id: "sha256:x".into(),
            origin: Origin::Built,
            size_bytes: 0,
        };
        let definition = Definition {
            site,
            part: Part::Kafka,
            number,
            spec: catalogue.get("kafka").unwrap(),
            image: &image,
            prefix: "edalab-x",
        };
        definition.body()
    }

    #[test]
    fn three_brokers_know_each_other_and_each_has_its_own_port() {
        let body = body(&site(3), 2);
        let env = body.env.unwrap();
        let has = |line: &str| assert!(env.iter().any(|l| l == line), "{line} in {env:#?}");
        has("KAFKA_NODE_ID=2");
        has("KAFKA_CONTROLLER_QUORUM_VOTERS=1@kafka:29093,2@kafka-2:29095,3@kafka-3:29097");
        has("KAFKA_ADVERTISED_LISTENERS=HOST://127.0.0.1:19093,NETWORK://kafka-2:29094");
        has("KAFKA_LISTENERS=HOST://:9092,NETWORK://:29094,CONTROLLER://:29095");
        has("KAFKA_DEFAULT_REPLICATION_FACTOR=3");
        has("KAFKA_MIN_INSYNC_REPLICAS=2");
        has("CLUSTER_ID=cluster");
        assert!(env.iter().all(|line| !line.contains('{')), "{env:#?}");
        let bindings = body.host_config.unwrap().port_bindings.unwrap();
        let binding = &bindings["9092/tcp"].as_ref().unwrap()[0];
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(binding.host_port.as_deref(), Some("19093"));
    }

    #[test]
    fn another_definition_has_another_hash() {
        let hash = |site: &Site| body(site, 1).labels.unwrap()[DEFINITION_LABEL].clone();
        for _ in 0..20 {
            assert_eq!(hash(&site(1)), hash(&site(1)));
        }
        assert_ne!(hash(&site(1)), hash(&site(3)));
    }
}
