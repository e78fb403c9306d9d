//! Finds a container daemon and speaks to it.
//!
//! `DOCKER_HOST` decides when it is set, then the current docker context; else the first that
//! answers of Docker's own socket, the rootless one, Docker Desktop's and Podman's. Each way to fail
//! has a message of its own that names the way out.

use std::io::ErrorKind;
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bollard::{API_DEFAULT_VERSION, Docker};
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

/// Docker 20.10 and Podman 4 speak it.
const OLDEST_API: (usize, usize) = (1, 40);

/// A daemon that answers at all does so at once.
const ANSWER: Duration = Duration::from_secs(5);

/// For one request: pulling, loading and building take their time.
const REQUEST_SECONDS: u64 = 900;

/// A daemon that answered.
#[derive(Debug, Clone)]
pub struct Daemon {
    docker: Docker,
    /// `unix:///var/run/docker.sock`.
    pub address: String,
}

impl Deref for Daemon {
    type Target = Docker;
    fn deref(&self) -> &Docker {
        &self.docker
    }
}

impl Daemon {
    /// # Errors
    /// Says why none answers and what to do.
    pub async fn connect() -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        for address in candidates()? {
            match Self::at(&address).await {
                Ok(daemon) => return Ok(daemon),
                Err(problem) => problems.push(format!("{problem:#}")),
            }
        }
        anyhow::ensure!(
            !problems.is_empty(),
            "no container daemon is there: install Docker (apt install docker.io) or Podman and \
             start it, or set DOCKER_HOST; `--backend embedded` needs none"
        );
        anyhow::bail!("no container daemon answers: {}", problems.join("; "))
    }

    async fn at(address: &str) -> anyhow::Result<Self> {
        check_address(address)?;
        if let Some(path) = address.strip_prefix("unix://") {
            check_socket(Path::new(path))?;
        }
        let docker = if address.starts_with("unix://") {
            Docker::connect_with_unix(address, REQUEST_SECONDS, API_DEFAULT_VERSION)
        } else {
            Docker::connect_with_http(address, REQUEST_SECONDS, API_DEFAULT_VERSION)
        };
        let docker = docker.with_context(|| format!("failed to use {address}"))?;
        let answer = tokio::time::timeout(ANSWER, docker.negotiate_version()).await;
        let docker = answer
            .map_err(|_| anyhow::anyhow!("{address} does not answer within 5 s"))?
            .map_err(|e| anyhow::anyhow!("{address} does not answer as a daemon does: {e}"))?;
        let version = docker.client_version();
        let api = (version.major_version, version.minor_version);
        anyhow::ensure!(
            api >= OLDEST_API,
            "the daemon at {address} is too old: it speaks API {}.{}, and {}.{} is needed (Docker \
             20.10 or Podman 4)",
            api.0,
            api.1,
            OLDEST_API.0,
            OLDEST_API.1
        );
        Ok(Self {
            docker,
            address: address.to_owned(),
        })
    }

    /// `Docker Engine 28.2.2` or `Podman Engine 5.4.0`.
    pub async fn describe(&self) -> anyhow::Result<String> {
        let version = self.version().await.context("failed to ask the daemon")?;
        let name = version
            .components
            .as_ref()
            .and_then(|components| components.first())
            .map_or("Docker", |component| component.name.as_str());
        let name = if name == "Engine" {
            "Docker Engine"
        } else {
            name
        };
        Ok(format!("{name} {}", version.version.unwrap_or_default()))
    }
}

