//! Which images the daemon has, where each came from, and which set of them the lab runs.
//!
//! A registry's image is known by its digest, which the daemon keeps. One from a bundle has lost it
//! on the way; [`Records`] in the user's cache then remembers which image id stands for which
//! digest. An offline image carries the key of what it was built from as a label.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptionsBuilder;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::catalogue::ImageSpec;
use crate::Context;
use crate::components::docker::Daemon;

/// Where an image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Registry,
    Mirror,
    Bundle,
    /// `images build`.
    Built,
}

impl Origin {
    pub const fn describe(self) -> &'static str {
        match self {
            Origin::Registry => "registry",
            Origin::Mirror => "mirror",
            Origin::Bundle => "bundle",
            Origin::Built => "built here",
        }
    }
}

/// An image that the daemon has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUsed {
    /// `apache/kafka:3.9.1@sha256:…`, or `edalab/kafka:3.9.2`.
    pub reference: String,
    /// The daemon's own name of it: the hash of its configuration.
    pub id: String,
    pub origin: Origin,
    pub size_bytes: i64,
}

/// Which set `up` takes; without a wish, the pinned one when it is whole, else the offline one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Pinned,
    Offline,
}

impl FromStr for Wish {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "pinned" => Ok(Wish::Pinned),
            "offline" => Ok(Wish::Offline),
            _ => anyhow::bail!("EDALAB_IMAGES is {text:?}, which is neither pinned nor offline"),
        }
    }
}

impl Wish {
    /// `EDALAB_IMAGES`.
    pub fn from_env() -> anyhow::Result<Option<Self>> {
        match std::env::var("EDALAB_IMAGES") {
            Ok(text) if !text.is_empty() => text.parse().map(Some),
            _ => Ok(None),
        }
    }
}

/// What the user's cache remembers of images.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Records {
    /// Image name → what stands for its digest.
    #[serde(default)]
    pub pinned: BTreeMap<String, Record>,
    /// Image name → what `images build` made.
    #[serde(default)]
    pub offline: BTreeMap<String, Record>,
}

/// One image that was pulled, loaded or built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub reference: String,
    /// The registry's digest, or the key of what an offline image was built from.
    pub digest: String,
    pub id: String,
    pub origin: Origin,
    pub at: DateTime<Utc>,
}

impl Records {
    fn path(ctx: &Context) -> PathBuf {
        folder(ctx).join("images.json")
    }

