//! Values of a fault's file, each checked while it is read, so that an error has its line.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::components::Part;
use crate::verify::settle::parse_duration;

/// Lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Time(pub Duration);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a time such as 30s, 500ms or 2m")]
enum Written {
    Text(String),
    Seconds(u64),
}

impl TryFrom<Written> for Time {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => parse_duration(&text).map(Self),
            Written::Seconds(seconds) => Ok(Self(Duration::from_secs(seconds))),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        format!("{}ms", time.0.as_millis())
    }
}

/// Events per second, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(pub f64);

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if (0.01..=50_000.0).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(format!(
                "{rate} is not between 0.01 and 50000 events per second"
            ))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}
