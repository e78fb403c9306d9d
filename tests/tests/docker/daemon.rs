//! A daemon of the tests' own, which can be stopped or run out of disk without harm to the shared one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::images::{NOWHERE, Tiny, catalogue, images};
use crate::support::{changed_catalogue, docker, lab, part};
use tests::{Lab, until};

const POSTGRES: &str = "edalab/postgres:16.15";

/// Runs `body` and what it starts in a network of their own: a second daemon would take the first
/// one's bridge away when it starts.
fn in_its_own_network(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
            let up = Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status();
            assert!(up.expect("ip is there").success());
            body();
        });
        if let Err(panic) = done.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

struct OwnDaemon {
    dir: PathBuf,
    process: Option<Child>,
}

impl OwnDaemon {
    /// With all that it keeps below `dir`.
    fn start(dir: &Path) -> Self {
        let mut daemon = Self {
            dir: dir.to_owned(),
            process: None,
        };
        daemon.start_again();
        daemon
    }

    fn start_again(&mut self) {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let log = std::fs::File::create(self.dir.join("dockerd.log")).unwrap();
        let process = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host", &self.host()])
            .args(["--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed");
        self.process = Some(process);
        until("the daemon answers", || {
            let asked = Command::new("docker")
                .args(["--host", &self.host(), "version"])
                .output();
            asked
                .expect("docker is there")
                .status
                .success()
                .then_some(())
        });
    }

    fn host(&self) -> String {
        format!("unix://{}", self.dir.join("docker.sock").display())
    }

    /// As a service manager stops it: it ends its containers first.
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let sent = Command::new("kill").arg(process.id().to_string()).status();
            assert!(sent.expect("kill is there").success());
            process.wait().expect("it ends");
        }
    }

    fn ask(&self, args: &[&str]) -> String {
        docker(&[&["--host", &self.host()], args].concat())
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
#[ignore = "needs docker"]
fn a_daemon_that_stops_takes_its_containers_with_it_and_the_next_run_mends() {
    in_its_own_network(a_daemon_that_stops_takes_its_containers_with_it);
}

fn a_daemon_that_stops_takes_its_containers_with_it() {
    let lab = lab("docker-own");
    let mut daemon = OwnDaemon::start(lab.dir());
    let brought = Command::new("sh")
        .arg("-c")
        .arg("docker save \"$0\" | docker --host \"$1\" load")
        .args([POSTGRES, &daemon.host()])
        .output()
        .expect("sh is there");
    assert!(brought.status.success(), "{brought:?}");
    // PostgreSQL alone is started; the others' images only have to be there.
    let file = lab.dir().join("images.toml");
    let text = changed_catalogue("edalab/kafka:3.9.2", POSTGRES);
    std::fs::write(&file, text.replace("edalab/registry:0.1.0", POSTGRES)).unwrap();
    let lab = lab
        .env("DOCKER_HOST", daemon.host())
        .env("EDALAB_IMAGES_FILE", file.display().to_string());
    let up = ["infra", "up", "postgres", "--no-build"];

    // While it starts.
    let starting = lab
        .command(&up)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xtask can be run");
    until("the container is made", || {
        (!daemon.ask(&["ps", "--all", "--quiet"]).is_empty()).then_some(())
    });
    daemon.stop();
    let ended = starting.wait_with_output().expect("it ends");
    assert!(!ended.status.success(), "{ended:?}");
    daemon.start_again();
    lab.xtask(&up).success();

    // While it runs.
    daemon.stop();
    for args in [&["status"][..], &up, &["down"], &["clean", "--stop"]] {
        let refused = lab.xtask(args);
        assert!(!refused.ok, "{args:?}: {}", refused.text());
        assert!(
            refused.stderr.contains("docker.sock does not exist"),
            "{args:?}: {}",
            refused.text()
        );
    }
    daemon.start_again();
    let status = lab.xtask(&["status", "--json"]);
    assert!(!status.ok, "{}", status.text());
    assert_eq!(part(&status.json(), "postgres")["state"], "dead");
    lab.xtask(&up).success();
    let status = lab.xtask(&["status", "--json"]).json();
    assert_eq!(part(&status, "postgres")["healthy"], true, "{status}");
    lab.xtask(&["clean", "--stop"]).success();
    for what in [
        &["ps", "--all", "--quiet"][..],
        &["volume", "ls", "--quiet"],
        &["network", "ls", "--quiet", "--filter", "type=custom"],
    ] {
        assert_eq!(daemon.ask(what), "", "{what:?}");
    }
    // Before the lab, whose folder it keeps its own in.
    drop(daemon);
}

/// A file system of a few megabytes for the daemon's data.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(&at)
            .status();
        assert!(mounted.expect("mount is there").success());
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs docker"]
fn a_full_disk_is_named_and_nothing_is_left_of_what_did_not_fit() {
    in_its_own_network(a_full_disk_is_named);
}

fn a_full_disk_is_named() {
    let lab = Lab::prepare("docker-full").on("docker");
    let dir = lab.dir().to_owned();
    let tag = format!("edalab-test/large-{}:1", std::process::id());
    // What cannot be packed any smaller.
    std::fs::create_dir_all(dir.join("root")).unwrap();
    let filled = Command::new("dd")
        .args(["if=/dev/urandom", "bs=1M", "count=100", "status=none"])
        .arg(format!("of={}", dir.join("root/large").display()))
        .status();
    assert!(filled.expect("dd is there").success());
    let large = Tiny::new(&tag, &dir);
    let ours = catalogue(&dir, "edalab-test/none:1", NOWHERE, Some(&tag));
    let bundle = dir.join("lab.bundle");
    let file = bundle.to_str().unwrap();
    images(&lab, &ours, None, &["save", file]).success();
    drop(large);

    let disk = SmallDisk::new(dir.join("data"));
    let daemon = OwnDaemon::start(&dir);
    let lab = lab.env("DOCKER_HOST", daemon.host());
    let refused = images(&lab, &ours, None, &["load", file]);
    assert!(
        !refused.ok && refused.stderr.contains("the daemon's disk is full"),
        "{}",
        refused.text()
    );
    assert_eq!(daemon.ask(&["images", "--all", "--quiet"]), "");
    drop(daemon);
    drop(disk);
}
