//! The road, what lies beside it, and the cameras on the car.

use serde::{Deserialize, Deserializer};

use super::check::{self, Check, number};

/// The road.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Road {
    /// Speed of the car in metres per second, 4 to 40.
    #[serde(deserialize_with = "speed")]
    pub speed_mps: f32,
    /// What it is made of.
    pub surface: Surface,
    /// What lies beside it.
    pub surroundings: Surroundings,
    /// How much detail grass, leaves and walls have.
    pub textures: Textures,
}

impl Default for Road {
    fn default() -> Self {
        Self {
            speed_mps: 16.0,
            surface: Surface::Asphalt,
            surroundings: Surroundings::Country,
            textures: Textures::Plain,
        }
    }
}

/// What a road is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// Asphalt with lines.
    Asphalt,
    /// Asphalt with patches and cracks, its lines worn.
    Worn,
    /// Concrete slabs.
    Concrete,
    /// Cobbles without lines.
    Cobbles,
}

/// How much detail things beside a road have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Textures {
    /// Little.
    Plain,
    /// Blades, leaves and the grain of walls.
    Fine,
}

/// What lies beside a road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surroundings {
    /// Grass, trees, a house now and then.
    Country,
    /// Houses.
    Town,
    /// Dense trees.
    Forest,
    /// Grass, and hardly anything else.
    Open,
}

/// A camera on the car.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Its name, which begins its topics.
    #[serde(deserialize_with = "check::name")]
    pub name: String,
    /// Metres to the right of the car's middle, -2 to 2.
    #[serde(default, deserialize_with = "offset")]
    pub offset_m: f32,
    /// Degrees by which it looks to the right, -30 to 30.
    #[serde(default, deserialize_with = "yaw")]
    pub yaw_deg: f32,
}

impl Check for Mount {
    fn check(&self) -> Result<(), String> {
        // Topics of ROS know no `-`.
        match self.name.contains('-') {
            true => Err(format!("name: `{}` begins a topic, expected no -", self.name)),
            false => Ok(()),
        }
    }
}

fn speed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, 4.0..=40.0)
}

fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, -2.0..=2.0)
}

fn yaw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, -30.0..=30.0)
}
