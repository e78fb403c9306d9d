//! Runs cargo and understands what it says while it builds.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::Context;
use crate::output::Step;

/// A target that was built, or was there already.
#[derive(Debug, Clone, Deserialize)]
pub struct Artifact {
    pub target: Target,
    #[serde(default)]
    pub profile: Profile,
    pub executable: Option<PathBuf>,
    pub fresh: bool,
    pub manifest_path: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub name: String,
    /// `lib`, `bin`, `test`, …
    pub kind: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Profile {
    /// Built with its tests.
    pub test: bool,
}

/// One line of `--message-format=json`.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

/// The cargo that started us, else the one in PATH.
pub fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs `cargo ARGS` (a `build`, or a `test --no-run`) and returns what it built; `what` names the
/// whole in progress and errors.
///
/// # Errors
/// With the compiler's own words.
pub async fn build(
    ctx: &Context,
    args: &[&str],
    what: &str,
    step: &Step,
) -> anyhow::Result<Vec<Artifact>> {
    step.update(format_args!("builds {what}"));
    let mut child = tokio::process::Command::new(program())
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(&ctx.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start cargo")?;
    let unread = "failed to read cargo's progress";
    let stdout = child.stdout.take().context(unread)?;
    let mut stderr = child.stderr.take().context(unread)?;
    let said = tokio::spawn(async move {
        let mut said = Vec::new();
        // What cannot be read is not worth failing for.
        let _ = stderr.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    });
    let mut lines = BufReader::new(stdout).lines();
    let mut compiled = 0;
    let mut artifacts = Vec::new();
    while let Some(line) = lines.next_line().await.context(unread)? {
        let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str(&line) else {
            continue;
        };
        if !artifact.fresh {
            compiled += 1;
            step.tick(format_args!(
                "builds {what}: {compiled} crates, {}",
                artifact.target.name
            ));
        }
        artifacts.push(artifact);
    }
    let status = child.wait().await.context("failed to wait for cargo")?;
    let said = said.await.unwrap_or_default();
    anyhow::ensure!(
        status.success(),
        "{what} do not build:\n{}",
        errors_of(&said)
    );
    Ok(artifacts)
}

/// The compiler's errors without the progress before them.
fn errors_of(said: &str) -> &str {
    let start = said.find("\nerror").map_or(0, |at| at + 1);
    said[start..].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_are_understood() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"gateway","kind":["bin"]},
            "profile":{"opt_level":"1","test":true},"manifest_path":"/w/Cargo.toml",
            "executable":"/t/debug/gateway","fresh":true}"#;
        let message: Message = serde_json::from_str(line).unwrap();
        let Message::CompilerArtifact(artifact) = message else {
            panic!("it is an artifact");
        };
        assert_eq!(artifact.target.name, "gateway");
        assert!(artifact.fresh && artifact.profile.test && artifact.executable.is_some());
        let other = r#"{"reason":"build-finished","success":true}"#;
        assert!(matches!(
            serde_json::from_str(other).unwrap(),
            Message::Other
        ));
    }

    #[test]
    fn errors_are_found_behind_the_progress() {
        let said = "   Compiling x v0.1.0\nwarning: w\nerror[E0425]: cannot find\n --> x.rs:1\n";
        assert!(errors_of(said).starts_with("error[E0425]"));
        assert_eq!(errors_of("nothing special\n"), "nothing special");
    }
}
