//! Runs npm for the web page: whether Node is there, and one command to its end.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    pub passed: bool,
    /// Everything it said.
    pub text: String,
}

impl Ran {
    /// The last lines, where the reason of a failure stands.
    pub fn tail(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Runs `npm ARGS` in `dir`; `each_line` hears what it says while it says it. Dropped before its end,
/// it ends with everything that it started.
///
/// # Errors
/// When it cannot be started.
pub async fn run(
    dir: &Path,
    args: &[&str],
    env: &[(&str, String)],
    mut each_line: impl FnMut(&str),
) -> anyhow::Result<Ran> {
    let failed = || format!("failed to run npm {}", args.join(" "));
    // One pipe for both streams: what belongs together stays together.
    let (reader, writer) = std::io::pipe().with_context(failed)?;
    let child = {
        let mut command = Command::new("npm");
        command
            .args(args)
            .current_dir(dir)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env("NO_COLOR", "1")
            .env_remove("FORCE_COLOR")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().with_context(failed)?)
            .stderr(writer)
            .process_group(0);
        command.spawn().with_context(failed)?
    };
    let mut group = Group(child);
    let reader = pipe::Receiver::from_owned_fd(reader.into()).with_context(failed)?;
    let mut lines = BufReader::new(reader).split(b'\n');
    let mut text = String::new();
    while let Some(line) = lines.next_segment().await.with_context(failed)? {
        let line = String::from_utf8_lossy(&line);
        each_line(&line);
        text.push_str(&line);
        text.push('\n');
    }
    let status = group.0.wait().await.with_context(failed)?;
    Ok(Ran {
        passed: status.success(),
        text,
    })
}

/// npm and what it starts: a shell, Node, a browser.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // None once it has ended and was waited for.
        if let Some(pid) = self.0.id() {
            // It may just have ended.
            let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

/// Node or npm is missing, or too old.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct NoNode {
    pub reason: String,
    /// The way out.
    pub remedy: String,
}

/// Looks for the Node that the page's `package.json` asks for, and for npm.
///
/// # Errors
/// When there is none, or an older one.
pub async fn check_node(dir: &Path) -> Result<(), NoNode> {
    let (node, npm) = tokio::join!(version_of("node"), version_of("npm"));
    let wanted = wanted(dir);
    let reason = match judge(node.as_deref(), &wanted) {
        Err(reason) => reason,
        Ok(()) if npm.is_none() => "npm was not found".to_owned(),
        Ok(()) => return Ok(()),
    };
    let remedy = format!("install Node {wanted} with npm: https://nodejs.org");
    Err(NoNode { reason, remedy })
}

/// Any Node where the page does not say which; npm then complains by itself.
fn wanted(dir: &Path) -> semver::VersionReq {
    let package = std::fs::read(dir.join("package.json")).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_slice(&package).unwrap_or_default();
    let wanted = package["engines"]["node"].as_str().unwrap_or("*");
    wanted.parse().unwrap_or(semver::VersionReq::STAR)
}

fn judge(node: Option<&str>, wanted: &semver::VersionReq) -> Result<(), String> {
    let said = node.ok_or("Node was not found")?;
    let found = semver::Version::parse(said.trim().trim_start_matches('v'))
        .map_err(|_| format!("Node says {said:?} when asked for its version"))?;
    if wanted.matches(&found) {
        return Ok(());
    }
    Err(format!("Node {found} is not {wanted}"))
}

/// What a program says when asked for its version; `None` when it cannot be run.
pub async fn version_of(program: impl AsRef<std::ffi::OsStr>) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_missing_too_old_or_new_enough() {
        let wanted = semver::VersionReq::parse(">=20.19").unwrap();
        assert_eq!(judge(Some("v20.20.2\n"), &wanted), Ok(()));
        assert_eq!(judge(Some("v24.0.0"), &wanted), Ok(()));
        let reason = |said| judge(said, &wanted).unwrap_err();
        assert_eq!(reason(None), "Node was not found");
        assert_eq!(reason(Some("v18.20.4")), "Node 18.20.4 is not >=20.19");
        assert!(reason(Some("what?")).contains("what?"));
    }
}
