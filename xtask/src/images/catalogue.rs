//! `infra/images.toml`: every image of the Docker backend, and how its container runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::Context;

/// One image, under the name of the part that it is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    pub role: String,
    #[serde(default)]
    pub group: Group,
    /// `apache/kafka:3.9.1`; the digest decides, the tag is for the reader. Empty for what no
    /// registry has.
    #[serde(default)]
    pub image: String,
    /// `sha256:…`.
    #[serde(default)]
    pub digest: String,
    /// The image that `images build` makes instead.
    pub offline: Option<String>,
    /// Where it listens in its container.
    pub port: u16,
    /// Further ports inside, by name; a part's `NAME` is published as `part_NAME`.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// `host` for what has to reach processes that listen on loopback.
    #[serde(default)]
    pub network: Network,
    /// Further names in the network.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where its data lies in the container.
    pub volume: Option<String>,
    pub memory_mb: i64,
    /// Parts that must be ready first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The same for the offline image.
    #[serde(default)]
    pub offline_needs: Vec<String>,
    /// What proves that it works, for the reader.
    pub ready: String,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Which verbs mean it when nothing is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// What `up` starts.
    #[default]
    Core,
    /// With `--services container`.
    Services,
    Observability,
}

/// Which network a container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The lab's own.
    #[default]
    Lab,
    /// The machine's, with everything bound to loopback.
    Host,
}

impl ImageSpec {
    /// `apache/kafka`.
    pub fn repository(&self) -> &str {
        match self.image.rsplit_once(':') {
            // A colon before a slash is a registry's port.
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => &self.image,
        }
    }

    /// The repository at a mirror of Docker Hub, which keeps official images below `library/`.
    pub fn mirrored(&self, mirror: &str) -> String {
        let repository = self.repository();
        let first = repository.split('/').next().unwrap_or_default();
        let mirror = mirror.trim_end_matches('/');
        if first.contains(['.', ':']) || first == "localhost" {
            let path = repository
                .split_once('/')
                .map_or(repository, |(_, path)| path);
            format!("{mirror}/{path}")
        } else if repository.contains('/') {
            format!("{mirror}/{repository}")
        } else {
            format!("{mirror}/library/{repository}")
        }
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub images: BTreeMap<String, ImageSpec>,
}

impl Catalogue {
    /// `EDALAB_IMAGES_FILE`, else `infra/images.toml`.
    ///
    /// # Errors
    /// Naming the file and the line that is wrong.
    pub fn load(ctx: &Context) -> anyhow::Result<Self> {
        let path = std::env::var_os("EDALAB_IMAGES_FILE").filter(|path| !path.is_empty());
        let path = path.map_or_else(|| ctx.root.join("infra/images.toml"), PathBuf::from);
        let failed = || format!("failed to read {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(failed)?;
        Self::parse(&text).with_context(failed)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let images: BTreeMap<String, ImageSpec> = toml::from_str(text)?;
        for (name, spec) in &images {
            if spec.group == Group::Services {
                continue;
            }
            let hash = spec.digest.strip_prefix("sha256:").unwrap_or_default();
            anyhow::ensure!(
                hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}: {:?} is no digest (sha256: and 64 hexadecimal digits)",
                spec.digest
            );
        }
        Ok(Self { images })
    }

    /// # Errors
    /// When there is none of that name; says which there are.
    pub fn get(&self, name: &str) -> anyhow::Result<&ImageSpec> {
        self.images.get(name).with_context(|| {
            let names: Vec<&str> = self.images.keys().map(String::as_str).collect();
            format!(
                "there is no image {name:?}; the images are {}",
                names.join(", ")
            )
        })
    }

    /// Those of `names`; without any, what `up` starts; with `all`, every one.
    pub fn select(&self, names: &[String], all: bool) -> anyhow::Result<Vec<(String, ImageSpec)>> {
        if names.is_empty() {
            let wanted = self.images.iter();
            let wanted = wanted.filter(|(_, spec)| all || spec.group == Group::Core);
            return Ok(wanted
                .map(|(name, spec)| (name.clone(), spec.clone()))
                .collect());
        }
        names
            .iter()
            .map(|name| Ok((name.clone(), self.get(name)?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::Part;

    const FILE: &str = include_str!("../../../infra/images.toml");

    #[test]
    fn the_committed_file_is_whole() {
        let catalogue = Catalogue::parse(FILE).unwrap();
        for part in Part::INFRA {
            let spec = catalogue.get(part.name()).unwrap();
            assert!(spec.offline.is_some(), "{}", part.name());
            assert_eq!(spec.group, Group::Core);
            for needed in spec.needs.iter().chain(&spec.offline_needs) {
                Part::from_name(needed).unwrap();
            }
        }
        assert_eq!(catalogue.select(&[], false).unwrap().len(), 3);
        assert_eq!(catalogue.select(&[], true).unwrap().len(), 8);
        let error = catalogue.get("nobody").unwrap_err().to_string();
        assert!(error.contains("kafka"), "{error}");
    }

    #[test]
    fn a_bad_digest_or_an_unknown_field_is_named() {
        let broken = FILE.replacen("sha256:4ceccc", "sha256:4ce", 1);
        let error = Catalogue::parse(&broken).unwrap_err().to_string();
        assert!(error.starts_with("kafka"), "{error}");
        let broken = FILE.replacen("memory_mb", "memory", 1);
        let error = Catalogue::parse(&broken).unwrap_err().to_string();
        assert!(error.contains("memory"), "{error}");
    }

    #[test]
    fn mirrors_keep_docker_hubs_paths() {
        let catalogue = Catalogue::parse(FILE).unwrap();
        let mirrored = |name: &str| catalogue.get(name).unwrap().mirrored("localhost:5000/");
        assert_eq!(mirrored("kafka"), "localhost:5000/apache/kafka");
        assert_eq!(mirrored("postgres"), "localhost:5000/library/postgres");
        let mut spec = catalogue.get("kafka").unwrap().clone();
        spec.image = "quay.io:443/a/b:1".into();
        assert_eq!(spec.repository(), "quay.io:443/a/b");
        assert_eq!(spec.mirrored("m"), "m/a/b");
    }
}
