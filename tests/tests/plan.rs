//! The map from the plan's test names to this project's tests is complete and true.
//!
//! `plan-names.txt` lists every `Test…` name of the original plan, with its phase. A Rust test
//! that carries one says so in its doc comment (`/// Plan: TestFoo_Bar`). `PLAN.md` is generated
//! from those comments: `cargo xtask docs` rewrites it.
//!
//! Another thing that only the sources show: which names a service's OpenAPI document gives to types.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use tests::docs::{assert_current, root};

const NAMES: &str = include_str!("../plan-names.txt");

/// Every Rust file of the workspace's own crates.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["schemas", "services", "xtask", "tests"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Plan name → (file, test function), from the `/// Plan:` comments above test functions.
fn mapped() -> BTreeMap<String, Vec<(String, String)>> {
    let mut map: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).expect("the source is UTF-8");
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (i, line) in lines.iter().enumerate() {
            let Some(names) = line.strip_prefix("/// Plan: ") else {
                continue;
            };
            let below: Vec<&str> = lines[i + 1..].iter().take(12).copied().collect();
            let at = below
                .iter()
                .position(|l| l.starts_with("fn ") || l.starts_with("async fn "))
                .unwrap_or_else(|| panic!("{file}:{}: no test follows `{line}`", i + 1));
            assert!(
                below[..at].iter().any(|l| l.contains("test")),
                "{file}:{}: what follows `{line}` is not a test",
                i + 1
            );
            let function = below[at]
                .trim_start_matches("async ")
                .trim_start_matches("fn ")
                .split(['(', '<'])
                .next()
                .unwrap();
            for name in names.split([',', ' ']).filter(|n| n.starts_with("Test")) {
                let name = name.trim_end_matches('.').to_owned();
                let place = (file.clone(), function.to_owned());
                map.entry(name).or_default().push(place);
            }
        }
    }
    map
}

fn names() -> Vec<(u32, &'static str)> {
    NAMES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(phase, name)| (phase.parse().expect("a phase is a number"), name))
        .collect()
}

#[test]
fn every_name_of_the_plan_has_a_test_and_the_map_says_so() {
    let map = mapped();
    let missing: Vec<&str> = names()
        .iter()
        .filter(|(_, name)| !map.contains_key(*name))
        .map(|(_, name)| *name)
        .collect();
    assert!(
        missing.is_empty(),
        "no test carries these names of the plan: {missing:?}"
    );
    let unknown: Vec<&String> = map
        .keys()
        .filter(|name| !names().iter().any(|(_, known)| known == name))
        .collect();
    assert!(
        unknown.is_empty(),
        "these names are not in plan-names.txt: {unknown:?}"
    );

    let mut page = String::from(
        "# The plan's tests\n\nEvery `Test…` name of the original plan and the Rust test that \
         carries it.\nGenerated: `UPDATE=1 cargo test -p tests --test plan`.\n",
    );
    let mut current = None;
    for (phase, name) in names() {
        if current != Some(phase) {
            current = Some(phase);
            write!(
                page,
                "\n## Phase {phase}\n\n| plan | test | file |\n|---|---|---|\n"
            )
            .unwrap();
        }
        for (file, function) in &map[name] {
            writeln!(page, "| {name} | `{function}` | [{file}](../{file}) |").unwrap();
        }
    }
    assert_current("tests/PLAN.md", &page);
}

/// In a document that is made from code, the second of two types of one name silently takes the
/// first one's place, and everything that refers to it is wrong.
#[test]
fn no_two_types_share_a_name_in_an_openapi_document() {
    let in_folder = |service: &str| {
        let folder = root().join("services").join(service).join("src");
        sources()
            .into_iter()
            .filter(move |path| path.starts_with(&folder))
    };
    for service in ["bancaire", "gateway", "registry", "simulator"] {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in in_folder(service).chain(in_folder("chassis")) {
            let text = std::fs::read_to_string(&path).expect("the source is UTF-8");
            for name in schema_names(&text) {
                let place = path.strip_prefix(root()).unwrap().display().to_string();
                places.entry(name).or_default().push(place);
            }
        }
        places.retain(|_, places| places.len() > 1);
        assert!(
            places.is_empty(),
            "give one of each another name with #[schema(as = …)] in {service}: {places:#?}"
        );
    }
}

/// The names that types with a schema have in the document.
fn schema_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if !(line.starts_with("#[derive(") && line.contains("ToSchema")) {
            continue;
        }
        let mut renamed = None;
        for line in lines.by_ref() {
            if let Some(name) = line.strip_prefix("#[schema(as = ") {
                renamed = Some(word(name));
            }
            let own = ["struct ", "enum "].iter().find_map(|kind| {
                let (before, name) = line.split_once(kind)?;
                (before.is_empty() || before.starts_with("pub")).then(|| word(name))
            });
            if let Some(own) = own {
                names.push(renamed.unwrap_or(own));
                break;
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
    text.chars().take_while(is_part).collect()
}

#[test]
fn names_of_schemas_are_found_in_sources() {
    let source = "
        #[derive(Debug, utoipa::ToSchema)]
        #[schema(as = Other)]
        pub struct One<'a> {}
        #[derive(ToSchema)]
        enum Two {}
        #[derive(Debug)]
        pub struct Three;";
    assert_eq!(schema_names(source), ["Other", "Two"]);
}
