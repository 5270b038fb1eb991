//! YAML as rcl reads it in params files and `-p` rules (`rcl_yaml_param_parser`, `parse.c`).

use saphyr_parser::{ScalarStyle, Tag};

use super::table::Value;
use crate::yaml::{self, Node};

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
    yaml::parse(text)?.map(|node| convert(&node)).transpose()
}

fn convert(node: &Node) -> Result<Tree, String> {
    match node {
        Node::List(nodes) => Ok(Tree::Value(array(&nodes.iter().map(value).collect::<Result<Vec<Value>, String>>()?))),
        Node::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| Ok((key.clone(), convert(node)?)));
            entries.collect::<Result<_, String>>().map(Tree::Map)
        }
        scalar => value(scalar).map(Tree::Value),
    }
}

fn value(node: &Node) -> Result<Value, String> {
    match node {
        Node::Scalar { text, style, tag } => Ok(scalar(text, *style, tag.as_ref())),
        Node::Alias => Err("aliases are not supported".to_owned()),
        Node::List(_) | Node::Map(_) => Err("an array holds values only".to_owned()),
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
