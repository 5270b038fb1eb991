//! A drive past signs: what stands where, and how one frame of it looks.

mod album;
mod alteration;
mod attack;
mod dirt;
mod disturbance;
mod facade;
mod glare;
mod lens;
mod light;
mod photograph;
mod plan;
mod poster;
mod prop;
mod rain;
mod scenery;
mod sight;
mod snow;
mod subject;
mod surface;
mod troubles;
mod weather;

use std::f32::consts::TAU;

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::glare::Sun;
use self::lens::Lens;
use self::photograph::SignImage;
use self::plan::RoadsideSign;
use self::scenery::Scenery;
use self::sight::Sight;
use self::troubles::Troubles;
use self::weather::{Air, Mud, cover};
use super::canvas::Point;
use super::look::{Camera, SignLook, Veil, put_sign};
use super::picture::{Picture, mix};
use super::script::{Script, Trouble};
use super::sprite::{Pose, Sprite};

pub use album::{Album, AlbumError};
pub use disturbance::Disturbance;
pub use subject::Anomaly;

/// Smallest sign that a detector delivers, in pixels.
const SMALLEST_PX: f32 = 24.0;
/// Largest sign that is still delivered: beyond it the sign is about to leave the frame.
const LARGEST_PX: f32 = 132.0;
/// Share of a sign that mud must hide before the sign counts as seen through mud.
const MUDDY: f32 = 0.5;
/// Share of a sign's light that fog must replace before the sign counts as seen in fog.
const FOGGY: f32 = 0.85;
/// Share of a sign's light from which on fog, rain and snow hide it from every detector.
const INVISIBLE: f32 = 0.97;

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
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// Which one.
    pub anomaly: Anomaly,
    /// Every sign that comes into view from then on has it, in seconds after the start; before, all are normal.
    #[serde(deserialize_with = "super::script::seconds")]
    pub from_secs: f32,
}

/// A drive: every frame can be drawn on its own.
pub struct Drive {
    script: Script,
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
    /// Weather or a fault of the camera that makes it strange, whatever the sign itself is; `None` where nothing does.
    pub disturbance: Option<Disturbance>,
}

impl SeenSign {
    /// Why it is out of distribution: what is unusual about the sign, else what lies over it; `None` when it is not.
    #[must_use]
    pub fn strange(&self) -> Option<&'static str> {
        self.anomaly.map(Anomaly::name).or(self.disturbance.map(Disturbance::name))
    }
}

impl Drive {
    /// Plans a drive in clear weather.
    #[must_use]
    pub fn new(settings: DriveSettings) -> Self {
        Self::of(Script::standard(&settings))
    }

    /// Plans the drive of a scenario.
    #[must_use]
    pub fn of(script: Script) -> Self {
        let signs = plan::signs(&script);
        let scenery = Scenery::new(script.seed, script.duration_secs * script.road.speed_mps, &script.road);
        Self { script, signs, scenery }
    }

    /// Shows photographs instead of drawings of normal signs, where there are some of their class.
    ///
    /// # Errors
    /// [`AlbumError`] when a photograph cannot be read.
    pub fn with_photographs(mut self, album: &Album) -> Result<Self, AlbumError> {
        for (index, sign) in self.signs.iter_mut().enumerate() {
            let (None, Some(class)) = (sign.subject.anomaly, sign.subject.class) else { continue };
            if let Some(track) = album.track(class, self.script.seed ^ (index as u64) << 8)? {
                sign.subject.image = SignImage::Photographed { track, shape: Sprite::shape_of_class(class) };
                (sign.look, sign.pose) = (SignLook::PLAIN, Pose::default());
            }
        }
        Ok(self)
    }

