//! Understands what Rust's test harness prints: one line per test, then what the failed ones said.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// One test, as the harness reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    pub outcome: Outcome,
    /// Known only when tests run one after the other.
    pub took: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// With what it printed.
    Failed(String),
    /// With the reason that `#[ignore = "…"]` gives.
    Ignored(String),
}

/// Takes the harness's output line by line. A documentation test's binary may hold several runs.
#[derive(Debug)]
pub struct Parser {
    tests: Vec<Test>,
    /// A test whose line began, when it printed something of its own before the line's end.
    unfinished: Option<String>,
    /// The test whose output is being collected.
    section: Option<String>,
    outputs: HashMap<String, String>,
    /// Tests announced by `running N tests`, over all runs.
    announced: usize,
    ended: bool,
    last: Instant,
    one_by_one: bool,
}

impl Parser {
    /// `one_by_one`: tests run in one thread, so that the time between two is a test's own.
    pub fn new(one_by_one: bool) -> Self {
        Self {
            tests: Vec::new(),
            unfinished: None,
            section: None,
            outputs: HashMap::new(),
            announced: 0,
            ended: true,
            last: Instant::now(),
            one_by_one,
        }
    }

    /// Takes a line; returns the test that it ends.
    pub fn line(&mut self, line: &str) -> Option<&Test> {
        if let Some(count) = announced(line) {
            self.announced += count;
            self.ended = false;
            self.section = None;
            self.last = Instant::now();
            return None;
        }
        if let Some(name) = section(line) {
            self.section = Some(name.to_owned());
            return None;
        }
        if line.starts_with("test result: ") {
            self.section = None;
            self.ended = true;
            return None;
        }
        if let Some(section) = &self.section {
            // Behind the outputs the harness lists the names once more.
            if line == "failures:" || line == "successes:" {
                self.section = None;
            } else {
                let output = self.outputs.entry(section.clone()).or_default();
                output.push_str(line);
                output.push('\n');
            }
            return None;
        }
        if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|l| l.split_once(" ... "))
        {
            let name = name.trim_end_matches(" - should panic").to_owned();
            match outcome(rest) {
                Some(outcome) => return Some(self.end(name, outcome)),
                None => self.unfinished = Some(name),
            }
            return None;
        }
        let outcome = outcome_at_end(line)?;
        let name = self.unfinished.take()?;
        Some(self.end(name, outcome))
    }

    fn end(&mut self, name: String, outcome: Outcome) -> &Test {
        self.unfinished = None;
        let took = self.one_by_one.then(|| self.last.elapsed());
        self.last = Instant::now();
        self.tests.push(Test {
            name,
            outcome,
            took,
        });
        self.tests.last().expect("it was just pushed")
    }

    /// How many tests are known to come, and how many have ended.
    pub fn progress(&self) -> (usize, usize) {
        (self.tests.len(), self.announced)
    }

    /// All tests, the failed ones with what they printed. `died` is how the process ended when it
    /// did not end by itself: then what had not ended yet has failed.
    pub fn finish(mut self, died: Option<&str>) -> Vec<Test> {
        for test in &mut self.tests {
            if let Outcome::Failed(output) = &mut test.outcome {
                *output = self.outputs.remove(&test.name).unwrap_or_default();
            }
        }
        let missing = self.announced.saturating_sub(self.tests.len());
        if let Some(how) = died
            && (!self.ended || missing > 0)
        {
            let name = match (self.unfinished, missing) {
                (Some(name), 0..=1) => name,
                _ => format!("({} tests that did not end)", missing.max(1)),
            };
            self.tests.push(Test {
                name,
                outcome: Outcome::Failed(how.to_owned()),
                took: None,
            });
        }
        self.tests
    }
}

fn announced(line: &str) -> Option<usize> {
    let (count, word) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(word, "test" | "tests").then(|| count.parse().ok())?
}

fn section(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    inner
        .strip_suffix(" stdout")
        .or_else(|| inner.strip_suffix(" stderr"))
}

fn outcome(rest: &str) -> Option<Outcome> {
    match rest.split_once(", ") {
        Some(("ignored", reason)) => Some(Outcome::Ignored(reason.to_owned())),
        _ if rest == "ignored" => Some(Outcome::Ignored(String::new())),
        _ => outcome_at_end(rest),
    }
}

/// What a test prints without a line's end stands before its outcome.
fn outcome_at_end(rest: &str) -> Option<Outcome> {
    // Documentation tests that must not compile, or are only compiled, say so.
    let rest = rest.trim_end();
    if rest.ends_with("FAILED") {
        Some(Outcome::Failed(String::new()))
    } else if rest == "ok" || rest.ends_with(" ok") || rest.ends_with("ok (compile)") {
        Some(Outcome::Passed)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, died: Option<&str>) -> Vec<(String, Outcome)> {
        let mut parser = Parser::new(false);
        for line in text.lines() {
            parser.line(line);
        }
        let tests = parser.finish(died);
        tests
            .into_iter()
            .map(|test| (test.name, test.outcome))
            .collect()
    }

    const RUN: &str = "
running 5 tests
test a::one ... ok
test a::two - should panic ... ok
test b ... FAILED
test c ... ignored, needs docker
test d has been running for over 60 seconds
test d ... noise of its own
more of it
ok

failures:

---- b stdout ----

thread 'b' panicked at src/lib.rs:1:1:
test x ... is not a test
failures: none

failures:
    b

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s
";

    #[test]
    fn a_run_is_understood() {
        let tests = parse(RUN, Some("exit status: 101"));
        let names: Vec<&str> = tests.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a::one", "a::two", "b", "c", "d"]);
        assert_eq!(tests[1].1, Outcome::Passed);
        assert_eq!(tests[3].1, Outcome::Ignored("needs docker".into()));
        assert_eq!(tests[4].1, Outcome::Passed);
        let Outcome::Failed(output) = &tests[2].1 else {
            panic!("b failed")
        };
        assert!(
            output.contains("panicked at") && output.contains("failures: none"),
            "{output}"
        );
        assert!(!output.contains("test result"), "{output}");
    }

    #[test]
    fn a_process_that_dies_is_a_failure_of_what_it_ran() {
        let text = "running 2 tests\ntest a ... ok\ntest b ... ";
        let died = parse(text, Some("signal: 6"));
        assert_eq!(died[1], ("b".into(), Outcome::Failed("signal: 6".into())));
        let text = "running 3 tests\ntest a ... ok\n";
        let died = parse(text, Some("signal: 9"));
        assert_eq!(died[1].0, "(2 tests that did not end)");
    }

    #[test]
    fn several_runs_of_documentation_tests_are_one() {
        let text =
            "running 1 test\ntest src/a.rs - x (line 3) ... ok\n\ntest result: ok. 1 passed\n
running 1 test\ntest src/b.rs - y (line 9) - compile ... ok\n\ntest result: ok. 1 passed\n";
        assert_eq!(parse(text, None).len(), 2);
    }

    #[test]
    fn times_are_known_only_one_by_one() {
        let mut parser = Parser::new(true);
        parser.line("running 1 test");
        assert!(parser.line("test a ... ok").unwrap().took.is_some());
        assert_eq!(parser.progress(), (1, 1));
    }
}
