//! A bundle: one file with every image, for rooms without a network.
//!
//! It is a zstd stream of a tar with two entries: `bundle.json`, which says what the images are
//! and what the second entry hashes to, and `images.tar`, as the daemon exports them. Loading reads
//! it twice, so that the daemon sees nothing of a bundle that is torn or not what it says.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use anyhow::Context as _;
use bollard::query_parameters::{ImportImageOptionsBuilder, TagImageOptionsBuilder};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalogue::{Catalogue, ImageSpec};
use super::inventory::{ImageUsed, Inventory, Origin, Record, Records, Wish};
use super::transfer;
use crate::Context;
use crate::components::docker::Daemon;
use crate::components::kafka::jars::hex;
use crate::output::Step;

const VERSION: u32 = 1;

/// `bundle.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub made_at: DateTime<Utc>,
    pub images: Vec<Bundled>,
    /// Of `images.tar`.
    pub sha256: String,
    pub size: u64,
}

/// One image of a bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bundled {
    pub name: String,
    /// Its tag in `images.tar`.
    pub tag: String,
    /// The registry's digest; none for an offline image.
    pub digest: Option<String>,
    pub id: String,
}

/// The tag that keeps a pinned image from looking unused, and names it in a bundle.
pub fn keep_tag(name: &str, spec: &ImageSpec) -> (String, String) {
    let tag = spec
        .image
        .strip_prefix(spec.repository())
        .unwrap_or_default();
    let tag = tag.trim_start_matches(':');
    let tag = if tag.is_empty() { "pinned" } else { tag };
    (format!("edalab/pinned-{name}"), tag.to_owned())
}

/// Gives a pinned image that tag.
pub async fn keep(
    daemon: &Daemon,
    id: &str,
    name: &str,
    spec: &ImageSpec,
) -> anyhow::Result<String> {
    let (repository, tag) = keep_tag(name, spec);
    let options = TagImageOptionsBuilder::default()
        .repo(&repository)
        .tag(&tag)
        .build();
    daemon
        .tag_image(id, Some(options))
        .await
        .with_context(|| format!("failed to tag {repository}:{tag}"))?;
    Ok(format!("{repository}:{tag}"))
}

/// Writes the images of `specs` to `file`.
///
/// # Errors
/// When one is not here, or the file cannot be written.
pub async fn save(
    ctx: &Context,
    daemon: &Daemon,
    specs: &[(String, ImageSpec)],
    file: &Path,
    step: &Step,
) -> anyhow::Result<Manifest> {
    let inventory = Inventory::read(ctx, daemon).await?;
    let chosen = inventory.choose(specs, Wish::from_env()?)?;
    let mut images = Vec::new();
    for (name, spec) in specs {
        let image: &ImageUsed = &chosen[name];
        let (tag, digest) = if image.origin == Origin::Built {
            (image.reference.clone(), None)
        } else {
            let tag = keep(daemon, &image.id, name, spec).await?;
            (tag, Some(spec.digest.clone()))
        };
        images.push(Bundled {
            name: name.clone(),
            tag,
            digest,
            id: image.id.clone(),
        });
    }
    let total: i64 = chosen.values().map(|image| image.size_bytes).sum();
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let beside = || tempfile::NamedTempFile::new_in(dir);
    let mut spool = beside().with_context(|| format!("failed to write to {}", dir.display()))?;
    let mut raw = spool.reopen().context("failed to write the bundle")?;
    let tags: Vec<&str> = images.iter().map(|image| image.tag.as_str()).collect();
    let progress = |bytes| {
        step.tick(format_args!(
            "exports {} of about {} MB",
            bytes >> 20,
            total >> 20
        ));
    };
    let (sums, sum) = std::sync::mpsc::channel();
    let export = daemon.export_images(&tags);
    transfer::into_writer(export, progress, move |chunks| {
        let mut hash = Sha256::new();
        let mut size = 0;
        for chunk in chunks {
            hash.update(&chunk);
            size += chunk.len() as u64;
            raw.write_all(&chunk)
                .context("failed to write the bundle")?;
        }
        sums.send((hex(&hash.finalize()), size))
            .context("nobody waits")
    })
    .await
    .context("failed to export the images")?;
    let (sha256, size) = sum.recv().context("failed to hash the bundle")?;
    let manifest = Manifest {
        version: VERSION,
        made_at: Utc::now(),
        images,
        sha256,
        size,
    };
    step.update("packs the bundle");
    let packed = beside().with_context(|| format!("failed to write to {}", dir.display()))?;
    let written = manifest.clone();
    let packed = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        spool.rewind().context("failed to read the export")?;
        pack(&written, spool.as_file_mut(), packed.as_file())?;
        Ok(packed)
    })
    .await
    .context("failed to wait for packing")??;
    packed
        .persist(file)
        .with_context(|| format!("failed to write {}", file.display()))?;
    Ok(manifest)
}

