//! Breaks and mends parts of the lab for the page, by running `xtask` as a person would.
//!
//! Only where xtask started this gateway and nobody but this machine can call it. What is run are
//! fixed arguments: the part is one of the known ones, and nothing of a request reaches a shell.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chassis::http::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Mutex;

/// The parts of a lab.
const PARTS: [&str; 6] = [
    "kafka",
    "postgres",
    "registry",
    "simulator",
    "bancaire",
    "gateway",
];
/// How long a call waits for xtask; it goes on without us.
const PATIENCE: Duration = Duration::from_secs(25);
/// After this xtask is ended: nothing in a lab takes so long.
const LIMIT: Duration = Duration::from_secs(180);
/// States younger than this are given again, however many ask.
const FRESH: Duration = Duration::from_millis(700);
const MOST_LINES: u32 = 1000;

/// Where the lab is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `EDALAB_XTASK`: the binary that started us.
    pub xtask: PathBuf,
    /// `EDALAB_DIR`: the lab's folder.
    pub dir: PathBuf,
}

/// The lab's parts.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LabReport {
    pub available: bool,
    /// `embedded`, `docker` or `external`.
    pub backend: Option<String>,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Part {
    pub name: String,
    /// Its process runs.
    pub alive: bool,
    pub healthy: bool,
    /// `running`, `paused`, `dead` (it ended by itself or was killed) or `stopped`.
    pub state: String,
    /// Why it is not healthy.
    pub problem: Option<String>,
    pub pid: Option<u32>,
    pub port: u16,
    pub url: String,
    pub rss_bytes: Option<u64>,
    /// The file that it logs to.
    pub log: String,
}

/// What can be done to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LabAction)]
pub enum Action {
    /// End it without warning, as kill -9 does.
    Kill,
    /// End it cleanly.
    Stop,
    Start,
    Restart,
    /// Suspend it: connections stay, answers do not come.
    Pause,
    Resume,
}

/// What was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Done {
    pub name: String,
    pub action: Action,
    /// What xtask said.
    pub output: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogLines {
    /// Oldest first.
    pub lines: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// The last lines, 1 to 1000; 40 without it.
    pub lines: Option<u32>,
}

/// The lab, or why there is none to control.
pub struct Lab {
    settings: Result<Settings, &'static str>,
    /// One change at a time; xtask would wait for the other, and the caller not know why.
    busy: Arc<Mutex<()>>,
    cache: Mutex<Option<(Instant, LabReport)>>,
}

impl Lab {
    pub fn new(settings: Option<Settings>, is_loopback: bool) -> Self {
        let settings = match settings {
            _ if !is_loopback => {
                Err("The gateway can be reached from other machines, so it controls nothing.")
            }
            None => Err("This gateway was not started by `cargo xtask up`."),
            Some(settings) => Ok(settings),
        };
        Self {
            settings,
            busy: Arc::default(),
            cache: Mutex::default(),
        }
    }

    /// # Errors
    /// 403 where the lab cannot be controlled, 502 when xtask fails.
    pub async fn report(&self) -> Result<LabReport, Problem> {
        let settings = self.settings()?;
        let mut cache = self.cache.lock().await;
        if let Some((asked, report)) = &*cache
            && asked.elapsed() < FRESH
        {
            return Ok(report.clone());
        }
        // It fails when a part is ill, and says all the same what it knows.
        let output = self.run(settings, &["status", "--json"]).await?;
        let status: Value =
            serde_json::from_slice(&output.stdout).map_err(|_| refused(&["status"], &output))?;
        let report = report(&status, &settings.dir);
        *cache = Some((Instant::now(), report.clone()));
        Ok(report)
    }

