//! Reports as JUnit XML, which every CI shows, beside the JSON that programs read.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// Cases that belong together: a test binary, or a verb's checks.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    pub name: String,
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub outcome: Outcome,
    pub took: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// With what is known of the reason; may be several lines.
    Failed(String),
    Skipped(String),
}

/// Writes `suites` to a file, and the folders above it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, suites: &[Suite]) -> anyhow::Result<()> {
    write_file(path, &xml(suites))
}

/// Writes a report's text, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let dir = path.parent().with_context(failed)?;
    std::fs::create_dir_all(dir).with_context(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

fn xml(suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        let count = |wanted: fn(&Outcome) -> bool| {
            suite
                .cases
                .iter()
                .filter(|case| wanted(&case.outcome))
                .count()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            escaped(&suite.name),
            suite.cases.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        );
        for case in &suite.cases {
            let seconds = case.took.map_or(0.0, |took| took.as_secs_f64());
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\"",
                escaped(&suite.name),
                escaped(&case.name),
            );
            let _ = match &case.outcome {
                Outcome::Passed => writeln!(out, "/>"),
                Outcome::Failed(reason) => writeln!(
                    out,
                    ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(reason.lines().next().unwrap_or("failed")),
                    escaped(reason)
                ),
                Outcome::Skipped(reason) => writeln!(
                    out,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    escaped(reason)
                ),
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 knows no other control characters, not even escaped.
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_escapes() {
        let case = |name: &str, outcome| Case {
            name: name.into(),
            outcome,
            took: Some(Duration::from_millis(1500)),
        };
        let suite = Suite {
            name: "a \"suite\"".into(),
            cases: vec![
                case("one", Outcome::Passed),
                case("<two>", Outcome::Failed("1 < 2\n\u{1b}[31mmore".into())),
                case("three", Outcome::Skipped("no Java".into())),
            ],
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/report.xml");
        write(&path, &[suite]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        for expected in [
            r#"<testsuite name="a &quot;suite&quot;" tests="3" failures="1" skipped="1">"#,
            r#"<testcase classname="a &quot;suite&quot;" name="one" time="1.500"/>"#,
            r#"<failure message="1 &lt; 2">1 &lt; 2"#,
            r#"<skipped message="no Java"/>"#,
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
