//! Ranges and rules that are checked while a scenario is read, so that errors have a line and a field.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The version of the language that this program reads.
pub(super) const VERSION: u32 = 1;
/// Longest name and longest condition in bytes.
const LONGEST: usize = 64;

/// Rules that concern several fields at once.
pub(super) trait Check {
    /// What is wrong, and what would be right.
    fn check(&self) -> Result<(), String>;
}

/// Reads a number that has to lie in a range; NaN lies in none.
pub(super) fn number<'de, D, T>(deserializer: D, range: RangeInclusive<T>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialOrd + fmt::Display,
{
    let value = T::deserialize(deserializer)?;
    if range.contains(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("{value} is out of range, expected {} to {}", range.start(), range.end())))
}

/// Reads a share, 0 to 1.
pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 0.0..=1.0)
}

/// Reads a time after the start in seconds.
pub(in crate::scenario) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 0.0..=*super::DURATION_SECS.end())
}

/// Reads an end in seconds after the start.
pub(super) fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    seconds(deserializer).map(Some)
}

/// Reads the version.
pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(D::Error::custom(format!("version {other} is not known, expected {VERSION}"))),
    }
}

/// Reads a name of small letters, digits, `_` and `-` that begins with a letter.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let usual = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_' | '-');
    if name.len() <= LONGEST && name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.chars().all(usual)
    {
        return Ok(name);
    }
    let rule = "expected at most 64 of a to z, 0 to 9, _ and -, with a letter first";
    Err(D::Error::custom(format!("`{}` is no name, {rule}", name.escape_debug())))
}

/// Reads a list of at most `MOST` texts, none of them empty.
pub(super) fn texts<'de, D: Deserializer<'de>, const MOST: usize>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = deserializer.deserialize_seq(Bounded::<Text, MOST>(PhantomData))?;
    Ok(texts.into_iter().map(|Text(text)| text).collect())
}

/// Reads a list of at most `MOST` items and checks each.
pub(super) fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Check,
{
    deserializer.deserialize_seq(Bounded::<T, MOST>(PhantomData))
}

/// Reads one item and checks it.
pub(super) fn checked<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Check,
{
    Checked::<T>::deserialize(deserializer).map(|Checked(item)| Some(item))
}

struct Checked<T>(T);

impl<'de, T: Deserialize<'de> + Check> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let item = T::deserialize(deserializer)?;
        item.check().map_err(D::Error::custom)?;
        Ok(Self(item))
    }
}

/// Reads as many items as are allowed and refuses the next one before it is read.
struct Bounded<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Check, const MOST: usize> Visitor<'de> for Bounded<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(Checked(item)) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::custom(format!("too many, expected at most {MOST}")));
            }
            list.push(item);
        }
        Ok(list)
    }
}

#[derive(serde::Deserialize)]
struct Text(String);

impl Check for Text {
    fn check(&self) -> Result<(), String> {
        let Self(text) = self;
        if text.trim().is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(format!("expected a condition such as false_alarms>0, of 1 to {LONGEST} characters"));
        }
        Ok(())
    }
}
