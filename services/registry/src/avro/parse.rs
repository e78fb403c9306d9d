//! Reading: JSON to the model, with the names of references at hand.
//!
//! Every recursion here and behind is bounded by the JSON parser's limit on nesting.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

use super::{
    Body, Field, InvalidSchema, NamedType, Node, Primitive, Properties, Schema, defaults, qualify,
};
use crate::canonical;

/// What [`Schema::parse_with`] says.
pub fn schema<T: AsRef<str>>(text: &str, references: &[T]) -> Result<Schema, InvalidSchema> {
    let json: Value = serde_json::from_str(text).map_err(invalid)?;
    let mut parser = Parser::default();
    for reference in references {
        let json: Value = serde_json::from_str(reference.as_ref()).map_err(invalid)?;
        parser.node(&json, None)?;
    }
    let external = parser.types.len();
    // Before apache-avro's turn, because it panics on bad names, and must not meet them.
    let root = parser.node(&json, None)?;
    let types = parser.types;
    let schema = Schema {
        root,
        types,
        external,
    };
    if references.is_empty() {
        valid(&bare(json))?;
    } else {
        let whole = canonical::skeleton(&schema)
            .ok_or_else(|| invalid("types are nested too deeply through references"))?;
        valid(&serde_json::from_str(&whole).map_err(invalid)?)?;
    }
    defaults::check(&schema)?;
    Ok(schema)
}

/// Whether apache-avro takes it.
fn valid(json: &Value) -> Result<(), InvalidSchema> {
    // It still panics on a few oddities that nobody writes on purpose.
    let checked = std::panic::catch_unwind(|| apache_avro::Schema::parse(json).map(drop));
    checked
        .map_err(|_| invalid("apache-avro cannot read it"))?
        .map_err(invalid)
}

/// Without what apache-avro judges wrongly: the defaults of fields, which [`defaults`] checks; their
/// aliases, which may be names of other fields; and logical types, which Avro tells everyone to
/// ignore where they are not valid.
fn bare(json: Value) -> Value {
    match json {
        Value::Array(branches) => branches.into_iter().map(bare).collect(),
        Value::Object(mut object) => {
            object.remove("logicalType");
            for key in ["type", "items", "values"] {
                if let Some(inner) = object.get_mut(key) {
                    *inner = bare(inner.take());
                }
            }
            let fields = object.get_mut("fields").and_then(Value::as_array_mut);
            for field in fields
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
            {
                field.remove("default");
                field.remove("aliases");
                if let Some(inner) = field.get_mut("type") {
                    *inner = bare(inner.take());
                }
            }
            Value::Object(object)
        }
        name => name,
    }
}

pub(super) fn invalid(reason: impl fmt::Display) -> InvalidSchema {
    InvalidSchema(reason.to_string())
}

/// Attributes of a type that Avro defines; everything else is a property.
const TYPE_ATTRIBUTES: [&str; 10] = [
    "type",
    "name",
    "namespace",
    "doc",
    "aliases",
    "fields",
    "symbols",
    "items",
    "values",
    "size",
];
const FIELD_ATTRIBUTES: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];
/// Types that are written as objects, never as a field's type alone.
const COMPLEX: [&str; 5] = ["record", "enum", "array", "map", "fixed"];

/// Whether it can name a type, a field or a symbol; with `dots`, also a full name.
fn is_name(text: &str, dots: bool) -> bool {
    let is_simple = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    if dots {
        text.split('.').all(is_simple)
    } else {
        is_simple(text)
    }
}

#[derive(Default)]
struct Parser {
    types: Vec<NamedType>,
    /// By full name.
    index: HashMap<String, usize>,
}

