//! What the two brokers of the embedded lab do and do not do. The table of `docs/backends.md` is
//! this list of rows, each of which is asked of a real Kafka and of the light broker.

mod bench;
mod rows;

use bench::Bench;
use rows::{ROWS, Row};

/// Asks every row and compares; all differences are told, not only the first.
fn does_what_the_table_says(broker: &str, expected: fn(&Row) -> bool) {
    let bench = Bench::start(broker);
    let mut wrong = Vec::new();
    for row in ROWS {
        println!("{broker}: {}", row.what);
        match (row.ask)(&bench) {
            Ok(does) if does == expected(row) => {}
            Ok(does) => wrong.push(format!("{}: {does}", row.what)),
            Err(e) => wrong.push(format!("{}: {e:#}", row.what)),
        }
    }
    assert!(
        wrong.is_empty(),
        "{broker} differs from the table:\n{}",
        wrong.join("\n")
    );
    bench.stop();
}

#[test]
#[ignore = "needs java"]
fn kafka_does_what_the_table_says() {
    does_what_the_table_says("kafka", |row| row.kafka);
}

#[test]
#[ignore = "needs light"]
fn the_light_broker_does_what_the_table_says() {
    does_what_the_table_says("light", |row| row.light);
}

#[test]
fn the_documentation_has_the_rows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/backends.md");
    let text = std::fs::read_to_string(path).expect("docs/backends.md is there");
    let mark = |does: bool| if does { "yes" } else { "no" };
    let missing: Vec<String> = ROWS
        .iter()
        .map(|row| {
            format!(
                "| {} | {} | {} |",
                row.what,
                mark(row.kafka),
                mark(row.light)
            )
        })
        .filter(|line| !text.contains(line.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/backends.md lacks:\n{}",
        missing.join("\n")
    );
}