    /// Does something to a part.
    ///
    /// # Errors
    /// 404 for an unknown part, 409 while another change is under way, 502 when xtask fails, 504
    /// when it takes too long; else as [`Lab::report`].
    pub async fn act(&self, name: &str, action: Action) -> Result<(StatusCode, Done), Problem> {
        let settings = self.settings()?.clone();
        let name = known(name)?;
        let Ok(busy) = self.busy.clone().try_lock_owned() else {
            let detail = "Another change to the lab is under way; wait for its end.";
            return Err(Problem::conflict(detail));
        };
        let args = arguments(name, action);
        tracing::info!(part = name, action = ?action, "Changes the lab");
        if name == "gateway" && action != Action::Resume && action != Action::Start {
            // We shall not be there to hear how it went.
            detach(&settings, &args)?;
            let output = "The gateway goes away; the page connects again when it is back.".into();
            let name = name.to_owned();
            let done = Done {
                name,
                action,
                output,
            };
            return Ok((StatusCode::ACCEPTED, done));
        }
        let running = tokio::spawn(async move {
            let output = tokio::time::timeout(LIMIT, xtask(&settings, &args)).await;
            drop(busy);
            (args, output)
        });
        let ended = tokio::time::timeout(PATIENCE, running).await;
        *self.cache.lock().await = None;
        match ended {
            Ok(Ok((args, Ok(Ok(output))))) if !output.status.success() => {
                Err(refused(&args, &output))
            }
            Ok(Ok((_, Ok(Ok(output))))) => {
                let done = Done {
                    name: name.to_owned(),
                    action,
                    output: said(&output),
                };
                Ok((StatusCode::OK, done))
            }
            Ok(Ok((_, Ok(Err(e))))) => Err(Problem::internal(format_args!("xtask: {e}"))),
            Ok(Ok((_, Err(_)))) | Err(_) => Err(Problem::gateway_timeout(
                "xtask takes longer than expected and goes on; look at the parts again later.",
            )),
            Ok(Err(e)) => Err(Problem::internal(e)),
        }
    }

