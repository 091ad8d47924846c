//! JSON by the schema of the CRD: types, bounds, enums, list maps and the patterns of rules are kept, mostly.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::draw::Draw;
use crate::text;

/// The schema of a MachineImage, as the program prints it.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = serde_json::to_value(amiops::api::crd()).expect("a CRD is JSON");
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").expect("the CRD has a schema").clone()
});

/// Who is careless makes a mistake once in so many places.
const RARELY: usize = 60;

/// Makes values by a schema, and remembers the strings of each field, so that fields of one name come to agree.
pub(crate) struct Maker {
    pool: BTreeMap<String, Vec<String>>,
    careless: bool,
}

/// Where a value belongs: the name of its field, and the patterns that rules have for it.
struct Place<'s> {
    name: &'s str,
    patterns: Vec<&'s str>,
    literals: Vec<&'s str>,
    is_key: bool,
}

impl Maker {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        Self { pool: BTreeMap::new(), careless: draw.one_in(4) }
    }

    fn slips(&self, draw: &mut Draw) -> bool {
        self.careless && draw.one_in(RARELY)
    }

    /// A value for a field at the top of the schema, like `spec`.
    pub(crate) fn field(&mut self, name: &str, draw: &mut Draw) -> Value {
        let schema = &SCHEMA["properties"][name];
        self.value(schema, &place(name, &Value::Null, schema), draw)
    }

    fn value(&mut self, schema: &Value, place: &Place, draw: &mut Draw) -> Value {
        if self.slips(draw) {
            return misplaced(draw);
        }
        if let Some(choices) = schema["enum"].as_array() {
            return draw.pick(choices);
        }
        match schema["type"].as_str() {
            Some("object") if schema["additionalProperties"].is_object() => self.map(schema, draw),
            Some("object") => self.object(schema, draw),
            Some("array") => self.array(schema, draw),
            Some("integer") => integer(schema, draw),
            Some("boolean") => json!(draw.one_in(4)),
            _ => json!(self.string(schema, place, draw)),
        }
    }

    fn object(&mut self, schema: &Value, draw: &mut Draw) -> Value {
        self.object_with_key(schema, None, draw)
    }

    fn object_with_key(&mut self, schema: &Value, key: Option<&str>, draw: &mut Draw) -> Value {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let known: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
        let (first, then): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(name, _)| required.contains(&name.as_str()));
        let mut fields = Map::new();
        for (name, field) in &first {
            if !self.slips(draw) {
                let place = Place { is_key: key == Some(name), ..place(name, schema, field) };
                fields.insert((*name).clone(), self.value(field, &place, draw));
            }
        }
        for (name, field) in then {
            if draw.one_in(2) {
                fields.insert(name.clone(), self.value(field, &place(name, schema, field), draw));
            }
        }
        if self.slips(draw) {
            fields.insert(text::odd(draw), misplaced(draw));
        }
        agree(&mut fields, self.slips(draw));
        Value::Object(fields)
    }

    fn map(&mut self, schema: &Value, draw: &mut Draw) -> Value {
        let place = place("", &Value::Null, schema);
        let count = count(schema["maxProperties"].as_u64(), 0, draw);
        let entry = |maker: &mut Self, number: usize| {
            let key = match draw.below(8) {
                0..=3 => format!("key-{number}"),
                4 if !place.literals.is_empty() => format!("{}x", draw.pick(&place.literals)),
                5 => format!("{number}{}", text::odd(draw)),
                6 => "k".repeat(draw.pick(&[127, 128, 1])),
                _ => draw.pick(&["team", "Name", "amiops.dev", "owner", "version"]).to_owned(),
            };
            (
                key,
                maker.value(
                    &schema["additionalProperties"],
                    &Place { patterns: vec![], ..self::place("value", &Value::Null, schema) },
                    draw,
                ),
            )
        };
        let mut entry = entry;
        Value::Object((0..count).map(|number| entry(self, number)).collect())
    }

    fn array(&mut self, schema: &Value, draw: &mut Draw) -> Value {
        let items = &schema["items"];
        let key = schema["x-kubernetes-list-map-keys"][0].as_str();
        let mut list = Vec::<Value>::new();
        for _ in 0..count(schema["maxItems"].as_u64(), 1, draw) {
            let item = match items["type"].as_str() {
                Some("object") => self.object_with_key(items, key, draw),
                _ => self.value(items, &place("item", &Value::Null, items), draw),
            };
            let again = key.is_some_and(|key| list.iter().any(|other| other.get(key) == item.get(key)));
            if !again || self.slips(draw) {
                list.push(item);
            }
        }
        json!(list)
    }

    fn string(&mut self, schema: &Value, place: &Place, draw: &mut Draw) -> String {
        let pool = self.pool.get(place.name).cloned().unwrap_or_default();
        let repeated = match place.name {
            "ssmParameter" => draw.one_in(8),
            _ if place.patterns.is_empty() => !self.slips(draw),
            _ => draw.below(2) == 0,
        };
        if repeated && !place.is_key && !pool.is_empty() {
            return draw.pick(&pool);
        }
        if schema["format"] == "date-time" {
            return date(draw);
        }
        let mut made = match place.patterns[..] {
            [] if !place.literals.is_empty() => composed(&place.literals, draw),
            [] => text::odd(draw),
            ref patterns => {
                let pattern = draw.pick(patterns);
                let examples: Vec<_> = place.literals.iter().filter(|text| text::matches(pattern, text)).collect();
                match examples.is_empty() || draw.one_in(4) {
                    true => text::matching(pattern, self.careless, draw),
                    false => (**draw.pick(&examples)).to_owned(),
                }
            }
        };
        if self.slips(draw) {
            made = text::spoil(&made, draw);
        }
        if self.slips(draw) {
            made = stretched(schema, &made, draw);
        }
        self.pool.entry(place.name.to_owned()).or_default().push(made.clone());
        made
    }
}

