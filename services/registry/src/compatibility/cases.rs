//! Readers against writers, in both directions, each pair with the rule of Avro's schema resolution
//! (or of Java's library, whose verdicts Confluent's registry gives) that decides.
//!
//! A row is a rule, two schemas, why the first cannot read what the second writes, and why the
//! second cannot read what the first writes. Schemas have `'` for `"`.

use super::{Rule, can_read};
use crate::avro::Schema;

type Verdict = Option<Rule>;
type Row = (&'static str, &'static str, &'static str, Verdict, Verdict);

const OK: Verdict = None;
const TYPE: Verdict = Some(Rule::TypeMismatch);
const NAME: Verdict = Some(Rule::NameMismatch);
const SIZE: Verdict = Some(Rule::FixedSizeMismatch);
const SYMBOLS: Verdict = Some(Rule::MissingEnumSymbols);
const DEFAULT: Verdict = Some(Rule::ReaderFieldMissingDefaultValue);
const BRANCH: Verdict = Some(Rule::MissingUnionBranch);
const AMBIGUOUS: Verdict = Some(Rule::AmbiguousField);

#[rustfmt::skip]
const PRIMITIVES: &[Row] = &[
    ("null reads itself", "'null'", "'null'", OK, OK),
    ("null and boolean are different types", "'null'", "'boolean'", TYPE, TYPE),
    ("null and int are different types", "'null'", "'int'", TYPE, TYPE),
    ("null and long are different types", "'null'", "'long'", TYPE, TYPE),
    ("null and float are different types", "'null'", "'float'", TYPE, TYPE),
    ("null and double are different types", "'null'", "'double'", TYPE, TYPE),
    ("null and bytes are different types", "'null'", "'bytes'", TYPE, TYPE),
    ("null and string are different types", "'null'", "'string'", TYPE, TYPE),
    ("boolean reads itself", "'boolean'", "'boolean'", OK, OK),
    ("boolean and int are different types", "'boolean'", "'int'", TYPE, TYPE),
    ("boolean and long are different types", "'boolean'", "'long'", TYPE, TYPE),
    ("boolean and float are different types", "'boolean'", "'float'", TYPE, TYPE),
    ("boolean and double are different types", "'boolean'", "'double'", TYPE, TYPE),
    ("boolean and bytes are different types", "'boolean'", "'bytes'", TYPE, TYPE),
    ("boolean and string are different types", "'boolean'", "'string'", TYPE, TYPE),
    ("int reads itself", "'int'", "'int'", OK, OK),
    ("int is promoted to long, not back", "'int'", "'long'", TYPE, OK),
    ("int is promoted to float, not back", "'int'", "'float'", TYPE, OK),
    ("int is promoted to double, not back", "'int'", "'double'", TYPE, OK),
    ("int and bytes are different types", "'int'", "'bytes'", TYPE, TYPE),
    ("int and string are different types", "'int'", "'string'", TYPE, TYPE),
    ("long reads itself", "'long'", "'long'", OK, OK),
    ("long is promoted to float, not back", "'long'", "'float'", TYPE, OK),
    ("long is promoted to double, not back", "'long'", "'double'", TYPE, OK),
    ("long and bytes are different types", "'long'", "'bytes'", TYPE, TYPE),
    ("long and string are different types", "'long'", "'string'", TYPE, TYPE),
    ("float reads itself", "'float'", "'float'", OK, OK),
    ("float is promoted to double, not back", "'float'", "'double'", TYPE, OK),
    ("float and bytes are different types", "'float'", "'bytes'", TYPE, TYPE),
    ("float and string are different types", "'float'", "'string'", TYPE, TYPE),
    ("double reads itself", "'double'", "'double'", OK, OK),
    ("double and bytes are different types", "'double'", "'bytes'", TYPE, TYPE),
    ("double and string are different types", "'double'", "'string'", TYPE, TYPE),
    ("bytes reads itself", "'bytes'", "'bytes'", OK, OK),
    ("bytes and string are read as one another", "'bytes'", "'string'", OK, OK),
    ("string reads itself", "'string'", "'string'", OK, OK),
];

/// The two columns are the fields of a record.
#[rustfmt::skip]
const FIELDS: &[Row] = &[
    ("no fields", "", "", OK, OK),
    ("the same field", "{'name':'a','type':'int'}", "{'name':'a','type':'int'}", OK, OK),
    ("a field that only the writer has is skipped; without a default it is missed", "{'name':'a','type':'int'}", "{'name':'a','type':'int'},{'name':'b','type':'int'}", OK, DEFAULT),
    ("a field that only the reader has takes its default", "{'name':'a','type':'int'}", "{'name':'a','type':'int'},{'name':'b','type':'int','default':0}", OK, OK),
    ("null is a default", "", "{'name':'b','type':'null','default':null}", OK, OK),
    ("a nullable field with null as its default", "", "{'name':'b','type':['null','int'],'default':null}", OK, OK),
    ("a nullable field has no default by itself", "", "{'name':'b','type':['null','int']}", OK, DEFAULT),
    ("a default for the first branch of a union", "", "{'name':'b','type':['int','null'],'default':1}", OK, OK),
    ("a default of an array", "", "{'name':'b','type':{'type':'array','items':'int'},'default':[]}", OK, OK),
    ("a default of a map", "", "{'name':'b','type':{'type':'map','values':'int'},'default':{}}", OK, OK),
    ("a default of bytes", "", "{'name':'b','type':'bytes','default':'\\u00ff'}", OK, OK),
    ("a default of a decimal", "", "{'name':'b','type':{'type':'bytes','logicalType':'decimal','precision':4,'scale':2},'default':'\\u0000'}", OK, OK),
    ("a default of a fixed", "", "{'name':'b','type':{'type':'fixed','name':'F','size':2},'default':'ab'}", OK, OK),
    ("a default of an enum field", "", "{'name':'b','type':{'type':'enum','name':'E','symbols':['A']},'default':'A'}", OK, OK),
    ("an enum's own default is not its field's", "", "{'name':'b','type':{'type':'enum','name':'E','symbols':['A'],'default':'A'}}", OK, DEFAULT),
    ("a default of a record", "", "{'name':'b','type':{'type':'record','name':'I','fields':[{'name':'x','type':'int'}]},'default':{'x':1}}", OK, OK),
    ("a default of a record whose fields have theirs", "", "{'name':'b','type':{'type':'record','name':'I','fields':[{'name':'x','type':'int','default':1}]},'default':{}}", OK, OK),
    ("fields are matched by name, not by place", "{'name':'a','type':'int'},{'name':'b','type':'string'}", "{'name':'b','type':'string'},{'name':'a','type':'int'}", OK, OK),
    ("names of fields have a case", "{'name':'a','type':'int'}", "{'name':'A','type':'int'}", DEFAULT, DEFAULT),
    ("a renamed field is another one", "{'name':'a','type':'int'}", "{'name':'b','type':'int'}", DEFAULT, DEFAULT),
    ("a renamed field with the old name as an alias", "{'name':'a','type':'int'}", "{'name':'b','type':'int','aliases':['a']}", DEFAULT, OK),
    ("a renamed field with an alias and a default", "{'name':'a','type':'int'}", "{'name':'b','type':'int','aliases':['a'],'default':0}", DEFAULT, OK),
    ("an alias that the writer does not have changes nothing", "{'name':'a','type':'int'}", "{'name':'a','type':'int','aliases':['z']}", OK, OK),
    ("the last of several aliases", "{'name':'a','type':'int'}", "{'name':'b','type':'int','aliases':['y','z','a']}", DEFAULT, OK),
    ("aliases work one way only", "{'name':'a','type':'int','aliases':['b']}", "{'name':'b','type':'int'}", OK, DEFAULT),
    ("a field's type behind an alias must fit, too", "{'name':'a','type':'string'}", "{'name':'b','type':'int','aliases':['a']}", DEFAULT, TYPE),
    ("a promotion behind an alias", "{'name':'a','type':'int'}", "{'name':'b','type':'long','aliases':['a']}", DEFAULT, OK),
    ("a name and an alias that both match are refused", "{'name':'a','type':'int','aliases':['b']}", "{'name':'a','type':'int'},{'name':'b','type':'int'}", AMBIGUOUS, DEFAULT),
    ("two aliases that both match are refused", "{'name':'c','type':'int','aliases':['a','b']}", "{'name':'a','type':'int'},{'name':'b','type':'int'}", AMBIGUOUS, DEFAULT),
    ("an alias in place of a name that went and a name that came", "{'name':'c','type':'int','aliases':['a']},{'name':'d','type':'int','default':0}", "{'name':'a','type':'int'}", OK, DEFAULT),
    ("swapped names with aliases are ambiguous", "{'name':'a','type':'int','aliases':['b']},{'name':'b','type':'int','aliases':['a']}", "{'name':'a','type':'int'},{'name':'b','type':'int'}", AMBIGUOUS, OK),
    ("a field's type is promoted, not back", "{'name':'a','type':'int'}", "{'name':'a','type':'long'}", TYPE, OK),
    ("a default does not help a field that is there", "{'name':'a','type':'int','default':0}", "{'name':'a','type':'string'}", TYPE, TYPE),
    ("docs, orders and other attributes change nothing", "{'name':'a','type':'int','doc':'x','order':'ignore','owner':'me'}", "{'name':'a','type':'int'}", OK, OK),
    ("a changed default changes nothing", "{'name':'a','type':'int','default':1}", "{'name':'a','type':'int','default':2}", OK, OK),
    ("a default that goes is missed only where the field is not written", "{'name':'a','type':'int','default':1}", "{'name':'a','type':'int'}", OK, OK),
    ("a field that becomes nullable", "{'name':'a','type':'int'}", "{'name':'a','type':['null','int']}", TYPE, OK),
    ("a nested record's field", "{'name':'r','type':{'type':'record','name':'I','fields':[]}}", "{'name':'r','type':{'type':'record','name':'I','fields':[{'name':'x','type':'int'}]}}", OK, DEFAULT),
    ("a nested record with another name", "{'name':'r','type':{'type':'record','name':'I','fields':[]}}", "{'name':'r','type':{'type':'record','name':'J','fields':[]}}", NAME, NAME),
    ("a nested record with its old name as an alias", "{'name':'r','type':{'type':'record','name':'I','fields':[]}}", "{'name':'r','type':{'type':'record','name':'J','aliases':['I'],'fields':[]}}", NAME, OK),
    ("a type defined here and named there, in another order", "{'name':'x','type':{'type':'enum','name':'E','symbols':['A']}},{'name':'y','type':'E'}", "{'name':'y','type':{'type':'enum','name':'E','symbols':['A']}},{'name':'x','type':'E'}", OK, OK),
    ("a named type that is wanting is so at its second place", "{'name':'y','type':{'type':'enum','name':'E','symbols':['A']}}", "{'name':'x','type':{'type':'enum','name':'E','symbols':['A','B']}},{'name':'y','type':'E'}", SYMBOLS, DEFAULT),
];

#[rustfmt::skip]
const NAMED: &[Row] = &[
    ("records of one name", "{'type':'record','name':'R','fields':[]}", "{'type':'record','name':'R','fields':[]}", OK, OK),
    ("records of two names", "{'type':'record','name':'R','fields':[]}", "{'type':'record','name':'S','fields':[]}", NAME, NAME),
    ("namespaces are not compared", "{'type':'record','name':'R','namespace':'m','fields':[]}", "{'type':'record','name':'R','namespace':'n','fields':[]}", OK, OK),
    ("an alias in the same namespace", "{'type':'record','name':'R','namespace':'n','fields':[]}", "{'type':'record','name':'S','namespace':'n','aliases':['R'],'fields':[]}", NAME, OK),
    ("an alias in another namespace", "{'type':'record','name':'m.R','fields':[]}", "{'type':'record','name':'n.S','aliases':['m.R'],'fields':[]}", NAME, OK),
    ("an alias of the wrong namespace", "{'type':'record','name':'m.R','fields':[]}", "{'type':'record','name':'n.S','aliases':['R'],'fields':[]}", NAME, NAME),
    ("a record and a primitive", "{'type':'record','name':'R','fields':[]}", "'int'", TYPE, TYPE),
    ("a record and a map", "{'type':'record','name':'R','fields':[{'name':'a','type':'int'}]}", "{'type':'map','values':'int'}", TYPE, TYPE),
    ("a record and an enum of one name", "{'type':'record','name':'X','fields':[]}", "{'type':'enum','name':'X','symbols':['A']}", TYPE, TYPE),
    ("the same enum", "{'type':'enum','name':'E','symbols':['A','B']}", "{'type':'enum','name':'E','symbols':['A','B']}", OK, OK),
    ("a symbol that only the writer has", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'E','symbols':['A','B']}", SYMBOLS, OK),
    ("the order of symbols does not matter", "{'type':'enum','name':'E','symbols':['B','A']}", "{'type':'enum','name':'E','symbols':['A','B']}", OK, OK),
    ("the reader's default stands for unknown symbols", "{'type':'enum','name':'E','symbols':['A'],'default':'A'}", "{'type':'enum','name':'E','symbols':['A','B']}", OK, OK),
    ("the writer's default does not", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'E','symbols':['A','B'],'default':'A'}", SYMBOLS, OK),
    ("enums without a common symbol", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'E','symbols':['B']}", SYMBOLS, SYMBOLS),
    ("enums of two names", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'G','symbols':['A']}", NAME, NAME),
    ("an enum's alias", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'G','aliases':['E'],'symbols':['A']}", NAME, OK),
    ("a name comes before symbols", "{'type':'enum','name':'E','symbols':['A']}", "{'type':'enum','name':'G','symbols':['B']}", NAME, NAME),
    ("an enum is no string", "{'type':'enum','name':'E','symbols':['A']}", "'string'", TYPE, TYPE),
    ("an enum is no int", "{'type':'enum','name':'E','symbols':['A']}", "'int'", TYPE, TYPE),
    ("the same fixed", "{'type':'fixed','name':'F','size':4}", "{'type':'fixed','name':'F','size':4}", OK, OK),
    ("another size", "{'type':'fixed','name':'F','size':4}", "{'type':'fixed','name':'F','size':8}", SIZE, SIZE),
    ("fixed of two names", "{'type':'fixed','name':'F','size':4}", "{'type':'fixed','name':'G','size':4}", NAME, NAME),
    ("a fixed's alias", "{'type':'fixed','name':'F','size':4}", "{'type':'fixed','name':'G','size':4,'aliases':['F']}", NAME, OK),
    ("an alias does not make sizes equal", "{'type':'fixed','name':'F','size':4}", "{'type':'fixed','name':'G','size':8,'aliases':['F']}", NAME, SIZE),
    ("a fixed is no bytes", "{'type':'fixed','name':'F','size':4}", "'bytes'", TYPE, TYPE),
    ("a fixed is no string", "{'type':'fixed','name':'F','size':4}", "'string'", TYPE, TYPE),
    ("a fixed and an enum", "{'type':'fixed','name':'X','size':4}", "{'type':'enum','name':'X','symbols':['A']}", TYPE, TYPE),
    ("a list of itself", "{'type':'record','name':'L','fields':[{'name':'next','type':['null','L']}]}", "{'type':'record','name':'L','fields':[{'name':'next','type':['null','L']}]}", OK, OK),
    ("a promotion within a list of itself", "{'type':'record','name':'L','fields':[{'name':'v','type':'int'},{'name':'next','type':['null','L']}]}", "{'type':'record','name':'L','fields':[{'name':'v','type':'long'},{'name':'next','type':['null','L']}]}", TYPE, OK),
    ("a missing field within a list of itself", "{'type':'record','name':'L','fields':[{'name':'next','type':['null','L']}]}", "{'type':'record','name':'L','fields':[{'name':'next','type':['null','L']},{'name':'v','type':'int'}]}", OK, DEFAULT),
    ("a tree of itself", "{'type':'record','name':'T','fields':[{'name':'c','type':{'type':'array','items':'T'}}]}", "{'type':'record','name':'T','fields':[{'name':'c','type':{'type':'array','items':'T'}},{'name':'d','type':'int','default':0}]}", OK, OK),
];

#[rustfmt::skip]
const COLLECTIONS: &[Row] = &[
    ("the same array", "{'type':'array','items':'int'}", "{'type':'array','items':'int'}", OK, OK),
    ("items are promoted, not back", "{'type':'array','items':'int'}", "{'type':'array','items':'long'}", TYPE, OK),
    ("items of different types", "{'type':'array','items':'int'}", "{'type':'array','items':'string'}", TYPE, TYPE),
    ("an array is no item", "{'type':'array','items':'int'}", "'int'", TYPE, TYPE),
    ("items that may be null", "{'type':'array','items':'int'}", "{'type':'array','items':['null','int']}", TYPE, OK),
    ("arrays of arrays", "{'type':'array','items':{'type':'array','items':'int'}}", "{'type':'array','items':{'type':'array','items':'double'}}", TYPE, OK),
    ("an array of bytes is no bytes", "{'type':'array','items':'int'}", "'bytes'", TYPE, TYPE),
    ("the same map", "{'type':'map','values':'int'}", "{'type':'map','values':'int'}", OK, OK),
    ("values are promoted, not back", "{'type':'map','values':'float'}", "{'type':'map','values':'double'}", TYPE, OK),
    ("values as bytes or string", "{'type':'map','values':'bytes'}", "{'type':'map','values':'string'}", OK, OK),
    ("a map and an array", "{'type':'map','values':'int'}", "{'type':'array','items':'int'}", TYPE, TYPE),
    ("records in an array", "{'type':'array','items':{'type':'record','name':'R','fields':[]}}", "{'type':'array','items':{'type':'record','name':'R','fields':[{'name':'a','type':'int'}]}}", OK, DEFAULT),
    ("the same union", "['null','int']", "['null','int']", OK, OK),
    ("the order of branches does not matter", "['null','int']", "['int','null']", OK, OK),
    ("a branch that only the writer has", "['null','int']", "['null','int','string']", BRANCH, OK),
    ("a branch read as another one", "['null','int']", "['null','long']", BRANCH, OK),
    ("branches without anything in common", "['null','int']", "['boolean','string']", BRANCH, BRANCH),
    ("a type that becomes a union", "'int'", "['null','int']", TYPE, OK),
    ("a type that becomes a union of what it is promoted to", "'int'", "['null','double']", TYPE, OK),
    ("a type that no branch takes", "'boolean'", "['null','int']", TYPE, BRANCH),
    ("a union of one branch is that branch", "'int'", "['int']", OK, OK),
    ("a reader that takes every branch of the writer's", "'double'", "['int','long','float']", OK, BRANCH),
    ("a reader that takes all branches but one", "'double'", "['int','string']", TYPE, BRANCH),
    ("an empty union writes nothing, and reads nothing", "[]", "'int'", BRANCH, OK),
    ("records in a union are told apart by name", "[{'type':'record','name':'A','fields':[]},{'type':'record','name':'B','fields':[{'name':'x','type':'int'}]}]", "[{'type':'record','name':'B','fields':[{'name':'x','type':'int'}]},{'type':'record','name':'A','fields':[]}]", OK, OK),
    ("a record in a union that changed", "['null',{'type':'record','name':'A','fields':[]}]", "['null',{'type':'record','name':'A','fields':[{'name':'x','type':'int'}]}]", OK, BRANCH),
    ("a record in a union under its alias", "['null',{'type':'record','name':'A','fields':[]}]", "['null',{'type':'record','name':'B','aliases':['A'],'fields':[]}]", BRANCH, OK),
    ("an enum in a union with a symbol more", "['null',{'type':'enum','name':'E','symbols':['A']}]", "['null',{'type':'enum','name':'E','symbols':['A','B']}]", BRANCH, OK),
    ("an enum in a union with a default", "['null',{'type':'enum','name':'E','symbols':['A'],'default':'A'}]", "['null',{'type':'enum','name':'E','symbols':['A','B']}]", OK, OK),
    ("a fixed in a union", "['null',{'type':'fixed','name':'F','size':4}]", "['null',{'type':'fixed','name':'F','size':5}]", BRANCH, BRANCH),
    ("arrays in a union", "['null',{'type':'array','items':'int'}]", "['null',{'type':'array','items':'long'}]", BRANCH, OK),
    ("a string branch takes bytes", "['null','string']", "['null','bytes']", OK, OK),
];

#[rustfmt::skip]
const LOGICAL: &[Row] = &[
    ("a logical type is read as its underlying type", "{'type':'long','logicalType':'timestamp-millis'}", "'long'", OK, OK),
    ("one logical type is read as another", "{'type':'long','logicalType':'timestamp-millis'}", "{'type':'long','logicalType':'timestamp-micros'}", OK, OK),
    ("a date is an int", "{'type':'int','logicalType':'date'}", "{'type':'long','logicalType':'timestamp-millis'}", TYPE, OK),
    ("a decimal's precision is not compared", "{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "{'type':'bytes','logicalType':'decimal','precision':9,'scale':2}", OK, OK),
    ("a decimal's scale is not compared either", "{'type':'bytes','logicalType':'decimal','precision':9,'scale':2}", "{'type':'bytes','logicalType':'decimal','precision':9,'scale':3}", OK, OK),
    ("a decimal is bytes", "{'type':'bytes','logicalType':'decimal','precision':4}", "'bytes'", OK, OK),
    ("a decimal in a fixed is no decimal in bytes", "{'type':'fixed','name':'D','size':8,'logicalType':'decimal','precision':4}", "{'type':'bytes','logicalType':'decimal','precision':4}", TYPE, TYPE),
    ("a uuid is a string", "{'type':'string','logicalType':'uuid'}", "'string'", OK, OK),
    ("a uuid is read as bytes", "{'type':'string','logicalType':'uuid'}", "'bytes'", OK, OK),
    ("an unknown logical type counts for nothing", "{'type':'int','logicalType':'colour'}", "'int'", OK, OK),
    ("an invalid decimal is bytes", "{'type':'bytes','logicalType':'decimal','precision':1,'scale':9}", "'bytes'", OK, OK),
    ("a logical type in a union", "['null',{'type':'long','logicalType':'timestamp-millis'}]", "['null','long']", OK, OK),
];

fn schema(text: &str, references: &[&str]) -> Schema {
    let references: Vec<String> = references.iter().map(|r| r.replace('\'', "\"")).collect();
    let text = text.replace('\'', "\"");
    Schema::parse_with(&text, &references).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[track_caller]
fn both_ways(rule: &str, left: &Schema, right: &Schema, expected: (Verdict, Verdict)) {
    let verdict = |reader, writer| can_read(reader, writer).first().map(|reason| reason.rule);
    assert_eq!(
        (verdict(left, right), verdict(right, left)),
        expected,
        "{rule}"
    );
}

#[test]
fn every_rule_holds_in_both_directions() {
    let mut count = 0;
    for rows in [PRIMITIVES, FIELDS, NAMED, COLLECTIONS, LOGICAL] {
        for (rule, left, right, reads, is_read) in rows {
            let written = |column: &str| match rows == FIELDS {
                true => format!("{{'type':'record','name':'R','fields':[{column}]}}"),
                false => column.to_owned(),
            };
            let (left, right) = (schema(&written(left), &[]), schema(&written(right), &[]));
            both_ways(rule, &left, &right, (*reads, *is_read));
            count += 1;
        }
    }
    assert!(count >= 120, "{count} rows");
}

#[test]
fn types_of_references_are_compared_like_those_of_the_schema_itself() {
    let money = |kind: &str| {
        format!("{{'type':'record','name':'m.Money','fields':[{{'name':'a','type':'{kind}'}}]}}")
    };
    let (int, long) = (money("int"), money("long"));
    let using = "{'type':'record','name':'R','fields':[{'name':'m','type':'m.Money'}]}";
    let inlined = format!("{{'type':'record','name':'R','fields':[{{'name':'m','type':{long}}}]}}");
    let line = "{'type':'array','items':'m.Money'}";
    let named = "{'type':'record','name':'m.Line','fields':[{'name':'m','type':'Money'}]}";
    let lines = "{'type':'map','values':'m.Line'}";
    let other = "{'type':'record','name':'m.Cash','aliases':['Money'],'fields':[{'name':'a','type':'int'}]}";
    type Side<'a> = (&'a str, &'a [&'a str]);
    let rows: [(&str, Side<'_>, Side<'_>, Verdict, Verdict); 6] = [
        (
            "the same reference",
            (using, &[&int]),
            (using, &[&int]),
            OK,
            OK,
        ),
        (
            "a referenced type that changed",
            (using, &[&int]),
            (using, &[&long]),
            TYPE,
            OK,
        ),
        (
            "a referenced type against its own text",
            (using, &[&int]),
            (&inlined, &[]),
            TYPE,
            OK,
        ),
        (
            "a referenced type within an array",
            (line, &[&int]),
            (line, &[&long]),
            TYPE,
            OK,
        ),
        (
            "a reference of a reference",
            (lines, &[&int, named]),
            (lines, &[&long, named]),
            TYPE,
            OK,
        ),
        (
            "a reference under another name",
            (line, &[&int]),
            ("{'type':'array','items':'m.Cash'}", &[other]),
            NAME,
            OK,
        ),
    ];
    for (rule, left, right, reads, is_read) in rows {
        let (left, right) = (schema(left.0, left.1), schema(right.0, right.1));
        both_ways(rule, &left, &right, (reads, is_read));
    }
}

/// Bounded, so that what someone registers cannot end the process.
#[test]
fn chains_of_types_are_not_followed_for_ever() {
    let chain: String = (1..2_000)
        .map(|n| {
            let before = n - 1;
            format!(
                ",{{'name':'d{n}','default':null,'type':['null',{{'type':'record','name':'R{n}',\
                 'fields':[{{'name':'f','type':'R{before}'}}]}}]}}"
            )
        })
        .collect();
    let text = format!(
        "{{'type':'record','name':'X','fields':[{{'name':'d0','default':null,'type':['null',\
         {{'type':'record','name':'R0','fields':[]}}]}}{chain},{{'name':'last','type':'R1999'}}]}}"
    );
    // The reader meets the last first: what the others are in, the writer does not have.
    let writer = schema(&text.replace("'name':'d", "'name':'e"), &[]);
    let found = can_read(&schema(&text, &[]), &writer);
    assert_eq!(found[0].rule, Rule::TooDeep);
}
