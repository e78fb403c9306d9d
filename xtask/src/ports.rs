//! Which port each part gets: the one that was asked for, else the last run's, else the usual
//! one; a free one when that is taken, and then who took it is said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};

/// Replacements are sought here: below the range from which systems take the local ports of
/// outgoing connections, which come and go.
const FREE: std::ops::Range<u16> = 18_000..32_000;

/// Where the search begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PortPolicy {
    /// The last run's ports, else the usual ones.
    #[default]
    Preferred,
    /// The last run's ports, else any free ones: for tests beside a user's lab.
    Free,
}

/// One part's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    pub port: u16,
    /// The port that it would have had.
    pub instead_of: Option<u16>,
}

/// Decides for each name in `usual`, where 0 stands for any free port. `asked` is what the user named, `last` the last run's.
///
/// # Errors
/// The ports that were asked for by name and are taken.
pub fn choose(
    usual: &[(&str, u16)],
    asked: &BTreeMap<String, u16>,
    last: &BTreeMap<String, u16>,
    policy: PortPolicy,
    is_free: impl Fn(u16) -> bool,
) -> Result<Vec<Choice>, Vec<(String, u16)>> {
    let mut given: BTreeSet<u16> = BTreeSet::new();
    let mut choices = Vec::new();
    let mut refused = Vec::new();
    for &(name, _) in usual {
        if let Some(&port) = asked.get(name)
            && (!is_free(port) || !given.insert(port))
        {
            refused.push((name.to_owned(), port));
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    // Labs of several tests search at the same time: each begins well away from the others.
    let scattered = std::process::id().wrapping_mul(7919) % u32::from(FREE.end - FREE.start);
    let mut next = FREE.start + scattered as u16;
    for &(name, usual) in usual {
        let choice = |port, instead_of| Choice {
            name: name.to_owned(),
            port,
            instead_of,
        };
        if let Some(&port) = asked.get(name) {
            choices.push(choice(port, None));
            continue;
        }
        let preferred = match (last.get(name), policy) {
            (Some(&port), _) => port,
            (None, PortPolicy::Preferred) => usual,
            (None, PortPolicy::Free) => 0,
        };
        if preferred != 0 && !given.contains(&preferred) && is_free(preferred) {
            given.insert(preferred);
            choices.push(choice(preferred, None));
            continue;
        }
        for _ in FREE {
            next = if next + 1 >= FREE.end {
                FREE.start
            } else {
                next + 1
            };
            if !given.contains(&next) && is_free(next) {
                break;
            }
        }
        given.insert(next);
        choices.push(choice(next, (preferred != 0).then_some(preferred)));
    }
    Ok(choices)
}

/// True when nothing listens there, on loopback or everywhere.
pub fn is_free(port: u16) -> bool {
    port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Who listens there, as far as we may see it: `pid 42 (java)`.
pub fn owner(port: u16) -> String {
    let pid = owner_pid(port);
    pid.map_or_else(
        || "a process of another user".to_owned(),
        |pid| format!("pid {pid} ({})", crate::process::name(pid)),
    )
}

/// Whether one of these processes listens there; `None` where that cannot be seen.
pub fn listens(pids: &[u32], port: u16) -> Option<bool> {
    let found = listener(pids.iter().copied(), port);
    let all_seen = || pids.iter().all(|pid| shows_files(*pid));
    (found.is_some() || all_seen()).then_some(found.is_some())
}

#[cfg(target_os = "linux")]
fn shows_files(pid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn shows_files(_pid: u32) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn owner_pid(port: u16) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|p| p.file_name().to_str()?.parse::<u32>().ok());
    listener(pids, port)
}

/// Which of these processes listens there.
#[cfg(target_os = "linux")]
fn listener(mut pids: impl Iterator<Item = u32>, port: u16) -> Option<u32> {
    use std::fs;

    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| listening_inode(line, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    pids.find(|pid| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|link| {
                inodes
                    .iter()
                    .any(|inode| link.as_os_str() == inode.as_str())
            })
    })
}

/// The socket's inode when this line of /proc/net/tcp is a listener on `port`.
#[cfg(target_os = "linux")]
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16) == Ok(port);
    if listens {
        fields.get(9).copied()
    } else {
        None
    }
}

