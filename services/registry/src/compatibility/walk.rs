//! Whether a reader can read what a writer writes, and if not, why and where.
//!
//! The walk over records, unions and names follows Avro's own rules for schema resolution. What
//! apache-avro's checker decides rightly, it decides: promotions between primitive types. (Its
//! walk does not know decimals, references to named types, aliases or enum defaults.)

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use apache_avro::schema_compatibility::SchemaCompatibility;

use crate::avro::{Body, Field, NamedType, Node, Primitive, Schema};

/// How many types may nest in one another: more than anyone writes, and less than the stack holds.
const DEPTH: usize = 200;

/// The rules that can be broken, named as in Avro's Java library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
    /// A name and an alias of one field, or two aliases, each name a field of the writer's.
    AmbiguousField,
    /// Deeper than [`DEPTH`], which is refused rather than judged.
    TooDeep,
}

/// One reason why a reader cannot read what a writer writes.
#[derive(Debug, Clone)]
pub struct Incompatibility {
    pub rule: Rule,
    /// A JSON pointer into the reader's schema.
    pub path: String,
    /// What it is about: a field, symbols, two types.
    pub info: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::AmbiguousField => "AMBIGUOUS_FIELD",
            Self::TooDeep => "TOO_DEEP",
        })
    }
}

impl Incompatibility {
    /// Confluent's words; `reader` and `writer` are "new" and "old", or the reverse.
    pub(super) fn describe(&self, reader: &str, writer: &str) -> String {
        let Self { rule, path, info } = self;
        let description = match rule {
            Rule::NameMismatch => format!("The name of the schema has changed (path '{path}')"),
            Rule::FixedSizeMismatch => format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
            ),
            Rule::MissingEnumSymbols => format!(
                "The {reader} schema is missing enum symbols '{info}' at path '{path}' in the {writer} schema"
            ),
            Rule::ReaderFieldMissingDefaultValue => format!(
                "The field '{info}' at path '{path}' in the {reader} schema has no default value and is missing in the {writer} schema"
            ),
            Rule::TypeMismatch => format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            Rule::MissingUnionBranch => format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
            Rule::AmbiguousField => format!(
                "The field '{info}' at path '{path}' in the {reader} schema matches more than one field of the {writer} schema, by its name or its aliases"
            ),
            Rule::TooDeep => format!("The types at path '{path}' nest too deeply to be compared"),
        };
        format!("{{errorType:'{rule}', description:'{description}', additionalInfo:'{info}'}}")
    }
}

/// Every reason why `reader` cannot read all that `writer` writes.
pub fn can_read(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut walk = Walk {
        reader,
        writer,
        seen: HashMap::new(),
        path: Vec::new(),
        depth: 0,
    };
    walk.nodes(&reader.root, &writer.root)
}

struct Walk<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Pairs of named types: the first reason, `None` while (and if) they are compatible. It ends
    /// recursion, and a pair that is met often is reported in full only once.
    seen: HashMap<(usize, usize), Option<Incompatibility>>,
    path: Vec<String>,
    /// How many named types enclose this one.
    depth: usize,
}

impl<'a> Walk<'a> {
    fn nodes(&mut self, reader: &'a Node, writer: &'a Node) -> Vec<Incompatibility> {
        match (reader, writer) {
            (Node::Union(_), Node::Union(branches)) => {
                let mut found = Vec::new();
                for (position, branch) in branches.iter().enumerate() {
                    if !self.nodes(reader, branch).is_empty() {
                        let reason = self.at(position, |walk| walk.lacking_branch(branch));
                        found.push(reason);
                    }
                }
                found
            }
            (_, Node::Union(branches)) => branches
                .iter()
                .flat_map(|branch| self.nodes(reader, branch))
                .collect(),
            (Node::Union(branches), _) => {
                let readable = branches.iter().any(|branch| {
                    self.may_match(branch, writer) && self.nodes(branch, writer).is_empty()
                });
                if readable {
                    Vec::new()
                } else {
                    vec![self.lacking_branch(writer)]
                }
            }
            (Node::Primitive(reads, _), Node::Primitive(writes, _)) => {
                if promotes(*writes, *reads) {
                    Vec::new()
                } else {
                    vec![self.type_mismatch(reader, writer)]
                }
            }
            (Node::Array(reader, _), Node::Array(writer, _)) => {
                self.at("items", |walk| walk.nodes(reader, writer))
            }
            (Node::Map(reader, _), Node::Map(writer, _)) => {
                self.at("values", |walk| walk.nodes(reader, writer))
            }
            (Node::Named(reads), Node::Named(writes)) => self.named(*reads, *writes),
            _ => vec![self.type_mismatch(reader, writer)],
        }
    }

    /// False when their names alone keep two branches apart, which spares comparing their fields:
    /// unions of thousands of records are compared branch by branch.
    fn may_match(&self, reader: &Node, writer: &Node) -> bool {
        match (reader, writer) {
            (Node::Named(reads), Node::Named(writes)) => {
                self.names_match(&self.reader.types[*reads], &self.writer.types[*writes])
            }
            _ => true,
        }
    }

