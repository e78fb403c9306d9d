//! Ctrl-C, and ports that are taken: nothing may be left, and nothing half started.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tests::{Lab, interrupt, until};

/// Processes that carry the lab's marker.
fn processes(lab: &Lab) -> usize {
    let marker = format!("EDALAB_LAB={}", lab.dir().display());
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    let ours = entries.flatten().filter(|entry| {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == marker.as_bytes())
    });
    ours.count()
}

fn up(lab: &Lab) -> Child {
    lab.command(&["up", "--no-build"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xtask can be run")
}

#[test]
fn ctrl_c_in_each_phase_leaves_nothing_running() {
    let lab = Lab::prepare("interrupt");
    let everything_listens = || lab.listening().len() == 6;
    let phases: [(&str, usize, &dyn Fn() -> bool); 4] = [
        ("something is started", 1, &|| processes(&lab) > 0),
        ("PostgreSQL listens", 1, &|| {
            lab.listening().contains(&"postgres")
        }),
        ("something is started", 2, &|| processes(&lab) > 0),
        ("everything listens", 1, &everything_listens),
    ];
    for (phase, times, reached) in phases {
        let child = up(&lab);
        until(phase, || reached().then_some(()));
        interrupt(&child);
        if times > 1 {
            // It may have ended before the second one.
            let _ = Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status();
        }
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        if phase != "everything listens" {
            assert!(!output.status.success(), "{phase}: {said}");
        }
        until("no process is left", || {
            (processes(&lab) == 0).then_some(())
        });
        assert_eq!(lab.listening(), [""; 0], "{phase}: {said}");
    }
    // What was there is what the next one finds.
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    lab.xtask(&["down"]).success();
}

#[test]
fn a_port_that_is_taken_is_named_with_its_owner_before_anything_starts() {
    let lab = Lab::prepare("port-taken");
    let taken = TcpListener::bind(("127.0.0.1", lab.port("gateway")));
    let _taken = taken.expect("the port was free");
    let refused = lab.xtask(&["up", "--detach", "--no-build"]);
    assert!(!refused.ok, "{}", refused.text());
    let port = lab.port("gateway").to_string();
    let pid = format!("pid {}", std::process::id());
    for words in [port.as_str(), "gateway", &pid] {
        assert!(
            refused.stderr.contains(words),
            "{words:?} is not in {}",
            refused.stderr
        );
    }
    assert_eq!(processes(&lab), 0, "nothing was started");
}

/// Somebody takes the gateway's port after it was found free, and answers as if it were ready.
#[test]
fn who_takes_a_port_meanwhile_is_not_taken_for_the_part() {
    let lab = Lab::prepare("port-lost");
    let child = up(&lab);
    until("something is started", || {
        (processes(&lab) > 0).then_some(())
    });
    let taken = TcpListener::bind(("127.0.0.1", lab.port("gateway")));
    let taken = taken.expect("the gateway has not started yet");
    std::thread::spawn(move || {
        for stream in taken.incoming().flatten() {
            let mut stream = stream;
            // Whatever is asked, and whether or not they stay for the answer.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let port = lab.port("gateway");
    let taken = format!(
        "the port {port} was taken meanwhile by pid {}",
        std::process::id()
    );
    assert!(said.contains(&taken), "{said}");
    assert_eq!(processes(&lab), 0, "what was started is stopped again");
}
