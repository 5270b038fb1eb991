//! The signs of a scenario.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::check::{self, Check, checked, list, number};
use crate::scenario::drive::{Anomaly, Lasting};
use crate::scenario::sign::{CLASS_NAMES, ForeignSign};

/// All signs; every part may be left out, and a road without signs is one, too.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signs {
    /// Signs drawn by lot along the whole road.
    #[serde(deserialize_with = "checked")]
    pub random: Option<RandomSigns>,
    /// Signs at given places.
    #[serde(deserialize_with = "list::<_, _, 200>")]
    pub list: Vec<PlacedSign>,
    /// Rows of signs that resemble each other.
    #[serde(deserialize_with = "list::<_, _, 20>")]
    pub rows: Vec<Row>,
}

/// Signs drawn by lot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomSigns {
    /// Seconds from one to the next, at least; up to 1.5 m more by lot.
    #[serde(deserialize_with = "every")]
    pub every_secs: f32,
    /// Share of signs that are strange, 0 to 1.
    #[serde(deserialize_with = "check::share")]
    pub strange_share: f32,
    /// One or two normal signs between two strange ones, instead of a share.
    pub alternate: bool,
    /// What strange signs have; everything that a drive has by itself when empty.
    #[serde(deserialize_with = "anomalies")]
    pub anomalies: Vec<Anomaly>,
    /// What every sign has from some time on, instead of a share.
    pub lasting: Option<Lasting>,
}

/// One sign at a place.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacedSign {
    /// Name of its class.
    #[serde(default)]
    pub class: Option<ClassName>,
    /// A sign of no class, instead.
    #[serde(default)]
    pub foreign: Option<ForeignSign>,
    /// When the car passes it, in seconds after the start. It is seen from 36 m on.
    #[serde(deserialize_with = "check::seconds")]
    pub at_secs: f32,
    /// On which side of the road.
    #[serde(default)]
    pub side: Side,
    /// Metres from the car's path to the side, 2 to 12.
    #[serde(default, deserialize_with = "offset")]
    pub offset_m: Option<f32>,
    /// Metres of its centre above the road, 0.5 to 6.
    #[serde(default = "default_height", deserialize_with = "height")]
    pub height_m: f32,
    /// How it looks.
    #[serde(default)]
    pub look: Look,
    /// What was done to it.
    #[serde(default)]
    pub attack: Option<Attack>,
}

/// Signs of similar classes, one after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Their classes in turn, 1 to 43.
    pub classes: Vec<ClassName>,
    /// How many signs, 2 to 50.
    #[serde(deserialize_with = "count")]
    pub count: u32,
    /// When the car passes the first, in seconds after the start.
    #[serde(deserialize_with = "check::seconds")]
    pub at_secs: f32,
    /// Metres from one to the next, 2 to 50.
    #[serde(default = "default_spacing", deserialize_with = "spacing")]
    pub spacing_m: f32,
    /// On which side of the road.
    #[serde(default)]
    pub side: Side,
}

/// A side of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where signs usually stand.
    #[default]
    Right,
    /// Beyond the other lane.
    Left,
}

/// How a sign looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// As signs do, with some shade, age and tilt.
    #[default]
    Normal,
    /// It hangs upside down.
    UpsideDown,
    /// It is made of lamps.
    Led,
    /// Nearly all colour is gone.
    Faded,
    /// Snow sticks to it.
    Snow,
}

/// What was done to a sign.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// With what.
    pub kind: AttackKind,
    /// Share of the sign's area that it covers, 0 to 1.
    #[serde(deserialize_with = "check::share")]
    pub size: f32,
}

/// With what a sign is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackKind {
    /// Printed labels.
    Stickers,
    /// Paint from a can.
    Graffiti,
    /// Black and white strips.
    Tape,
}

/// A class by its name, as an index 0..=42.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassName(pub usize);

impl<'de> Deserialize<'de> for ClassName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let class = CLASS_NAMES.iter().position(|class| *class == name);
        class.map(Self).ok_or_else(|| {
            let all = CLASS_NAMES.join(", ");
            D::Error::custom(format!("there is no class `{}`, expected one of {all}", name.escape_debug()))
        })
    }
}

impl Default for RandomSigns {
    fn default() -> Self {
        Self { every_secs: 1.0, strange_share: 0.0, alternate: false, anomalies: Vec::new(), lasting: None }
    }
}

impl Check for RandomSigns {
    fn check(&self) -> Result<(), String> {
        let ways = [self.strange_share > 0.0, self.alternate, self.lasting.is_some()];
        match ways.into_iter().filter(|is_used| *is_used).count() {
            0 | 1 => Ok(()),
            _ => Err("strange_share, alternate and lasting exclude each other, expected one of them".into()),
        }
    }
}

impl Check for PlacedSign {
    fn check(&self) -> Result<(), String> {
        match (self.class, self.foreign) {
            (Some(_), None) => Ok(()),
            (None, Some(_)) if self.attack.is_none() && matches!(self.look, Look::Normal | Look::UpsideDown) => Ok(()),
            (None, Some(_)) => Err("a foreign sign has no attack, and a look of normal or upside_down only".into()),
            _ => Err("expected either class or foreign".into()),
        }
    }
}

impl Check for Row {
    fn check(&self) -> Result<(), String> {
        match self.classes.len() {
            1..=43 => Ok(()),
            other => Err(format!("classes has {other} names, expected 1 to 43")),
        }
    }
}

fn default_height() -> f32 {
    2.3
}

fn default_spacing() -> f32 {
    11.0
}

fn every<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 0.25..=600.0)
}

fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
    number(deserializer, 2.0..=12.0).map(Some)
}

fn height<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 0.5..=6.0)
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    number(deserializer, 2..=50)
}

fn spacing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 2.0..=50.0)
}

fn anomalies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Anomaly>, D::Error> {
    let anomalies = Vec::<Anomaly>::deserialize(deserializer)?;
    match anomalies.len() {
        0..=50 => Ok(anomalies),
        other => Err(D::Error::custom(format!("{other} are too many, expected at most 50"))),
    }
}
