//! Which tests carry the plan's names: read from `tests/PLAN.md`, which a test keeps true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;

/// The plan's last phase measures for minutes, breaks parts and is what `validate-mvp` itself does;
/// `cargo xtask test`, `perf` and `chaos` run it.
const LAST_PHASE: u32 = 7;

/// Suite (`tests/simulator`) → names of tests as its harness knows them (`control::start_success`).
pub type Wanted = BTreeMap<String, BTreeSet<String>>;

/// Reads the map.
///
/// # Errors
/// When it cannot be read, or names no test of the `tests` crate.
pub fn read(root: &Path) -> anyhow::Result<Wanted> {
    let path = root.join("tests/PLAN.md");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let wanted = parse(&text);
    anyhow::ensure!(!wanted.is_empty(), "{} names no test", path.display());
    Ok(wanted)
}

fn parse(text: &str) -> Wanted {
    let mut wanted = Wanted::new();
    let mut phase = 0;
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("## Phase ") {
            phase = number.trim().parse().unwrap_or(u32::MAX);
        }
        if phase > LAST_PHASE {
            continue;
        }
        if let Some((suite, test)) = row(line) {
            wanted.entry(suite).or_default().insert(test);
        }
    }
    wanted
}

/// `| TestFoo | `foo` | [tests/tests/e2e/flux.rs](…) |`; rows of unit tests are not asked for.
fn row(line: &str) -> Option<(String, String)> {
    let mut cells = line.strip_prefix("| Test")?.split(" | ").skip(1);
    let function = cells.next()?.trim_matches('`');
    let file = cells.next()?.strip_prefix('[')?.split(']').next()?;
    let place = file.strip_prefix("tests/tests/")?.strip_suffix(".rs")?;
    let mut parts = place.split('/');
    let suite = format!("tests/{}", parts.next()?);
    let modules: Vec<&str> = parts.filter(|part| *part != "main").collect();
    let path = modules.iter().copied().chain([function]);
    Some((suite, path.collect::<Vec<_>>().join("::")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_harness() {
        let text = "## Phase 4\n\n| plan | test | file |\n|---|---|---|\n\
            | TestA | `a` | [tests/tests/e2e/flux.rs](../tests/tests/e2e/flux.rs) |\n\
            | TestB | `b` | [tests/tests/chassis.rs](../tests/tests/chassis.rs) |\n\
            | TestC | `c` | [services/x/src/c.rs](../services/x/src/c.rs) |\n\
            | TestD | `d` | [tests/tests/gateway/main.rs](../tests/tests/gateway/main.rs) |\n\
            ## Phase 8\n| TestE | `e` | [tests/tests/e2e/mvp.rs](../tests/tests/e2e/mvp.rs) |\n";
        let wanted = parse(text);
        let names = |suite: &str| wanted[suite].iter().cloned().collect::<Vec<_>>();
        assert_eq!(names("tests/e2e"), ["flux::a"]);
        assert_eq!(names("tests/chassis"), ["b"]);
        assert_eq!(names("tests/gateway"), ["d"]);
        assert_eq!(wanted.len(), 3);
    }

    #[test]
    fn the_committed_map_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let wanted = read(root).unwrap();
        assert!(wanted["tests/e2e"].contains("flux::idempotence_e2e"));
        assert!(wanted["tests/simulator"].len() > 5);
    }
}
