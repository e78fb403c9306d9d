//! PostgreSQL as a child process: durable (fsync and synchronous commit on), on loopback only,
//! small, and under another user when we are root, because it refuses to run as root.
//!
//! [`binaries`] finds or fetches the programs, [`folder`] decides where the data lies and who owns
//! it, [`template`] makes an empty cluster. The database that the services meet is `infra/postgres/init.sql`'s.

mod binaries;
mod folder;
pub mod template;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
pub use binaries::Binaries;
use chassis::config::PostgresConfig;
pub use folder::{data_folder, server_account};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};

use super::{Part, Site, wait_ready};
use crate::output::Step;
use crate::process::{Account, Identity, Launch};
use crate::state::ComponentState;

/// Crash recovery logs as it goes, which counts as progress.
const PATIENCE: Duration = Duration::from_secs(60);

const INIT_SQL: &str = include_str!("../../../../infra/postgres/init.sql");

/// Written at every start, so that a new version of the lab brings its settings along.
const SETTINGS: &str = "\
# Written by `cargo xtask up`.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'

# What is acknowledged survives a crash: the lab's verdicts depend on it.
fsync = on
synchronous_commit = on
full_page_writes = on

# A laptop's share. The data set is small and the system's own cache helps.
max_connections = 60
shared_buffers = '48MB'
work_mem = '8MB'
maintenance_work_mem = '32MB'
huge_pages = off
jit = off
max_parallel_workers = 2
max_worker_processes = 4
autovacuum_max_workers = 2

# No replicas, hence no senders of the log. Rare checkpoints: each one makes the next writes log
# whole pages, which costs a loaded sink more than a somewhat longer recovery costs us.
max_wal_senders = 0
max_logical_replication_workers = 0
wal_buffers = '8MB'
min_wal_size = '64MB'
max_wal_size = '1GB'
checkpoint_timeout = '15min'

log_timezone = 'UTC'
timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
lc_messages = 'C'
";

/// Starts it on the lab's data, which is created when it is not there.
///
/// # Errors
/// When the data is another major version's, or initdb fails.
pub async fn start(
    site: &Site,
    binaries: &Binaries,
    step: &Step,
) -> anyhow::Result<ComponentState> {
    let account = server_account()?;
    let home = site
        .memory
        .postgres_dir
        .clone()
        .context("failed to place PostgreSQL's data")?;
    let data = home.join("data");
    if data.join("PG_VERSION").is_file() {
        let major = data_major(&home).context("failed to read PG_VERSION")?;
        anyhow::ensure!(
            major == binaries.major,
            "{} was made by another version: PostgreSQL {major}, and {} is {}; \
             `cargo xtask clean` removes the lab's data",
            data.display(),
            binaries.dir.display(),
            binaries.major
        );
        end_predecessor(&data).await?;
    } else {
        init_db(site, &home, binaries, account, step).await?;
    }
    let settings = format!("{SETTINGS}port = {}\n", site.lab.port("postgres"));
    let path = data.join("postgresql.conf");
    std::fs::write(&path, settings)
        .with_context(|| format!("failed to write {}", path.display()))?;
    step.update("starts");
    let launch = Launch {
        program: binaries.dir.join("postgres"),
        args: vec!["-D".into(), data.clone().into()],
        env: vec![("LC_ALL".into(), "C".into())],
        dir: data,
        log: site.log(Part::Postgres),
        user: account,
    };
    let identity = launch.spawn(&site.ctx.lab_dir)?;
    let url = format!(
        "postgresql://127.0.0.1:{}/edalab",
        site.lab.port("postgres")
    );
    Ok(site.record(Part::Postgres, &identity, url))
}

/// Waits for the answer to a query in the lab's database, which it creates the first time.
pub async fn ready(site: &Site, component: &ComponentState, step: &Step) -> anyhow::Result<()> {
    let admin = site.lab.postgres_admin();
    wait_ready(component, step, PATIENCE, || async {
        super::port_answers(component.port).await?;
        prepare_database(&admin).await
    })
    .await
}

/// A query in the lab's database, as its services connect.
pub async fn round_trip(config: &PostgresConfig) -> anyhow::Result<()> {
    let options = chassis::postgres::options(config);
    let mut connection = PgConnection::connect_with(&options).await?;
    let status: String = sqlx::query_scalar("SELECT status FROM bancaire.health_check LIMIT 1")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    anyhow::ensure!(status == "ok", "bancaire.health_check says {status:?}");
    Ok(())
}

/// Creates the database and applies init.sql, each once.
async fn prepare_database(admin: &PostgresConfig) -> anyhow::Result<()> {
    let maintenance = PostgresConfig {
        database: "postgres".into(),
        ..admin.clone()
    };
    let mut connection =
        PgConnection::connect_with(&chassis::postgres::options(&maintenance)).await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'edalab')")
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        sqlx::query("CREATE DATABASE edalab")
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    let mut connection = PgConnection::connect_with(&chassis::postgres::options(admin)).await?;
    let done: bool = sqlx::query_scalar("SELECT to_regclass('bancaire.health_check') IS NOT NULL")
        .fetch_one(&mut connection)
        .await?;
    if !done {
        // Several statements in one message are one transaction: all of it or nothing.
        sqlx::raw_sql(INIT_SQL)
            .execute(&mut connection)
            .await
            .context("failed to apply init.sql")?;
    }
    connection.close().await?;
    Ok(())
}

/// The major version that made the data, if there is any.
pub fn data_major(home: &Path) -> Option<u32> {
    std::fs::read_to_string(home.join("data/PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Makes the cluster beside its place and moves it there, so that a half-made one is never used. It
/// is not synced: until the system has written it back, a machine that loses its power loses a lab
/// that is seconds old.
async fn init_db(
    site: &Site,
    home: &Path,
    binaries: &Binaries,
    account: Option<Account>,
    step: &Step,
) -> anyhow::Result<()> {
    let data = home.join("data");
    let failed = || format!("failed to create {}", data.display());
    let new = home.join("data.new");
    for stale in [&data, &new] {
        if stale.exists() {
            std::fs::remove_dir_all(stale).with_context(failed)?;
        }
    }
    let runner = template::Runner {
        ctx: &site.ctx,
        binaries,
        account,
    };
    let password = site.lab.postgres_admin_password();
    let made = runner.new_cluster(&new, &password, step).await;
    made.with_context(failed)?;
    std::fs::rename(&new, &data).with_context(failed)
}

/// A server that was killed leaves its pid file, and for a moment its children, which still hold
/// its shared memory; one that a crash of xtask left behind still runs. All must be gone first:
/// PostgreSQL itself takes an unreaped or reused pid for a running server.
async fn end_predecessor(data: &Path) -> anyhow::Result<()> {
    let pid_file = data.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&pid_file) else {
        return Ok(());
    };
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse::<u32>().ok());
    if let Some(server) = pid.and_then(Identity::of)
        && crate::process::name(server.pid).starts_with("postgres")
    {
        server.stop(Signal::SIGINT, Duration::from_secs(10)).await?;
    }
    for child in processes_in(data) {
        if !child.wait_gone(Duration::from_secs(3)).await {
            child.stop(Signal::SIGKILL, Duration::from_secs(1)).await?;
        }
    }
    match std::fs::remove_file(&pid_file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", pid_file.display()))
        }
        _ => Ok(()),
    }
}

/// PostgreSQL's processes work in their data folder.
fn processes_in(data: &Path) -> Vec<Identity> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .filter_map(|entry| Identity::of(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}
