//! The stack of one lab: its images, its network, its volumes, and the start of its containers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Context as _;
use bollard::errors::Error::DockerResponseServerError;
use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{CreateContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use chrono::Utc;
use sha2::{Digest, Sha256};

use super::definition::Definition;
use super::own::{Owned, remove};
use super::{CLUSTER_LABEL, DEFINITION_LABEL, Daemon, LAB_LABEL};
use crate::Context;
use crate::components::kafka::jars::hex;
use crate::components::observability::{self, Given};
use crate::components::{Part, Site, log_path};
use crate::images::inventory::Wish;
use crate::images::{Catalogue, ImageSpec, ImageUsed, Inventory, Origin};
use crate::ports;
use crate::process::Identity;
use crate::state::ComponentState;

/// A daemon with all the images that a lab needs.
#[derive(Debug, Clone)]
pub struct Stack {
    pub daemon: Daemon,
    /// Part → its image.
    pub images: BTreeMap<String, ImageUsed>,
    /// What could watch the lab but has no image here, and why.
    pub skipped: BTreeMap<String, String>,
    specs: BTreeMap<String, ImageSpec>,
    prefix: String,
}

impl Stack {
    /// Finds the daemon and decides which images run.
    ///
    /// # Errors
    /// When no daemon answers or images are missing, with the ways out.
    pub async fn open(ctx: &Context) -> anyhow::Result<Self> {
        let daemon = Daemon::connect().await?;
        let catalogue = Catalogue::load(ctx)?;
        let specs = catalogue.select(&Part::INFRA.map(|part| part.name().to_owned()), false)?;
        let inventory = Inventory::read(ctx, &daemon).await?;
        let images = inventory.choose(&specs, Wish::from_env()?)?;
        Ok(Self {
            daemon,
            images,
            skipped: BTreeMap::new(),
            specs: specs.into_iter().collect(),
            prefix: prefix(&ctx.lab_dir),
        })
    }

    /// The same, with these services in containers too, from the images that are here.
    ///
    /// # Errors
    /// When one of them was not built.
    pub async fn with_services(mut self, ctx: &Context, parts: &[Part]) -> anyhow::Result<Self> {
        let catalogue = Catalogue::load(ctx)?;
        let names: Vec<String> = parts.iter().map(|part| part.name().to_owned()).collect();
        let specs = catalogue.select(&names, false)?;
        let inventory = Inventory::read(ctx, &self.daemon).await?;
        self.images
            .extend(inventory.choose(&specs, Some(Wish::Offline))?);
        self.specs.extend(specs);
        Ok(self)
    }

    /// The same, with those of `parts` that watch the lab and whose images are here.
    ///
    /// # Errors
    /// When the images cannot be listed.
    pub async fn with_observability(
        mut self,
        ctx: &Context,
        parts: &[Part],
    ) -> anyhow::Result<Self> {
        let catalogue = Catalogue::load(ctx)?;
        let inventory = Inventory::read(ctx, &self.daemon).await?;
        for part in Part::OBSERVABILITY {
            if !parts.contains(&part) {
                continue;
            }
            let name = part.name().to_owned();
            let specs = catalogue.select(std::slice::from_ref(&name), false)?;
            match inventory.choose(&specs, None) {
                Ok(images) => {
                    self.images.extend(images);
                    self.specs.extend(specs);
                }
                Err(_) => {
                    let pull = "`cargo xtask images pull --all`";
                    let why = match part {
                        _ if specs[0].1.offline.is_none() => format!(
                            "its pinned image is not here, and there is no offline one ({pull}, \
                             where a registry answers)"
                        ),
                        Part::Jaeger => format!(
                            "neither its pinned nor its offline image is here ({pull}, or `images \
                             build --jaeger`)"
                        ),
                        _ => format!(
                            "neither its pinned nor its offline image is here ({pull} or `images \
                             build`)"
                        ),
                    };
                    ctx.out.line(format_args!("{name} is skipped: {why}"));
                    self.skipped.insert(name, why);
                }
            }
        }
        Ok(self)
    }

    /// A stack of pinned images, when a daemon answers and has them all; else why not.
    pub async fn pinned(ctx: &Context) -> Result<Self, String> {
        match Self::open(ctx).await {
            Ok(stack)
                if stack
                    .images
                    .values()
                    .all(|image| image.origin != Origin::Built) =>
            {
                Ok(stack)
            }
            Ok(_) => Err("only offline images are here".into()),
            Err(e) if format!("{e:#}").contains("no container daemon") => {
                Err("no container daemon answers".into())
            }
            Err(_) => Err("the pinned images are not here".into()),
        }
    }

    /// `kafka edalab/kafka:3.9.2 (built here), …`.
    pub fn describe_images(&self) -> String {
        let one = |(name, image): (&String, &ImageUsed)| {
            format!("{name} {} ({})", image.reference, image.origin.describe())
        };
        self.images.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The names of this lab's volumes.
    pub async fn volumes(&self, lab_dir: &Path) -> anyhow::Result<Vec<String>> {
        Ok(Owned::list(&self.daemon, lab_dir).await?.volumes)
    }

    /// True for what this stack runs as a container.
    pub fn runs(&self, part: Part) -> bool {
        self.specs.contains_key(part.name())
    }

    /// What must be ready before a part is started.
    pub fn needs(&self, part: Part) -> Vec<Part> {
        let spec = self.specs.get(part.name());
        let Some(spec) = spec.filter(|_| Part::INFRA.contains(&part)) else {
            return part.needs().into();
        };
        let names = match self.images[part.name()].origin {
            Origin::Built => &spec.offline_needs,
            _ => &spec.needs,
        };
        names
            .iter()
            .filter_map(|name| Part::from_name(name).ok())
            .collect()
    }

    /// The network that all containers share, made when it is missing.
    ///
    /// # Errors
    /// When its name is somebody else's.
    pub async fn ensure_network(&self, lab_dir: &Path) -> anyhow::Result<()> {
        match self.daemon.inspect_network(&self.prefix, None).await {
            Ok(network) => {
                let owner = network.labels.unwrap_or_default().remove(LAB_LABEL);
                return self.check_owner("network", &self.prefix, owner.as_deref(), lab_dir);
            }
            Err(DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(e) => return Err(e).context("failed to ask for the lab's network"),
        }
        let request = NetworkCreateRequest {
            name: self.prefix.clone(),
            driver: Some("bridge".into()),
            labels: Some(labels(lab_dir)),
            ..NetworkCreateRequest::default()
        };
        let made = self.daemon.create_network(request).await;
        made.map(drop).context("failed to make the lab's network")
    }

    /// True when a running part is not what this stack would make.
    pub async fn is_outdated(&self, site: &Site, component: &ComponentState) -> bool {
        let Some((part, number)) = component.part() else {
            return false;
        };
        let id = match (&component.container, self.runs(part)) {
            (Some(id), true) => id,
            (None, false) => return false,
            // A process where a container belongs, or the other way round.
            _ => return true,
        };
        let wanted = self
            .define(site, part, number)
            .body()
            .labels
            .unwrap_or_default();
        let Ok(there) = self.daemon.inspect_container(id, None).await else {
            return false;
        };
        let there = there
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default();
        there.get(DEFINITION_LABEL) != wanted.get(DEFINITION_LABEL)
    }

    /// Creates a container, which does not run yet.
    ///
    /// # Errors
    /// When its name or its volume is somebody else's, or the daemon refuses.
    pub async fn create(
        &self,
        site: &Site,
        part: Part,
        number: u32,
    ) -> anyhow::Result<ComponentState> {
        let definition = self.define(site, part, number);
        let lab_dir = &site.ctx.lab_dir;
        if let Some(volume) = definition.volume() {
            self.ensure_volume(site, part, &volume).await?;
        }
        let name = definition.container();
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let mut made = self
            .daemon
            .create_container(Some(options.clone()), definition.body())
            .await;
        if let Err(DockerResponseServerError {
            status_code: 409, ..
        }) = &made
        {
            // Ours was left by a run that was killed.
            let there = self.daemon.inspect_container(&name, None).await;
            let there = there.with_context(|| format!("failed to look at {name}"))?;
            let owner = there
                .config
                .and_then(|config| config.labels?.remove(LAB_LABEL));
            self.check_owner("container", &name, owner.as_deref(), lab_dir)?;
            remove(&self.daemon, &name).await?;
            made = self
                .daemon
                .create_container(Some(options), definition.body())
                .await;
        }
        let made = made.map_err(|e| explain(e, site, &definition))?;
        let files = observability::files(site, part)?;
        give(&self.daemon, &made.id, files)
            .await
            .with_context(|| format!("failed to give {name} its files"))?;
        let component = definition.component();
        let url = match part {
            Part::Kafka => format!("127.0.0.1:{}", site.lab.port(&component)),
            Part::Postgres => {
                format!(
                    "postgresql://127.0.0.1:{}/edalab",
                    site.lab.port(&component)
                )
            }
            _ => site.lab.url(&component),
        };
        Ok(ComponentState {
            port: site.lab.port(&component),
            name: component,
            pid: 0,
            start_id: String::new(),
            container: Some(made.id),
            log: log_path(&site.ctx, part),
            url,
            started_at: Utc::now(),
            start_ms: 0,
            ready_after_ms: 0,
        })
    }

    /// Starts what [`Stack::create`] made, and notes its process where the system shows it to us.
    ///
    /// # Errors
    /// When its port is taken, or it does not start.
    pub async fn start(
        &self,
        site: &Site,
        mut component: ComponentState,
    ) -> anyhow::Result<ComponentState> {
        let id = component
            .container
            .clone()
            .context("a container has an id")?;
        let (part, number) = component.part().context("a component has a part")?;
        let started = self.daemon.start_container(&id, None).await;
        started.map_err(|e| explain(e, site, &self.define(site, part, number)))?;
        let now = self.daemon.inspect_container(&id, None).await;
        let pid = now
            .ok()
            .and_then(|now| u32::try_from(now.state?.pid?).ok())
            .unwrap_or(0);
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        // In a virtual machine or a user's namespace the pid would be somebody else's here.
        if pid != 0
            && cgroup.contains(&id)
            && let Some(identity) = Identity::of(pid)
        {
            component.pid = identity.pid;
            component.start_id = identity.start_id;
        }
        Ok(component)
    }

    fn define<'a>(&'a self, site: &'a Site, part: Part, number: u32) -> Definition<'a> {
        Definition {
            site,
            part,
            number,
            spec: &self.specs[part.name()],
            image: &self.images[part.name()],
            prefix: &self.prefix,
        }
    }

    async fn ensure_volume(&self, site: &Site, part: Part, name: &str) -> anyhow::Result<()> {
        let lab_dir = &site.ctx.lab_dir;
        let cluster = &site.memory.kafka_cluster_id;
        match self.daemon.inspect_volume(name).await {
            Ok(volume) => {
                let owner = volume.labels.get(LAB_LABEL).map(String::as_str);
                self.check_owner("volume", name, owner, lab_dir)?;
                let its = volume.labels.get(CLUSTER_LABEL);
                anyhow::ensure!(
                    part != Part::Kafka || its == Some(cluster),
                    "the volume {name} belongs to another Kafka cluster; `cargo xtask clean` \
                     removes the lab's data"
                );
                return Ok(());
            }
            Err(DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(e) => return Err(e).context("failed to ask for the lab's volume"),
        }
        let mut labels = labels(lab_dir);
        if part == Part::Kafka {
            labels.insert(CLUSTER_LABEL.to_owned(), cluster.clone());
        }
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let made = self.daemon.create_volume(request).await;
        made.map(drop)
            .with_context(|| format!("failed to make the volume {name}"))
    }

    fn check_owner(
        &self,
        kind: &str,
        name: &str,
        owner: Option<&str>,
        lab_dir: &Path,
    ) -> anyhow::Result<()> {
        let ours = owner == Some(&lab_dir.display().to_string());
        anyhow::ensure!(
            ours,
            "the {kind} {name} is there and not this lab's ({}); remove or rename it, then start \
             again",
            owner.unwrap_or("it carries no label of a lab")
        );
        Ok(())
    }
}

/// Puts files into a container, whether it runs or not yet.
///
/// # Errors
/// When the daemon does not take them.
pub async fn give(daemon: &Daemon, id: &str, files: Vec<Given>) -> anyhow::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice())?;
    }
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let body = bollard::body_full(tar.into_inner()?.into());
    let given = daemon.upload_to_container(id, Some(options), body);
    given.await.context("the daemon does not take them")
}

/// In front of all names of this lab: two labs never meet.
pub fn prefix(lab_dir: &Path) -> String {
    let hash = hex(&Sha256::digest(lab_dir.as_os_str().as_encoded_bytes()));
    format!("edalab-{}", &hash[..6])
}

fn labels(lab_dir: &Path) -> HashMap<String, String> {
    HashMap::from([(LAB_LABEL.to_owned(), lab_dir.display().to_string())])
}

/// What the daemon's refusal means for the user.
fn explain(error: bollard::errors::Error, site: &Site, of: &Definition<'_>) -> anyhow::Error {
    let component = of.component();
    let text = match error {
        DockerResponseServerError { message, .. } => message,
        other => other.to_string(),
    };
    if let Some(port) = taken_port(&text) {
        let name = of.part.name().to_uppercase();
        let elsewhere = if port == site.lab.port(&component) {
            format!("choose another with EDALAB_PORT_{name}")
        } else {
            "give this lab others with EDALAB_FREE_PORTS=true".to_owned()
        };
        return anyhow::anyhow!(
            "the port {port} for {component} was taken meanwhile by {}; start again, or {elsewhere}",
            ports::owner(port),
        );
    }
    if text.contains("no space left") {
        return anyhow::anyhow!("the daemon's disk is full: {text}");
    }
    if text.contains("No such image") {
        return anyhow::anyhow!("the image of {component} was removed meanwhile; start again");
    }
    anyhow::anyhow!("the daemon refuses the container of {component}: {text}")
}

/// The port of this machine that the daemon could not bind, as it says it: `failed to bind host
/// port for 127.0.0.1:4318:172.18.0.3:4318/tcp: address already in use`, or `Bind for
/// 127.0.0.1:4318 failed: port is already allocated`.
fn taken_port(refusal: &str) -> Option<u16> {
    let taken = ["address already in use", "port is already allocated"];
    if !taken.iter().any(|words| refusal.contains(words)) {
        return None;
    }
    let (_, after) = refusal
        .split_once("host port for ")
        .or_else(|| refusal.split_once("Bind for "))
        .or_else(|| refusal.split_once("listen tcp4 "))?;
    let (_, port) = after.split_once(':')?;
    let digits = port.find(|c: char| !c.is_ascii_digit());
    port[..digits.unwrap_or(port.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_that_is_taken_is_found_in_the_daemons_words() {
        let said = |text: &str| taken_port(text);
        let proxy = "driver failed programming external connectivity on endpoint edalab-0a1b2c-jaeger \
                     (0a1b): failed to bind host port for 127.0.0.1:4318:172.18.0.3:4318/tcp: \
                     address already in use";
        assert_eq!(said(proxy), Some(4318));
        let daemon = "driver failed programming external connectivity on endpoint x: Bind for \
                      127.0.0.1:25623 failed: port is already allocated";
        assert_eq!(said(daemon), Some(25623));
        let older = "Error starting userland proxy: listen tcp4 127.0.0.1:9092: bind: address \
                     already in use";
        assert_eq!(said(older), Some(9092));
        let name = "Conflict. The container name \"/edalab-0a1b2c-jaeger\" is already in use by \
                    container \"0a1b\".";
        assert_eq!(said(name), None);
    }
}