    /// Number of frames of all cameras together.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.script.frames() * self.script.cameras.len().max(1)
    }

    /// Its scenario.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Draws the frame of the first camera at `seconds` after the start and says which signs are in it, nearest first.
    #[must_use]
    pub fn frame(&self, seconds: f32) -> (RgbImage, Vec<SeenSign>) {
        self.frame_of(0, seconds)
    }

    /// Draws what a camera, by its index in the scenario, delivers at `seconds` after the start, and says which signs are
    /// in it, nearest first. A camera that does not exist looks ahead.
    #[must_use]
    pub fn frame_of(&self, camera: usize, seconds: f32) -> (RgbImage, Vec<SeenSign>) {
        let troubles = Troubles::at(&self.script, camera, seconds);
        let seconds = troubles.shown_secs;
        let seed = self.script.seed ^ (camera as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ u64::from(seconds.to_bits()).rotate_left(24));
        let position = self.script.road.speed_mps * seconds;
        let still = self.still(camera);
        let lens = self.lens(camera, seconds);
        let moment = self.script.moment(seconds);
        let sight = Sight {
            air: Air::at(position, &self.signs, &moment),
            mud: Mud::at(position, &self.signs, &still),
            sun: Sun::at(&lens, moment.low_sun),
            dirt: troubles.dirt(self.script.width),
            lens,
            moment,
            position,
            seconds,
        };
        let mut picture = self.scene(&sight);
        self.fall(&mut picture, &sight, seed);
        self.cover_lens(&mut picture, &sight, &troubles);
        self.camera(seconds, sight.moment.night, &mut rng).expose(&mut picture);
        let seen = self.ahead(position).filter_map(|sign| self.seen(sign, &sight, &troubles, &mut rng)).collect();
        (troubles.spoil(picture.to_image(), seed ^ u64::from(seconds.to_bits())), seen)
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

    /// The lens of a camera when the road does not shake it.
    fn still(&self, camera: usize) -> Lens {
        self.mounted(camera, (0.0, 0.0))
    }

    /// The lens of a camera, shaken by the road.
    fn lens(&self, camera: usize, seconds: f32) -> Lens {
        let bounce = (2.2 * (1.7 * seconds).sin(), 1.6 * (9.1 * seconds).sin() + 1.2 * (5.3 * seconds).cos());
        let scale = self.script.width as f32 / 1280.0;
        self.mounted(camera, (bounce.0 * scale, bounce.1 * scale))
    }

    fn mounted(&self, camera: usize, bounce: Point) -> Lens {
        let lens = Lens::new(self.script.width, self.script.height, bounce);
        match self.script.cameras.get(camera) {
            Some(mount) => lens.mounted(mount.offset_m, mount.yaw_deg.to_radians()),
            None => lens,
        }
    }

    /// Everything in front of the camera, painted from far to near.
    fn scene(&self, sight: &Sight) -> Picture {
        let Sight { lens, air, position, .. } = sight;
        let mut picture = self.scenery.backdrop(lens, *position, air);
        let mut far = f32::MAX;
        for sign in self.ahead(*position).rev() {
            let distance = sign.position - position;
            self.scenery.paint_props(&mut picture, lens, *position, air, distance, far);
            paint_sign(&mut picture, sign, lens, distance, air);
            far = distance;
        }
        self.scenery.paint_props(&mut picture, lens, *position, air, 0.0, far);
        picture
    }

    /// What falls from the sky, and the sun.
    fn fall(&self, picture: &mut Picture, sight: &Sight, seed: u64) {
        let Sight { lens, air, moment, .. } = sight;
        // A generator of its own, so that weather leaves everything else as it is.
        let mut rng = ChaCha8Rng::seed_from_u64(!seed ^ u64::from(sight.seconds.to_bits()));
        if moment.rain > 0.0 {
            rain::wet_road(picture, lens, moment.rain, sight.position);
            rain::streaks(picture, lens, moment.rain, &air.light, &mut rng);
        }
        if moment.snow > 0.0 {
            snow::flakes(picture, lens, moment.snow, &air.light, &mut rng);
        }
        if let Some(sun) = &sight.sun {
            sun.shine(picture);
        }
        if moment.rain > 0.0 {
            rain::drops(picture, lens, moment.rain, seed, sight.seconds);
        }
    }

    /// What is on the lens.
    fn cover_lens(&self, picture: &mut Picture, sight: &Sight, troubles: &Troubles) {
        if let Some(mud) = &sight.mud {
            mud.paint(picture);
        }
        if let Some(dirt) = &sight.dirt {
            dirt.paint(picture, sight.air.light.brightness());
        }
        if self.is_covered(sight.position) {
            cover(picture, 1.0);
        }
        let covered = troubles.strength(Trouble::CoveredLens);
        if covered > 0.0 {
            cover(picture, covered);
        }
    }

    /// The camera adapts slowly; by day all within what training crops vary. At night it takes what light there is.
    fn camera(&self, seconds: f32, night: f32, rng: &mut impl Rng) -> Camera {
        let phase = (self.script.seed % 64) as f32;
        let wave = |period: f32| (seconds * TAU / period + phase).sin();
        Camera {
            exposure: (0.97 + 0.15 * wave(13.0)) * (1.0 + 0.2 * night),
            balance: (1.0 + 0.04 * wave(29.0), 1.0 - 0.05 * wave(37.0)),
            contrast: 0.98 + 0.08 * wave(19.0),
            saturation: 0.95 + 0.1 * wave(23.0),
            defocus_px: 0.0,
            motion: (0.0, 0.0),
            noise: (0.011 + 0.003 * wave(17.0)) * (1.0 + 1.2 * night),
            noise_at: rng.random_range(0..1_000_000),
        }
    }

    /// What a detector says about a sign, `None` when it is too small, partly outside, hidden by the weather or, where an
    /// anomaly is to be seen, not visibly affected.
    fn seen(&self, sign: &RoadsideSign, sight: &Sight, troubles: &Troubles, rng: &mut impl Rng) -> Option<SeenSign> {
        let distance = sign.position - sight.position;
        let bounds = sign.bounds(&sight.lens, distance);
        let jitter = std::array::from_fn(|_| rng.random_range(-0.03..0.03));
        let scale = self.script.width as f32 / 1280.0;
        let size = (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]) / scale;
        let smallest = sign.subject.anomaly.map_or(SMALLEST_PX, Anomaly::visible_from_px);
        let affected = match sign.subject.anomaly {
            Some(Anomaly::Mud) => sight.mud.as_ref().is_some_and(|mud| mud.coverage(bounds) > MUDDY),
            Some(Anomaly::Fog) => sight.air.veil(distance).share > FOGGY,
            _ => sight.air.hidden_by_weather(distance) < INVISIBLE,
        };
        let rectangle = detected(bounds, jitter, &sight.lens)?;
        ((smallest..LARGEST_PX).contains(&size) && affected).then(|| SeenSign {
            id: sign.id.clone(),
            rectangle,
            class: sign.subject.class,
            name: sign.subject.name.clone(),
            anomaly: sign.subject.anomaly,
            disturbance: sight.disturbance(troubles, distance, bounds),
        })
    }
}

/// Paints a sign with its pole, as sharp as the camera sees it.
fn paint_sign(picture: &mut Picture, sign: &RoadsideSign, lens: &Lens, distance: f32, air: &Air) {
    const POLE: f32 = 0.04;
    let veil = air.veil(distance);
    let light = air.light.on_object(sign.offset, distance);
    let (left, top) = lens.project(sign.offset - POLE, sign.height, distance);
    let (right, bottom) = lens.project(sign.offset + POLE, 0.0, distance);
    picture.update([left, top, right, bottom], |(x, _), _| {
        let across = 2.0 * (x - left) / (right - left).max(1.0) - 1.0;
        let grey = 0.52 - 0.2 * across * across;
        mix(light.map(|value| grey * value), veil.colour, veil.share)
    });
    let view = sign.view(lens, distance);
    let sprite = sign.subject.image.seen_at(view.radius_px);
    let gain = if sign.shines() { [1.0; 3] } else { air.light.on_sign(sign.offset, distance) };
    put_sign(picture, &sprite, &view, &sign.look, Veil { gain, ..veil });
    let [left, top, right, bottom] = sprite.bounds(&view);
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
