//! From an image to a picture.

use std::path::Path;

use anyhow::Context;
use image::RgbImage;
use ndarray::Axis;

use super::source::Shot;
use crate::activation::Features;
use crate::cli::model::ModelArgs;
use crate::frame;
use crate::model::Classifier;
use crate::monitor::{LayerComparison, Levels, Monitor, Verdict};
use crate::pipeline::load_monitor;
use crate::visualize::{ChartError, Detail, LayerChoice, LayerView, Opinion, Scales, Sheet, Subject};

/// The model, the monitor, and what is asked for.
pub(super) struct Studio {
    classifier: Classifier,
    monitor: Option<Monitor>,
    /// Indices of the layers.
    layers: Vec<usize>,
}

/// What is drawn of one image.
pub(super) struct Look {
    subject: Subject,
    layers: Vec<LayerView>,
}

impl Studio {
    /// Loads the model and, where given, its monitor.
    pub(super) fn load(model: &ModelArgs, monitor: Option<&Path>, layer: &LayerChoice) -> anyhow::Result<Self> {
        let classifier = model.load()?;
        let names: Vec<&str> = classifier.layout().layers.iter().map(|layer| layer.name.as_str()).collect();
        let layers = layer.indices(&names)?;
        let monitor = monitor.map(|path| load_monitor(path, &classifier)).transpose()?;
        Ok(Self { classifier, monitor, layers })
    }

    /// Runs the network on an image and compares its activations.
    pub(super) fn look(&self, shot: Shot) -> anyhow::Result<Look> {
        let input = frame::cut(&shot.image, shot.region, &self.classifier.manifest().input);
        let input = input.with_context(|| shot.name.clone())?;
        let activations = self.classifier.forward(input.view().insert_axis(Axis(0)))?;
        let features = activations.features(0);
        let layout = self.classifier.layout();
        let view = |&index: &usize| {
            let comparison = self.compare(&features, index);
            LayerView::of(layout, index, activations.layers.get(index)?, (0, &features), comparison)
        };
        let layers = self.layers.iter().filter_map(view).collect();
        let Shot { name, image, region, .. } = shot;
        Ok(Look { subject: Subject { name, image, region, input, opinion: self.opinion(&features) }, layers })
    }

    fn compare(&self, features: &Features, layer: usize) -> Result<Option<LayerComparison>, String> {
        let compare = |monitor: &Monitor| monitor.compare_layer(features, layer).map_err(|error| error.to_string());
        self.monitor.as_ref().map(compare).transpose()
    }

    fn opinion(&self, features: &Features) -> Opinion {
        let class = features.predicted_class();
        let (verdict, reasons) = self.verdict(features).unzip();
        Opinion {
            class: self.classifier.manifest().classes[class].clone(),
            score: features.softmax()[class],
            verdict,
            reasons: reasons.unwrap_or_default(),
        }
    }

    /// Verdict with fused p-value and reasons; `None` without a monitor.
    fn verdict(&self, features: &Features) -> Option<((Verdict, f32), Vec<String>)> {
        let monitor = self.monitor.as_ref()?;
        Some(match monitor.judge(features) {
            Ok(judgement) => {
                let p_value = judgement.fused.p_value;
                let reasons = monitor.explain(features, &judgement).into_iter();
                let reasons =
                    reasons.map(|reason| format!("{} (p = {:.2e}): {reason}", reason.detector, reason.p_value));
                let heading = "Most suspicious detectors:".to_owned();
                ((Levels::default().verdict(p_value), p_value), [heading].into_iter().chain(reasons).collect())
            }
            Err(error) => ((Verdict::Unknown, f32::NAN), vec![error.to_string()]),
        })
    }

    /// Draws a picture on scales of its layers.
    pub(super) fn draw(&self, look: &Look, scales: &[Scales]) -> Result<RgbImage, ChartError> {
        self.sheet(look, scales).draw()
    }

    /// Width and height of the picture in pixels.
    pub(super) fn size(&self, look: &Look) -> (u32, u32) {
        self.sheet(look, &look.scales()).size()
    }

    fn sheet<'a>(&'a self, look: &'a Look, scales: &'a [Scales]) -> Sheet<'a> {
        let detail = if look.layers.len() == 1 { Detail::Full } else { Detail::Brief };
        let classes = &self.classifier.manifest().classes;
        Sheet { subject: &look.subject, classes, layers: &look.layers, scales, detail }
    }
}

impl Look {
    /// Scales that are large enough for each layer.
    pub(super) fn scales(&self) -> Vec<Scales> {
        self.layers.iter().map(LayerView::scales).collect()
    }

    /// What the picture cannot show, in sentences.
    pub(super) fn remarks(&self) -> Vec<String> {
        self.layers.iter().flat_map(LayerView::remarks).collect()
    }
}
