//! Turns frames into rerun entities. Runs on the viewer thread only.

use std::collections::HashMap;

use image::RgbImage;
use rerun::{AsComponents, Boxes2D, Clear, Color, EncodedImage, Image, Scalars, SeriesLines};
use rerun::{StateChange, StateConfiguration, TextDocument, TextLog, TextLogLevel};

use super::deviation::{self, LayerDeviation, UNUSUAL};
use super::layout::{ROS_TIME, blueprint, path};
use super::sink::{Link, Looked};
use super::thread::{Check, Screen};
use super::{
    ViewChange, ViewFrame, ViewPicture, ViewRegion, ViewerError, ViewerOptions, ViewerTarget, feature_map, text,
};
use crate::activation::LayerActivation;
use crate::detector::{DetectorKind, Family};
use crate::frame::encode_jpeg;
use crate::monitor::{FUSED, Verdict};
use crate::stream::ChangeState;

/// Timeline that counts frames.
const FRAME: &str = "frame";

/// Quality of images that arrived raw, 1..100.
const JPEG_QUALITY: u8 = 85;

/// Smallest p-value that the evidence curve tells from others.
const SMALLEST_P: f32 = 1e-6;

/// Width of the rectangles in points of the screen.
const LINE_POINTS: f32 = 1.5;

/// Writes frames to one target.
pub(super) struct Recorder {
    options: ViewerOptions,
    link: Link,
    frame: i64,
    /// Camera of the frame that is being shown.
    camera: Option<String>,
    /// Latest verdict of the focus of every camera.
    last_verdicts: HashMap<Option<String>, Verdict>,
    /// Latest states of every camera, by lane.
    last_states: HashMap<(Option<String>, &'static str), &'static str>,
}

impl Recorder {
    /// Opens the target and describes the curves.
    ///
    /// # Errors
    /// [`ViewerError`] when the target cannot be opened.
    pub(super) fn open(options: ViewerOptions) -> Result<Self, ViewerError> {
        let of_layout = options.clone();
        let link = Link::open(&options.target, options.rotation, move || blueprint(&of_layout))?;
        let recorder =
            Self { options, link, frame: 0, camera: None, last_verdicts: HashMap::new(), last_states: HashMap::new() };
        recorder.describe_curves();
        Ok(recorder)
    }

    /// Where the view goes; for a recording the file that is written.
    pub(super) fn target(&self) -> &ViewerTarget {
        self.link.target()
    }
}

impl Screen for Recorder {
    fn show(&mut self, frame: ViewFrame) -> bool {
        let Some(stream) = self.link.stream() else { return false };
        stream.set_timestamp_nanos_since_epoch(ROS_TIME, frame.stamp_nanos);
        stream.set_time_sequence(FRAME, self.frame);
        self.frame += 1;
        self.camera.clone_from(&frame.camera);
        self.curves(&frame);
        self.states(&frame);
        self.event(&frame);
        if let Some(picture) = &frame.picture {
            self.regions(&frame, picture);
            let deviations = self.deviations(&frame, picture);
            self.focus(&frame, picture, &deviations);
            let words = text::verdict_text(&frame) + &self.deviations_in_words(&deviations);
            self.log(path::VERDICT, &TextDocument::from_markdown(words));
            self.image(frame.picture);
        }
        true
    }

    fn check(&mut self) -> Check {
        match self.link.look() {
            Err(reason) => return Check::Lost(reason),
            Ok(Looked::Waiting) => return Check::Unknown,
            Ok(Looked::Same) => {}
            Ok(Looked::New) => {
                self.describe_curves();
                self.last_verdicts.clear();
                self.last_states.clear();
            }
        }
        self.link.flush().map_or_else(Check::Lost, |()| Check::Arrived)
    }
}

impl Recorder {
    fn log(&self, entity: &str, components: &impl AsComponents) {
        let Some(stream) = self.link.stream() else { return };
        let entity = path::of(self.camera.as_deref(), entity);
        if let Err(error) = stream.log(entity.as_str(), components) {
            tracing::debug!("cannot show {entity}: {error}");
        }
    }

    /// Names, colours and widths of the curves; logged once per stream.
    fn describe_curves(&self) {
        match &self.options.cameras[..] {
            [] => self.describe_curves_of(None),
            cameras => cameras.iter().for_each(|camera| self.describe_curves_of(Some(camera))),
        }
    }

