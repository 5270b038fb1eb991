//! How small p-values can get.

use super::Monitor;

impl Monitor {
    /// The smallest fused p-value that an image can get, whatever it shows; above 0, at most 1. Calibrated by class it is the
    /// smallest over all classes.
    ///
    /// It is `1/(n + 1)` for `n` calibration images, or tracks where those count alike
    /// ([`crate::calibration::Calibrator::p_value`]).
    #[must_use]
    pub fn smallest_p_value(&self) -> f32 {
        self.smallest_p_values().fold(1.0, f32::min)
    }

    /// The smallest alarm level that makes an alarm possible for images of every predicted class; above 0, at most 1. It is the
    /// largest of the classes' smallest p-values: [`Monitor::smallest_p_value`] unless the monitor is calibrated by class.
    ///
    /// Below it there are classes, and below [`Monitor::smallest_p_value`] all of them, for which no image ever alarms.
    #[must_use]
    pub fn reachable_alarm_level(&self) -> f32 {
        self.smallest_p_values().fold(0.0, f32::max)
    }

    /// Per class.
    fn smallest_p_values(&self) -> impl Iterator<Item = f32> {
        (0..self.metadata.layout.classes).map(|class| self.fused.of(class).smallest_p_value())
    }
}

#[cfg(test)]
mod tests {
    use crate::activation::FeatureBank;
    use crate::calibration::Conditioning;
    use crate::detector::DetectorKind;
    use crate::detector::testing::{synthetic_bank, synthetic_image};
    use crate::monitor::model_id::tests::model;
    use crate::monitor::{FitSettings, Monitor};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const CLASSES: usize = 3;

    fn fit(calibration: &FeatureBank, conditioning: Conditioning) -> Monitor {
        let settings =
            FitSettings { conditioning, ..FitSettings::only([DetectorKind::Mahalanobis, DetectorKind::Knn]) };
        Monitor::fit(&synthetic_bank(CLASSES, 60, 1), calibration, None, model(), &settings).unwrap()
    }

    /// Two hundred tracks of class 0, and a hundred and ten of each other one.
    fn uneven() -> FeatureBank {
        let bank = synthetic_bank(CLASSES, 1000, 2);
        let rows: Vec<usize> = (0..bank.len()).filter(|&row| bank.labels()[row] == 0 || row < 1650).collect();
        bank.select(&rows)
    }

    /// The p-value of an image that is like nothing seen before, made to be predicted as `class`.
    fn strangest(monitor: &Monitor, class: usize) -> f32 {
        let mut features = synthetic_image(class, CLASSES, &mut ChaCha8Rng::seed_from_u64(3));
        features.layers.iter_mut().for_each(|layer| layer.mean.invert_axis(ndarray::Axis(0)));
        features.layers[1].mean *= -1.0;
        features.logits.fill(0.0);
        features.logits[class] = 1.0;
        let judgement = monitor.judge(&features).unwrap();
        assert_eq!(judgement.predicted_class, class);
        judgement.fused.p_value
    }

    #[test]
    fn pooled_and_by_track_all_classes_have_the_same_limit() {
        let bank = synthetic_bank(CLASSES, 80, 2);
        // 240 images; tracks have five.
        for (conditioning, others) in [(Conditioning::Pooled, 240.0), (Conditioning::Track, 48.0)] {
            let monitor = fit(&bank, conditioning);
            approx::assert_relative_eq!(monitor.smallest_p_value(), 1.0 / (others + 1.0));
            assert_eq!(monitor.reachable_alarm_level(), monitor.smallest_p_value());
            for class in 0..CLASSES {
                assert_eq!(strangest(&monitor, class), monitor.smallest_p_value());
            }
        }
    }

    #[test]
    fn by_class_the_rarest_class_sets_the_level_that_can_be_reached() {
        let monitor = fit(&uneven(), Conditioning::Class);
        assert_eq!(monitor.fused.classes(), CLASSES, "all classes have enough tracks");
        let by_class: Vec<f32> = (0..CLASSES).map(|class| strangest(&monitor, class)).collect();
        assert_eq!(monitor.smallest_p_value(), by_class.iter().copied().fold(1.0, f32::min));
        assert_eq!(monitor.reachable_alarm_level(), by_class.iter().copied().fold(0.0, f32::max));
        assert!(monitor.reachable_alarm_level() > 1.5 * monitor.smallest_p_value(), "{by_class:?}");
    }
}
