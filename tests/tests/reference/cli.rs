//! Every verb of `cargo xtask`, from its grammar.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::reference::{check, code, columns, head, row};

#[test]
fn the_page_of_verbs_is_current() {
    let mut command = xtask::cli::Cli::command();
    command.build();
    let mut page = head(
        "Command line",
        "What `cargo xtask VERB --help` says, for all of them. The verbs at a glance: \
         [README](../../README.md#verbs). What\nelse is read from the environment: \
         [configuration](configuration.md#the-lab).",
    );
    page += "\n## Options of every verb\n";
    options(&mut page, command.get_arguments());
    for verb in command.get_subcommands_mut() {
        section(&mut page, verb, 2);
    }
    check("cli.md", &page);
}

fn section(page: &mut String, command: &mut Command, level: usize) {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_bin_name().expect("it is built");
    let name = name.trim_start_matches("cargo xtask ");
    let about = command.get_long_about().or(command.get_about());
    let about = about.expect("every verb says what it does").to_string();
    let about = sentence(&about);
    let hashes = "#".repeat(level);
    write!(page, "\n{hashes} {name}\n\n{about}\n\n```\n{usage}\n```\n").unwrap();
    let own = command.get_arguments().filter(|arg| !arg.is_global_set());
    options(page, own);
    for verb in command.get_subcommands_mut() {
        section(page, verb, level + 1);
    }
}

fn options<'a>(page: &mut String, all: impl Iterator<Item = &'a Arg>) {
    let is_shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    let mut all = all.filter(is_shown).peekable();
    if all.peek().is_some() {
        *page += &columns(["option", "default", "variable", "what"]);
    }
    for arg in all {
        let takes_values = arg.get_action().takes_values();
        let defaults = arg.get_default_values().iter().filter(|_| takes_values);
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        let env = arg.get_env().unwrap_or_default().to_string_lossy();
        *page += &row([
            code(&form(arg)),
            code(&defaults.join(" ")),
            code(&env),
            what(arg),
        ]);
    }
}

/// Such as `-n, --lines COUNT`.
fn form(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let short = arg.get_short().map(|short| format!("-{short}, "));
    let short = short.unwrap_or_default();
    match arg.get_long() {
        Some(long) if arg.get_action().takes_values() => {
            format!("{short}--{long} {}", names.join(" "))
        }
        Some(long) => format!("{short}--{long}"),
        None => names.join(" "),
    }
}

/// Its help, else that of its group; then the values that it takes, each with its own help.
fn what(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string);
    let help = help.or(arg.get_help_heading().map(str::to_owned));
    let mut text = sentence(&help.unwrap_or_default());
    if arg.get_action().takes_values() {
        for value in arg.get_possible_values() {
            let help = value.get_help().map(ToString::to_string);
            let help = help.map_or(String::new(), |help| format!(": {}", sentence(&help)));
            write!(text, "<br>`{}`{help}", value.get_name()).unwrap();
        }
    }
    text
}

/// Clap takes the full stop away from what is one sentence.
fn sentence(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text if text.ends_with(['.', '?', '!', ':']) => text.to_owned(),
        text => format!("{text}."),
    }
}
