//! YAML as rcl reads it in params files and `-p` rules (`rcl_yaml_param_parser`, `parse.c`).

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::table::Value;

/// Deepest nesting of a params file.
const MAX_DEPTH: usize = 32;

/// The part of YAML that params files use.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// A scalar, or an array of scalars.
    Value(Value),
    /// Keys and what is below them, in their order.
    Map(Vec<(String, Tree)>),
}

/// The first document of a text; `None` when there is nothing in it.
///
/// # Errors
/// What is not YAML, or not of the part of it that params files use.
pub fn tree(text: &str) -> Result<Option<Tree>, String> {
    Document { events: Parser::new_from_str(text) }.tree()
}

/// A YAML document on its way to a [`Tree`].
struct Document<'a> {
    events: Parser<'a, StrInput<'a>>,
}

impl<'a> Document<'a> {
    fn tree(mut self) -> Result<Option<Tree>, String> {
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(None),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => return self.node(event, 0).map(Some),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Tree, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        match event {
            Event::Scalar(text, style, _, tag) => Ok(Tree::Value(scalar(&text, style, tag.as_deref()))),
            Event::SequenceStart(..) => self.sequence().map(Tree::Value),
            Event::MappingStart(..) => self.map(depth),
            Event::Alias(_) => Err("aliases are not supported".to_owned()),
            other => Err(format!("a value is missing before {other:?}")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Tree, String> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                Event::MappingEnd => return Ok(Tree::Map(entries)),
                Event::Scalar(key, ..) => {
                    let value = self.next()?;
                    entries.push((key.into_owned(), self.node(value, depth + 1)?));
                }
                other => return Err(format!("a key must be a text, found {other:?}")),
            }
        }
    }

    fn sequence(&mut self) -> Result<Value, String> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(array(&values)),
                Event::Scalar(text, style, _, tag) => values.push(scalar(&text, style, tag.as_deref())),
                other => return Err(format!("an array holds values only, found {other:?}")),
            }
        }
    }

    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }
}

/// The value of a scalar by the rules of rcl (`get_value` in `parse.c`); what is quoted or tagged `!!str` is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let tagged = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if quoted || tagged {
        return Value::Text(text.to_owned());
    }
    let number = || integer(text).map(Value::Integer).or_else(|| double(text).map(Value::Double));
    boolean(text).map(Value::Bool).or_else(number).unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "Y" | "y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "N" | "n" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// As `strtol` with base 0: `0x` is hexadecimal, a leading 0 octal.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let starts_with_digit = digits.starts_with(|c: char| c.is_digit(radix));
    if starts_with_digit { i64::from_str_radix(&format!("{sign}{digits}"), radix).ok() } else { None }
}

/// As `strtod`, hexadecimal numbers left out.
fn double(text: &str) -> Option<f64> {
    let plain = match text {
        ".nan" | ".NaN" | ".NAN" => "nan",
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => "inf",
        "-.inf" | "-.Inf" | "-.INF" => "-inf",
        other => other,
    };
    let value = plain.parse::<f64>().ok()?;
    // strtod refuses what is too large for a double.
    let overflow = value.is_infinite() && plain.contains(|c: char| c.is_ascii_digit());
    (!overflow).then_some(value)
}

/// Only texts make an array that a parameter of this node can have.
fn array(values: &[Value]) -> Value {
    let texts = values.iter().map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None });
    texts.collect::<Option<Vec<String>>>().map_or(Value::Other("an array of something else"), Value::TextArray)
}
