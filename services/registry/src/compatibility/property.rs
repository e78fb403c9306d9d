//! Our verdicts against what apache-avro does: what we say can be read, it reads; and for a sample
//! of what we refuse, it fails or gives something else than was written.
//!
//! A seed makes a writer's schema, edits make a reader's out of it, and data of the writer's is
//! decoded with the reader's. apache-avro does not know aliases: what it gets as the reader is the
//! reader under the writer's names, which is how Avro defines aliases.

use apache_avro::types::Value as Datum;
use apache_avro::{from_avro_datum, to_avro_datum};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::can_read;
use crate::avro::{Body, Node, Primitive, Schema};

/// A small generator of numbers: the schema and the data of a seed are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// A schema that can be edited. Named types carry a number, so that edits do not rename them.
#[derive(Debug, Clone)]
enum Shape {
    Primitive(&'static str),
    Enum {
        id: usize,
        symbols: usize,
        default: bool,
    },
    Fixed {
        id: usize,
        size: usize,
    },
    Array(Box<Shape>),
    Map(Box<Shape>),
    Union(Vec<Shape>),
    Record {
        id: usize,
        fields: Vec<Slot>,
    },
}

#[derive(Debug, Clone)]
struct Slot {
    name: usize,
    alias: Option<usize>,
    shape: Shape,
    default: bool,
}

const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
const SYMBOLS: [&str; 5] = ["A", "B", "C", "D", "E"];

impl Shape {
    fn random(dice: &mut Dice, depth: usize, unions: bool, next: &mut usize) -> Self {
        *next += 1;
        let id = *next;
        match dice.roll(if depth == 0 { 5 } else { 10 }) {
            0..=2 => Self::Primitive(PRIMITIVES[dice.roll(8)]),
            3 => {
                let (symbols, default) = (1 + dice.roll(4), dice.roll(2) == 0);
                Self::Enum {
                    id,
                    symbols,
                    default,
                }
            }
            4 => Self::Fixed {
                id,
                size: 1 + dice.roll(4),
            },
            5 => Self::Array(Box::new(Self::random(dice, depth - 1, unions, next))),
            6 => Self::Map(Box::new(Self::random(dice, depth - 1, unions, next))),
            7 if unions => {
                let mut union = Self::Union(Vec::new());
                for _ in 0..=dice.roll(3) {
                    union.add_branch(Self::random(dice, depth - 1, unions, next));
                }
                union.add_branch(Self::Primitive("string"));
                union
            }
            _ => {
                let fields = (0..1 + dice.roll(4)).map(|_| {
                    let shape = Self::random(dice, depth - 1, unions, next);
                    *next += 1;
                    Slot {
                        name: *next,
                        alias: None,
                        shape,
                        default: dice.roll(2) == 0,
                    }
                });
                Self::Record {
                    id,
                    fields: fields.collect(),
                }
            }
        }
    }

    /// Unions have no unions in them, and one branch at most of each unnamed type.
    fn add_branch(&mut self, branch: Self) {
        let Self::Union(branches) = self else { return };
        let is_taken = branches.iter().any(|known| match (known, &branch) {
            (Self::Primitive(a), Self::Primitive(b)) => a == b,
            (Self::Array(_), Self::Array(_)) | (Self::Map(_), Self::Map(_)) => true,
            _ => false,
        });
        if !is_taken && !matches!(branch, Self::Union(_)) {
            branches.push(branch);
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Primitive(name) => json!(name),
            Self::Enum {
                id,
                symbols,
                default,
            } => {
                let mut json = json!({
                    "type": "enum", "name": format!("E{id}"), "symbols": SYMBOLS[..*symbols]
                });
                if *default {
                    json["default"] = json!("A");
                }
                json
            }
            Self::Fixed { id, size } => {
                json!({ "type": "fixed", "name": format!("F{id}"), "size": size })
            }
            Self::Array(items) => json!({ "type": "array", "items": items.json() }),
            Self::Map(values) => json!({ "type": "map", "values": values.json() }),
            Self::Union(branches) => branches.iter().map(Self::json).collect(),
            Self::Record { id, fields } => {
                let fields: Value = fields
                    .iter()
                    .map(|slot| {
                        let name = format!("f{}", slot.name);
                        let mut json = json!({ "name": name, "type": slot.shape.json() });
                        if let Some(alias) = slot.alias {
                            json["aliases"] = json!([format!("f{alias}")]);
                        }
                        if let Some(default) = slot.default.then(|| slot.shape.default()).flatten()
                        {
                            json["default"] = default;
                        }
                        json
                    })
                    .collect();
                json!({ "type": "record", "name": format!("R{id}"), "fields": fields })
            }
        }
    }

