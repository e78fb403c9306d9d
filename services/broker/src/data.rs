//! The data folder: one broker at a time, and an id of its own.
//!
//! The id is the cluster's: whoever keeps offsets elsewhere (bancaire does) sees by it that the
//! records behind them are others. Every row in the file carries it.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use uuid::Uuid;

/// The file of records, as nisshi's storage names it from the working folder.
pub const DATABASE: &str = "broker.db";
const ID: &str = "cluster.id";
const LOCK: &str = "lock";

/// A folder that is this process's alone.
#[derive(Debug)]
pub struct Data {
    pub cluster_id: String,
    _lock: File,
}

impl Data {
    /// Makes the folder when it is not there.
    ///
    /// # Errors
    /// When another broker has it, or what is in it does not belong together.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
        let path = folder.join(LOCK);
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another broker runs on {}", folder.display()),
            Err(TryLockError::Error(e)) => {
                return Err(e).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
        Ok(Self {
            cluster_id: cluster_id(folder)?,
            _lock: lock,
        })
    }
}

/// The folder's id, made with its first use.
fn cluster_id(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(ID);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            ensure!(
                id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{} holds no cluster id; remove the folder to start anew",
                path.display()
            );
            Ok(id.to_owned())
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            ensure!(
                !folder.join(DATABASE).exists(),
                "{} holds records but no {ID}; remove the folder to start anew",
                folder.display()
            );
            let id = Uuid::new_v4().simple().to_string();
            let beside = folder.join("cluster.id.new");
            write_durably(&beside, &id)
                .and_then(|()| std::fs::rename(&beside, &path))
                .with_context(|| format!("failed to write {}", path.display()))?;
            Ok(id)
        }
        Err(e) => Err(e).with_context(|| format!("failed to read {}", path.display())),
    }
}

fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("broker-data-{name}-{}", Uuid::new_v4()))
    }

    #[test]
    fn a_folder_keeps_its_id_and_has_one_broker() {
        let folder = folder("id");
        let first = Data::open(&folder).unwrap();
        let refused = Data::open(&folder).unwrap_err().to_string();
        assert!(refused.contains("another broker"), "{refused}");
        let id = first.cluster_id.clone();
        drop(first);
        assert_eq!(Data::open(&folder).unwrap().cluster_id, id);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn records_without_an_id_are_refused() {
        let folder = folder("records");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(DATABASE), "").unwrap();
        let refused = Data::open(&folder).unwrap_err().to_string();
        assert!(refused.contains("start anew"), "{refused}");
        std::fs::write(folder.join(ID), "nonsense").unwrap();
        assert!(Data::open(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
