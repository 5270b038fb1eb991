//! What a monitor knows of one layer, beside what an image shows there.

use super::{Monitor, MonitorError};
use crate::activation::Features;
use crate::detector::{Expectation, PatternComparison};

/// One layer of an image beside what its monitor keeps of the training images.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerComparison {
    /// Training means of the predicted class and p-values; `None` where no detector keeps them of this layer.
    pub expectation: Option<Expectation>,
    /// The binary pattern beside the nearest one seen in training; `None` where there are no patterns of this layer.
    pub pattern: Option<PatternComparison>,
}

impl Monitor {
    /// Compares layer `layer` (an index in the layout) of one image with what is kept of the training images. Where several
    /// detectors know a layer, the first one counts.
    ///
    /// # Errors
    /// As [`Monitor::judge`].
    pub fn compare_layer(&self, features: &Features, layer: usize) -> Result<LayerComparison, MonitorError> {
        self.check_features(features)?;
        let detectors = || self.detectors.iter().map(|calibrated| &calibrated.detector);
        Ok(LayerComparison {
            expectation: detectors().find_map(|detector| detector.expectation(features, layer)),
            pattern: detectors().find_map(|detector| detector.compare_pattern(features, layer)),
        })
    }
}
