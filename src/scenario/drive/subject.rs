//! What stands at the roadside, and what is wrong with it.

use rand::Rng;
use tiny_skia::Pixmap;

use super::alteration::{covered_with_snow, stickered};
use super::poster;
use crate::scenario::sign::{self, CLASS_NAMES, ForeignSign};
use crate::scenario::sprite::{FINEST_PX, Sprite};

/// GTSRB class of the stop sign.
const STOP: usize = 14;

/// Signs that no valid sign resembles when they hang upside down.
const NOT_SYMMETRIC: [usize; 5] = [11, STOP, 18, 25, 27];

/// Why a sign is out of distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Anomaly {
    /// A sign that is not among the classes.
    UnknownSign,
    /// A stop sign with stickers and scrawl.
    Stickers,
    /// Dense fog.
    Fog,
    /// Mud on the lens.
    Mud,
    /// An advertisement that is taken for a sign.
    Poster,
    /// A sign that hangs upside down.
    UpsideDown,
    /// Snow on the sign.
    Snow,
    /// Something nearly opaque in front of the lens; only where it is asked for.
    CoveredLens,
}

impl Anomaly {
    /// Those that a drive has by itself.
    pub const ALL: [Self; 7] =
        [Self::UnknownSign, Self::Stickers, Self::Fog, Self::Mud, Self::Poster, Self::UpsideDown, Self::Snow];

    /// Name for the ground truth.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownSign => "unknown sign",
            Self::Stickers => "stickers",
            Self::Fog => "fog",
            Self::Mud => "mud",
            Self::Poster => "poster",
            Self::UpsideDown => "upside down",
            Self::Snow => "snow",
            Self::CoveredLens => "covered lens",
        }
    }

    /// Whether it affects the whole view, so that no other sign may be seen at the same time.
    pub(super) const fn fills_the_view(self) -> bool {
        matches!(self, Self::Fog | Self::Mud | Self::CoveredLens)
    }

    /// Size in pixels from which on a human sees that something is wrong.
    pub(super) const fn visible_from_px(self) -> f32 {
        match self {
            Self::UnknownSign | Self::Poster | Self::CoveredLens => 26.0,
            Self::Snow | Self::Mud => 30.0,
            Self::Fog => 36.0,
            Self::Stickers | Self::UpsideDown => 40.0,
        }
    }
}

/// A sign, a poster, or what is left of one.
pub(super) struct Subject {
    pub(super) sprite: Sprite,
    /// Index of the class, `None` when it is none of the 43.
    pub(super) class: Option<usize>,
    pub(super) name: String,
    pub(super) anomaly: Option<Anomaly>,
    /// Roll of the mounting in radians.
    pub(super) roll: f32,
}

impl Subject {
    /// A clean sign of a class.
    pub(super) fn known(class: usize) -> Self {
        Self::altered(class, None, &sign::draw(class, FINEST_PX))
    }

    /// A sign outside of the classes.
    pub(super) fn foreign(sign: ForeignSign) -> Self {
        let sprite = Sprite::new(&sign.draw(FINEST_PX));
        Self { sprite, class: None, name: sign.name().into(), anomaly: Some(Anomaly::UnknownSign), roll: 0.0 }
    }

    /// Something unusual; `class` is shown where the anomaly leaves the choice.
    pub(super) fn unusual(anomaly: Anomaly, class: usize, rng: &mut impl Rng) -> Self {
        let clean = |class| sign::draw(class, FINEST_PX);
        match anomaly {
            Anomaly::UnknownSign => Self::foreign(ForeignSign::ALL[class % ForeignSign::ALL.len()]),
            Anomaly::Stickers => Self::altered(STOP, Some(anomaly), &stickered(clean(STOP), rng)),
            Anomaly::Snow => Self::altered(class, Some(anomaly), &covered_with_snow(clean(class), rng)),
            Anomaly::Fog | Anomaly::Mud | Anomaly::CoveredLens => Self::altered(class, Some(anomaly), &clean(class)),
            Anomaly::UpsideDown => {
                let class = NOT_SYMMETRIC[class % NOT_SYMMETRIC.len()];
                Self { roll: std::f32::consts::PI, ..Self::altered(class, Some(anomaly), &clean(class)) }
            }
            Anomaly::Poster => {
                let sprite = Sprite::new(&poster::draw(FINEST_PX, rng));
                Self { sprite, class: None, name: "poster".into(), anomaly: Some(anomaly), roll: 0.0 }
            }
        }
    }

    fn altered(class: usize, anomaly: Option<Anomaly>, drawing: &Pixmap) -> Self {
        let name = CLASS_NAMES.get(class).copied().unwrap_or_default();
        Self { sprite: Sprite::new(drawing), class: Some(class), name: name.into(), anomaly, roll: 0.0 }
    }
}
