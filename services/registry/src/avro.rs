//! An Avro schema as the registry sees it: names resolved, what does not matter left out.
//!
//! apache-avro decides what is valid, except for [`defaults`], which it takes too lightly or, for
//! some logical types, refuses. This model keeps what its own does not (the attributes that make
//! two schemas different, whatever their order), and leaves logical types among the properties,
//! because compatibility looks at the underlying types only. [`parse`] reads a text into it,
//! [`crate::canonical`] writes it out, [`crate::compatibility`] compares two of them.

use std::collections::BTreeMap;

use serde_json::Value;

mod defaults;
mod parse;

/// Why a text is no Avro schema.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// Attributes without a meaning in Avro itself, such as `logicalType`.
pub type Properties = BTreeMap<String, Value>;

/// A schema, with its named types in order of definition.
#[derive(Debug)]
pub struct Schema {
    pub root: Node,
    pub types: Vec<NamedType>,
    /// How many of the first types come from references: this schema only uses their names.
    pub external: usize,
}

/// A type at its place of use.
#[derive(Debug)]
pub enum Node {
    Primitive(Primitive, Properties),
    Array(Box<Node>, Properties),
    Map(Box<Node>, Properties),
    Union(Vec<Node>),
    /// An index into [`Schema::types`], whether this is the definition or a later reference.
    Named(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

/// A record, an enum or a fixed.
#[derive(Debug)]
pub struct NamedType {
    /// Without the namespace.
    pub name: String,
    pub namespace: Option<String>,
    pub doc: Option<String>,
    /// Full names.
    pub aliases: Vec<String>,
    pub body: Body,
    pub properties: Properties,
}

#[derive(Debug)]
pub enum Body {
    Record(Vec<Field>),
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        size: u64,
    },
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub node: Node,
    pub doc: Option<String>,
    pub default: Option<Value>,
    /// `None` is ascending, the default.
    pub order: Option<String>,
    pub aliases: Vec<String>,
    pub properties: Properties,
}

impl Primitive {
    const ALL: [(&'static str, Self); 8] = [
        ("null", Self::Null),
        ("boolean", Self::Boolean),
        ("int", Self::Int),
        ("long", Self::Long),
        ("float", Self::Float),
        ("double", Self::Double),
        ("bytes", Self::Bytes),
        ("string", Self::String),
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

impl NamedType {
    pub fn full_name(&self) -> String {
        qualify(&self.name, self.namespace.as_deref())
    }
}

impl Schema {
    /// Reads a schema that stands on its own.
    ///
    /// # Errors
    /// When it is not JSON or not valid Avro; the text says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        Self::parse_with(text, &[] as &[&str])
    }

    /// Reads a schema that uses types of others: the texts of `references`, each after those that
    /// it needs itself.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with<T: AsRef<str>>(text: &str, references: &[T]) -> Result<Self, InvalidSchema> {
        parse::schema(text, references)
    }

    /// Leaves out or puts in order what makes no difference to any reader: the order of aliases,
    /// empty docs, a decimal's scale of zero.
    pub fn normalize(&mut self) {
        normalize(&mut self.root);
        for named in &mut self.types[self.external..] {
            named.doc.take_if(|doc| doc.is_empty());
            sort(&mut named.aliases);
            match &mut named.body {
                Body::Record(fields) => {
                    for field in fields {
                        normalize(&mut field.node);
                        sort(&mut field.aliases);
                    }
                }
                Body::Fixed { .. } => without_zero_scale(&mut named.properties),
                Body::Enum { .. } => {}
            }
        }
    }

    /// The type's name as Avro's Java library prints it in messages, such as `STRING`.
    pub fn type_name(&self, node: &Node) -> String {
        let name = match node {
            Node::Primitive(kind, _) => kind.name(),
            Node::Array(..) => "array",
            Node::Map(..) => "map",
            Node::Union(_) => "union",
            Node::Named(index) => match self.types[*index].body {
                Body::Record(_) => "record",
                Body::Enum { .. } => "enum",
                Body::Fixed { .. } => "fixed",
            },
        };
        name.to_uppercase()
    }
}

fn normalize(node: &mut Node) {
    match node {
        Node::Primitive(_, properties) => without_zero_scale(properties),
        Node::Array(inner, _) | Node::Map(inner, _) => normalize(inner),
        Node::Union(branches) => branches.iter_mut().for_each(normalize),
        Node::Named(_) => {}
    }
}

fn sort(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}

fn without_zero_scale(properties: &mut Properties) {
    let is_decimal = properties
        .get("logicalType")
        .is_some_and(|t| t == "decimal");
    if is_decimal && properties.get("scale").is_some_and(|scale| *scale == 0) {
        properties.remove("scale");
    }
}

/// `name` in `namespace`, unless it has one of its own.
pub fn qualify(name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(space) if !name.contains('.') => format!("{space}.{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
