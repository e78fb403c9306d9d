//! Scenarios: what a simulation does, in YAML. Six are built in (`scenarios/*.yaml`); a folder
//! named by `SIMULATOR_SCENARIOS_DIR` adds more, or replaces one of the same name.
//!
//! A file is checked when the service starts; an error names the file and the field. The
//! [`generator`](crate::generator) draws its events by the scenario's weights.

use std::collections::BTreeMap;
use std::path::Path;

use schemas::EventType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::poison::PoisonKind;

const BUILT_IN: [(&str, &str); 6] = [
    ("default.yaml", include_str!("../scenarios/default.yaml")),
    (
        "ouvertures.yaml",
        include_str!("../scenarios/ouvertures.yaml"),
    ),
    (
        "virements.yaml",
        include_str!("../scenarios/virements.yaml"),
    ),
    (
        "duplicates.yaml",
        include_str!("../scenarios/duplicates.yaml"),
    ),
    ("poison.yaml", include_str!("../scenarios/poison.yaml")),
    ("burst.yaml", include_str!("../scenarios/burst.yaml")),
];

/// The slowest rate, in events per second: one in 100 seconds.
pub const MIN_RATE: f64 = 0.01;
/// The longest duration, in seconds: 31 days. Without an end it is 0.
pub const MAX_DURATION_S: f64 = 31.0 * 24.0 * 3600.0;
const MAX_INITIAL_ACCOUNTS: u32 = 10_000;
/// The largest amount of a scenario, in euros; far below what DECIMAL(18,2) holds, so that no
/// sum of them overflows.
const MAX_AMOUNT: f64 = 10_000_000.0;

/// Everything that was wrong with the scenarios, a line each: `file: field: what`.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ScenarioError(pub Vec<String>);

/// What a simulation does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Lower-case letters, digits and hyphens.
    #[schema(example = "default")]
    pub name: String,
    pub description: Description,
    /// Events per second, unless the start says otherwise.
    pub rate: f64,
    /// Seconds, unless the start says otherwise; 0 = until it is stopped.
    pub duration: f64,
    /// Accounts opened first, at the same rate; they count as events.
    pub initial_accounts: u32,
    /// How often each event type is drawn, relative to the others.
    pub weights: BTreeMap<String, f64>,
    #[serde(default)]
    pub amounts: Amounts,
    #[serde(default)]
    pub faults: Faults,
}

/// One sentence in each of the lab's languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub en: String,
    pub fr: String,
}

/// Bounds of the amounts, in euros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Amounts {
    pub ouverture: Bounds,
    pub depot: Bounds,
    pub retrait: Bounds,
    pub virement: Bounds,
    pub prime: Bounds,
}

/// From and to, both included, in euros.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub min: f64,
    pub max: f64,
}

impl Bounds {
    const fn new(min: f64, max: f64) -> Self {
        Self { min, max }
    }

    /// Both bounds in cents.
    pub fn cents(self) -> (i64, i64) {
        let cents = |euros: f64| (euros * 100.0).round() as i64;
        (cents(self.min), cents(self.max))
    }
}

impl Default for Amounts {
    fn default() -> Self {
        Self {
            ouverture: Bounds::new(100.0, 20_000.0),
            depot: Bounds::new(10.0, 5_000.0),
            retrait: Bounds::new(10.0, 1_000.0),
            virement: Bounds::new(5.0, 3_000.0),
            prime: Bounds::new(15.0, 400.0),
        }
    }
}

/// What goes wrong on purpose. Each is a probability per record, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// An event of a moment ago is published again, unchanged.
    pub duplicates: f64,
    /// A malformed record is published in the place of an event.
    pub poison: f64,
    /// Which malformations, drawn evenly.
    pub poison_kinds: Vec<PoisonKind>,
    /// A withdrawal, transfer or payment asks for more than the account holds.
    pub overdraft: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            duplicates: 0.0,
            poison: 0.0,
            poison_kinds: PoisonKind::IN_SCENARIOS.to_vec(),
            overdraft: 0.02,
        }
    }
}

