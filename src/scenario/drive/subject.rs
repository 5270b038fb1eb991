//! What stands at the roadside, and what is wrong with it.

use std::f32::consts::PI;

use rand::Rng;
use tiny_skia::Pixmap;

use super::alteration::{covered_with_snow, lamps, stickered};
use super::attack::attacked;
use super::photograph::SignImage;
use super::poster;
use crate::scenario::script::{Attack, AttackKind};
use crate::scenario::sign::{self, CLASS_NAMES, ForeignSign};
use crate::scenario::sprite::{FINEST_PX, Sprite};

/// GTSRB class of the stop sign.
const STOP: usize = 14;

/// Share of a sign that an attack covers where nothing is said of its size.
const USUAL_SIZE: f32 = 0.35;
/// Share of a sign that an attack must cover before the sign counts as strange: less is dirt.
pub(super) const STRANGE_SIZE: f32 = 0.15;

/// Signs that no valid sign resembles when they hang upside down.
const NOT_SYMMETRIC: [usize; 5] = [11, STOP, 18, 25, 27];

/// Why a sign is out of distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Something nearly opaque in front of the lens; only where it is asked for, as all that follow.
    CoveredLens,
    /// Paint from a can over a good part of a sign.
    Graffiti,
    /// Black and white strips on a sign.
    Tape,
    /// A sign made of lamps.
    Led,
    /// A sign with hardly any colour left.
    Faded,
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
            Self::Graffiti => "graffiti",
            Self::Tape => "tape",
            Self::Led => "LED sign",
            Self::Faded => "faded",
        }
    }

    /// Whether it affects the whole view, so that no other sign may be seen at the same time.
    pub(super) const fn fills_the_view(self) -> bool {
        matches!(self, Self::Fog | Self::Mud | Self::CoveredLens)
    }

    /// Size in pixels from which on a human sees that something is wrong.
    pub(super) const fn visible_from_px(self) -> f32 {
        match self {
            Self::UnknownSign | Self::Poster | Self::CoveredLens | Self::Led => 26.0,
            Self::Snow | Self::Mud => 30.0,
            Self::Fog => 36.0,
            Self::Stickers | Self::UpsideDown | Self::Graffiti | Self::Tape | Self::Faded => 40.0,
        }
    }
}

/// A sign, a poster, or what is left of one.
pub(super) struct Subject {
    pub(super) image: SignImage,
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
        Self::altered(class, None, &clean(class))
    }

    /// A sign outside of the classes.
    pub(super) fn foreign(sign: ForeignSign) -> Self {
        Self::nameless(sign.name(), Anomaly::UnknownSign, &sign.draw(FINEST_PX))
    }

    /// Something unusual; `class` is shown where the anomaly leaves the choice.
    pub(super) fn unusual(anomaly: Anomaly, class: usize, rng: &mut impl Rng) -> Self {
        match anomaly {
            Anomaly::UnknownSign => Self::foreign(ForeignSign::ALL[class % ForeignSign::ALL.len()]),
            Anomaly::Stickers => Self::altered(STOP, Some(anomaly), &stickered(clean(STOP), rng)),
            Anomaly::UpsideDown => Self::upside_down(NOT_SYMMETRIC[class % NOT_SYMMETRIC.len()]),
            Anomaly::Poster => Self::nameless("poster", anomaly, &poster::draw(FINEST_PX, rng)),
            Anomaly::Graffiti => Self::attacked(class, Attack { kind: AttackKind::Graffiti, size: USUAL_SIZE }, rng),
            Anomaly::Tape => Self::attacked(class, Attack { kind: AttackKind::Tape, size: USUAL_SIZE }, rng),
            Anomaly::Snow | Anomaly::Led | Anomaly::Faded => Self::looking(class, anomaly, rng),
            Anomaly::Fog | Anomaly::Mud | Anomaly::CoveredLens => Self::altered(class, Some(anomaly), &clean(class)),
        }
    }

    /// A sign that was attacked; strange when the attack covers enough of it.
    pub(super) fn attacked(class: usize, attack: Attack, rng: &mut impl Rng) -> Self {
        let anomaly = (attack.size >= STRANGE_SIZE).then_some(match attack.kind {
            AttackKind::Stickers => Anomaly::Stickers,
            AttackKind::Graffiti => Anomaly::Graffiti,
            AttackKind::Tape => Anomaly::Tape,
        });
        Self::altered(class, anomaly, &attacked(clean(class), attack, rng))
    }

    /// A sign of a class with something that its drawing shows: snow, lamps, or nothing but age.
    pub(super) fn looking(class: usize, anomaly: Anomaly, rng: &mut impl Rng) -> Self {
        let drawing = match anomaly {
            Anomaly::Snow => covered_with_snow(clean(class), rng),
            Anomaly::Led => lamps(&clean(class)),
            _ => clean(class),
        };
        Self::altered(class, Some(anomaly), &drawing)
    }

    /// A sign that hangs upside down.
    pub(super) fn upside_down(class: usize) -> Self {
        Self { roll: PI, ..Self::altered(class, Some(Anomaly::UpsideDown), &clean(class)) }
    }

    fn nameless(name: &str, anomaly: Anomaly, drawing: &Pixmap) -> Self {
        let image = SignImage::Drawn(Sprite::new(drawing));
        Self { image, class: None, name: name.into(), anomaly: Some(anomaly), roll: 0.0 }
    }

    fn altered(class: usize, anomaly: Option<Anomaly>, drawing: &Pixmap) -> Self {
        let name = CLASS_NAMES.get(class).copied().unwrap_or_default();
        let image = SignImage::Drawn(Sprite::new(drawing));
        Self { image, class: Some(class), name: name.into(), anomaly, roll: 0.0 }
    }
}

fn clean(class: usize) -> Pixmap {
    sign::draw(class, FINEST_PX)
}