/// The place of a field: patterns are in the rules of the field (`self.matches`) and of what it is in (`self.name.matches`).
fn place<'s>(name: &'s str, around: &'s Value, schema: &'s Value) -> Place<'s> {
    let of_field = rules(schema).flat_map(|rule| after(rule, "self.matches('"));
    let marker = format!("self.{name}.matches('");
    let of_object = rules(around).flat_map(|rule| after(rule, &marker).collect::<Vec<_>>());
    let literals = rules(schema).flat_map(|rule| rule.split('\'').skip(1).step_by(2)).filter(|text| !text.is_empty());
    Place { name, patterns: of_field.chain(of_object).collect(), literals: literals.collect(), is_key: false }
}

fn rules(schema: &Value) -> impl Iterator<Item = &str> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["rule"].as_str())
}

fn after<'s>(rule: &'s str, marker: &str) -> impl Iterator<Item = &'s str> {
    rule.split(marker).skip(1).filter_map(|rest| rest.split('\'').next())
}

/// A key of a region is one of that region.
fn agree(fields: &mut Map<String, Value>, slips: bool) {
    let Some(region) = fields.get("region").and_then(Value::as_str).map(str::to_owned) else { return };
    if let Some(Value::String(key)) = fields.get_mut("kmsKeyId").filter(|key| !slips && key.is_string()) {
        let parts: Vec<_> = key.split(':').enumerate().map(|(at, part)| if at == 3 { &region } else { part }).collect();
        *key = parts.join(":");
    }
}

/// A string made of what the rules of its field have in quotes, like placeholders.
fn composed(literals: &[&str], draw: &mut Draw) -> String {
    let plain: Vec<_> = literals.iter().filter(|text| text.starts_with('{')).copied().collect();
    if plain.is_empty() || draw.one_in(8) {
        return draw.pick(literals).to_owned();
    }
    let mut text = draw.pick(&["{name}-{version}", "{version}", "{namespace}/{name}({version})"]).to_owned();
    for _ in 0..draw.below(3) {
        text.push_str(draw.pick(&["-", "", ".", "x"]));
        text.push_str(draw.pick(&plain));
    }
    text
}

/// The string as long as may be, or a little longer or shorter than that.
fn stretched(schema: &Value, text: &str, draw: &mut Draw) -> String {
    let bound = draw.pick(&["maxLength", "minLength"]);
    let length = schema[bound].as_u64().unwrap_or(63) as usize + draw.below(3);
    let filler = text.chars().last().unwrap_or('a');
    text.chars().chain(std::iter::repeat(filler)).take(length.saturating_sub(1)).collect()
}

/// How many there are: a few, or now and then as many as may be.
fn count(most: Option<u64>, ordinary: usize, draw: &mut Draw) -> usize {
    let most = most.unwrap_or(10) as usize;
    match draw.below(24) {
        23 => draw.pick(&[0, most, most + 1]),
        n if n < 12 => ordinary,
        n => ordinary + n % 4,
    }
}

fn integer(schema: &Value, draw: &mut Draw) -> Value {
    let (least, most) =
        (schema["minimum"].as_f64().unwrap_or(0.0) as i64, schema["maximum"].as_f64().unwrap_or(1e9) as i64);
    match draw.below(12) {
        0..=5 => json!(least + draw.below(4) as i64),
        6 => json!(most),
        7 => json!(least + 1),
        8 => json!(draw.pick(&[least - 1, most + 1, i64::MAX, i64::MIN])),
        9 => json!(draw.number()),
        10 => json!(2.0),
        _ => json!(draw.pick(&[0.5, 1e300, -0.0, 1e2])),
    }
}

fn date(draw: &mut Draw) -> String {
    let odd = [
        "0000-01-01T00:00:00Z",
        "9999-12-30T21:59:59Z",
        "9999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "2026-11-20T09:00:60Z",
        "2026-11-20t09:00:00.123456789123z",
        "2026-11-20T09:00:00+23:59",
        "1969-12-31T23:59:59.999999999Z",
        "-000001-01-01T00:00:00Z",
        "yesterday",
    ];
    match draw.below(8) {
        7 => draw.pick(&odd).to_owned(),
        _ => format!("2026-{:02}-{:02}T09:00:00Z", 1 + draw.below(12), 1 + draw.below(28)),
    }
}

/// A value of a type that the place does not have, perhaps.
fn misplaced(draw: &mut Draw) -> Value {
    draw.pick(&[
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(""),
        json!([]),
        json!({}),
        json!([null]),
        json!({"": null}),
    ])
}