    fn describe_curves_of(&self, camera: Option<&str>) {
        let Some(stream) = self.link.stream() else { return };
        let detectors = self.options.detectors.iter().map(|name| (name.as_str(), curve_color(name), 1.0));
        for (name, color, width) in VERDICT_CURVES.into_iter().chain(detectors) {
            let line = SeriesLines::new().with_names([name]).with_colors([color]).with_widths([width]);
            for parent in [path::P_VALUES, path::EVIDENCE] {
                if let Err(error) = stream.log_static(path::of(camera, &format!("{parent}/{name}")), &line) {
                    tracing::debug!("cannot describe the curve {name}: {error}");
                }
            }
        }
        for (name, color, width) in [CHANGE_CURVE, THRESHOLD_CURVE] {
            let line = SeriesLines::new().with_names([name]).with_colors([color]).with_widths([width]);
            let _ = stream.log_static(path::of(camera, &format!("{}/{name}", path::CHANGE)), &line);
        }
        for (lane, states) in lanes() {
            let (names, colors): (Vec<&str>, Vec<Color>) = states.into_iter().unzip();
            let configuration = StateConfiguration::new().with_values(names).with_colors(colors);
            let _ = stream.log_static(path::of(camera, &format!("{}/{lane}", path::STATES)), &configuration);
        }
    }

    /// The lanes of camera and focus, where their states change.
    fn states(&mut self, frame: &ViewFrame) {
        let camera = frame.change.map_or("", |change| change.state.as_str());
        let focus = frame.focus().map_or("", |focus| focus.verdict.as_str());
        for (lane, state) in [(CAMERA_LANE, camera), (FOCUS_LANE, focus)] {
            // An empty state ends the one before.
            if self.last_states.insert((frame.camera.clone(), lane), state) != Some(state) {
                self.log(&format!("{}/{lane}", path::STATES), &StateChange::single(state));
            }
        }
    }

    fn curves(&self, frame: &ViewFrame) {
        self.curve(ALARM_CURVE.0, frame.alarm_level);
        self.curve(SUSPECT_CURVE.0, frame.suspect_level);
        if let Some(ViewChange { evidence, threshold, .. }) = frame.change {
            // Evidence begins at 0.
            for (name, value) in [(CHANGE_CURVE.0, evidence), (THRESHOLD_CURVE.0, threshold)] {
                self.log(&format!("{}/{name}", path::CHANGE), &Scalars::single((1.0 + value).log10()));
            }
        }
        let Some(focus) = frame.focus() else { return };
        for (name, p_value) in [(FUSED_CURVE.0, focus.p_value), (OBJECT_CURVE.0, focus.object_p_value)] {
            if let Some(p_value) = p_value {
                self.curve(name, p_value);
            }
        }
        for (name, p_value) in &focus.detectors {
            self.curve(name, *p_value);
        }
    }

    fn curve(&self, name: &str, p_value: f32) {
        let evidence = -p_value.max(SMALLEST_P).log10();
        self.log(&format!("{}/{name}", path::P_VALUES), &Scalars::single(f64::from(p_value)));
        self.log(&format!("{}/{name}", path::EVIDENCE), &Scalars::single(f64::from(evidence)));
    }

    /// One line when the verdict of the focus changes.
    fn event(&mut self, frame: &ViewFrame) {
        let Some(focus) = frame.focus() else {
            self.last_verdicts.remove(&frame.camera);
            return;
        };
        if self.last_verdicts.insert(frame.camera.clone(), focus.verdict) != Some(focus.verdict) {
            let line = format!("{} {}: {}", focus.id, focus.verdict.as_str(), focus.label());
            self.log(path::EVENTS, &TextLog::new(line.trim()).with_level(level(focus.verdict)));
        }
    }

    fn regions(&self, frame: &ViewFrame, picture: &ViewPicture) {
        if frame.regions.is_empty() {
            self.log(path::REGIONS, &Clear::flat());
            return;
        }
        let (mins, sizes): (Vec<_>, Vec<_>) =
            frame.regions.iter().map(|region| rectangle(region, picture.image.dimensions())).unzip();
        let boxes = Boxes2D::from_mins_and_sizes(mins, sizes)
            .with_labels(frame.regions.iter().map(ViewRegion::label))
            .with_colors(frame.regions.iter().map(|region| color(region.verdict)))
            .with_radii([rerun::Radius::new_ui_points(LINE_POINTS)])
            .with_show_labels(true);
        self.log(path::REGIONS, &boxes);
    }

