//! The web page's own tests: its parts by themselves, then the page in a browser on a lab that is
//! started for it.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::needs::{Need, Needs};
use super::report::{NotRun, Report};
use super::suites::Group;
use crate::Context;
use crate::components::{Part, services};
use crate::junit::{Case, Outcome, Suite};
use crate::lab::UpOptions;
use crate::lab::temporary::Temporary;
use crate::output::Step;
use crate::ports::PortPolicy;
use crate::{npm, page};

const ALONE: &str = "web-ui";
const IN_BROWSER: &str = "web-ui in a browser";

/// Runs what this machine can; the rest is noted in the report.
///
/// # Errors
/// When npm cannot be started, no lab comes up, or at an interruption.
pub async fn run(
    ctx: &Context,
    needs: &mut Needs<'_>,
    report: &mut Report,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(dir) = page::folder(ctx) else {
        return Ok(());
    };
    if let Some((reason, remedy)) = needs.missing(Need::Node).await {
        for suite in [ALONE, IN_BROWSER] {
            report.not_run.push(NotRun::new(suite, &reason, &remedy));
        }
        return Ok(());
    }
    let step = ctx.out.step("ui", "builds the page");
    let began = Instant::now();
    let built = tokio::select! {
        built = page::ensure_built(ctx, &dir, &step) => built,
        () = stop.cancelled() => anyhow::bail!("interrupted"),
    };
    let build = Case {
        name: "the page is built, within its limit of 250 kB".into(),
        took: Some(began.elapsed()),
        outcome: match &built {
            Ok(()) => Outcome::Passed,
            Err(e) => Outcome::Failed(format!("{e:#}")),
        },
    };
    if built.is_err() {
        step.fail("the page does not build");
        add(report, ALONE, vec![build], began);
        return Ok(());
    }
    let mut cases = vec![build];
    cases.extend(alone(&dir, report, &step, stop).await?);
    end(step, ALONE, &cases);
    add(report, ALONE, cases, began);
    for need in [Need::Chromium, Need::Lab] {
        if let Some((reason, remedy)) = needs.missing(need).await {
            let not_run = NotRun::new(IN_BROWSER, &reason, &remedy);
            report.not_run.push(not_run);
            return Ok(());
        }
    }
    in_browser(ctx, &dir, report, stop).await
}