impl Parser {
    fn node(&mut self, json: &Value, space: Option<&str>) -> Result<Node, InvalidSchema> {
        match json {
            Value::String(name) => self.by_name(name, space, Properties::new()),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, space));
                Ok(Node::Union(branches.collect::<Result<_, _>>()?))
            }
            Value::Object(object) => self.object(object, space),
            other => Err(invalid(format_args!("{other} is not a type"))),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        space: Option<&str>,
    ) -> Result<Node, InvalidSchema> {
        match object.get("type") {
            Some(Value::String(name)) => match name.as_str() {
                "array" => {
                    let items = self.node(required(object, "items")?, space)?;
                    Ok(Node::Array(
                        Box::new(items),
                        properties(object, &TYPE_ATTRIBUTES),
                    ))
                }
                "map" => {
                    let values = self.node(required(object, "values")?, space)?;
                    Ok(Node::Map(
                        Box::new(values),
                        properties(object, &TYPE_ATTRIBUTES),
                    ))
                }
                "record" | "enum" | "fixed" => self.named(name, object, space),
                _ => self.by_name(name, space, properties(object, &TYPE_ATTRIBUTES)),
            },
            Some(inner) => self.node(inner, space),
            None => Err(invalid("a type has no \"type\"")),
        }
    }

    fn by_name(
        &self,
        name: &str,
        space: Option<&str>,
        properties: Properties,
    ) -> Result<Node, InvalidSchema> {
        if let Some(kind) = Primitive::from_name(name) {
            return Ok(Node::Primitive(kind, properties));
        }
        let found = self
            .index
            .get(&qualify(name, space))
            .or_else(|| self.index.get(name));
        let index = found.ok_or_else(|| invalid(format_args!("unknown type {name:?}")))?;
        Ok(Node::Named(*index))
    }

    fn named(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        space: Option<&str>,
    ) -> Result<Node, InvalidSchema> {
        let written = text(object, "name").ok_or_else(|| invalid("a named type has no name"))?;
        let (name, namespace) = match written.rsplit_once('.') {
            Some((namespace, name)) => (name.to_owned(), Some(namespace.to_owned())),
            None => {
                let namespace = text(object, "namespace").or_else(|| space.map(str::to_owned));
                (written, namespace)
            }
        };
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let full_name = qualify(&name, namespace.as_deref());
        let aliases = texts(object, "aliases")?;
        if let Some(bad) = aliases
            .iter()
            .chain([&full_name])
            .find(|name| !is_name(name, true))
        {
            return Err(invalid(format_args!("{bad:?} is not a valid name")));
        }
        let position = self.types.len();
        if self.index.insert(full_name.clone(), position).is_some() {
            return Err(invalid(format_args!("{full_name} is defined twice")));
        }
        // In its place before its fields are read: they may refer to it.
        self.types.push(NamedType {
            name,
            doc: text(object, "doc"),
            aliases: aliases
                .iter()
                .map(|alias| qualify(alias, namespace.as_deref()))
                .collect(),
            namespace: namespace.clone(),
            body: Body::Record(Vec::new()),
            properties: properties(object, &TYPE_ATTRIBUTES),
        });
        self.types[position].body = match kind {
            "record" => Body::Record(self.fields(object, namespace.as_deref())?),
            "enum" => {
                self.types[position].properties.remove("default");
                Body::Enum {
                    symbols: texts(object, "symbols")?,
                    default: text(object, "default"),
                }
            }
            _ => {
                let size = required(object, "size")?.as_u64();
                Body::Fixed {
                    size: size.ok_or_else(|| invalid("a fixed type has a bad size"))?,
                }
            }
        };
        Ok(Node::Named(position))
    }

    fn fields(
        &mut self,
        record: &Map<String, Value>,
        space: Option<&str>,
    ) -> Result<Vec<Field>, InvalidSchema> {
        let fields = required(record, "fields")?.as_array();
        let fields = fields.ok_or_else(|| invalid("\"fields\" is not a list"))?;
        fields
            .iter()
            .map(|field| self.field(field, space))
            .collect()
    }

    fn field(&mut self, json: &Value, space: Option<&str>) -> Result<Field, InvalidSchema> {
        let object = json
            .as_object()
            .ok_or_else(|| invalid("a field is not an object"))?;
        let name = text(object, "name").ok_or_else(|| invalid("a field has no name"))?;
        if !is_name(&name, false) {
            return Err(invalid(format_args!(
                "{name:?} is not a valid name of a field"
            )));
        }
        let written = required(object, "type")?;
        if let Some(kind) = written.as_str().filter(|kind| COMPLEX.contains(kind)) {
            return Err(invalid(format_args!(
                "the type of field {name:?} must be an object of its own: {{\"type\":{kind:?},…}}"
            )));
        }
        Ok(Field {
            node: self.node(written, space)?,
            doc: text(object, "doc"),
            default: object.get("default").cloned(),
            order: text(object, "order")
                .map(|order| order.to_lowercase())
                .filter(|order| order != "ascending"),
            aliases: texts(object, "aliases")?,
            properties: properties(object, &FIELD_ATTRIBUTES),
            name,
        })
    }
}

fn required<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Value, InvalidSchema> {
    object
        .get(key)
        .ok_or_else(|| invalid(format_args!("a type or field has no {key:?}")))
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

fn texts(object: &Map<String, Value>, key: &str) -> Result<Vec<String>, InvalidSchema> {
    let Some(list) = object.get(key) else {
        return Ok(Vec::new());
    };
    let texts = list.as_array().and_then(|list| {
        let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| invalid(format_args!("{key:?} is not a list of strings")))
}

fn properties(object: &Map<String, Value>, known: &[&str]) -> Properties {
    let unknown = object
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()));
    unknown
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
