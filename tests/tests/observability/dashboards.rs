//! The dashboards are what Grafana takes for one, by the types that Grafana publishes.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Enums of strings stand in JSON as their values.
const MODEL: &str = r#"
import type { Dashboard } from "@grafana/schema";
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"#;

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // A panel fits on a line: the rest of it is of no help.
    let short = text.lines().map(|line| line.chars().take(400).collect());
    let short: Vec<String> = short.collect();
    assert!(
        output.status.success(),
        "{command:?}:\n{}",
        short.join("\n")
    );
}

#[test]
#[ignore = "needs node"]
fn the_dashboards_fit_grafanas_model() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/grafana");
    let dir = tempfile::tempdir().unwrap();
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(sources.join(name), dir.path().join(name)).unwrap();
    }
    let install = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
    ];
    run(Command::new("npm").args(install).current_dir(dir.path()));
    let mut program = MODEL.to_owned();
    for (place, (name, dashboard)) in xtask::grafana::dashboards().iter().enumerate() {
        let _ = writeln!(
            program,
            "// {name}\nexport const d{place}: Plain<Dashboard> = {dashboard};"
        );
    }
    std::fs::write(dir.path().join("dashboards.ts"), program).unwrap();
    let mut check = Command::new("node");
    check.arg("node_modules/typescript/bin/tsc");
    check.args([
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--target",
        "es2022",
    ]);
    check.args(["--module", "esnext", "--moduleResolution", "bundler"]);
    run(check.arg("dashboards.ts").current_dir(dir.path()));
}