/// Its own tests, its types and its lints, at the same time.
async fn alone(
    dir: &Path,
    report: &Report,
    step: &Step,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Case>> {
    step.update("runs its own tests");
    let junit = report.log(ALONE).with_extension("xml");
    let out = format!("--outputFile.junit={}", junit.display());
    let reporters = ["--reporter=default", "--reporter=junit", &out];
    let args = [&["run", "unit", "--"][..], &reporters].concat();
    let tests = Script::new("npm run unit", &args);
    let types = Script::new("npm run check-types", &["run", "check-types"]);
    let lint = Script::new("npm run lint", &["run", "lint"]);
    let all = async {
        tokio::try_join!(
            tests.run(dir, report, |line| step.tick(line)),
            types.run(dir, report, |_| ()),
            lint.run(dir, report, |_| ()),
        )
    };
    let (tests, types, lint) = tokio::select! {
        all = all => all?,
        () = stop.cancelled() => anyhow::bail!("interrupted"),
    };
    let mut cases = with_cases(tests, &junit);
    cases.extend([types, lint]);
    Ok(cases)
}

/// Playwright's tests, on a lab of their own.
async fn in_browser(
    ctx: &Context,
    dir: &Path,
    report: &mut Report,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let step = ctx.out.step("ui", "builds the services");
    let services = Part::ALL.into_iter().filter(|part| part.is_service());
    let services: Vec<Part> = services.collect();
    if std::env::var_os("EDALAB_BIN_DIR").is_none() {
        tokio::select! {
            built = services::compile(ctx, &services, &step) => drop(built?),
            () = stop.cancelled() => anyhow::bail!("interrupted"),
        }
    }
    let options = UpOptions {
        // Once is enough: a part that the page starts again must not wait for cargo.
        build: false,
        ports: PortPolicy::Free,
        stop: stop.clone(),
        ..UpOptions::default()
    };
    let lab = Temporary::start(ctx, "ui", options).await?;
    step.update("runs the page in a browser");
    let tested = async {
        let junit = report.log(IN_BROWSER).with_extension("xml");
        let mut script = Script::new("npm run e2e", &["run", "e2e"]);
        script.env = vec![
            ("EDALAB_URL", lab.ctx.lab()?.gateway_url()),
            ("EDALAB_JUNIT", junit.display().to_string()),
        ];
        if let Some(browser) = page::chromium().await {
            script.env.push(("CHROMIUM", browser.display().to_string()));
        }
        let ended = tokio::select! {
            ended = script.run(dir, report, |line| tell(&step, line)) => ended?,
            () = stop.cancelled() => anyhow::bail!("interrupted"),
        };
        anyhow::Ok(with_cases(ended, &junit))
    };
    let tested = tested.await;
    let ended = lab.end().await;
    let cases = tested?;
    ended?;
    end(step, IN_BROWSER, &cases);
    add(report, IN_BROWSER, cases, began);
    Ok(())
}

/// A line for each test that ended; Playwright's other lines are in the log.
fn tell(step: &Step, line: &str) {
    match line.rsplit_once(" › ") {
        Some((head, name)) if head.contains(".spec.ts") && name.ends_with(')') => {
            let word = if head.trim_start().starts_with('✓') || head.contains(" ok ") {
                ""
            } else {
                "FAILED "
            };
            step.update(format_args!("{IN_BROWSER}: {word}{name}"));
        }
        _ => {}
    }
}

/// An npm script that is run to its end; what it says goes to a log of its name.
struct Script<'a> {
    name: &'static str,
    args: Vec<&'a str>,
    env: Vec<(&'static str, String)>,
}

impl<'a> Script<'a> {
    fn new(name: &'static str, args: &[&'a str]) -> Self {
        Self {
            name,
            args: args.into(),
            env: Vec::new(),
        }
    }

    async fn run(
        mut self,
        dir: &Path,
        report: &Report,
        each_line: impl FnMut(&str),
    ) -> anyhow::Result<Case> {
        let began = Instant::now();
        self.env.push(("CI", "true".into()));
        let ran = npm::run(dir, &self.args, &self.env, each_line).await?;
        crate::junit::write_file(&report.log(self.name), &ran.text)?;
        Ok(Case {
            name: self.name.into(),
            took: Some(began.elapsed()),
            outcome: if ran.passed {
                Outcome::Passed
            } else {
                Outcome::Failed(ran.text)
            },
        })
    }
}

/// What a run's own report says of each test. A run that failed without a failed test, or has no
/// report, is a case itself.
fn with_cases(run: Case, junit: &Path) -> Vec<Case> {
    let xml = std::fs::read_to_string(junit).unwrap_or_default();
    let mut found = cases(&xml);
    let failed = |case: &Case| matches!(case.outcome, Outcome::Failed(_));
    let told = found.iter().any(failed) || (run.outcome == Outcome::Passed && !found.is_empty());
    if !told {
        let outcome = match run.outcome {
            Outcome::Passed => Outcome::Failed(format!("{} ran no test", run.name)),
            outcome => outcome,
        };
        found.push(Case { outcome, ..run });
    }
    found
}

fn end(step: Step, what: &str, cases: &[Case]) {
    let passed = |case: &&Case| case.outcome == Outcome::Passed;
    let passed = cases.iter().filter(passed).count();
    match cases.len() - passed {
        0 => step.done(format_args!("{what}: {passed} passed")),
        failed => step.fail(format_args!("{what}: {failed} FAILED, {passed} passed")),
    }
}

fn add(report: &mut Report, name: &str, cases: Vec<Case>, began: Instant) {
    let suite = Suite {
        name: name.into(),
        cases,
    };
    report.add(Group::Ui, suite, began.elapsed());
}

