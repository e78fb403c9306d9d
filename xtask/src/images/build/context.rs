//! What goes into an image: a Dockerfile and files, as the same tar for the same content.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header, HeaderMode};

use crate::components::kafka::jars::hex;
use crate::images::inventory::read;

/// A file's time in every tar: the JVM refuses a class archive when its jars' times moved.
const MTIME: u64 = 1_700_000_000;

/// Files by their path in the context.
#[derive(Debug, Default)]
pub struct BuildContext {
    files: Vec<(String, PathBuf)>,
    folders: Vec<(String, PathBuf)>,
}

impl BuildContext {
    /// Begins with the Dockerfile at `path`.
    pub fn new(dockerfile: &Path) -> Self {
        Self::default().file("Dockerfile", dockerfile)
    }

    #[must_use]
    pub fn file(mut self, name: impl Into<String>, path: &Path) -> Self {
        self.files.push((name.into(), path.to_owned()));
        self
    }

    /// A folder and all below it; links stay links.
    #[must_use]
    pub fn folder(mut self, name: impl Into<String>, path: &Path) -> Self {
        self.folders.push((name.into(), path.to_owned()));
        self
    }

    /// Writes it as a tar, sorted and without owners or times.
    pub fn write(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut tar = Builder::new(out);
        tar.mode(HeaderMode::Deterministic);
        for (name, path) in &self.files {
            append_file(&mut tar, name, path)?;
        }
        for (name, path) in &self.folders {
            append_folder(&mut tar, name, path)?;
        }
        tar.finish().context("failed to write the build context")
    }

    /// The hash of it all on top of `base`.
    pub fn key(&self, base: &str) -> anyhow::Result<String> {
        struct Hashing(Sha256);
        impl Write for Hashing {
            fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
                self.0.update(data);
                Ok(data.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut hashing = Hashing(Sha256::new());
        hashing.0.update(base);
        self.write(&mut hashing)?;
        Ok(hex(&hashing.0.finalize()))
    }
}

fn append_file(tar: &mut Builder<&mut dyn Write>, name: &str, path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let failed = || format!("failed to read {}", path.display());
    let data = read(path)?;
    let mode = std::fs::metadata(path)
        .with_context(failed)?
        .permissions()
        .mode();
    let mut header = Header::new_gnu();
    header.set_size(data.len() as u64);
    header.set_mode(if mode & 0o111 == 0 { 0o644 } else { 0o755 });
    header.set_mtime(MTIME);
    tar.append_data(&mut header, name, data.as_slice())
        .with_context(failed)
}

fn append_folder(tar: &mut Builder<&mut dyn Write>, name: &str, dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", dir.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        entries.push(entry.with_context(failed)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().with_context(failed)?;
        if kind.is_dir() {
            append_folder(tar, &name, &path)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).with_context(failed)?;
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            header.set_mtime(MTIME);
            tar.append_link(&mut header, &name, &target)
                .with_context(failed)?;
        } else {
            append_file(tar, &name, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("libs")).unwrap();
        std::fs::write(path("Dockerfile"), "FROM x").unwrap();
        std::fs::write(path("libs/b.jar"), "b").unwrap();
        std::os::unix::fs::symlink("b.jar", path("libs/a.jar")).unwrap();
        let context = BuildContext::new(&path("Dockerfile")).folder("libs", &path("libs"));
        let key = context.key("base").unwrap();
        assert_ne!(key, context.key("other base").unwrap());
        // Written anew, at another time, with the same content.
        std::fs::remove_file(path("libs/b.jar")).unwrap();
        std::fs::write(path("libs/b.jar"), "b").unwrap();
        assert_eq!(key, context.key("base").unwrap());
        std::fs::write(path("libs/b.jar"), "c").unwrap();
        assert_ne!(key, context.key("base").unwrap());

        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["Dockerfile", "libs/a.jar", "libs/b.jar"]);
    }
}