impl Scenario {
    /// Reads one file's text; `file` is how errors call it.
    ///
    /// # Errors
    /// When it is not YAML, has an unknown, missing or mistyped field, or a value out of range.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_yaml_ng::from_str(text)
            .map_err(|e| ScenarioError(vec![format!("{file}: {e}")]))?;
        let problems = scenario.problems();
        if problems.is_empty() {
            return Ok(scenario);
        }
        let lines = problems.into_iter().map(|p| format!("{file}: {p}"));
        Err(ScenarioError(lines.collect()))
    }

    /// The weights of the event types, in their order.
    pub fn event_weights(&self) -> [f64; EventType::ALL.len()] {
        EventType::ALL.map(|t| self.weights.get(t.name()).copied().unwrap_or(0.0))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: String| {
            if !good {
                problems.push(problem);
            }
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        check(
            (1..=40).contains(&self.name.len()) && self.name.bytes().all(plain),
            format!(
                "name: {:?} is not 1 to 40 lower-case letters, digits and hyphens",
                self.name
            ),
        );
        check(
            self.rate >= MIN_RATE && self.rate.is_finite(),
            format!("rate: {} is not at least {MIN_RATE}", self.rate),
        );
        check(
            (0.0..=MAX_DURATION_S).contains(&self.duration),
            format!(
                "duration: {} is not between 0 and {MAX_DURATION_S}",
                self.duration
            ),
        );
        check(
            (1..=MAX_INITIAL_ACCOUNTS).contains(&self.initial_accounts),
            format!(
                "initial_accounts: {} is not between 1 and {MAX_INITIAL_ACCOUNTS}",
                self.initial_accounts
            ),
        );
        for (name, weight) in &self.weights {
            let known = match EventType::from_name(name) {
                Some(EventType::VirementRecu) => {
                    Err("is published by bancaire when a transfer was debited".to_owned())
                }
                Some(_) => Ok(()),
                None => Err(format!("is none of {}", names(drawn()))),
            };
            if let Err(why) = known {
                check(false, format!("weights.{name}: {why}"));
            }
            check(
                *weight >= 0.0 && weight.is_finite(),
                format!("weights.{name}: {weight} is not 0 or more"),
            );
        }
        check(
            self.weights.values().any(|w| *w > 0.0),
            "weights: at least one must be more than 0".to_owned(),
        );
        for (name, bounds) in self.amounts.named() {
            check(
                bounds.min >= 0.01 && bounds.min <= bounds.max && bounds.max <= MAX_AMOUNT,
                format!(
                    "amounts.{name}: {} to {} is not a range within 0.01 to {MAX_AMOUNT}",
                    bounds.min, bounds.max
                ),
            );
        }
        let faults = &self.faults;
        for (name, probability) in [
            ("duplicates", faults.duplicates),
            ("poison", faults.poison),
            ("overdraft", faults.overdraft),
        ] {
            check(
                (0.0..=1.0).contains(&probability),
                format!("faults.{name}: {probability} is not between 0 and 1"),
            );
        }
        check(
            faults.poison == 0.0 || !faults.poison_kinds.is_empty(),
            "faults.poison_kinds: must name a kind when faults.poison is more than 0".to_owned(),
        );
        problems
    }
}

impl Amounts {
    fn named(&self) -> [(&'static str, Bounds); 5] {
        [
            ("ouverture", self.ouverture),
            ("depot", self.depot),
            ("retrait", self.retrait),
            ("virement", self.virement),
            ("prime", self.prime),
        ]
    }
}

/// The event types that a scenario may draw.
fn drawn() -> impl Iterator<Item = EventType> {
    let all = EventType::ALL.into_iter();
    all.filter(|t| *t != EventType::VirementRecu)
}

fn names(types: impl Iterator<Item = EventType>) -> String {
    types.map(EventType::name).collect::<Vec<_>>().join(", ")
}

/// All scenarios of this process, by name.
#[derive(Debug, Clone)]
pub struct Scenarios(BTreeMap<String, Scenario>);

impl Scenarios {
    /// The built-in ones and those of `folder`.
    ///
    /// # Errors
    /// With everything that is wrong in any file, or when the folder cannot be read.
    pub fn load(folder: Option<&Path>) -> Result<Self, ScenarioError> {
        let mut scenarios = BTreeMap::new();
        for (file, text) in BUILT_IN {
            let scenario = Scenario::parse(file, text)?;
            scenarios.insert(scenario.name.clone(), scenario);
        }
        let Some(folder) = folder else {
            return Ok(Self(scenarios));
        };
        let mut problems = Vec::new();
        // Whose name it is, so that two files of the folder do not silently share one.
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for path in yaml_files(folder)? {
            let file = path.display().to_string();
            let read = std::fs::read_to_string(&path)
                .map_err(|e| ScenarioError(vec![format!("{file}: failed to read it: {e}")]))
                .and_then(|text| Scenario::parse(&file, &text));
            match read {
                Ok(scenario) => {
                    if let Some(other) = files.insert(scenario.name.clone(), file.clone()) {
                        let name = &scenario.name;
                        problems.push(format!("{file}: name: {name:?} is that of {other} too"));
                    }
                    scenarios.insert(scenario.name.clone(), scenario);
                }
                Err(ScenarioError(lines)) => problems.extend(lines),
            }
        }
        if problems.is_empty() {
            Ok(Self(scenarios))
        } else {
            Err(ScenarioError(problems))
        }
    }