fn pack(manifest: &Manifest, images: &mut File, out: &File) -> anyhow::Result<()> {
    let failed = "failed to write the bundle";
    let mut zstd = zstd::Encoder::new(out, 3).context(failed)?;
    zstd.include_checksum(true).context(failed)?;
    let mut tar = tar::Builder::new(zstd);
    let text = serde_json::to_vec_pretty(manifest).context(failed)?;
    let header = |size| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header
    };
    tar.append_data(
        &mut header(text.len() as u64),
        "bundle.json",
        text.as_slice(),
    )
    .context(failed)?;
    tar.append_data(&mut header(manifest.size), "images.tar", images)
        .context(failed)?;
    let zstd = tar.into_inner().context(failed)?;
    zstd.finish().context(failed)?.sync_all().context(failed)
}

/// Loads the images of `file` once all of it is known to be right.
///
/// # Errors
/// When the bundle is torn, or holds other images than `catalogue` names.
pub async fn load(
    ctx: &Context,
    daemon: &Daemon,
    catalogue: &Catalogue,
    file: &Path,
    step: &Step,
) -> anyhow::Result<Manifest> {
    step.update("checks the bundle");
    let path = file.to_owned();
    let manifest = tokio::task::spawn_blocking(move || check(&path))
        .await
        .context("failed to wait for the check")?
        .with_context(|| format!("{} is no whole bundle", file.display()))?;
    for image in &manifest.images {
        fits(image, catalogue)?;
    }
    let path = file.to_owned();
    let (stream, writing) = transfer::from_writer(move |sink| {
        with_images(&path, |_, images| {
            io::copy(images, sink).map(drop).map_err(Into::into)
        })
    });
    let mut sent = 0;
    let size = manifest.size;
    // The bars belong to the step, which the stream cannot borrow for as long as it lives.
    let (tell, mut told) = tokio::sync::watch::channel(0_u64);
    let counted = stream.inspect(move |chunk| {
        sent += chunk.as_ref().map_or(0, bytes::Bytes::len) as u64;
        tell.send_replace(sent);
    });
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let mut events = daemon.import_image_stream(options, counted, None).boxed();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => drop(event.map_err(refused)?),
                None => break,
            },
            Ok(()) = told.changed() => {
                let sent = *told.borrow();
                step.tick(format_args!("loads {} of {} MB", sent >> 20, size >> 20));
            }
        }
    }
    writing.await.context("failed to wait for the bundle")??;
    for image in &manifest.images {
        note(ctx, daemon, image).await?;
    }
    Ok(manifest)
}

/// What the daemon's refusal means for the user. What it had loaded before it removes by itself.
fn refused(error: bollard::errors::Error) -> anyhow::Error {
    let text = error.to_string();
    if text.contains("no space left") {
        return anyhow::anyhow!(
            "the daemon's disk is full (`docker system df` shows what takes the room): {text}"
        );
    }
    anyhow::anyhow!("failed to load the images: {text}")
}

/// Looks the loaded image up and remembers what it stands for.
async fn note(ctx: &Context, daemon: &Daemon, image: &Bundled) -> anyhow::Result<()> {
    let loaded = daemon.inspect_image(&image.tag).await;
    let loaded = loaded.with_context(|| format!("the bundle did not bring {}", image.tag))?;
    let id = loaded.id.context("the daemon gave the image no id")?;
    // A daemon on containerd's store names images by another hash, and then says so.
    anyhow::ensure!(
        id == image.id || loaded.descriptor.is_some(),
        "the bundle's {} is another image than it says: {id}, not {}",
        image.tag,
        image.id
    );
    let record = Record {
        reference: image.tag.clone(),
        digest: image.digest.clone().unwrap_or_else(|| "bundle".into()),
        id,
        origin: Origin::Bundle,
        at: Utc::now(),
    };
    Records::update(ctx, |records| {
        let place = if image.digest.is_some() {
            &mut records.pinned
        } else {
            &mut records.offline
        };
        place.insert(image.name.clone(), record);
    })
}