/// Ports are published on the daemon's loopback, so it must be this machine's.
fn check_address(address: &str) -> anyhow::Result<()> {
    if address.starts_with("unix://") {
        return Ok(());
    }
    anyhow::ensure!(
        !address.starts_with("ssh://"),
        "{address} is on another machine, and the lab's ports are published on the daemon's own \
         loopback only; run xtask there"
    );
    let rest = ["tcp://", "http://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
        .with_context(|| format!("{address:?} is no daemon's address (unix:// or tcp://)"))?;
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    anyhow::ensure!(
        ["127.0.0.1", "localhost", "[::1]"].contains(&host),
        "{address} is on another machine, and the lab's ports are published on the daemon's own \
         loopback only; run xtask there"
    );
    Ok(())
}

/// Says what a failed connection alone would not.
fn check_socket(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match UnixStream::connect(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => anyhow::bail!("{shown} does not exist"),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => anyhow::bail!(
            "no permission to use {shown}: add yourself to its group (sudo usermod -aG docker \
             $USER) and log in again"
        ),
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => anyhow::bail!(
            "{shown} is there but no daemon listens; start it (sudo systemctl start docker)"
        ),
        Err(e) => Err(e).with_context(|| format!("failed to connect to {shown}")),
    }
}

/// Where to look, the best first.
fn candidates() -> anyhow::Result<Vec<String>> {
    if let Some(host) = var("DOCKER_HOST") {
        return Ok(vec![host]);
    }
    let config = var("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| var("HOME").map(|home| Path::new(&home).join(".docker")));
    if let Some(host) = config.as_deref().map(context_host).transpose()?.flatten() {
        return Ok(vec![host]);
    }
    let runtime = var("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", geteuid()));
    let mut sockets = vec![
        "/var/run/docker.sock".to_owned(),
        format!("{runtime}/docker.sock"),
    ];
    sockets.extend(var("HOME").map(|home| format!("{home}/.docker/run/docker.sock")));
    sockets.push(format!("{runtime}/podman/podman.sock"));
    sockets.push("/run/podman/podman.sock".into());
    // A folder that we may not enter hides its socket; Docker's own is worth a message then.
    sockets.retain(|path| std::fs::symlink_metadata(path).is_ok());
    Ok(sockets
        .iter()
        .map(|path| format!("unix://{path}"))
        .collect())
}

/// The address of the current docker context, unless that is the default one.
fn context_host(config: &Path) -> anyhow::Result<Option<String>> {
    let name = match var("DOCKER_CONTEXT") {
        Some(name) => name,
        None => {
            let Ok(text) = std::fs::read(config.join("config.json")) else {
                return Ok(None);
            };
            let config: serde_json::Value =
                serde_json::from_slice(&text).context("failed to read docker's config.json")?;
            match config["currentContext"].as_str() {
                Some(name) => name.to_owned(),
                None => return Ok(None),
            }
        }
    };
    if name == "default" {
        return Ok(None);
    }
    let folder = crate::components::kafka::jars::hex(&Sha256::digest(&name));
    let meta = config.join("contexts/meta").join(folder).join("meta.json");
    let text =
        std::fs::read(&meta).with_context(|| format!("no docker context {name:?} is there"))?;
    let meta: serde_json::Value = serde_json::from_slice(&text)
        .with_context(|| format!("failed to read the docker context {name:?}"))?;
    let host = meta["Endpoints"]["docker"]["Host"].as_str();
    let host = host.with_context(|| format!("the docker context {name:?} has no address"))?;
    Ok(Some(host.to_owned()))
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_daemon_of_this_machine_will_do() {
        for good in ["unix:///x", "tcp://127.0.0.1:2375", "http://localhost:2375"] {
            check_address(good).unwrap();
        }
        for (bad, why) in [
            ("ssh://me@there", "another machine"),
            ("tcp://10.0.0.1:2375", "another machine"),
            ("nonsense", "no daemon's address"),
        ] {
            let error = check_address(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_kind_of_dead_socket_has_its_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let error = check_socket(&path).unwrap_err().to_string();
        assert!(error.contains("does not exist"), "{error}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = check_socket(&path).unwrap_err().to_string();
        assert!(error.contains("systemctl start docker"), "{error}");
    }

    #[test]
    fn the_current_context_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(context_host(dir.path()).unwrap(), None);
        std::fs::write(
            dir.path().join("config.json"),
            r#"{"currentContext":"far"}"#,
        )
        .unwrap();
        let error = context_host(dir.path()).unwrap_err().to_string();
        assert!(error.contains("far"), "{error}");
        let folder = crate::components::kafka::jars::hex(&Sha256::digest("far"));
        let folder = dir.path().join("contexts/meta").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = r#"{"Name":"far","Endpoints":{"docker":{"Host":"unix:///far.sock"}}}"#;
        std::fs::write(folder.join("meta.json"), meta).unwrap();
        let host = context_host(dir.path()).unwrap();
        assert_eq!(host.as_deref(), Some("unix:///far.sock"));
    }
}
