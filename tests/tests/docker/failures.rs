//! What goes wrong around the daemon: each named in one line, and nothing left behind.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{changed_catalogue, container, docker, lab, owned};
use tests::{Lab, Ran, interrupt, until};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use xtask::components::docker::prefix;

const INFRA_UP: [&str; 3] = ["infra", "up", "--no-build"];

#[track_caller]
fn refused(ran: &Ran, why: &str) {
    assert!(
        !ran.ok && ran.stderr.contains(why),
        "{why:?} in:\n{}",
        ran.text()
    );
}

fn with_host(lab: &Lab, host: &str, args: &[&str]) -> Ran {
    let output = lab
        .command(args)
        .env("DOCKER_HOST", host)
        .output()
        .expect("xtask can be run");
    Ran {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
#[ignore = "needs docker"]
fn a_daemon_that_cannot_be_had_is_named_with_the_way_out() {
    let lab = Lab::prepare("docker-none").on("docker");
    let began = Instant::now();
    let dir = lab.dir().display().to_string();
    for (host, why) in [
        (format!("unix://{dir}/none.sock"), "does not exist"),
        ("ssh://me@there".into(), "another machine"),
        ("tcp://192.0.2.1:2375".into(), "another machine"),
    ] {
        refused(&with_host(&lab, &host, &INFRA_UP), why);
    }
    let dead = lab.dir().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let host = format!("unix://{}", dead.display());
    refused(&with_host(&lab, &host, &INFRA_UP), "no daemon listens");
    // Something answers, but no daemon, or one of long ago.
    let old = r#"{"ApiVersion":"1.24","Version":"1.12.6"}"#;
    let old = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{old}",
        old.len()
    );
    let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (answer, why) in [
        (none, "does not answer as a daemon does"),
        (old, "is too old: it speaks API 1.24, and 1.40 is needed"),
    ] {
        let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("tcp://{}", registry.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = registry.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        });
        refused(&with_host(&lab, &host, &INFRA_UP), why);
        answering.join().unwrap();
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "a dead daemon is known at once"
    );
    assert!(!lab.dir().join("state.json").exists());
}

/// As a user who is not in the socket's group.
#[test]
#[ignore = "needs docker"]
fn a_daemon_that_one_may_not_use_says_what_to_do() {
    let lab = Lab::prepare("docker-forbidden").on("docker");
    let socket = lab.dir().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    let catalogue = lab.dir().join("images.toml");
    std::fs::write(&catalogue, changed_catalogue("memory_mb", "memory_mb")).unwrap();
    // Where the tests are built others may not look.
    let xtask = lab.dir().join("xtask");
    std::fs::copy(lab.command(&[]).get_program(), &xtask).unwrap();
    let mut command = Command::new(&xtask);
    command
        .args(["images", "list"])
        .current_dir("/")
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("EDALAB_IMAGES_FILE", catalogue);
    // Root may everything.
    if std::fs::metadata(&socket).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("usermod -aG docker"),
        "{said}"
    );
}

