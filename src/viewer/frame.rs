//! What the viewer shows of one image.

use image::{RgbImage, imageops};

use crate::activation::Activations;
use crate::calibration::p_text;
use crate::frame::Region;
use crate::monitor::Verdict;
use crate::stream::ChangeState;

/// One image with its results, on its way to the viewer thread.
#[derive(Debug, Clone)]
pub struct ViewFrame {
    /// Name of the camera, one of [`super::ViewerOptions::cameras`]; `None` where there is only one.
    pub camera: Option<String>,
    /// Stamp of the image in nanoseconds.
    pub stamp_nanos: i64,
    /// One entry per judged region.
    pub regions: Vec<ViewRegion>,
    /// What the images of the camera say over time; `None` without a monitor that is calibrated for streams.
    pub change: Option<ViewChange>,
    /// p-value at or below which a region is suspect.
    pub suspect_level: f32,
    /// p-value at or below which a region is out of distribution.
    pub alarm_level: f32,
    /// Image and activations; `None` between two pictures, when only the curves go on.
    pub picture: Option<ViewPicture>,
}

/// State of a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewChange {
    /// The state.
    pub state: ChangeState,
    /// Evidence for a change, from 0.
    pub evidence: f64,
    /// Evidence from which the camera has changed.
    pub threshold: f64,
}

/// The expensive part of a frame.
#[derive(Debug, Clone)]
pub struct ViewPicture {
    /// Decoded image.
    pub image: RgbImage,
    /// The same as a JPEG file, when it arrived as one.
    pub jpeg: Option<Vec<u8>>,
    /// Activations of the judged regions.
    pub activations: Option<Activations>,
}

/// One region with what was found out about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewRegion {
    /// Name of the region; may be empty.
    pub id: String,
    /// Rectangle.
    pub region: Region,
    /// Name of the predicted class; empty when there is none.
    pub class_name: String,
    /// Softmax score of that class, 0..1.
    pub score: f32,
    /// Verdict.
    pub verdict: Verdict,
    /// Why the verdict is UNKNOWN; empty otherwise.
    pub reason: String,
    /// Fused p-value, where there is one.
    pub p_value: Option<f32>,
    /// p-value of all views of the object together, where there is one.
    pub object_p_value: Option<f32>,
    /// p-value of every detector.
    pub detectors: Vec<(String, f32)>,
    /// Row of the region in the activations.
    pub row: Option<usize>,
}

impl ViewFrame {
    /// The region that deserves attention: the one with the smallest p-value, or else the first.
    #[must_use]
    pub fn focus(&self) -> Option<&ViewRegion> {
        let p_value = |region: &&ViewRegion| region.p_value.unwrap_or(f32::INFINITY);
        self.regions.iter().min_by(|a, b| p_value(a).total_cmp(&p_value(b)))
    }
}

impl ViewPicture {
    /// The pixels of a region; `None` when it does not lie in the image.
    #[must_use]
    pub fn crop(&self, region: Region) -> Option<RgbImage> {
        let (width, height) = self.image.dimensions();
        if region.is_whole() || !region.lies_inside(width, height) {
            return None;
        }
        Some(imageops::crop_imm(&self.image, region.x, region.y, region.width, region.height).to_image())
    }
}

impl ViewRegion {
    /// Short text beside the rectangle, for example `stop 98 % · p 0.41`.
    #[must_use]
    pub fn label(&self) -> String {
        if !self.reason.is_empty() && self.class_name.is_empty() {
            return format!("? {}", self.reason);
        }
        let score = format!("{} {:.0} %", self.class_name, self.score * 100.0);
        self.p_value.map_or(score.clone(), |p_value| format!("{score} · p {}", p_text(p_value)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn region(id: &str, p_value: Option<f32>) -> ViewRegion {
        ViewRegion {
            id: id.into(),
            region: Region { x: 1, y: 0, width: 2, height: 1 },
            class_name: "stop".into(),
            score: 0.984,
            verdict: Verdict::InDistribution,
            reason: String::new(),
            p_value,
            object_p_value: None,
            detectors: vec![("msp".into(), 0.5), ("mahalanobis".into(), 0.02)],
            row: Some(0),
        }
    }

    pub(crate) fn frame(regions: Vec<ViewRegion>) -> ViewFrame {
        ViewFrame {
            camera: None,
            stamp_nanos: 1_000,
            regions,
            change: None,
            suspect_level: 0.05,
            alarm_level: 0.01,
            picture: None,
        }
    }

    #[test]
    fn the_smallest_p_value_has_the_focus() {
        let frame = frame(vec![region("a", None), region("b", Some(0.4)), region("c", Some(0.1))]);
        assert_eq!(frame.focus().unwrap().id, "c");
        assert!(super::tests::frame(vec![]).focus().is_none());
    }

    #[test]
    fn labels_say_class_score_and_p_value_or_the_reason() {
        assert_eq!(region("a", Some(0.4)).label(), "stop 98 % · p 0.400");
        assert_eq!(region("a", Some(0.000_138)).label(), "stop 98 % · p 1.4e-4");
        assert_eq!(region("a", None).label(), "stop 98 %");
        let unknown = ViewRegion { class_name: String::new(), reason: "corrupt".into(), ..region("a", None) };
        assert_eq!(unknown.label(), "? corrupt");
    }

    #[test]
    fn crops_are_the_region_and_never_leave_the_image() {
        let image = RgbImage::from_fn(3, 1, |x, _| image::Rgb([x as u8, 0, 0]));
        let picture = ViewPicture { image, jpeg: None, activations: None };
        let crop = picture.crop(Region { x: 1, y: 0, width: 2, height: 1 }).unwrap();
        assert_eq!(crop.pixels().map(|pixel| pixel.0[0]).collect::<Vec<_>>(), [1, 2]);
        assert!(picture.crop(Region { x: 2, y: 0, width: 2, height: 1 }).is_none());
        assert!(picture.crop(Region::WHOLE).is_none());
    }
}
