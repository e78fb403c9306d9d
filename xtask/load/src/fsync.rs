//! What the disk does by itself: writes of one page, each made durable, as `pg_test_fsync` does.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// PostgreSQL's page.
const PAGE: usize = 8192;

/// Durable writes of a page per second, in a file of its own in `dir`, for about this long.
///
/// # Errors
/// When the file cannot be written.
pub fn rate(dir: &Path, duration: Duration) -> anyhow::Result<f64> {
    let path = dir.join(format!("fsync-{}", std::process::id()));
    let failed = || format!("failed to write {}", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .with_context(failed)?;
    let measured = write(&file, duration).with_context(failed);
    std::fs::remove_file(&path).with_context(failed)?;
    measured
}

fn write(file: &std::fs::File, duration: Duration) -> std::io::Result<f64> {
    let page = vec![7; PAGE];
    // As WAL segments are: the file has its size before it is written again and again.
    file.write_all_at(&vec![0; PAGE * 16], 0)?;
    file.sync_all()?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < duration {
        file.write_all_at(&page, u64::from(count % 16) * PAGE as u64)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("edalab-fsync-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(rate(&dir, Duration::from_millis(20)).unwrap() > 1.0);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
    }
}
