//! Schemas that can be made from a seed and edited.

use serde_json::{Value, json};

/// A small generator of numbers: the schema and the data of a seed are always the same.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// A schema that can be edited. Named types carry a number, so that edits do not rename them.
#[derive(Debug, Clone)]
pub enum Shape {
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
pub struct Slot {
    pub name: usize,
    pub alias: Option<usize>,
    pub shape: Shape,
    pub default: bool,
}

const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
const SYMBOLS: [&str; 5] = ["A", "B", "C", "D", "E"];

impl Shape {
    pub fn random(dice: &mut Dice, depth: usize, unions: bool, next: &mut usize) -> Self {
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

    pub fn json(&self) -> Value {
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
    pub fn pick(&mut self, dice: &mut Dice) -> &mut Self {
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
    pub fn edit(&mut self, dice: &mut Dice, next: &mut usize) {
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
    pub fn flatten(&mut self) {
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
    pub fn under_its_aliases(&mut self) {
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
