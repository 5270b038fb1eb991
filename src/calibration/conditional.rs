//! Calibration per predicted class, with a fall-back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Calibrator, count_groups};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// A class with fewer calibration tracks than this falls back on the images of all classes: its p-values could not fall to
/// the usual alarm level of 1 %. Tracks count, not images: frames of one track are alike.
pub const MIN_CLASS_TRACKS: usize = 100;

/// What an image's score is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conditioning {
    /// The scores of all calibration images: the false-alarm rate holds over all images together.
    #[default]
    Pooled,
    /// The scores of all calibration images, for an image of a new track: the false-alarm rate holds over tracks, at the
    /// price of p-values that do not fall below one in the number of tracks ([`Calibrator::fit_by_track`]).
    Track,
    /// The scores of the calibration images that were predicted to be of the same class, by track: the false-alarm rate
    /// holds for each class, at the price of coarser p-values (Vovk, *Conditional validity of inductive conformal predictors*, ACML
    /// 2012, §3: label-conditional, here with the predicted label since the true one is unknown).
    Class,
}

/// One calibration image as a detector sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// The detector's score; finite.
    pub score: f32,
    /// Predicted class.
    pub class: usize,
    /// Track the image belongs to.
    pub track: &'a str,
}

/// A [`Calibrator`] for all images and, where asked for, one for every class that has enough of them
/// ([`MIN_CLASS_TRACKS`]).
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalCalibrator {
    pooled: Calibrator,
    classes: BTreeMap<usize, Calibrator>,
}

impl ConditionalCalibrator {
    /// Calibrates on held-out images; `None` without images or when a score is not finite.
    #[must_use]
    pub fn fit(samples: &[Sample<'_>], conditioning: Conditioning) -> Option<Self> {
        let pooled = match conditioning {
            Conditioning::Track => by_track(samples)?,
            Conditioning::Pooled | Conditioning::Class => {
                Calibrator::fit(samples.iter().map(|sample| sample.score).collect())?
            }
        };
        let classes = match conditioning {
            Conditioning::Pooled | Conditioning::Track => BTreeMap::new(),
            Conditioning::Class => by_class(samples),
        };
        Some(Self { pooled, classes })
    }

    /// The calibrator for images of a predicted class.
    #[must_use]
    pub fn of(&self, class: usize) -> &Calibrator {
        self.classes.get(&class).unwrap_or(&self.pooled)
    }

    /// The calibrator over all images.
    #[must_use]
    pub fn pooled(&self) -> &Calibrator {
        &self.pooled
    }

    /// Number of classes with a calibrator of their own.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Writes the calibrator over all images, those of the classes below their indices, and the tensor `classes`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.pooled.save(out);
        let indices: Vec<u32> = self.classes.keys().map(|&class| class as u32).collect();
        out.put("classes", &[indices.len()], &indices);
        for (class, calibrator) in &self.classes {
            calibrator.save(&mut out.scope(&class.to_string()));
        }
    }

    /// Uses in place what [`ConditionalCalibrator::save`] wrote.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing, misshapen, or holds numbers that no calibration gives.
    pub fn load(tensors: &TensorReader<'_>) -> Result<Self, StorageError> {
        let load = |&class: &u32| Ok((class as usize, Calibrator::load(&tensors.scope(&class.to_string()))?));
        let classes = tensors.vector::<u32>("classes")?.iter().map(load).collect::<Result<_, StorageError>>()?;
        Ok(Self { pooled: Calibrator::load(tensors)?, classes })
    }
}

fn by_track<'a>(samples: impl IntoIterator<Item = &'a Sample<'a>>) -> Option<Calibrator> {
    Calibrator::fit_by_track(samples.into_iter().map(|sample| (sample.score, sample.track)))
}

fn by_class(samples: &[Sample<'_>]) -> BTreeMap<usize, Calibrator> {
    let mut members: BTreeMap<usize, Vec<&Sample<'_>>> = BTreeMap::new();
    samples.iter().for_each(|sample| members.entry(sample.class).or_default().push(sample));
    let enough = |samples: &[&Sample<'_>]| count_groups(samples.iter().map(|sample| sample.track)) >= MIN_CLASS_TRACKS;
    let large = members.into_iter().filter(|(_, samples)| enough(samples));
    large.filter_map(|(class, samples)| Some((class, by_track(samples)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{TensorFile, Tensors};

    fn tracks() -> Vec<String> {
        (0..100).map(|track| format!("{track:02}")).collect()
    }

    /// Class 0 has 200 images with scores 0 to 199 in a hundred tracks, class 1 150 of five tracks, class 2 few.
    fn samples(tracks: &[String]) -> Vec<Sample<'_>> {
        let track = |index: u8| tracks[usize::from(index)].as_str();
        let many = (0..200u8).map(|score| Sample { score: f32::from(score), class: 0, track: track(score % 100) });
        let five =
            (0..150u8).map(|score| Sample { score: 1000.0 + f32::from(score), class: 1, track: track(score % 5) });
        let few = (0..5).map(|index| Sample { score: 5000.0, class: 2, track: track(index) });
        many.chain(five).chain(few).collect()
    }

    #[test]
    fn only_classes_of_many_tracks_have_their_own_level() {
        let tracks = tracks();
        let samples = samples(&tracks);
        let conditional = ConditionalCalibrator::fit(&samples, Conditioning::Class).unwrap();
        assert_eq!(conditional.classes(), 1);
        approx::assert_relative_eq!(conditional.of(0).p_value(199.5), 1.0 / 101.0);
        approx::assert_relative_eq!(conditional.of(0).p_value(99.5), 51.0 / 101.0);
        for class in [1, 2, 77] {
            assert_eq!(conditional.of(class).p_value(199.5), 156.0 / 356.0, "class {class} falls back");
        }
        let pooled = ConditionalCalibrator::fit(&samples, Conditioning::Pooled).unwrap();
        assert_eq!((pooled.classes(), pooled.of(0).p_value(199.5)), (0, 156.0 / 356.0));
        assert_eq!(ConditionalCalibrator::fit(&[], Conditioning::Class), None);
        let by_track = ConditionalCalibrator::fit(&samples, Conditioning::Track).unwrap();
        approx::assert_relative_eq!(by_track.of(0).smallest_p_value(), 1.0 / 101.0);
        assert_eq!(by_track.classes(), 0);
    }

    #[test]
    fn it_survives_a_file() {
        let tracks = tracks();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration");
        for conditioning in [Conditioning::Pooled, Conditioning::Track, Conditioning::Class] {
            let fitted = ConditionalCalibrator::fit(&samples(&tracks), conditioning).unwrap();
            let mut tensors = Tensors::default();
            fitted.save(&mut tensors.scope("fused"));
            TensorFile::write(&path, "{}", tensors).unwrap();
            let file = TensorFile::open(&path).unwrap();
            assert_eq!(ConditionalCalibrator::load(&file.tensors().scope("fused")).unwrap(), fitted);
        }
    }
}
