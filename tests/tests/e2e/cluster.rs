//! The empty database cluster in the cache, of which every new lab gets a copy.

use std::path::Path;

use sqlx::Connection;
use tests::Lab;

/// Whether the lab's superuser gets in with this password.
async fn opens(lab: &Lab, password: &str) -> bool {
    let options = sqlx::postgres::PgConnectOptions::new()
        .host("127.0.0.1")
        .port(lab.port("postgres"))
        .username("postgres")
        .database("edalab")
        .password(password);
    match sqlx::PgConnection::connect_with(&options).await {
        Ok(connection) => {
            connection.close().await.expect("it can be closed");
            true
        }
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("28P01") => false,
        Err(e) => panic!("neither in nor refused: {e}"),
    }
}

fn begin_with(prefix: &str, folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("it can be read").flatten();
    let begins = entries.filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    begins.count()
}

/// The first lab makes the cluster, whatever one that was killed left behind; the second copies it,
/// and neither's password opens the other.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_cluster_have_passwords_of_their_own() {
    let shared = Lab::shared().await.state();
    let pid = shared.component("postgres").expect("it runs").pid;
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    let programs = program.parent().expect("it lies in a folder");
    let cache = tempfile::tempdir().expect("a folder can be made");
    // As on a user's machine: PostgreSQL's user gets through.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(cache.path(), mode).expect("it is ours");
    let unfinished = cache.path().join("new-cluster-killed");
    std::fs::create_dir(&unfinished).expect("a folder can be made");
    let labs = ["cluster-one", "cluster-other"].map(|name| {
        let lab = Lab::prepare(name)
            .env("EDALAB_CACHE", cache.path().display().to_string())
            .env("EDALAB_PG_BINDIR", programs.display().to_string());
        lab.xtask(&["infra", "up", "postgres", "--no-build"])
            .success();
        assert_eq!(begin_with("cluster-", cache.path()), 1);
        assert_eq!(begin_with("new-cluster-", cache.path()), 0);
        lab
    });
    let passwords = labs
        .each_ref()
        .map(|lab| lab.state().postgres_admin_password());
    assert_ne!(passwords[0], passwords[1]);
    for (own, lab) in labs.iter().enumerate() {
        for (which, password) in passwords.iter().enumerate() {
            assert_eq!(opens(lab, password).await, which == own, "{own} {which}");
        }
        lab.xtask(&["clean", "--stop"]).success();
    }
}
