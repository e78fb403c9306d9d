//! The pages under `docs/reference/` say what the code says: each is made from it here and compared
//! with the committed one. `cargo xtask docs` writes them anew.

mod cli;
mod configuration;
mod events;
mod metrics;
mod rest;

use tests::docs;

/// Compares a page with the committed one, which `UPDATE=1` writes first.
fn check(name: &str, page: &str) {
    let path = docs::root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let (now, then) = (page.lines(), committed.lines());
    let line = now.zip(then).take_while(|(now, then)| now == then).count() + 1;
    assert!(
        committed == page,
        "docs/reference/{name} is not what the code says from line {line} on: run cargo xtask docs"
    );
}

/// What every page begins with.
fn head(title: &str, about: &str) -> String {
    format!(
        "# {title}\n\n*Generated from the code by `cargo xtask docs`; do not edit.*\n\n{about}\n"
    )
}

/// A row of a table: every cell on one line, and nothing in it ends it.
fn row<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let cells = cells.into_iter().map(|cell| {
        let words: Vec<&str> = cell.as_ref().split_whitespace().collect();
        words.join(" ").replace('|', "\\|")
    });
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// The head of a table.
fn columns<const N: usize>(names: [&str; N]) -> String {
    format!("\n{}{}\n", row(names), "|---".repeat(N) + "|")
}

/// As code; nothing stays nothing.
fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{text}`"),
    }
}