fn fits(image: &Bundled, catalogue: &Catalogue) -> anyhow::Result<()> {
    let spec = catalogue.get(&image.name)?;
    match &image.digest {
        Some(digest) => anyhow::ensure!(
            *digest == spec.digest,
            "the bundle's {} has the digest {digest}, and {} is pinned; make the bundle anew from \
             this version of the lab",
            image.name,
            spec.digest
        ),
        None => anyhow::ensure!(
            spec.offline.as_deref() == Some(&image.tag),
            "the bundle's {} is {}, and the lab runs {}; make the bundle anew from this version of \
             the lab",
            image.name,
            image.tag,
            spec.offline.as_deref().unwrap_or("no offline image")
        ),
    }
    Ok(())
}

/// Reads all of it and compares.
fn check(file: &Path) -> anyhow::Result<Manifest> {
    with_images(file, |manifest, images| {
        let mut hash = Sha256::new();
        let size = io::copy(images, &mut hash).context("it is torn")?;
        anyhow::ensure!(
            size == manifest.size && hex(&hash.finalize()) == manifest.sha256,
            "its images are not what it says"
        );
        Ok(manifest)
    })
}

fn with_images<T>(
    file: &Path,
    work: impl FnOnce(Manifest, &mut dyn Read) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let file = File::open(file).context("failed to open it")?;
    let zstd = zstd::Decoder::new(file).context("failed to open it")?;
    let mut tar = tar::Archive::new(zstd);
    let mut entries = tar.entries().context("failed to read it")?;
    let mut next = |name: &str| -> anyhow::Result<_> {
        let entry = entries
            .next()
            .with_context(|| format!("it has no {name}"))?;
        let entry = entry.context("it is no zstd-packed tar")?;
        let path = entry
            .path()
            .context("failed to read it")?
            .display()
            .to_string();
        anyhow::ensure!(path == name, "it has {path} where {name} should be");
        Ok(entry)
    };
    let manifest: Manifest =
        serde_json::from_reader(next("bundle.json")?).context("its bundle.json is broken")?;
    anyhow::ensure!(
        manifest.version == VERSION,
        "it was made by another version of the lab"
    );
    let mut images = next("images.tar")?;
    let result = work(manifest, &mut images)?;
    drop((images, entries));
    // The checksum of the whole stands at its end.
    io::copy(&mut tar.into_inner(), &mut io::sink()).context("it is torn")?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(dir: &Path, sha256: &str) -> std::path::PathBuf {
        let images = dir.join("images.tar");
        std::fs::write(&images, vec![7_u8; 300_000]).unwrap();
        let manifest = Manifest {
            version: VERSION,
            made_at: Utc::now(),
            images: Vec::new(),
            sha256: sha256.into(),
            size: 300_000,
        };
        let path = dir.join("bundle");
        let out = File::create(&path).unwrap();
        pack(&manifest, &mut File::open(&images).unwrap(), &out).unwrap();
        path
    }

    #[test]
    fn a_whole_bundle_is_taken_and_a_torn_or_changed_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = hex(&Sha256::digest(vec![7_u8; 300_000]));
        let path = bundle(dir.path(), &good);
        assert_eq!(check(&path).unwrap().size, 300_000);

        let whole = std::fs::read(&path).unwrap();
        for broken in [&whole[..whole.len() / 2], &whole[..10], b"not a bundle"] {
            std::fs::write(&path, broken).unwrap();
            assert!(check(&path).is_err());
        }
        let mut flipped = whole.clone();
        let middle = flipped.len() - 12;
        flipped[middle] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        assert!(check(&path).is_err());

        let other = bundle(dir.path(), &hex(&Sha256::digest("other")));
        let error = format!("{:#}", check(&other).unwrap_err());
        assert!(error.contains("not what it says"), "{error}");
    }
}