    /// A value for the field that has this type; `None` for an empty union.
    fn default(&self) -> Option<Value> {
        Some(match self {
            Self::Primitive("null") => Value::Null,
            Self::Primitive("boolean") => json!(true),
            Self::Primitive("bytes" | "string") => json!("x"),
            Self::Primitive(_) => json!(7),
            Self::Enum { .. } => json!("A"),
            Self::Fixed { size, .. } => json!("x".repeat(*size)),
            Self::Array(_) => json!([]),
            Self::Map(_) => json!({}),
            Self::Union(branches) => branches.first()?.default()?,
            Self::Record { fields, .. } => {
                let mut value = serde_json::Map::new();
                for slot in fields {
                    value.insert(format!("f{}", slot.name), slot.shape.default()?);
                }
                Value::Object(value)
            }
        })
    }

    /// This node or one below it.
    fn pick(&mut self, dice: &mut Dice) -> &mut Self {
        let deeper = dice.roll(3) > 0;
        let is_leaf = match self {
            Self::Union(branches) => branches.is_empty(),
            Self::Record { fields, .. } => fields.is_empty(),
            Self::Array(_) | Self::Map(_) => false,
            _ => true,
        };
        if is_leaf || !deeper {
            return self;
        }
        match self {
            Self::Array(inner) | Self::Map(inner) => inner.pick(dice),
            Self::Union(branches) => {
                let branch = dice.roll(branches.len());
                branches[branch].pick(dice)
            }
            Self::Record { fields, .. } => {
                let field = dice.roll(fields.len());
                fields[field].shape.pick(dice)
            }
            leaf => leaf,
        }
    }

    /// Changes it here, sometimes to what it cannot read.
    fn edit(&mut self, dice: &mut Dice, next: &mut usize) {
        *next += 1;
        let fresh = *next;
        match (&mut *self, dice.roll(4)) {
            (Self::Primitive(name), 0..=2) => {
                *name = match *name {
                    "int" => "long",
                    "long" => ["float", "int"][dice.roll(2)],
                    "float" => "double",
                    "bytes" => "string",
                    "string" => "bytes",
                    other => other,
                };
            }
            (Self::Enum { symbols, .. }, 0) if *symbols < 5 => *symbols += 1,
            (Self::Enum { symbols, .. }, 1) if *symbols > 1 => *symbols -= 1,
            (Self::Enum { default, .. }, _) => *default = !*default,
            (Self::Fixed { size, .. }, 0) => *size += 1,
            (Self::Union(_), 0) => self.add_branch(Self::Primitive(PRIMITIVES[dice.roll(8)])),
            (Self::Union(branches), 1) if branches.len() > 1 => {
                branches.remove(dice.roll(branches.len()));
            }
            (Self::Union(branches), 2) => branches.reverse(),
            (Self::Record { fields, .. }, 0) if !fields.is_empty() => {
                fields.remove(dice.roll(fields.len()));
            }
            (Self::Record { fields, .. }, 1) if !fields.is_empty() => {
                let field = dice.roll(fields.len());
                let slot = &mut fields[field];
                slot.alias = slot.alias.or(Some(slot.name));
                slot.name = fresh;
            }
            (Self::Record { fields, .. }, _) => {
                let shape = Self::Primitive(PRIMITIVES[dice.roll(8)]);
                let default = dice.roll(4) > 0;
                fields.push(Slot {
                    name: fresh,
                    alias: None,
                    shape,
                    default,
                });
            }
            _ => self.wrap(),
        }
    }

