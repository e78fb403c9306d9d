//! The dead letters of `system.dlq` as a witness: [`chassis::dead_letters`] reads them.

use std::time::Duration;

use chassis::config::KafkaConfig;
use chassis::dead_letters::{self, Letter};
use chassis::kafka::admin::Inspector;

use super::audit::Wrongs;

/// Long enough for more dead letters than anybody would look through.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that `system.dlq` holds.
#[derive(Debug, Default)]
pub struct Letters {
    /// One per key, oldest first.
    pub letters: Vec<Letter>,
    /// Further records with the same key and content.
    pub copies: usize,
    /// What is not a dead letter, or contradicts one of the same key.
    pub wrong: Wrongs,
    /// True when retention may have taken some.
    pub truncated: bool,
}

/// Reads all of them.
///
/// # Errors
/// When the broker does not answer.
pub async fn read(kafka: &KafkaConfig, inspector: &Inspector) -> anyhow::Result<Letters> {
    let read = dead_letters::read(kafka, inspector, PATIENCE).await?;
    let mut wrong = Wrongs::default();
    for problem in read.wrong {
        wrong.push(problem);
    }
    Ok(Letters {
        letters: read.letters,
        copies: read.copies,
        wrong,
        truncated: read.truncated,
    })
}
