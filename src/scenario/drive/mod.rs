//! A drive past signs: what stands where, and how one frame of it looks.

mod alteration;
mod lens;
mod plan;
mod poster;
mod scenery;
mod subject;
mod weather;

use std::f32::consts::TAU;

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::lens::Lens;
use self::plan::{RoadsideSign, SPEED};
use self::scenery::Scenery;
use self::weather::{Air, Mud, cover};
use super::look::{Camera, put_sign};
use super::picture::{Picture, mix};

pub use subject::Anomaly;

/// Smallest sign that a detector delivers, in pixels.
const SMALLEST_PX: f32 = 24.0;
/// Largest sign that is still delivered: beyond it the sign is about to leave the frame.
const LARGEST_PX: f32 = 132.0;
/// Share of a sign that mud must hide before the sign counts as seen through mud.
const MUDDY: f32 = 0.5;
/// Share of a sign's light that fog must replace before the sign counts as seen in fog.
const FOGGY: f32 = 0.85;

/// Size and length of a drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriveSettings {
    /// Everything random follows from it.
    pub seed: u64,
    /// Length in seconds.
    pub seconds: f32,
    /// Width of the frames in pixels.
    pub width: u32,
    /// Height of the frames in pixels.
    pub height: u32,
    /// What every sign has from some time on, instead of a sign now and then.
    pub lasting: Option<Lasting>,
}

/// An anomaly that does not end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lasting {
    /// Which one.
    pub anomaly: Anomaly,
    /// Every sign that comes into view from then on has it, in seconds after the start; before, all are normal.
    pub from_secs: f32,
}

/// A drive: every frame can be drawn on its own.
pub struct Drive {
    settings: DriveSettings,
    signs: Vec<RoadsideSign>,
    scenery: Scenery,
}

/// A sign in a frame, as a detector would deliver it, with the truth about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenSign {
    /// Stays the same from frame to frame.
    pub id: String,
    /// Left, top, width and height in pixels, inside the frame.
    pub rectangle: [u32; 4],
    /// Index of the class; `None` when it is none of the 43.
    pub class: Option<usize>,
    /// Name of the class or of the object.
    pub name: String,
    /// What is unusual; `None` for a normal sign.
    pub anomaly: Option<Anomaly>,
}

impl Drive {
    /// Plans a drive.
    #[must_use]
    pub fn new(settings: DriveSettings) -> Self {
        let signs = plan::signs(settings.seed, settings.seconds, settings.lasting);
        Self { settings, signs, scenery: Scenery::new(settings.seed, settings.seconds * SPEED) }
    }

