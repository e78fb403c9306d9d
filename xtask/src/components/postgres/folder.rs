//! Whose PostgreSQL's data is, and where it lies.
//!
//! Run by root, the server takes another user. That user must get through every folder above its
//! data: where it cannot (root's home is closed), the data goes below /var/tmp.

use std::fs::{DirBuilder, File, Metadata};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::unistd::{User, geteuid};
use sha2::{Digest, Sha256};

use crate::components::kafka::jars::hex;
use crate::process::Account;

/// Who runs the server: `None` is ourselves; root needs another.
///
/// # Errors
/// When we are root and there is no unprivileged user.
pub fn server_account() -> anyhow::Result<Option<Account>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).context("failed to read the list of users")? {
            return Ok(Some(Account {
                uid: user.uid,
                gid: user.gid,
            }));
        }
    }
    anyhow::bail!("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
}

/// The folder for this lab's data, created when missing.
///
/// # Errors
/// When it cannot be created.
pub fn data_folder(lab_dir: &Path) -> anyhow::Result<PathBuf> {
    let account = server_account()?;
    let inside = lab_dir.join("postgres");
    let folder = match account {
        Some(account) if !may_enter(lab_dir, account) => outside(lab_dir),
        _ => inside,
    };
    match DirBuilder::new()
        .mode(0o755)
        .recursive(folder.starts_with(lab_dir))
        .create(&folder)
    {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).with_context(|| format!("failed to create {}", folder.display())),
    }
    // /var/tmp is everybody's: whoever made this folder before us could swap what is in it.
    let owner = std::fs::symlink_metadata(&folder)
        .with_context(|| format!("failed to look at {}", folder.display()))?;
    anyhow::ensure!(
        owner.is_dir() && owner.uid() == geteuid().as_raw(),
        "{} belongs to somebody else",
        folder.display()
    );
    Ok(folder)
}

fn outside(lab_dir: &Path) -> PathBuf {
    let hash = Sha256::digest(lab_dir.as_os_str().as_encoded_bytes());
    Path::new("/var/tmp").join(format!("edalab-{}", hex(&hash[..6])))
}

/// True when `account` can pass every folder down to `path`, which need not exist yet.
pub fn may_enter(path: &Path, account: Account) -> bool {
    path.ancestors()
        .filter_map(|dir| std::fs::metadata(dir).ok())
        .all(|m| may_search(&m, account))
}

fn may_search(folder: &Metadata, account: Account) -> bool {
    let shift = if folder.uid() == account.uid.as_raw() {
        6
    } else if folder.gid() == account.gid.as_raw() {
        3
    } else {
        0
    };
    folder.mode() >> shift & 1 == 1
}

/// An empty folder that only `account` may enter.
pub fn create_private_dir(path: &Path, account: Option<Account>) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    give(path, account)
}

/// A copy of a folder and all below it, which only `account` may enter. When its future is dropped
/// nothing is written any more.
///
/// # Errors
/// When `to` is there already, or something cannot be read or written.
pub async fn copy_private_dir(
    from: &Path,
    to: &Path,
    account: Option<Account>,
) -> anyhow::Result<()> {
    let failed = || format!("failed to copy {} to {}", from.display(), to.display());
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        create_private_dir(&to, account).with_context(failed)?;
        for entry in std::fs::read_dir(from).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let target = to.join(entry.file_name());
            if entry.file_type().with_context(failed)?.is_dir() {
                folders.push((entry.path(), target));
            } else {
                std::fs::copy(entry.path(), &target).with_context(failed)?;
                give(&target, account).with_context(failed)?;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// A file that only `account` may read.
pub fn write_private_file(
    path: &Path,
    text: &str,
    account: Option<Account>,
) -> std::io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    give(path, account)
}

/// Makes `account` its owner.
pub fn give(path: &Path, account: Option<Account>) -> std::io::Result<()> {
    match account {
        Some(a) => std::os::unix::fs::chown(path, Some(a.uid.as_raw()), Some(a.gid.as_raw())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use nix::unistd::{Gid, Uid};

    use super::*;

    #[test]
    fn a_closed_folder_above_is_seen() {
        let nobody = Account {
            uid: Uid::from_raw(65_533),
            gid: Gid::from_raw(65_533),
        };
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        let open = |mode| {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
        };
        open(0o700);
        assert!(!may_enter(&below, nobody));
        open(0o755);
        assert!(may_enter(&below, nobody));
        open(0o700);
        let metadata = std::fs::metadata(dir.path()).unwrap();
        let owner = Account {
            uid: Uid::from_raw(metadata.uid()),
            gid: Gid::from_raw(metadata.gid()),
        };
        assert!(may_search(&metadata, owner));
    }

    #[test]
    fn the_place_outside_belongs_to_one_lab() {
        assert_ne!(outside(Path::new("/root/a")), outside(Path::new("/root/b")));
        assert!(outside(Path::new("/root/a")).starts_with("/var/tmp"));
    }
}
