//! The variations that are normal: what light and weather do to a sign, and what a camera does to its picture.

use std::f32::consts::PI;

use rand::Rng;

use super::canvas::Point;
use super::picture::{Picture, luma, mix, smooth_step};
use super::sprite::{Pose, Sprite, View};
use super::texture;

/// How one physical sign differs from its clean drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct SignLook {
    /// Brightness of the whole sign; below 1 when the light comes from behind.
    light: f32,
    /// Change of brightness per unit to the right and downwards.
    slope: Point,
    /// Factor per colour channel: sheeting and age differ.
    tint: [f32; 3],
    /// 0: fresh colours, 1: all colour gone.
    fading: f32,
    /// Depth of smooth stains.
    stain: f32,
    stain_at: Point,
    shadow: Option<Shadow>,
}

/// A shadow with a soft straight edge across the sign.
#[derive(Debug, Clone, PartialEq)]
struct Shadow {
    normal: Point,
    offset: f32,
    softness: f32,
    /// Factor on the brightness in the shadow.
    darkness: f32,
}

impl SignLook {
    /// Draws a look from the normal range.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self {
            light: rng.random_range(0.5..1.08),
            slope: (rng.random_range(-0.1..0.1), rng.random_range(-0.12..0.08)),
            tint: std::array::from_fn(|_| rng.random_range(0.93..1.07)),
            fading: if rng.random_bool(0.2) { rng.random_range(0.1..0.42) } else { rng.random_range(0.0..0.1) },
            stain: rng.random_range(0.0..0.16),
            stain_at: (rng.random_range(0.0..256.0), rng.random_range(0.0..256.0)),
            shadow: rng.random_bool(0.22).then(|| Shadow::random(rng)),
        }
    }

    /// The look of something that shines or was lit when its picture was taken: nothing is changed.
    pub const PLAIN: Self = Self {
        light: 1.0,
        slope: (0.0, 0.0),
        tint: [1.0; 3],
        fading: 0.0,
        stain: 0.0,
        stain_at: (0.0, 0.0),
        shadow: None,
    };

    /// The look with so little colour left as no sign in use has.
    pub fn bleached(self) -> Self {
        Self { fading: 0.88, ..self }
    }

    /// Colour (premultiplied RGBA) of a point of the sign under this look.
    fn apply(&self, point: Point, drawn: [f32; 4]) -> [f32; 4] {
        let alpha = drawn[3];
        let colour = [drawn[0], drawn[1], drawn[2]];
        let pale = 0.25 * alpha + 0.75 * luma(colour);
        let faded = mix(colour, [pale; 3], self.fading);
        let stain = texture::smooth(self.stain_at.0 + 14.0 * point.0, self.stain_at.1 + 14.0 * point.1);
        let light = self.light
            * (1.0 + self.slope.0 * point.0 + self.slope.1 * point.1)
            * (1.0 - self.stain * stain)
            * self.shadow.as_ref().map_or(1.0, |shadow| shadow.brightness(point));
        [faded[0] * self.tint[0] * light, faded[1] * self.tint[1] * light, faded[2] * self.tint[2] * light, alpha]
    }
}

impl Shadow {
    fn random(rng: &mut impl Rng) -> Self {
        let angle = rng.random_range(-PI..PI);
        Self {
            normal: (angle.cos(), angle.sin()),
            offset: rng.random_range(-0.5..0.7),
            softness: rng.random_range(0.05..0.4),
            darkness: rng.random_range(0.45..0.75),
        }
    }

    fn brightness(&self, point: Point) -> f32 {
        let depth = point.0 * self.normal.0 + point.1 * self.normal.1 - self.offset;
        1.0 - (1.0 - self.darkness) * smooth_step(-self.softness, self.softness, depth)
    }
}

impl Pose {
    /// Draws how a normally mounted sign is turned.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut degrees = |reach: f32| rng.random_range(-reach..reach).to_radians();
        Self { yaw: degrees(22.0), pitch: degrees(7.0), roll: degrees(7.0) }
    }
}

