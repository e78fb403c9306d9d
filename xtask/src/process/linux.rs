//! Processes as /proc shows them.

use std::fs;

use super::Memory;

/// Of /proc/PID/stat: state, parent, and when it started in ticks since the boot.
pub(super) fn parse_stat(stat: &str) -> Option<(&str, u32, &str)> {
    // The name stands in parentheses and may contain both spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let state = *fields.first()?;
    let parent = fields.get(1)?.parse().ok()?;
    Some((state, parent, fields.get(19)?))
}

pub(super) fn start_id(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, _, ticks) = parse_stat(&stat)?;
    // A dead process whose parent does not reap it keeps its pid, but holds nothing any more
    // once its last thread is gone.
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    if matches!(state, "Z" | "X" | "x") && threads() <= 1 {
        return None;
    }
    // Ticks count from the boot, so two boots must differ too.
    let boot = boot_id().unwrap_or_default();
    Some(format!("{}:{ticks}", boot.get(..8).unwrap_or("")))
}

pub(super) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(super) fn marked(marker: &str) -> Vec<u32> {
    let has_marker = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|var| var == marker.as_bytes())
    };
    pids().filter(has_marker).collect()
}

pub(super) fn name(pid: u32) -> Option<String> {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(comm.trim().to_owned())
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(parse_stat(&stat)?.1)
}

pub(super) fn is_suspended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    parse_stat(&stat).is_some_and(|(state, ..)| matches!(state, "T" | "t"))
}

pub(super) fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| pid),
        );
        next += 1;
    }
    family
}

pub(super) fn cpu_ms(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    // Its own in user and kernel mode, and that of its children that it has waited for.
    let ticks = rest.split_whitespace().skip(11).take(4);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux shows 100 ticks per second to programs, whatever the kernel uses itself.
    Some(ticks * 10)
}

pub(super) fn memory(pid: u32) -> Memory {
    let field = |file: &str, name: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kb.unwrap_or(0) * 1024
    };
    Memory {
        rss_bytes: field("status", "VmRSS:"),
        pss_bytes: field("smaps_rollup", "Pss:"),
    }
}
