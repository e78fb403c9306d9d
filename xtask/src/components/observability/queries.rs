//! Everything that is asked of Prometheus: the panels' queries, the rules' and the alerts', each
//! with the file and the line where it stands.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

/// A query and where it is from.
#[derive(Debug, Clone)]
pub struct Query {
    pub file: PathBuf,
    pub line: usize,
    /// The panel's title, the rule's or the alert's name.
    pub name: String,
    pub expr: String,
    /// An alert's answer is empty while all is well.
    pub is_alert: bool,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {:?}", self.file.display(), self.line, self.name)
    }
}

/// All queries of the dashboards and rules under `infra`.
///
/// # Errors
/// The file and the line that cannot be understood.
pub fn all(infra: &Path) -> anyhow::Result<Vec<Query>> {
    let mut queries = Vec::new();
    for path in files(&infra.join("grafana/dashboards"), "json")? {
        let text = read(&path)?;
        let dashboard: Value = serde_json::from_str(&text)
            .map_err(|e| anyhow::anyhow!("{}:{}: {e}", path.display(), e.line()))?;
        let panels = dashboard["panels"].as_array();
        for panel in panels.with_context(|| format!("{}:1: no panels", path.display()))? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap_or_default();
                let name = panel["title"].as_str().unwrap_or_default();
                queries.push(Query {
                    line: line_of(&text, expr),
                    file: path.clone(),
                    name: name.to_owned(),
                    expr: expr.to_owned(),
                    is_alert: false,
                });
            }
        }
    }
    for path in files(&infra.join("prometheus/rules"), "yml")? {
        let text = read(&path)?;
        let rules: Yaml = serde_yaml_ng::from_str(&text).map_err(|e| {
            let line = e.location().map_or(1, |place| place.line());
            anyhow::anyhow!("{}:{line}: {e}", path.display())
        })?;
        let groups = rules["groups"].as_sequence();
        let groups = groups.with_context(|| format!("{}:1: no groups", path.display()))?;
        for rule in groups
            .iter()
            .flat_map(|g| g["rules"].as_sequence().into_iter().flatten())
        {
            let name = rule["alert"].as_str().or(rule["record"].as_str());
            let name = name.with_context(|| {
                format!("{}:1: a rule has neither record nor alert", path.display())
            })?;
            let line = line_of(&text, name);
            let expr = rule["expr"]
                .as_str()
                .with_context(|| format!("{}:{line}: {name:?} has no expr", path.display()))?;
            queries.push(Query {
                file: path.clone(),
                line,
                name: name.to_owned(),
                expr: expr.to_owned(),
                is_alert: rule.get("alert").is_some(),
            });
        }
    }
    Ok(queries)
}

impl Query {
    /// The query with Grafana's variables filled in, as for all of their values.
    pub fn filled(&self) -> String {
        let mut expr = self.expr.replace("$__rate_interval", "1m");
        for variable in ["$topic", "$consumer_group", "$service"] {
            expr = expr.replace(variable, ".+");
        }
        expr
    }

    /// The metrics that it names: those of the lab's services, of the broker and of recording rules.
    pub fn metrics(&self) -> BTreeSet<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let known = ["edalab_", "edalab:", "kafka_", "process_", "jvm_"];
        self.expr
            .split(|c| !is_name(c))
            .filter(|word| known.iter().any(|prefix| word.starts_with(prefix)))
            .map(str::to_owned)
            .collect()
    }
}

/// Where a text first stands, from 1; JSON writes quotes with a backslash.
fn line_of(text: &str, what: &str) -> usize {
    let escaped = what.replace('"', "\\\"");
    let at = text.find(what).or_else(|| text.find(&escaped)).unwrap_or(0);
    text[..at].matches('\n').count() + 1
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("failed to read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infra(dashboard: &str, rules: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (folder, name, text) in [
            ("grafana/dashboards", "a.json", dashboard),
            ("prometheus/rules", "a.yml", rules),
        ] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join(name), text).unwrap();
        }
        dir
    }

    const RULES: &str = "groups:\n- rules:\n  - alert: A\n    expr: edalab_x > 1\n";

    #[test]
    fn queries_are_found_with_their_lines() {
        let dashboard = "{\"panels\": [\n{\"title\": \"P\", \"targets\": [\n\
            {\"expr\": \"rate(kafka_y{topic=~\\\"$topic\\\"}[$__rate_interval])\"}]}]}";
        let dir = infra(dashboard, RULES);
        let queries = all(dir.path()).unwrap();
        let lines: Vec<(usize, bool)> = queries.iter().map(|q| (q.line, q.is_alert)).collect();
        assert_eq!(lines, [(3, false), (3, true)]);
        assert_eq!(queries[0].filled(), "rate(kafka_y{topic=~\".+\"}[1m])");
        assert_eq!(queries[0].metrics(), BTreeSet::from(["kafka_y".to_owned()]));
    }

    #[test]
    fn a_wrong_file_is_named_with_its_line() {
        for (dashboard, rules, place) in [
            ("{\"panels\": [\n,]}", RULES, "a.json:2:"),
            ("{\"panels\": []}", "groups:\n- rules: [\n", "a.yml:"),
            (
                "{\"panels\": []}",
                "groups:\n- rules:\n  - alert: A\n",
                "a.yml:3: \"A\" has no expr",
            ),
        ] {
            let error = all(infra(dashboard, rules).path()).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn the_committed_files_are_understood() {
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
        let queries = all(&infra).unwrap();
        assert!(queries.len() > 50, "{}", queries.len());
        assert!(
            queries
                .iter()
                .all(|query| !query.metrics().is_empty() || query.expr.contains("up{")),
            "{queries:#?}"
        );
    }
}