#[test]
#[ignore = "needs docker"]
fn ports_names_and_volumes_of_others_are_left_to_them() {
    let lab = lab("docker-taken");
    let taken = std::net::TcpListener::bind(("127.0.0.1", lab.port("kafka"))).unwrap();
    refused(
        &lab.xtask(&INFRA_UP),
        &format!("port {} asked for kafka is taken", lab.port("kafka")),
    );
    drop(taken);
    assert_eq!(owned(&lab), [""; 0]);

    // A container, then a volume, of that name without the lab's label.
    let name = format!("{}-postgres", prefix(lab.dir()));
    docker(&["create", "--name", &name, "edalab/registry:0.1.0"]);
    let ran = lab.xtask(&INFRA_UP);
    refused(
        &ran,
        &format!("the container {name} is there and not this lab's"),
    );
    assert!(
        owned(&lab).iter().all(|name| name.starts_with("volume")),
        "{:?}",
        owned(&lab)
    );
    docker(&["rm", &name]);
    lab.xtask(&["clean", "--stop"]).success();
    docker(&["volume", "create", &name]);
    refused(
        &lab.xtask(&INFRA_UP),
        &format!("the volume {name} is there and not this lab's"),
    );
    lab.xtask(&["clean", "--stop"]).success();
    docker(&["volume", "rm", &name]);

    // A volume of another Kafka cluster.
    lab.xtask(&INFRA_UP).success();
    lab.xtask(&["down"]).success();
    let memory = lab.dir().join("lab.json");
    let text = std::fs::read_to_string(&memory).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["kafka_cluster_id"] = "another".into();
    std::fs::write(&memory, json.to_string()).unwrap();
    refused(&lab.xtask(&INFRA_UP), "belongs to another Kafka cluster");
    json["kafka_cluster_id"] = "".into();
    json["postgres_admin_password"] = "".into();
    std::fs::write(&memory, json.to_string()).unwrap();
    refused(
        &lab.xtask(&INFRA_UP),
        "password of PostgreSQL's data is lost",
    );
    lab.xtask(&["clean", "--stop"]).success();
    assert_eq!(owned(&lab), [""; 0]);
}

#[test]
#[ignore = "needs docker"]
fn ctrl_c_in_each_phase_leaves_nothing_running() {
    let lab = lab("docker-interrupt");
    let has = |kind: &str| owned(&lab).iter().any(|name| name.starts_with(kind));
    let runs = || {
        let label = format!("label=edalab.lab={}", lab.dir().display());
        !docker(&["ps", "--quiet", "--filter", &label]).is_empty()
    };
    let phases: [(&str, &dyn Fn() -> bool); 4] = [
        ("the network is made", &|| has("network")),
        ("a volume is made", &|| has("volume")),
        ("a container is made", &|| has("ps")),
        ("a container runs", &runs),
    ];
    for (phase, reached) in phases {
        let up = lab
            .command(&INFRA_UP)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xtask can be run");
        until(phase, || reached().then_some(()));
        interrupt(&up);
        let output = up.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("interrupted"),
            "{phase}: {said}"
        );
        assert!(!has("ps") && !has("network"), "{phase}: {:?}", owned(&lab));
        lab.xtask(&["clean", "--stop"]).success();
    }
    assert_eq!(owned(&lab), [""; 0]);
}

/// Stands before the daemon, and can go away as a daemon does that is stopped.
struct Proxy {
    path: PathBuf,
    runtime: Option<Runtime>,
}

impl Proxy {
    fn start(path: PathBuf) -> Self {
        let _ = std::fs::remove_file(&path);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&path).unwrap()
        };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        runtime.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut daemon) = UnixStream::connect("/var/run/docker.sock").await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut daemon).await;
                    }
                });
            }
        });
        let runtime = Some(runtime);
        Self { path, runtime }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// The socket stays, and nobody listens.
    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

#[test]
#[ignore = "needs docker"]
fn a_daemon_that_stops_in_mid_run_is_said_and_nothing_is_forgotten() {
    let lab = lab("docker-daemon");
    let mut proxy = Proxy::start(lab.dir().join("proxy.sock"));
    let host = proxy.host();
    assert!(with_host(&lab, &host, &INFRA_UP).ok);
    let kafka = container(&lab, "kafka");
    proxy.stop();
    let status = with_host(&lab, &host, &["status"]);
    refused(&status, "no daemon listens");
    refused(&with_host(&lab, &host, &["down"]), "no daemon listens");
    refused(
        &with_host(&lab, &host, &["clean", "--stop"]),
        "no daemon listens",
    );
    assert_eq!(
        container(&lab, "kafka"),
        kafka,
        "the lab still knows what is its own"
    );
    let proxy = Proxy::start(proxy.path.clone());
    assert!(with_host(&lab, &proxy.host(), &["infra", "test"]).ok);
    assert!(with_host(&lab, &proxy.host(), &["clean", "--stop"]).ok);
    assert_eq!(owned(&lab), [""; 0]);
}