/// What lies between the camera and an object: fog, or nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Veil {
    /// Colour of the fog.
    pub colour: [f32; 3],
    /// Share of the light that comes from the fog instead of the object, 0..1.
    pub share: f32,
    /// Light that falls on the object, as factors on its colours in daylight.
    pub gain: [f32; 3],
}

impl Veil {
    /// Clear air by day.
    pub const NONE: Self = Self { colour: [0.0; 3], share: 0.0, gain: [1.0; 3] };
}

/// Draws a sign into a picture.
pub fn put_sign(picture: &mut Picture, sprite: &Sprite, view: &View, look: &SignLook, veil: Veil) {
    let [left, top, right, bottom] = sprite.bounds(view);
    let bounds = [left - 2.0, top - 2.0, right + 3.0, bottom + 3.0];
    picture.update(bounds, |pixel, behind| {
        let point = view.back_project(pixel);
        let lit = look.apply(point, sprite.sample(point, view.radius_px));
        let alpha = lit[3];
        let shown = std::array::from_fn(|channel| lit[channel] * veil.gain[channel]);
        let seen = mix(shown, veil.colour.map(|value| value * alpha), veil.share);
        std::array::from_fn(|channel| seen[channel] + (1.0 - alpha) * behind[channel])
    });
}

/// State of the camera while one picture is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    /// Factor on all colours.
    pub exposure: f32,
    /// White balance: factors on red and blue.
    pub balance: (f32, f32),
    /// Slope of the tone curve around mid-grey.
    pub contrast: f32,
    /// Factor on the distance from grey.
    pub saturation: f32,
    /// Defocus: standard deviation in pixels.
    pub defocus_px: f32,
    /// Length and angle (radians) of the motion blur.
    pub motion: (f32, f32),
    /// Standard deviation of the sensor noise.
    pub noise: f32,
    /// Where in the noise this picture begins.
    pub noise_at: usize,
}

impl Camera {
    /// Draws a state from the normal range for a picture in which a sign measures `radius_px` × 2 pixels: signs that are
    /// close are blurred by more pixels.
    pub fn random(rng: &mut impl Rng, radius_px: f32) -> Self {
        let shaken = rng.random_bool(0.3);
        Self {
            exposure: rng.random_range(-0.75_f32..0.4).exp(),
            balance: (rng.random_range(0.9..1.12), rng.random_range(0.88..1.14)),
            contrast: rng.random_range(0.75..1.2),
            saturation: rng.random_range(0.65..1.2),
            defocus_px: rng.random_range(0.3..(0.5 + 0.02 * radius_px)),
            motion: (if shaken { rng.random_range(0.04..0.16) * radius_px } else { 0.0 }, rng.random_range(-PI..PI)),
            noise: rng.random_range(0.004..0.03),
            noise_at: rng.random_range(0..1_000_000),
        }
    }

    /// Turns a picture of the scene into the picture that the camera delivers.
    pub fn develop(&self, picture: &mut Picture) {
        picture.blur(self.defocus_px);
        picture.motion_blur(self.motion.0, self.motion.1);
        self.expose(picture);
    }

    /// The part of [`develop`](Self::develop) that needs no neighbouring pixels: exposure, colours, tone curve and noise.
    pub fn expose(&self, picture: &mut Picture) {
        let gains = [self.exposure * self.balance.0, self.exposure, self.exposure * self.balance.1];
        for (index, pixel) in picture.pixels.iter_mut().enumerate() {
            let grey = luma(*pixel);
            *pixel = std::array::from_fn(|channel| {
                let vivid = grey + self.saturation * (pixel[channel] - grey);
                let toned = 0.5 + self.contrast * (vivid * gains[channel] - 0.5);
                let noise = self.noise * texture::white(self.noise_at + index * 3 + channel);
                (toned.max(0.02 * self.exposure) + noise).clamp(0.0, 1.0)
            });
        }
    }
}