    /// Makes it nullable.
    fn wrap(&mut self) {
        if !matches!(self, Self::Union(_)) {
            let inner = std::mem::replace(self, Self::Primitive("null"));
            let mut union = Self::Union(vec![Self::Primitive("null")]);
            union.add_branch(inner);
            *self = union;
        }
    }

    /// Branches that became unions are branches of the outer one.
    fn flatten(&mut self) {
        match self {
            Self::Array(inner) | Self::Map(inner) => inner.flatten(),
            Self::Union(branches) => {
                let branches = std::mem::take(branches);
                for mut branch in branches {
                    branch.flatten();
                    match branch {
                        Self::Union(inner) => inner.into_iter().for_each(|b| self.add_branch(b)),
                        branch => self.add_branch(branch),
                    }
                }
            }
            Self::Record { fields, .. } => fields.iter_mut().for_each(|slot| slot.shape.flatten()),
            _ => {}
        }
    }

    /// Under the names that the writer has.
    fn under_its_aliases(&mut self) {
        match self {
            Self::Array(inner) | Self::Map(inner) => inner.under_its_aliases(),
            Self::Union(branches) => branches.iter_mut().for_each(Self::under_its_aliases),
            Self::Record { fields, .. } => {
                for slot in fields {
                    slot.name = slot.alias.take().unwrap_or(slot.name);
                    slot.shape.under_its_aliases();
                }
            }
            _ => {}
        }
    }
}

/// A value of a type; strings are ASCII, because apache-avro reads only UTF-8 from bytes.
fn datum(schema: &Schema, node: &Node, dice: &mut Dice) -> Datum {
    let text = |dice: &mut Dice| "Kafka"[..dice.roll(6)].to_owned();
    match node {
        Node::Primitive(kind, _) => match kind {
            Primitive::Null => Datum::Null,
            Primitive::Boolean => Datum::Boolean(dice.roll(2) == 0),
            Primitive::Int => Datum::Int(dice.roll(usize::MAX) as i32),
            Primitive::Long => Datum::Long(dice.roll(usize::MAX) as i64),
            Primitive::Float => Datum::Float(dice.roll(1000) as f32 / 8.0),
            Primitive::Double => Datum::Double(dice.roll(usize::MAX) as f64 / 3.0),
            Primitive::Bytes => Datum::Bytes(text(dice).into_bytes()),
            Primitive::String => Datum::String(text(dice)),
        },
        Node::Array(items, _) => Datum::Array(
            (0..=dice.roll(3))
                .map(|_| datum(schema, items, dice))
                .collect(),
        ),
        Node::Map(values, _) => {
            let entries = (0..=dice.roll(3)).map(|n| (n.to_string(), datum(schema, values, dice)));
            Datum::Map(entries.collect())
        }
        Node::Union(branches) => {
            let position = dice.roll(branches.len());
            Datum::Union(
                position as u32,
                Box::new(datum(schema, &branches[position], dice)),
            )
        }
        Node::Named(index) => match &schema.types[*index].body {
            Body::Enum { symbols, .. } => {
                let position = dice.roll(symbols.len());
                Datum::Enum(position as u32, symbols[position].clone())
            }
            Body::Fixed { size } => Datum::Fixed(*size as usize, vec![b'x'; *size as usize]),
            Body::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|field| (field.name.clone(), datum(schema, &field.node, dice)));
                Datum::Record(fields.collect())
            }
        },
    }
}