    /// Draws the frame at `seconds` after the start and says which signs are in it, nearest first.
    #[must_use]
    pub fn frame(&self, seconds: f32) -> (RgbImage, Vec<SeenSign>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.settings.seed ^ u64::from(seconds.to_bits()).rotate_left(24));
        let lens = self.lens(seconds);
        let position = SPEED * seconds;
        let air = Air::at(position, &self.signs);
        let mud = Mud::at(position, &self.signs, &lens);
        let mut picture = self.scene(&lens, position, &air);
        if let Some(mud) = &mud {
            mud.paint(&mut picture);
        }
        if self.is_covered(position) {
            cover(&mut picture);
        }
        self.camera(seconds, &mut rng).expose(&mut picture);
        let seen =
            self.ahead(position).filter_map(|sign| self.seen(sign, &lens, position, (&air, mud.as_ref()), &mut rng));
        let seen = seen.collect();
        (picture.to_image(), seen)
    }

    /// Signs that the car has not passed and that are close enough to be drawn, nearest first.
    fn ahead(&self, position: f32) -> impl DoubleEndedIterator<Item = &RoadsideSign> {
        self.signs.iter().filter(move |sign| (4.0..100.0).contains(&(sign.position - position)))
    }

    /// Whether something is in front of the lens.
    fn is_covered(&self, position: f32) -> bool {
        let near = |sign: &RoadsideSign| (2.0..42.0).contains(&(sign.position - position));
        self.signs.iter().any(|sign| sign.subject.anomaly == Some(Anomaly::CoveredLens) && near(sign))
    }

    /// The lens shaken by the road.
    fn lens(&self, seconds: f32) -> Lens {
        let bounce = (2.2 * (1.7 * seconds).sin(), 1.6 * (9.1 * seconds).sin() + 1.2 * (5.3 * seconds).cos());
        let scale = self.settings.width as f32 / 1280.0;
        Lens::new(self.settings.width, self.settings.height, (bounce.0 * scale, bounce.1 * scale))
    }

    /// Everything in front of the camera, painted from far to near.
    fn scene(&self, lens: &Lens, position: f32, air: &Air) -> Picture {
        let mut picture = self.scenery.backdrop(lens, position, air);
        let mut far = f32::MAX;
        for sign in self.ahead(position).rev() {
            let distance = sign.position - position;
            self.scenery.paint_props(&mut picture, lens, position, air, distance, far);
            paint_sign(&mut picture, sign, lens, distance, air);
            far = distance;
        }
        self.scenery.paint_props(&mut picture, lens, position, air, 0.0, far);
        picture
    }

    /// The camera adapts slowly; all within what training crops vary.
    fn camera(&self, seconds: f32, rng: &mut impl Rng) -> Camera {
        let phase = (self.settings.seed % 64) as f32;
        let wave = |period: f32| (seconds * TAU / period + phase).sin();
        Camera {
            exposure: 0.97 + 0.15 * wave(13.0),
            balance: (1.0 + 0.04 * wave(29.0), 1.0 - 0.05 * wave(37.0)),
            contrast: 0.98 + 0.08 * wave(19.0),
            saturation: 0.95 + 0.1 * wave(23.0),
            defocus_px: 0.0,
            motion: (0.0, 0.0),
            noise: 0.011 + 0.003 * wave(17.0),
            noise_at: rng.random_range(0..1_000_000),
        }
    }

    /// What a detector says about a sign, `None` when it is too small, partly outside or, where an anomaly is to be seen,
    /// not visibly affected.
    fn seen(
        &self,
        sign: &RoadsideSign,
        lens: &Lens,
        position: f32,
        (air, mud): (&Air, Option<&Mud>),
        rng: &mut impl Rng,
    ) -> Option<SeenSign> {
        let distance = sign.position - position;
        let bounds = sign.subject.sprite.bounds(&sign.view(lens, distance));
        let jitter = std::array::from_fn(|_| rng.random_range(-0.03..0.03));
        let scale = self.settings.width as f32 / 1280.0;
        let size = (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]) / scale;
        let smallest = sign.subject.anomaly.map_or(SMALLEST_PX, Anomaly::visible_from_px);
        let affected = match sign.subject.anomaly {
            Some(Anomaly::Mud) => mud.is_some_and(|mud| mud.coverage(bounds) > MUDDY),
            Some(Anomaly::Fog) => air.veil(distance).share > FOGGY,
            _ => true,
        };
        let rectangle = detected(bounds, jitter, lens)?;
        ((smallest..LARGEST_PX).contains(&size) && affected).then(|| SeenSign {
            id: sign.id.clone(),
            rectangle,
            class: sign.subject.class,
            name: sign.subject.name.clone(),
            anomaly: sign.subject.anomaly,
        })
    }
}

/// Paints a sign with its pole, as sharp as the camera sees it.
fn paint_sign(picture: &mut Picture, sign: &RoadsideSign, lens: &Lens, distance: f32, air: &Air) {
    const POLE: f32 = 0.04;
    let veil = air.veil(distance);
    let (left, top) = lens.project(sign.offset - POLE, sign.height, distance);
    let (right, bottom) = lens.project(sign.offset + POLE, 0.0, distance);
    picture.update([left, top, right, bottom], |(x, _), _| {
        let across = 2.0 * (x - left) / (right - left).max(1.0) - 1.0;
        mix([0.52 - 0.2 * across * across; 3], veil.colour, veil.share)
    });
    let view = sign.view(lens, distance);
    put_sign(picture, &sign.subject.sprite, &view, &sign.look, veil);
    let [left, top, right, bottom] = sign.subject.sprite.bounds(&view);
    picture.with_patch([left - 4.0, top - 4.0, right + 4.0, bottom + 4.0], 8.0, |patch| {
        patch.blur(0.45 + 0.006 * view.radius_px);
        patch.motion_blur(sign.shake.0 * view.radius_px, sign.shake.1);
    });
}

/// The box of a detector: each edge off by a share of the size; `None` when it leaves the frame.
fn detected([left, top, right, bottom]: [f32; 4], jitter: [f32; 4], lens: &Lens) -> Option<[u32; 4]> {
    let (width, height) = (right - left, bottom - top);
    let (left, top) = ((left + jitter[0] * width).round(), (top + jitter[1] * height).round());
    let (right, bottom) = ((right + jitter[2] * width).round(), (bottom + jitter[3] * height).round());
    let inside = left >= 0.0 && top >= 0.0 && right <= lens.width as f32 && bottom <= lens.height as f32;
    (inside && right > left && bottom > top).then_some([
        left as u32,
        top as u32,
        (right - left) as u32,
        (bottom - top) as u32,
    ])
}