    /// The last lines of a part's log.
    ///
    /// # Errors
    /// 400 for a bad number of lines, 404 for an unknown part; else as [`Lab::report`].
    pub async fn logs(&self, name: &str, lines: Option<u32>) -> Result<LogLines, Problem> {
        let settings = self.settings()?;
        let name = known(name)?;
        let lines = lines.unwrap_or(40);
        if !(1..=MOST_LINES).contains(&lines) {
            let detail = format!("lines is {lines}, not between 1 and {MOST_LINES}.");
            return Err(Problem::bad_request(detail));
        }
        let tail = lines.to_string();
        let args = ["logs", name, "--tail", &tail];
        let output = self.run(settings, &args).await?;
        if !output.status.success() {
            return Err(refused(&args, &output));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(LogLines {
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    fn settings(&self) -> Result<&Settings, Problem> {
        self.settings
            .as_ref()
            .map_err(|reason| Problem::new(StatusCode::FORBIDDEN, *reason))
    }

    async fn run(&self, settings: &Settings, args: &[&str]) -> Result<Output, Problem> {
        match tokio::time::timeout(PATIENCE, xtask(settings, args)).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(e)) => Err(Problem::internal(format_args!("xtask: {e}"))),
            Err(_) => Err(Problem::gateway_timeout("xtask did not answer in time.")),
        }
    }
}

fn known(name: &str) -> Result<&'static str, Problem> {
    let found = PARTS.into_iter().find(|part| *part == name);
    found.ok_or_else(|| {
        let parts = PARTS.join(", ");
        Problem::not_found(format!("There is no part {name:?}; the parts are {parts}."))
    })
}

fn arguments(name: &'static str, action: Action) -> Vec<&'static str> {
    let verb = match action {
        Action::Kill => "kill",
        Action::Stop => "down",
        Action::Start => "up",
        Action::Restart => "restart",
        Action::Pause => "pause",
        Action::Resume => "resume",
    };
    vec!["services", verb, name]
}

fn command(settings: &Settings, args: &[&str]) -> Command {
    let mut command = Command::new(&settings.xtask);
    command
        .args(args)
        .env("EDALAB_DIR", &settings.dir)
        .env("NO_COLOR", "1")
        // The mark of the lab's own processes: xtask ends those that it does not know.
        .env_remove("EDALAB_LAB")
        .current_dir(&settings.dir)
        .stdin(Stdio::null());
    command
}

async fn xtask(settings: &Settings, args: &[&str]) -> std::io::Result<Output> {
    // What a call gave up on is ended with it, unless it changes something: that has its own task.
    command(settings, args).kill_on_drop(true).output().await
}

fn detach(settings: &Settings, args: &[&str]) -> Result<(), Problem> {
    command(settings, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Whoever ends our process group must not end the one who starts us again.
        .process_group(0)
        .spawn()
        .map(drop)
        .map_err(|e| Problem::internal(format_args!("failed to run xtask: {e}")))
}

/// Both streams, which are what a person would have seen.
fn said(output: &Output) -> String {
    let text = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    text.join("\n").trim().to_owned()
}

fn refused(args: &[&str], output: &Output) -> Problem {
    Problem::bad_gateway(format!(
        "`xtask {}` failed: {}",
        args.join(" "),
        said(output)
    ))
}

fn report(status: &Value, dir: &Path) -> LabReport {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let part = |part: &Value| {
        let name = text(&part["name"]).unwrap_or_default();
        let pid = part["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let log = dir.join("logs").join(format!("{name}.log"));
        let port = part["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        Part {
            alive: pid.is_some() || part["state"] == "running",
            healthy: part["healthy"] == true,
            state: text(&part["state"]).unwrap_or_default(),
            problem: text(&part["problem"]),
            pid,
            port: port.unwrap_or_default(),
            url: text(&part["url"]).unwrap_or_default(),
            rss_bytes: part["rss_bytes"].as_u64().filter(|_| pid.is_some()),
            log: log.display().to_string(),
            name,
        }
    };
    LabReport {
        available: true,
        backend: text(&status["backend"]),
        parts: status["components"]
            .as_array()
            .into_iter()
            .flatten()
            .map(part)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lab whose xtask is a shell script.
    fn lab(script: &str) -> (Lab, tempfile::TempDir) {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let xtask = dir.path().join("xtask");
        std::fs::write(&xtask, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&xtask, PermissionsExt::from_mode(0o755)).unwrap();
        let settings = Settings {
            xtask,
            dir: dir.path().to_owned(),
        };
        (Lab::new(Some(settings), true), dir)
    }

    #[tokio::test]
    async fn without_xtask_or_open_to_others_nothing_is_controlled() {
        let settings = Settings {
            xtask: "/bin/true".into(),
            dir: "/".into(),
        };
        for lab in [Lab::new(None, true), Lab::new(Some(settings), false)] {
            assert_eq!(lab.report().await.unwrap_err().status, 403);
            assert_eq!(
                lab.act("kafka", Action::Kill).await.unwrap_err().status,
                403
            );
            assert_eq!(lab.logs("kafka", None).await.unwrap_err().status, 403);
        }
    }

    #[tokio::test]
    async fn only_known_parts_reach_xtask() {
        let (lab, _dir) = lab("echo \"$@\"");
        let problem = lab.act("kafka; rm -rf /", Action::Kill).await.unwrap_err();
        assert_eq!(problem.status, 404);
        assert_eq!(lab.logs("--help", None).await.unwrap_err().status, 404);
        assert_eq!(lab.logs("kafka", Some(0)).await.unwrap_err().status, 400);
        let (status, done) = lab.act("bancaire", Action::Pause).await.unwrap();
        assert_eq!(
            (status, done.output.as_str()),
            (StatusCode::OK, "services pause bancaire")
        );
        let logs = lab.logs("kafka", Some(7)).await.unwrap();
        assert_eq!(logs.lines, ["logs kafka --tail 7"]);
    }

    #[tokio::test]
    async fn xtasks_own_words_are_handed_on() {
        let (lab, _dir) = lab("echo no such luck >&2; exit 1");
        let problem = lab.act("kafka", Action::Start).await.unwrap_err();
        assert_eq!(problem.status, 502);
        assert!(
            problem.detail.contains("no such luck"),
            "{}",
            problem.detail
        );
    }

    #[tokio::test]
    async fn an_ill_lab_is_reported_too() {
        let (lab, _dir) = lab(r#"echo '{"backend":"embedded","components":[
                {"name":"kafka","state":"dead","healthy":false,"pid":null,"port":9092,"url":"u"},
                {"name":"gateway","state":"running","healthy":true,"pid":7,"port":8080,
                 "url":"v","rss_bytes":1024}]}'; exit 1"#);
        let report = lab.report().await.unwrap();
        assert_eq!(report.backend.as_deref(), Some("embedded"));
        assert!(!report.parts[0].alive && report.parts[0].rss_bytes.is_none());
        assert!(report.parts[1].alive && report.parts[1].rss_bytes == Some(1024));
        assert!(report.parts[1].log.ends_with("logs/gateway.log"));
    }
}
