//! Processes as `ps` shows them, where there is no /proc: macOS.

use std::process::Command;

use super::Memory;

fn ps(args: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn start_id(pid: u32) -> Option<String> {
    let line = ps(&["-o", "stat=,lstart=", "-p", &pid.to_string()])?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

pub(super) fn marked(marker: &str) -> Vec<u32> {
    // -E adds the environment to the command.
    let text = ps(&["-axEww", "-o", "pid=,command="]).unwrap_or_default();
    let with = text
        .lines()
        .filter(|line| line.split(' ').any(|word| word == marker));
    with.filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

pub(super) fn name(pid: u32) -> Option<String> {
    ps(&["-o", "comm=", "-p", &pid.to_string()]).map(|s| s.trim().to_owned())
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    ps(&["-o", "ppid=", "-p", &pid.to_string()])?
        .trim()
        .parse()
        .ok()
}

pub(super) fn is_suspended(pid: u32) -> bool {
    ps(&["-o", "stat=", "-p", &pid.to_string()]).is_some_and(|s| s.trim().starts_with('T'))
}

pub(super) fn boot_id() -> Option<String> {
    None
}

pub(super) fn family(root: u32) -> Vec<u32> {
    let text = ps(&["-ax", "-o", "pid=,ppid="]).unwrap_or_default();
    let pairs: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(
            pairs
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| pid),
        );
        next += 1;
    }
    family
}

pub(super) fn cpu_ms(_pid: u32) -> Option<u64> {
    None
}

pub(super) fn memory(pid: u32) -> Memory {
    let kb = ps(&["-o", "rss=", "-p", &pid.to_string()]);
    let kb: u64 = kb.and_then(|s| s.trim().parse().ok()).unwrap_or(0);
    Memory {
        rss_bytes: kb * 1024,
        pss_bytes: 0,
    }
}
