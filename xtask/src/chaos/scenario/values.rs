//! Values of a fault's file, each checked while it is read, so that an error has its line.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::components::Part;
use crate::verify::settle::parse_duration;

/// Lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Name(pub String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=50).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(format!(
                "{text:?} is not 1 to 50 lower-case letters, digits and hyphens"
            ))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part's instance: `bancaire`, `kafka-2`; or `held`, the worker that is held at a fail point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Component(pub String);

impl TryFrom<String> for Component {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Part::from_name(&text) {
            _ if text == HELD => Ok(Self(text)),
            Ok(_) => Ok(Self(text)),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl From<Component> for String {
    fn from(component: Component) -> Self {
        component.0
    }
}

impl Component {
    pub fn part(&self) -> Part {
        match self.0.as_str() {
            HELD => Part::Bancaire,
            name => Part::from_name(name).expect("it was checked when it was read"),
        }
    }
}

/// Whoever is held at a fail point.
pub const HELD: &str = "held";

/// A time such as `2s` or `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Time(pub Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        format!("{}ms", time.0.as_millis())
    }
}

/// Events per second, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "f64")]
pub struct Rate(pub f64);

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rate = text.parse().ok();
        let rate = rate.filter(|rate| (0.01..=50_000.0).contains(rate));
        rate.map(Self)
            .ok_or_else(|| format!("{text} is not between 0.01 and 50000 events per second"))
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

/// Reads a word or a number and checks it on the spot: an error that comes later would not know its
/// line any more.
struct Checked<T>(PhantomData<T>);

impl<T: TryFrom<String, Error = String>> Visitor<'_> for Checked<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::try_from(text.to_owned()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! checked {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Checked(PhantomData))
            }
        }
    )*};
}

checked!(Name, Component, Time, Rate);

#[cfg(test)]
mod tests {
    use super::super::Fault;

    #[test]
    fn an_error_names_the_field_and_the_line() {
        let good = "name: own\nhypothesis: it holds\nload: {scenario: default, rate: 5, \
                    duration: 2}\nsteps:\n  - kill: bancaire\n  - wait: 500ms\n";
        Fault::parse("own.yaml", good).unwrap();
        for (from, to, words) in [
            (
                "kill: bancaire",
                "kill: bank",
                ["there is no part \"bank\"", "line 5"],
            ),
            ("- kill:", "- kil:", ["kil", "line 5"]),
            ("wait: 500ms", "wait: soon", ["steps[1]", "line 6"]),
            ("name: own", "name: My own", ["name: \"My own\"", "line 1"]),
            ("steps:", "stps:", ["stps", "line 4"]),
            ("rate: 5", "rate: 0", ["load.rate", "line 3"]),
            ("rate: 5", "rate: fast", ["load.rate", "line 3"]),
            (
                "steps:",
                "recover_within: soon\nsteps:",
                ["recover_within", "line 4"],
            ),
        ] {
            let text = good.replacen(from, to, 1);
            let error = Fault::parse("own.yaml", &text).unwrap_err().to_string();
            for word in words.into_iter().chain(["own.yaml: "]) {
                assert!(error.contains(word), "{word:?} is not in {error}");
            }
        }
    }
}