    /// The shown layers of the region that has the focus beside the training images.
    fn deviations(&self, frame: &ViewFrame, picture: &ViewPicture) -> Vec<LayerDeviation> {
        let row = frame.focus().and_then(|focus| focus.row);
        let known = self.options.monitor.as_ref().zip(picture.activations.as_ref()).zip(row);
        known.map_or_else(Vec::new, |((monitor, activations), row)| {
            deviation::deviations(monitor, activations, row, &self.options.shown)
        })
    }

    /// Crop, heat, feature maps and patterns of the region that has the focus.
    fn focus(&self, frame: &ViewFrame, picture: &ViewPicture, deviations: &[LayerDeviation]) {
        let Some(focus) = frame.focus() else { return };
        let crop = picture.crop(focus.region);
        let known = picture.activations.as_ref().zip(focus.row);
        let whole = crop.as_ref().unwrap_or(&picture.image);
        let heat = known.and_then(|(activations, row)| deviation::heat_map(whole, activations, row, deviations));
        if let Some(crop) = crop {
            self.pixels(path::FOCUS, crop);
        }
        let Some((activations, row)) = known else { return };
        self.pixels_or_none(path::DEVIATION, heat);
        self.pixels_or_none(path::PATTERNS, deviation::patterns(deviations));
        for &layer in &self.options.shown {
            let Some(activation) = activations.layers.get(layer) else { continue };
            let deviation = deviations.iter().find(|deviation| deviation.layer == layer);
            self.layer(&self.options.layers[layer], activation, row, deviation);
        }
    }

    /// The channels of a layer, those that are most unusual first and framed.
    fn layer(&self, name: &str, layer: &LayerActivation, row: usize, deviation: Option<&LayerDeviation>) {
        let channels = deviation.map_or_else(Vec::new, LayerDeviation::channels);
        let order: Vec<usize> = channels.iter().map(|(channel, _)| *channel).collect();
        let Some((map, tiles)) = feature_map::render_in_order(layer, row, &order) else { return };
        let entity = format!("{}/{name}", path::LAYERS);
        self.pixels(&entity, map);
        let unusual = channels.iter().filter(|(_, p_value)| *p_value <= UNUSUAL);
        let framed = unusual.filter_map(|(channel, p_value)| {
            let tile = tiles.iter().find(|tile| tile.channel == *channel)?;
            Some((tile.rectangle.map(|length| length as f32), format!("channel {channel}, p {p_value:.1e}")))
        });
        let (rectangles, labels): (Vec<[f32; 4]>, Vec<String>) = framed.unzip();
        let entity = format!("{entity}/unusual");
        if rectangles.is_empty() {
            return self.log(&entity, &Clear::flat());
        }
        let corners = rectangles.iter().map(|[left, top, ..]| [*left, *top]);
        let sizes = rectangles.iter().map(|[.., width, height]| [*width, *height]);
        let frames = Boxes2D::from_mins_and_sizes(corners, sizes)
            .with_labels(labels)
            .with_colors([color(Verdict::OutOfDistribution)])
            .with_radii([rerun::Radius::new_ui_points(LINE_POINTS)])
            .with_show_labels(false);
        self.log(&entity, &frames);
    }

    /// Markdown: how much of every layer is unusual.
    fn deviations_in_words(&self, deviations: &[LayerDeviation]) -> String {
        let layers = deviations.iter().map(|deviation| {
            let name = &self.options.layers[deviation.layer];
            text::deviation_text(name, &deviation.channels(), UNUSUAL, deviation.differing_bits())
        });
        layers.collect()
    }

    fn pixels_or_none(&self, entity: &str, pixels: Option<RgbImage>) {
        match pixels {
            Some(pixels) => self.pixels(entity, pixels),
            None => self.log(entity, &Clear::flat()),
        }
    }

    fn pixels(&self, entity: &str, pixels: RgbImage) {
        let size = pixels.dimensions().into();
        self.log(entity, &Image::from_rgb24(pixels.into_raw(), size));
    }