    /// Nothing, when nothing readable is there: then digests must do.
    pub fn load(ctx: &Context) -> Self {
        let text = std::fs::read(Self::path(ctx)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Changes what is there now.
    pub fn update(ctx: &Context, change: impl FnOnce(&mut Self)) -> anyhow::Result<()> {
        let path = Self::path(ctx);
        let failed = || format!("failed to write {}", path.display());
        std::fs::create_dir_all(folder(ctx)).with_context(failed)?;
        let mut records = Self::load(ctx);
        change(&mut records);
        let text = serde_json::to_vec_pretty(&records).with_context(failed)?;
        let beside = path.with_extension(format!("json.{}", std::process::id()));
        std::fs::write(&beside, text).with_context(failed)?;
        std::fs::rename(&beside, &path).with_context(failed)
    }
}

/// Where images leave things between runs.
pub fn folder(ctx: &Context) -> PathBuf {
    ctx.cache_dir.join("images")
}

/// The daemon's images, as of one moment.
#[derive(Debug)]
pub struct Inventory {
    images: Vec<ImageSummary>,
    records: Records,
}

impl Inventory {
    pub async fn read(ctx: &Context, daemon: &Daemon) -> anyhow::Result<Self> {
        let options = ListImagesOptionsBuilder::default().build();
        let images = daemon.list_images(Some(options)).await;
        Ok(Self {
            images: images.context("failed to list the daemon's images")?,
            records: Records::load(ctx),
        })
    }

    /// The image of the pinned digest.
    pub fn pinned(&self, name: &str, spec: &ImageSpec) -> Option<ImageUsed> {
        if spec.digest.is_empty() {
            return None;
        }
        let reference = format!("{}@{}", spec.image, spec.digest);
        let used = |image: &ImageSummary, origin| ImageUsed {
            reference: reference.clone(),
            id: image.id.clone(),
            origin,
            size_bytes: image.size,
        };
        for image in &self.images {
            for known in &image.repo_digests {
                let Some((repository, digest)) = known.split_once('@') else {
                    continue;
                };
                if digest != spec.digest {
                    continue;
                }
                let own = [
                    spec.repository(),
                    &format!("docker.io/{}", spec.repository()),
                ]
                .contains(&repository);
                return Some(used(
                    image,
                    if own {
                        Origin::Registry
                    } else {
                        Origin::Mirror
                    },
                ));
            }
        }
        let record = self.records.pinned.get(name)?;
        if record.digest != spec.digest {
            return None;
        }
        let image = self.images.iter().find(|image| image.id == record.id)?;
        Some(used(image, record.origin))
    }

    /// The image that stands in for it.
    pub fn offline(&self, spec: &ImageSpec) -> Option<ImageUsed> {
        let reference = spec.offline.as_ref()?;
        let image = self.tagged(reference)?;
        Some(ImageUsed {
            reference: reference.clone(),
            id: image.id.clone(),
            origin: Origin::Built,
            size_bytes: image.size,
        })
    }

    /// The image that carries this tag.
    pub fn tagged(&self, reference: &str) -> Option<&ImageSummary> {
        // Podman puts a registry in front of what it made itself.
        let local = format!("localhost/{reference}");
        self.images.iter().find(|image| {
            image
                .repo_tags
                .iter()
                .any(|tag| *tag == reference || *tag == local)
        })
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    /// One image for each of `specs`, all from the same set.
    ///
    /// # Errors
    /// Naming what is missing and the ways to get it.
    pub fn choose(
        &self,
        specs: &[(String, ImageSpec)],
        wish: Option<Wish>,
    ) -> anyhow::Result<BTreeMap<String, ImageUsed>> {
        let pinned = |(name, spec): &(String, ImageSpec)| self.pinned(name, spec);
        let offline = |(_, spec): &(String, ImageSpec)| self.offline(spec);
        let whole = |found: Vec<Option<ImageUsed>>| -> Option<BTreeMap<String, ImageUsed>> {
            let pairs = specs.iter().zip(found);
            pairs
                .map(|((name, _), image)| Some((name.clone(), image?)))
                .collect()
        };
        let mut chosen = None;
        if wish != Some(Wish::Offline) {
            chosen = whole(specs.iter().map(pinned).collect());
        }
        if chosen.is_none() && wish != Some(Wish::Pinned) {
            chosen = whole(specs.iter().map(offline).collect());
        }
        chosen.with_context(|| {
            let missing: Vec<&str> = specs
                .iter()
                .filter(|spec| pinned(spec).is_none() || wish == Some(Wish::Offline))
                .filter(|spec| offline(spec).is_none() || wish == Some(Wish::Pinned))
                .map(|(name, _)| name.as_str())
                .collect();
            let what = if missing.is_empty() {
                "of neither the pinned nor the offline images all are here".to_owned()
            } else {
                format!("the images of {} are not here", missing.join(", "))
            };
            format!(
                "{what}; get them with `cargo xtask images pull` (network), `images load FILE` (a \
                 bundle) or `images build` (made here from Debian packages)"
            )
        })
    }
}

/// Reads a file that must be there, for hashing and sending.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str], digests: &[&str]) -> ImageSummary {
        ImageSummary {
            id: id.into(),
            repo_tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            repo_digests: digests.iter().map(|d| (*d).to_owned()).collect(),
            ..ImageSummary::default()
        }
    }

    fn spec(name: &str, digest: &str) -> (String, ImageSpec) {
        let text = format!(
            "role = 'x'\nimage = 'a/{name}:1'\ndigest = '{digest}'\noffline = 'edalab/{name}:1'\n\
             port = 1\nmemory_mb = 1\nready = 'x'\n"
        );
        (name.into(), toml::from_str(&text).unwrap())
    }

    #[test]
    fn pinned_images_come_first_and_sets_are_not_mixed() {
        let specs = [spec("one", "sha256:1"), spec("two", "sha256:2")];
        let mut inventory = Inventory {
            images: vec![
                image("i1", &[], &["a/one@sha256:1"]),
                image("o1", &["edalab/one:1"], &[]),
                image("o2", &["localhost/edalab/two:1"], &[]),
            ],
            records: Records::default(),
        };
        let chosen = inventory.choose(&specs, None).unwrap();
        assert_eq!(
            (chosen["one"].id.as_str(), chosen["two"].id.as_str()),
            ("o1", "o2")
        );
        let error = inventory.choose(&specs, Some(Wish::Pinned)).unwrap_err();
        assert!(
            error.to_string().contains("images of two are not here"),
            "{error}"
        );

        inventory
            .images
            .push(image("i2", &[], &["localhost:5000/a/two@sha256:2"]));
        let chosen = inventory.choose(&specs, None).unwrap();
        assert_eq!(chosen["one"].origin, Origin::Registry);
        assert_eq!(
            (chosen["two"].id.as_str(), chosen["two"].origin),
            ("i2", Origin::Mirror)
        );
        let chosen = inventory.choose(&specs, Some(Wish::Offline)).unwrap();
        assert_eq!(chosen["two"].id, "o2");
    }

    #[test]
    fn an_image_of_a_bundle_is_known_by_its_record() {
        let (name, spec) = spec("one", "sha256:1");
        let record = Record {
            reference: spec.image.clone(),
            digest: "sha256:1".into(),
            id: "i1".into(),
            origin: Origin::Bundle,
            at: Utc::now(),
        };
        let inventory = |digest: &str| Inventory {
            images: vec![image("i1", &[], &[])],
            records: Records {
                pinned: [(
                    name.clone(),
                    Record {
                        digest: digest.into(),
                        ..record.clone()
                    },
                )]
                .into(),
                ..Records::default()
            },
        };
        let found = inventory("sha256:1").pinned(&name, &spec).unwrap();
        assert_eq!(found.origin, Origin::Bundle);
        assert_eq!(inventory("sha256:2").pinned(&name, &spec), None);
    }
}
