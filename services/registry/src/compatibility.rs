//! Whether a new version of a schema may follow the ones before it.
//!
//! [`walk`] compares two schemas, one as a reader of the other; this asks it in the directions and
//! for the versions that a level demands, and words the answer as Confluent's registry does.

use std::str::FromStr;

use crate::avro::Schema;

mod walk;

pub use walk::{Incompatibility, Rule, can_read};

/// How many characters of an earlier schema a reason repeats.
const SHOWN: usize = 10 * 1024;

/// What a subject promises about its next version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

/// Not one of the seven levels.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownLevel;

impl Level {
    pub const ALL: [(&'static str, Self); 7] = [
        ("NONE", Self::None),
        ("BACKWARD", Self::Backward),
        ("BACKWARD_TRANSITIVE", Self::BackwardTransitive),
        ("FORWARD", Self::Forward),
        ("FORWARD_TRANSITIVE", Self::ForwardTransitive),
        ("FULL", Self::Full),
        ("FULL_TRANSITIVE", Self::FullTransitive),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
    /// All versions count, not only the latest.
    pub fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }
    /// The new schema must read what the old ones wrote.
    fn is_backward(self) -> bool {
        !matches!(self, Self::None | Self::Forward | Self::ForwardTransitive)
    }
    /// The old schemas must read what the new one writes.
    fn is_forward(self) -> bool {
        !matches!(self, Self::None | Self::Backward | Self::BackwardTransitive)
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;
    /// Case does not matter, as in Confluent's registry.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, level)| *level).ok_or(UnknownLevel)
    }
}

/// A version that is already there.
#[derive(Debug, Clone)]
pub struct Previous {
    pub version: i32,
    /// Its canonical text.
    pub text: String,
    /// The texts that it refers to, each after those that it needs itself.
    pub references: Vec<String>,
}

/// Why `new` may not follow `previous` (oldest first) under `level`; empty when it may.
///
/// The reasons are about one earlier version, the latest that is not compatible.
pub fn check(new: &Schema, previous: &[Previous], level: Level) -> Vec<String> {
    if level == Level::None {
        return Vec::new();
    }
    let count = if level.is_transitive() {
        previous.len()
    } else {
        1
    };
    for previous in previous.iter().rev().take(count) {
        let mut reasons = Vec::new();
        match Schema::parse_with(&previous.text, &previous.references) {
            Ok(old) => {
                if level.is_forward() {
                    reasons.extend(can_read(&old, new).iter().map(|i| i.describe("old", "new")));
                }
                if level.is_backward() {
                    reasons.extend(can_read(new, &old).iter().map(|i| i.describe("new", "old")));
                }
            }
            // It was valid when it was registered, under a rule that has changed since.
            Err(e) => reasons.push(format!("{{errorType:'UNREADABLE', description:'{e}'}}")),
        }
        if !reasons.is_empty() {
            reasons.push(format!("{{oldSchemaVersion: {}}}", previous.version));
            reasons.push(shown(&previous.text));
            reasons.push(format!("{{compatibility: '{}'}}", level.name()));
            return reasons;
        }
    }
    Vec::new()
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{{oldSchema: '{text}'}}"),
        Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", &text[..end]),
    }
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