    fn image(&self, picture: Option<ViewPicture>) {
        let Some(ViewPicture { image, jpeg, .. }) = picture else { return };
        if let Some(bytes) = jpeg.or_else(|| encode(&image)) {
            self.log(path::IMAGE, &EncodedImage::new(bytes).with_media_type(rerun::MediaType::JPEG));
        }
    }
}

/// Violet, to be seen on a dark and on a light background.
const FUSED_CURVE: (&str, Color, f32) = (FUSED, Color(rerun::Rgba32::from_rgb(150, 80, 255)), 2.5);
/// All views of the focus together.
const OBJECT_CURVE: (&str, Color, f32) = ("object", Color(rerun::Rgba32::from_rgb(30, 130, 230)), 2.5);
const CHANGE_CURVE: (&str, Color, f32) = ("evidence", Color(rerun::Rgba32::from_rgb(150, 80, 255)), 2.5);
const THRESHOLD_CURVE: (&str, Color, f32) = ("threshold", Color(rerun::Rgba32::from_rgb(230, 60, 60)), 1.0);
const CAMERA_LANE: &str = "camera";
const FOCUS_LANE: &str = "strangest";
const ALARM_CURVE: (&str, Color, f32) = ("alarm level", Color(rerun::Rgba32::from_rgb(230, 60, 60)), 1.0);
const SUSPECT_CURVE: (&str, Color, f32) = ("suspect level", Color(rerun::Rgba32::from_rgb(240, 170, 40)), 1.0);

/// Curves that verdicts are read off: name, colour and width.
pub(super) const VERDICT_CURVES: [(&str, Color, f32); 4] = [FUSED_CURVE, OBJECT_CURVE, ALARM_CURVE, SUSPECT_CURVE];

/// One colour per family of detectors (from Okabe and Ito's palette): there are more detectors than colours that can be
/// told apart, and those of one family tend to agree.
fn curve_color(detector: &str) -> Color {
    let [r, g, b] = match detector.parse().map(DetectorKind::family) {
        Ok(Family::Neuron) => [0, 158, 115],
        Ok(Family::Distribution) => [86, 180, 233],
        Ok(Family::Neighbours) => [204, 121, 167],
        Ok(Family::Logits) => [213, 94, 0],
        Err(_) => [160, 160, 160],
    };
    Color::from_rgb(r, g, b)
}

/// The states of every lane with their colours.
fn lanes() -> [(&'static str, Vec<(&'static str, Color)>); 2] {
    let verdicts = [Verdict::InDistribution, Verdict::Suspect, Verdict::OutOfDistribution, Verdict::Unknown];
    let states = [
        (ChangeState::Nominal, Verdict::InDistribution),
        (ChangeState::Changed, Verdict::OutOfDistribution),
        (ChangeState::Unknown, Verdict::Unknown),
    ];
    [
        (CAMERA_LANE, states.iter().map(|(state, like)| (state.as_str(), color(*like))).collect()),
        (FOCUS_LANE, verdicts.iter().map(|verdict| (verdict.as_str(), color(*verdict))).collect()),
    ]
}

fn color(verdict: Verdict) -> Color {
    let [r, g, b] = verdict.rgb();
    Color::from_rgb(r, g, b)
}

fn level(verdict: Verdict) -> TextLogLevel {
    match verdict {
        Verdict::InDistribution => TextLogLevel::INFO.into(),
        Verdict::OutOfDistribution => TextLogLevel::ERROR.into(),
        Verdict::Suspect | Verdict::Unknown => TextLogLevel::WARN.into(),
    }
}

/// Upper left corner and size; the whole image as itself.
fn rectangle(region: &ViewRegion, (width, height): (u32, u32)) -> ([f32; 2], [f32; 2]) {
    let region = region.region;
    if region.is_whole() {
        return ([0.0, 0.0], [width as f32, height as f32]);
    }
    ([region.x as f32, region.y as f32], [region.width as f32, region.height as f32])
}

fn encode(image: &RgbImage) -> Option<Vec<u8>> {
    encode_jpeg(image, JPEG_QUALITY)
        .map_err(|error| tracing::debug!("cannot encode the image for the viewer: {error}"))
        .ok()
}
