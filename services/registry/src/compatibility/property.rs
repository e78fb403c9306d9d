//! Our verdicts against what apache-avro does: what we say can be read, it reads; and for a sample
//! of what we refuse, it fails or gives something else than was written.
//!
//! A seed makes a writer's schema, edits make a reader's out of it, and data of the writer's is
//! decoded with the reader's. apache-avro does not know aliases: what it gets as the reader is the
//! reader under the writer's names, which is how Avro defines aliases.

use apache_avro::types::Value as Datum;
use apache_avro::{from_avro_datum, to_avro_datum};
use proptest::prelude::*;

use super::can_read;
use crate::avro::{Body, Node, Primitive, Schema};

mod shape;

use shape::{Dice, Shape, Slot};

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

/// A writer and a reader made out of it.
fn pair(dice: &mut Dice, edits: usize) -> (Shape, Shape) {
    let mut next = 0;
    let writer = Shape::random(dice, 3, true, &mut next);
    let mut reader = writer.clone();
    for _ in 0..edits {
        reader.pick(dice).edit(dice, &mut next);
    }
    reader.flatten();
    (writer, reader)
}

/// Edits lead to both verdicts often enough for what follows to mean something.
#[test]
fn edits_make_readers_that_can_and_that_cannot() {
    let readable = (0..1000).filter(|seed| {
        let (writer, reader) = pair(&mut Dice(*seed), 5);
        can_read(&parse(&reader).0, &parse(&writer).0).is_empty()
    });
    let readable = readable.count();
    assert!((400..900).contains(&readable), "{readable} of 1000");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apache_avro_reads_what_we_say_can_be_read(seed: u64, edits in 0usize..7) {
        let mut dice = Dice(seed);
        let (writer, reader) = pair(&mut dice, edits);
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