#[cfg(not(target_os = "linux"))]
fn listener(mut pids: impl Iterator<Item = u32>, port: u16) -> Option<u32> {
    let owner = owner_pid(port)?;
    pids.find(|pid| *pid == owner)
}

#[cfg(not(target_os = "linux"))]
fn owner_pid(port: u16) -> Option<u32> {
    let filter = format!("-iTCP:{port}");
    let output = std::process::Command::new("lsof")
        .args(["-nP", "-t", "-sTCP:LISTEN", &filter])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: [(&str, u16); 2] = [("kafka", 9092), ("gateway", 8080)];

    fn ports(choices: &[Choice]) -> Vec<u16> {
        choices.iter().map(|c| c.port).collect()
    }

    fn of(name: &str, port: u16) -> BTreeMap<String, u16> {
        [(name.to_owned(), port)].into()
    }

    #[test]
    fn the_usual_ports_then_the_last_runs_then_what_was_asked_for() {
        let none = BTreeMap::new();
        let all = |_| true;
        let usual = choose(&USUAL, &none, &none, PortPolicy::Preferred, all).unwrap();
        assert_eq!(ports(&usual), [9092, 8080]);
        let last = of("kafka", 19092);
        let again = choose(&USUAL, &none, &last, PortPolicy::Preferred, all).unwrap();
        assert_eq!(ports(&again), [19092, 8080]);
        let asked = of("kafka", 9000);
        let asked = choose(&USUAL, &asked, &last, PortPolicy::Preferred, all).unwrap();
        assert_eq!(ports(&asked), [9000, 8080]);
    }

    #[test]
    fn a_taken_port_is_replaced_and_said() {
        let none = BTreeMap::new();
        let choices = choose(&USUAL, &none, &none, PortPolicy::Preferred, |p| p != 8080).unwrap();
        assert_eq!(choices[0].instead_of, None);
        assert_eq!(choices[1].instead_of, Some(8080));
        assert!(FREE.contains(&choices[1].port));
    }

    #[test]
    fn free_ports_differ_from_each_other_and_from_the_usual() {
        let none = BTreeMap::new();
        let choices = choose(&USUAL, &none, &none, PortPolicy::Free, |_| true).unwrap();
        assert_ne!(choices[0].port, choices[1].port);
        assert!(
            choices
                .iter()
                .all(|c| FREE.contains(&c.port) && c.instead_of.is_none())
        );
    }

    #[test]
    fn a_port_asked_for_by_name_is_not_replaced() {
        let asked = [("kafka".to_owned(), 1), ("gateway".to_owned(), 2)].into();
        let none = BTreeMap::new();
        let refused = choose(&USUAL, &asked, &none, PortPolicy::Preferred, |p| p != 1);
        assert_eq!(refused, Err(vec![("kafka".to_owned(), 1)]));
        let twice = [("kafka".to_owned(), 2), ("gateway".to_owned(), 2)].into();
        assert!(choose(&USUAL, &twice, &none, PortPolicy::Preferred, |_| true).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let own = std::process::id();
        assert!(owner(port).starts_with(&format!("pid {own} (")));
        assert_eq!(listens(&[own], port), Some(true));
        let mut other = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(listens(&[other.id()], port), Some(false));
        assert_eq!(listens(&[other.id(), own], port), Some(true));
        other.kill().unwrap();
        other.wait().unwrap();
        let line = "0: 0100007F:2384 00000000:0000 0A 0:0 00:0 0 0 0 4711 1";
        assert_eq!(listening_inode(line, 0x2384), Some("4711"));
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 0x2384), None);
    }
}