    pub fn get(&self, name: &str) -> Option<&Scenario> {
        self.0.get(name)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Scenario> {
        self.0.values()
    }
}

fn yaml_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, ScenarioError> {
    let unreadable = |e: std::io::Error| {
        ScenarioError(vec![format!(
            "SIMULATOR_SCENARIOS_DIR: failed to read {}: {e}",
            folder.display()
        )])
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_valid_and_named_like_their_files() {
        let scenarios = Scenarios::load(None).unwrap();
        assert_eq!(scenarios.iter().count(), BUILT_IN.len());
        for (file, _) in BUILT_IN {
            let name = file.trim_end_matches(".yaml");
            let scenario = scenarios
                .get(name)
                .unwrap_or_else(|| panic!("{file} is {name}"));
            assert!(!scenario.description.fr.is_empty());
        }
        assert!(scenarios.get("duplicates").unwrap().faults.duplicates > 0.0);
        assert_eq!(
            scenarios.get("poison").unwrap().faults.poison_kinds.len(),
            5
        );
    }

    fn text(change: (&str, &str)) -> String {
        let base = BUILT_IN[0].1;
        assert!(base.contains(change.0), "{:?} is in default.yaml", change.0);
        base.replacen(change.0, change.1, 1)
    }

    #[test]
    fn an_error_names_the_file_and_the_field() {
        for (change, words) in [
            (("rate: 10", "rate: fast"), "x.yaml: rate: "),
            (("rate: 10", "rate: 0"), "x.yaml: rate: 0 is not at least"),
            (("duration: 60", "duration: -1"), "x.yaml: duration: -1"),
            (
                ("initial_accounts: ", "initial_accounts: -"),
                "x.yaml: initial_accounts: ",
            ),
            (
                ("name: default", "name: My Own"),
                "x.yaml: name: \"My Own\"",
            ),
            (("name: default", "nom: default"), "unknown field `nom`"),
            (
                ("DepotEffectue: ", "Depot: "),
                "weights.Depot: is none of CompteOuvert",
            ),
            (
                ("DepotEffectue: ", "VirementRecu: "),
                "weights.VirementRecu: is published by",
            ),
            (
                ("DepotEffectue: ", "DepotEffectue: -"),
                "weights.DepotEffectue: -",
            ),
        ] {
            let error = Scenario::parse("x.yaml", &text(change))
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("x.yaml: "), "{error}");
            assert!(error.contains(words), "{words:?} is not in {error:?}");
        }
        let faults = "faults:\n  duplicates: 1.5\n  poison: 0.1\n  poison_kinds: []\n";
        let bad = format!(
            "{}{faults}amounts:\n  depot: {{min: 5, max: 1}}\n",
            BUILT_IN[0].1
        );
        let error = Scenario::parse("x.yaml", &bad).unwrap_err();
        assert_eq!(error.0.len(), 3, "every problem at once: {error}");
        let kind = format!("{}faults:\n  poison_kinds: [rotten]\n", BUILT_IN[0].1);
        let error = Scenario::parse("x.yaml", &kind).unwrap_err().to_string();
        assert!(
            error.contains("poison_kinds") && error.contains("rotten"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_adds_and_replaces_and_its_errors_are_all_named() {
        let folder = std::env::temp_dir().join(format!("scenarios-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        write("own.yaml", text(("name: default", "name: own")));
        write("calm.yml", text(("rate: 10", "rate: 1")));
        write("notes.txt", "not a scenario".into());
        let scenarios = Scenarios::load(Some(&folder)).unwrap();
        assert_eq!(scenarios.iter().count(), BUILT_IN.len() + 1);
        assert_eq!(scenarios.get("default").unwrap().rate, 1.0);

        write("bad.yaml", "name: [".into());
        write("own2.yaml", text(("name: default", "name: own")));
        let error = Scenarios::load(Some(&folder)).unwrap_err();
        assert_eq!(error.0.len(), 2, "{error}");
        assert!(error.0[0].contains("bad.yaml: "), "{error}");
        assert!(error.0[1].contains("own2.yaml: name: "), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
        let error = Scenarios::load(Some(&folder)).unwrap_err().to_string();
        assert!(error.contains("SIMULATOR_SCENARIOS_DIR"), "{error}");
    }
}