fn parse(shape: &Shape) -> (Schema, apache_avro::Schema) {
    let json = shape.json();
    let ours = Schema::parse(&json.to_string()).unwrap_or_else(|e| panic!("{json}: {e}"));
    (ours, apache_avro::Schema::parse(&json).unwrap())
}

/// Decodes data of `writer` with `reader`: what was written, and what was read or why not.
fn decode(writer: &Shape, reader: &Shape, dice: &mut Dice) -> (Datum, Result<Datum, String>) {
    let (ours, written) = parse(writer);
    let mut reader = reader.clone();
    reader.under_its_aliases();
    let value = datum(&ours, &ours.root, dice);
    let bytes = to_avro_datum(&written, value.clone()).expect("the data is the writer's");
    let read = from_avro_datum(&written, &mut &*bytes, Some(&parse(&reader).1));
    (value, read.map_err(|e| e.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apache_avro_reads_what_we_say_can_be_read(seed: u64, edits in 0usize..4) {
        let (mut dice, mut next) = (Dice(seed), 0);
        let writer = Shape::random(&mut dice, 3, true, &mut next);
        let mut reader = writer.clone();
        for _ in 0..edits {
            reader.pick(&mut dice).edit(&mut dice, &mut next);
        }
        reader.flatten();
        if can_read(&parse(&reader).0, &parse(&writer).0).is_empty() {
            for _ in 0..4 {
                let (value, read) = decode(&writer, &reader, &mut dice);
                prop_assert!(
                    read.is_ok(),
                    "{read:?}\nwriter {}\nreader {}\nvalue {value:?}", writer.json(), reader.json()
                );
            }
        }
    }

    /// One change that we refuse, where every value of the writer's meets it.
    #[test]
    fn apache_avro_cannot_read_what_we_refuse(seed: u64) {
        let (mut dice, mut next) = (Dice(seed), 0);
        let writer = Shape::random(&mut dice, 3, false, &mut next);
        let mut reader = writer.clone();
        let place = reader.pick(&mut dice);
        match (&mut *place, dice.roll(3)) {
            (Shape::Record { fields, .. }, _) => fields.push(Slot {
                name: usize::MAX, alias: None, shape: Shape::Primitive("int"), default: false,
            }),
            (Shape::Enum { symbols, default, .. }, 0) if *symbols > 1 => {
                (*symbols, *default) = (*symbols - 1, false);
            }
            (Shape::Fixed { size, .. }, 0) => *size += 1,
            (Shape::Primitive(name @ ("long" | "double")), 0) => {
                *name = if *name == "long" { "int" } else { "float" };
            }
            (Shape::Primitive(name), 1) => {
                *name = if *name == "boolean" { "null" } else { "boolean" };
            }
            _ => *place = Shape::Union(vec![Shape::Map(Box::new(Shape::Fixed { id: next + 1, size: 9 }))]),
        }
        let reasons = can_read(&parse(&reader).0, &parse(&writer).0);
        if reasons.is_empty() {
            // A map into a union of maps.
            return Ok(());
        }
        let is_missed = (0..100).any(|_| {
            let (value, read) = decode(&writer, &reader, &mut dice);
            // apache-avro narrows numbers without a word: that is what the refusal is for.
            read.map_or(true, |read| !same(&value, &read))
        });
        prop_assert!(is_missed, "{reasons:?}\nwriter {}\nreader {}", writer.json(), reader.json());
    }
}

/// Equal, or equal after a promotion.
fn same(written: &Datum, read: &Datum) -> bool {
    match (written, read) {
        (Datum::Long(a), Datum::Int(b)) => *a == i64::from(*b),
        (Datum::Double(a), Datum::Float(b)) => *a == f64::from(*b),
        (Datum::Array(a), Datum::Array(b)) => a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Datum::Map(a), Datum::Map(b)) => a.iter().all(|(key, a)| same(a, &b[key])),
        (Datum::Record(a), Datum::Record(b)) => a.iter().zip(b).all(|(a, b)| same(&a.1, &b.1)),
        (a, b) => a == b,
    }
}
