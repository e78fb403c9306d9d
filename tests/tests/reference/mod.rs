//! The pages under `docs/reference/` say what the code says: each is made from it here and compared
//! with the committed one. `cargo xtask docs` writes them anew.

mod cli;
mod configuration;
mod events;
mod metrics;
mod rest;

/// Compares a page with the committed one.
fn check(name: &str, page: &str) {
    tests::docs::assert_current(&format!("docs/reference/{name}"), page);
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
