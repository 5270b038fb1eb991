//! The faults that one camera has at one moment.

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dirt::Dirt;
use crate::scenario::pixels;
use crate::scenario::script::{Script, Trouble};
use crate::scenario::texture::white;

/// Standard deviation of the strongest noise, as a share of the range of pixels.
const MOST_NOISE: f32 = 0.25;

/// The faults that one camera has at one moment.
pub(super) struct Troubles {
    /// Every fault with its strength; a frozen camera is none once its first image was taken.
    active: Vec<(Trouble, f32)>,
    /// When the image was taken that is delivered, in seconds after the start.
    pub(super) shown_secs: f32,
    seed: u64,
}

impl Troubles {
    pub(super) fn at(script: &Script, camera: usize, seconds: f32) -> Self {
        let name = script.cameras.get(camera).map(|mount| mount.name.as_str());
        let now = |seconds: f32| script.faults.iter().filter(move |fault| fault.concerns(name, seconds));
        let frozen = now(seconds).find(|fault| fault.kind == Trouble::Frozen);
        // The first frame in the span is a new image: it is the one that is repeated.
        let first = frozen.map(|fault| (fault.from_secs * script.rate_hz).ceil() / script.rate_hz);
        let shown_secs = first.map_or(seconds, |first| first.min(seconds));
        let mut active: Vec<(Trouble, f32)> = now(shown_secs)
            .filter(|fault| fault.kind != Trouble::Frozen && fault.strength > 0.0)
            .map(|fault| (fault.kind, fault.strength))
            .collect();
        if shown_secs < seconds {
            active.push((Trouble::Frozen, 1.0));
        }
        Self { active, shown_secs, seed: script.seed ^ camera as u64 }
    }

    /// The strongest of a kind, 0 where there is none.
    pub(super) fn strength(&self, kind: Trouble) -> f32 {
        let of_kind = self.active.iter().filter(|(active, _)| *active == kind);
        of_kind.map(|(_, strength)| *strength).fold(0.0, f32::max)
    }

    /// Mud on the lens for frames `width` pixels wide.
    pub(super) fn dirt(&self, width: u32) -> Option<Dirt> {
        let strength = self.strength(Trouble::Mud);
        (strength > 0.0).then(|| Dirt::new(strength, (self.seed % 200) as f32, width))
    }

    /// The fault that makes a sign strange of which mud hides a share `hidden`.
    pub(super) fn strange(&self, hidden: f32) -> Option<Trouble> {
        let counts = |(kind, strength): &(Trouble, f32)| {
            let amount = if *kind == Trouble::Mud { hidden } else { *strength };
            (amount >= kind.strange_from()).then_some(*kind)
        };
        self.active.iter().find_map(counts)
    }

    /// What faults of lens, sensor and driver make of an image.
    pub(super) fn spoil(&self, image: RgbImage, seed: u64) -> RgbImage {
        self.active.iter().fold(image, |image, &(kind, strength)| match kind {
            Trouble::Blur => pixels::blur(&image, strength),
            Trouble::Exposure => pixels::exposure(image, strength),
            Trouble::Noise => noisy(image, strength, seed),
            Trouble::DeadPixels => pixels::dead_pixels(image, strength),
            Trouble::ChannelOrder => pixels::exchange_channels(image, strength),
            Trouble::Mud | Trouble::CoveredLens | Trouble::Frozen => image,
        })
    }
}

fn noisy(mut image: RgbImage, strength: f32, seed: u64) -> RgbImage {
    let from = ChaCha8Rng::seed_from_u64(seed).random_range(0..1_000_000_usize);
    for (index, value) in image.iter_mut().enumerate() {
        let noise = 255.0 * MOST_NOISE * strength * white(from + index);
        *value = (f32::from(*value) + noise).round().clamp(0.0, 255.0) as u8;
    }
    image
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn script(faults: &str) -> Script {
        let text =
            format!("version: 1\nname: a\nduration_secs: 10\ncameras: [{{name: left}}, {{name: right}}]\n{faults}");
        Script::parse(&text, Path::new("a.yaml")).unwrap()
    }

    #[test]
    fn a_frozen_camera_repeats_the_first_image_of_the_span() {
        let script = script("faults: [{kind: frozen, from_secs: 2.04, to_secs: 4, camera: left}]");
        let shown = |camera: usize, seconds: f32| Troubles::at(&script, camera, seconds).shown_secs;
        assert_eq!([2.0, 2.1, 2.2, 3.9, 4.0].map(|seconds| shown(0, seconds)), [2.0, 2.1, 2.1, 2.1, 4.0]);
        assert_eq!(shown(1, 3.0), 3.0);
        assert_eq!(Troubles::at(&script, 0, 2.1).strange(0.0), None);
        assert_eq!(Troubles::at(&script, 0, 2.2).strange(0.0), Some(Trouble::Frozen));
    }

    #[test]
    fn weak_faults_leave_the_truth_nominal() {
        let strange = |faults: &str, hidden: f32| Troubles::at(&script(faults), 0, 1.0).strange(hidden);
        assert_eq!(strange("faults: [{kind: noise, strength: 0.3}]", 0.0), None);
        assert_eq!(strange("faults: [{kind: noise, strength: 0.5}]", 0.0), Some(Trouble::Noise));
        // Mud counts by what it hides of the sign, not by what there is of it.
        assert_eq!(strange("faults: [{kind: mud, strength: 0.9}]", 0.1), None);
        assert_eq!(strange("faults: [{kind: mud, strength: 0.2}]", 0.4), Some(Trouble::Mud));
    }

    #[test]
    fn noise_is_as_strong_as_it_should_be_and_always_alike() {
        let grey = RgbImage::from_pixel(200, 100, image::Rgb([128; 3]));
        let noisy_grey = noisy(grey.clone(), 0.4, 7);
        assert_eq!(noisy_grey, noisy(grey, 0.4, 7));
        let squares: f32 = noisy_grey.iter().map(|value| (f32::from(*value) - 128.0).powi(2)).sum();
        // 0.4 of a quarter of 255.
        assert!(((squares / 60_000.0).sqrt() - 25.5).abs() < 1.0);
    }
}
