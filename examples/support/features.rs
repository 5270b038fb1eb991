//! From images to features, judgements and an evaluation, on the road that the node and the command line take.

use activation_monitor::activation::{FeatureBank, Features};
use activation_monitor::calibration::Conditioning;
use activation_monitor::evaluation::{ScoredImage, ScoredSet};
use activation_monitor::frame::{self, Region};
use activation_monitor::model::Classifier;
use activation_monitor::monitor::{FitSettings, Monitor};
use activation_monitor::pipeline::model_id;
use anyhow::Result;
use image::RgbImage;
use ndarray::{Axis, stack};
use rayon::prelude::*;

use super::samples::Sample;

const BATCH: usize = 64;

/// Features of images, in their order.
pub fn features<'a>(classifier: &Classifier, images: impl IntoIterator<Item = &'a RgbImage>) -> Result<Vec<Features>> {
    let input = &classifier.manifest().input;
    let cut = images.into_iter().map(|image| frame::cut(image, Region::WHOLE, input));
    let cut = cut.collect::<Result<Vec<_>, _>>()?;
    let mut features = Vec::with_capacity(cut.len());
    for batch in cut.chunks(BATCH) {
        let views: Vec<_> = batch.iter().map(|image| image.view()).collect();
        let activations = classifier.forward(stack(Axis(0), &views)?.view())?;
        features.extend((0..batch.len()).map(|index| activations.features(index)));
    }
    Ok(features)
}

/// Features of labelled images.
pub fn bank(classifier: &Classifier, samples: &[&Sample]) -> Result<FeatureBank> {
    let mut bank = FeatureBank::new(classifier.layout().clone());
    let features = features(classifier, samples.iter().map(|sample| &sample.image))?;
    for (sample, features) in samples.iter().zip(&features) {
        bank.push(sample.key.clone(), sample.class, features)?;
    }
    Ok(bank)
}

/// What the monitor says about images; `labelled` when their classes are those of the model.
pub fn scored(classifier: &Classifier, monitor: &Monitor, samples: &[Sample], labelled: bool) -> Result<ScoredSet> {
    let features = features(classifier, samples.iter().map(|sample| &sample.image))?;
    let judgements = features.par_iter().map(|features| monitor.judge(features)).collect::<Result<Vec<_>, _>>()?;
    let mut set = ScoredSet::default();
    for (sample, judgement) in samples.iter().zip(&judgements) {
        let class = labelled.then_some(sample.class);
        let image = ScoredImage { key: sample.key.clone(), class, predicted: judgement.predicted_class };
        set.push(image, judgement.results().map(|result| (result.name, result.score, result.p_value)));
    }
    Ok(set)
}

/// Fits all detectors that the model can serve.
pub fn fit_monitor(
    classifier: &Classifier,
    training: &[&Sample],
    calibration: &[&Sample],
    conditioning: Conditioning,
) -> Result<Monitor> {
    let (training, calibration) = (bank(classifier, training)?, bank(classifier, calibration)?);
    let settings = FitSettings { conditioning, ..FitSettings::default() };
    Ok(Monitor::fit(&training, &calibration, classifier.head(), model_id(classifier), &settings)?)
}
