//! Finds a Java that can run Kafka: `JAVA_HOME`, else `java` on the path, 17 or later.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Kafka 3.9 runs from 11 on, 4.x from 17.
const OLDEST: u32 = 17;

#[derive(Debug, Clone)]
pub struct Java {
    pub program: PathBuf,
    pub major: u32,
    /// What it says of itself; part of the key of what is made for it alone.
    pub identity: String,
}

impl Java {
    /// # Errors
    /// When there is none, or only one that is too old.
    pub async fn find() -> anyhow::Result<Self> {
        let missing = || {
            format!(
                "Java {OLDEST} or later was not found; install a JRE (apt install \
                 openjdk-17-jre-headless), or set JAVA_HOME; `cargo xtask doctor` says more"
            )
        };
        let program = candidates()
            .into_iter()
            .find(|p| p.is_file())
            .with_context(missing)?;
        let identity = match release_file(&program) {
            Some(text) => text,
            // macOS has a stub there, which knows where the real one is.
            None => ask(&program).await.with_context(missing)?,
        };
        let major = major_version(&identity)
            .with_context(|| format!("failed to read the version of {}", program.display()))?;
        anyhow::ensure!(
            major >= OLDEST,
            "{} is Java {major}. {}",
            program.display(),
            missing()
        );
        Ok(Self {
            program,
            major,
            identity,
        })
    }
}

fn candidates() -> Vec<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("java"));
    home.map(|home| Path::new(&home).join("bin/java"))
        .into_iter()
        .chain(on_path)
        .collect()
}

/// Every JDK and JRE describes itself in a file, which saves starting it to ask.
fn release_file(program: &Path) -> Option<String> {
    let real = program.canonicalize().ok()?;
    std::fs::read_to_string(real.ancestors().nth(2)?.join("release")).ok()
}

async fn ask(program: &Path) -> anyhow::Result<String> {
    let output = tokio::process::Command::new(program)
        .arg("-version")
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "`java -version` failed");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// From `JAVA_VERSION="17.0.15"` or `openjdk version "1.8.0_392"`.
fn major_version(text: &str) -> Option<u32> {
    let line = text
        .lines()
        .find(|line| line.starts_with("JAVA_VERSION=") || line.contains(" version \""))?;
    let version = line.split('"').nth(1)?;
    let mut numbers = version.split(['.', '-', '+', '_']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_old_and_new_are_understood() {
        for (text, major) in [
            (
                "IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"17.0.15\"\n",
                Some(17),
            ),
            ("openjdk version \"1.8.0_392\"\nOpenJDK Runtime", Some(8)),
            ("openjdk version \"21-ea\" 2023-09-19", Some(21)),
            ("no java here", None),
        ] {
            assert_eq!(major_version(text), major, "{text}");
        }
    }
}
