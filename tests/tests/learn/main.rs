//! What a learner does with the documents: the exercises, carried out as the guide says and judged
//! before and after; and every other block of commands that a page marks as runnable.
//!
//! One lab for all of them, as a learner has one. They change it, so one runs after the other.

use std::sync::{Mutex, MutexGuard};

use tests::Lab;
use tests::docs::{self, Block};

static TURN: Mutex<()> = Mutex::new(());

/// The lab, up with all of its parts, for one test at a time.
async fn turn() -> (&'static Lab, MutexGuard<'static, ()>) {
    let lab = Lab::shared().await;
    // A test that failed leaves the turn to the next.
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    (lab, turn)
}

const GUIDE: &str = "docs/patterns/01-pub-sub.md";

/// The guide's steps of an exercise: from its start to its check.
fn steps(id: &str) -> Block {
    let start = format!("cargo xtask learn start {id}");
    let check = format!("cargo xtask learn check {id}");
    let blocks = docs::read(GUIDE).blocks.into_iter();
    let mut of = blocks.filter(|block| {
        let commands = block.commands();
        block.is_runnable()
            && commands.contains(&start.as_str())
            && commands.contains(&check.as_str())
    });
    let block = of
        .next()
        .unwrap_or_else(|| panic!("{GUIDE} has no steps for {id}"));
    assert!(
        of.next().is_none(),
        "{GUIDE} has two sets of steps for {id}"
    );
    block
}

/// The check says no before the steps, and why; and yes after them.
async fn exercise(id: &str) {
    let (lab, _turn) = turn().await;
    let untouched = lab.xtask(&["learn", "check", id]);
    assert!(
        !untouched.ok && untouched.text().contains("was not started"),
        "{}",
        untouched.text()
    );
    lab.xtask(&["learn", "start", id]).success();
    let before = lab.xtask(&["learn", "check", id, "--json"]);
    assert!(
        !before.ok,
        "{id} is passed without its steps: {}",
        before.stdout
    );
    let verdict = before.json();
    let open: Vec<_> = verdict["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["passed"] == false)
        .collect();
    assert!(!open.is_empty(), "{verdict}");
    for finding in open {
        let hint = finding["hint"].as_str().unwrap_or_default();
        assert!(!hint.is_empty(), "no hint helps on: {finding}");
    }
    let after = lab.shell(&steps(id).text);
    assert!(after.ok, "the steps of {id} do not pass:\n{}", after.text());
    assert!(
        after.stdout.contains(&format!("Exercise {id} is passed")),
        "{}",
        after.stdout
    );
    lab.xtask(&["learn", "reset", id]).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_1_decoupling() {
    exercise("01-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_2_scaling() {
    exercise("01-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_3_ordering() {
    exercise("01-3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_4_idempotence() {
    exercise("01-4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_5_poison() {
    exercise("01-5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_6_evolution() {
    exercise("01-6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exercise_01_7_back_pressure() {
    exercise("01-7").await;
}

#[test]
fn every_exercise_is_tried_here() {
    let here = include_str!("main.rs");
    for exercise in &xtask::learn::EXERCISES {
        let call = format!("exercise(\"{}\").await", exercise.id);
        assert!(here.contains(&call), "{} is not tried", exercise.id);
    }
}

/// The blocks outside of exercises, page by page. The French pages run the same commands.
#[tokio::test(flavor = "multi_thread")]
async fn runnable_blocks_run() {
    let (lab, _turn) = turn().await;
    let mut run = 0;
    for page in docs::pages() {
        if page.path.starts_with("docs/fr") {
            continue;
        }
        let blocks = page.blocks.iter().filter(|block| block.is_runnable());
        let blocks = blocks.filter(|block| !block.text.contains("xtask learn check"));
        for block in blocks {
            let ran = lab.shell(&block.text);
            assert!(
                ran.ok,
                "{}:{} ({}) fails:\n{}",
                page.path.display(),
                block.line,
                block.heading,
                ran.text()
            );
            run += 1;
        }
    }
    assert!(run > 0, "no block is marked");
}