    /// Namespaces are not compared: Java's library does not either.
    fn names_match(&self, reader: &NamedType, writer: &NamedType) -> bool {
        reader.name == writer.name
            || (!reader.aliases.is_empty() && reader.aliases.contains(&writer.full_name()))
    }

    fn named(&mut self, reads: usize, writes: usize) -> Vec<Incompatibility> {
        if let Some(known) = self.seen.get(&(reads, writes)) {
            return known.iter().cloned().collect();
        }
        if self.depth == DEPTH {
            return vec![self.reason(Rule::TooDeep, String::new())];
        }
        self.seen.insert((reads, writes), None);
        self.depth += 1;
        let (reader, writer) = (&self.reader.types[reads], &self.writer.types[writes]);
        let mut found = Vec::new();
        if !self.names_match(reader, writer) {
            let info = format!("expected: {}", writer.full_name());
            found.push(self.at("name", |walk| walk.reason(Rule::NameMismatch, info)));
        }
        match (&reader.body, &writer.body) {
            (Body::Record(reads), Body::Record(writes)) => {
                found.extend(self.at("fields", |walk| walk.fields(reads, writes)));
            }
            (
                Body::Enum { symbols, default },
                Body::Enum {
                    symbols: written, ..
                },
            ) => {
                let missing: BTreeSet<&str> = written
                    .iter()
                    .filter(|s| !symbols.contains(s))
                    .map(String::as_str)
                    .collect();
                let missing: Vec<&str> = missing.into_iter().collect();
                if !missing.is_empty() && default.is_none() {
                    let info = format!("[{}]", missing.join(", "));
                    found.push(self.at("symbols", |w| w.reason(Rule::MissingEnumSymbols, info)));
                }
            }
            (Body::Fixed { size }, Body::Fixed { size: written }) => {
                if size != written {
                    let info = format!("expected: {written}, found: {size}");
                    found.push(self.at("size", |w| w.reason(Rule::FixedSizeMismatch, info)));
                }
            }
            _ => found = vec![self.type_mismatch(&Node::Named(reads), &Node::Named(writes))],
        }
        self.depth -= 1;
        self.seen.insert((reads, writes), found.first().cloned());
        found
    }

    fn fields(&mut self, reads: &'a [Field], writes: &'a [Field]) -> Vec<Incompatibility> {
        let by_name: HashMap<&str, &Field> = writes
            .iter()
            .map(|field| (field.name.as_str(), field))
            .collect();
        let mut found = Vec::new();
        for (position, field) in reads.iter().enumerate() {
            let names: BTreeSet<&String> = field.aliases.iter().chain([&field.name]).collect();
            let mut written = names.iter().filter_map(|name| by_name.get(name.as_str()));
            let (written, another) = (written.next(), written.next());
            let reasons = self.at(position, |walk| match (written, another) {
                (Some(_), Some(_)) => vec![walk.reason(Rule::AmbiguousField, field.name.clone())],
                (Some(written), None) => {
                    walk.at("type", |walk| walk.nodes(&field.node, &written.node))
                }
                (None, _) if field.default.is_some() => Vec::new(),
                (None, _) => {
                    let info = field.name.clone();
                    vec![walk.reason(Rule::ReaderFieldMissingDefaultValue, info)]
                }
            });
            found.extend(reasons);
        }
        found
    }

    /// Works one step deeper in the reader's schema.
    fn at<T>(&mut self, step: impl ToString, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_string());
        let value = work(self);
        self.path.pop();
        value
    }

    fn reason(&self, rule: Rule, info: String) -> Incompatibility {
        Incompatibility {
            rule,
            path: format!("/{}", self.path.join("/")),
            info,
        }
    }

    fn type_mismatch(&self, reader: &Node, writer: &Node) -> Incompatibility {
        let reads = self.reader.type_name(reader);
        let writes = self.writer.type_name(writer);
        let info = format!("reader type: {reads} not compatible with writer type: {writes}");
        self.reason(Rule::TypeMismatch, info)
    }

    fn lacking_branch(&self, writer: &Node) -> Incompatibility {
        let writes = self.writer.type_name(writer);
        self.reason(
            Rule::MissingUnionBranch,
            format!("reader union lacking writer type: {writes}"),
        )
    }
}

/// Whether `reads` can take what `writes` wrote, as it is or promoted.
fn promotes(writes: Primitive, reads: Primitive) -> bool {
    fn avro(kind: Primitive) -> apache_avro::Schema {
        match kind {
            Primitive::Null => apache_avro::Schema::Null,
            Primitive::Boolean => apache_avro::Schema::Boolean,
            Primitive::Int => apache_avro::Schema::Int,
            Primitive::Long => apache_avro::Schema::Long,
            Primitive::Float => apache_avro::Schema::Float,
            Primitive::Double => apache_avro::Schema::Double,
            Primitive::Bytes => apache_avro::Schema::Bytes,
            Primitive::String => apache_avro::Schema::String,
        }
    }
    SchemaCompatibility::can_read(&avro(writes), &avro(reads)).is_ok()
}