/// The cases of a JUnit file as Vitest and Playwright write it: their names, and what failed with
/// which words.
fn cases(xml: &str) -> Vec<Case> {
    let case = |piece: &str| {
        let (tag, rest) = piece.split_once('>')?;
        let body = if tag.ends_with('/') {
            ""
        } else {
            rest.split("</testcase>").next()?
        };
        // An error is what a test did not expect: Playwright tells it from a failed expectation.
        let failure = ["failure", "error"].into_iter().find_map(|kind| {
            let (_, failure) = body.split_once(&format!("<{kind}"))?;
            failure.split(&format!("</{kind}>")).next()
        });
        let outcome = match failure {
            Some(failure) => {
                let text = failure.split_once('>').map_or(failure, |(_, text)| text);
                let text = text.trim_start_matches("<![CDATA[").trim_end_matches("]]>");
                Outcome::Failed(unescaped(text.trim()))
            }
            None if body.contains("<skipped") => Outcome::Skipped("left out by the page".into()),
            None => Outcome::Passed,
        };
        let seconds = attribute(tag, "time").and_then(|text| text.parse().ok());
        Some(Case {
            name: attribute(tag, "name")?,
            outcome,
            took: seconds.map(Duration::from_secs_f64),
        })
    };
    xml.split("<testcase").skip(1).filter_map(case).collect()
}

/// Both programs escape `>` in attributes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescaped)
}

fn unescaped(text: &str) -> String {
    let entities = [
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text.to_owned(), |text, (name, c)| text.replace(name, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<testsuites tests="3" failures="1"><testsuite name="lab.spec.ts">
<testcase name="shows &quot;it&quot; &gt; all" classname="lab.spec.ts" time="1.5">
</testcase>
<testcase name="breaks" classname="lab.spec.ts" time="0.25">
<failure message="lab.spec.ts:3" type="FAILURE"><![CDATA[  Error: it is <grey> ]]></failure>
</testcase>
<testcase name="measures" classname="p.spec.ts" time="0"><skipped></skipped></testcase>
<testcase classname="p.spec.ts" name="last" time="0"/>
<testcase name="throws" classname="p.spec.ts" time="0">
<error message="p.spec.ts:3" type="TypeError"><![CDATA[TypeError: 1]]></error>
</testcase>
</testsuite></testsuites>"#;

    #[test]
    fn each_case_of_a_report_is_understood() {
        let found = cases(XML);
        let names: Vec<&str> = found.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(
            names,
            ["shows \"it\" > all", "breaks", "measures", "last", "throws"]
        );
        assert_eq!(found[0].took, Some(Duration::from_millis(1500)));
        assert_eq!(
            found[1].outcome,
            Outcome::Failed("Error: it is <grey>".into())
        );
        assert!(matches!(found[2].outcome, Outcome::Skipped(_)));
        assert_eq!(found[3].outcome, Outcome::Passed);
        assert_eq!(found[4].outcome, Outcome::Failed("TypeError: 1".into()));
    }

    #[test]
    fn a_run_without_a_report_does_not_pass() {
        let dir = tempfile::tempdir().unwrap();
        let junit = dir.path().join("report.xml");
        let run = |outcome: Outcome| Case {
            name: "npm run e2e".into(),
            outcome,
            took: None,
        };
        let failed = |cases: &[Case]| {
            let is = |case: &&Case| matches!(case.outcome, Outcome::Failed(_));
            cases.iter().filter(is).count()
        };
        let found = with_cases(run(Outcome::Passed), &junit);
        assert_eq!((found.len(), failed(&found)), (1, 1));
        std::fs::write(&junit, XML).unwrap();
        let found = with_cases(run(Outcome::Failed("exit 1".into())), &junit);
        assert_eq!((found.len(), failed(&found)), (5, 2));
        std::fs::write(&junit, "<testsuites><testcase name=\"a\"/></testsuites>").unwrap();
        let found = with_cases(run(Outcome::Failed("out of memory".into())), &junit);
        assert_eq!((found.len(), failed(&found)), (2, 1));
        let found = with_cases(run(Outcome::Passed), &junit);
        assert_eq!((found.len(), failed(&found)), (1, 0));
    }
}
