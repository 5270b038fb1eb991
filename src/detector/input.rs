//! What detectors are fitted on.

use super::FitError;
use crate::activation::{FeatureBank, Head};

/// Training images and what is known of the model.
#[derive(Debug, Clone)]
pub struct FitInput<'a> {
    /// Features of all training images.
    pub bank: &'a FeatureBank,
    /// Last layer of the model, where it is known.
    pub head: Option<&'a Head>,
    /// Class that stands for none of the others, where the model has one.
    pub decoy_class: Option<usize>,
    correct: Vec<usize>,
    by_class: Vec<Vec<usize>>,
}

impl<'a> FitInput<'a> {
    /// Finds the correctly classified images: only they say what a class looks like to the network.
    ///
    /// # Errors
    /// [`FitError::NoCorrectImages`] when there are none.
    pub fn new(bank: &'a FeatureBank, head: Option<&'a Head>) -> Result<Self, FitError> {
        let correct: Vec<usize> =
            (0..bank.len()).filter(|&row| bank.features(row).predicted_class() == bank.labels()[row]).collect();
        if correct.is_empty() {
            return Err(FitError::NoCorrectImages { images: bank.len() });
        }
        let mut by_class = vec![Vec::new(); bank.layout().classes];
        correct.iter().for_each(|&row| by_class[bank.labels()[row]].push(row));
        Ok(Self { bank, head, decoy_class: None, correct, by_class })
    }

    /// The same for a model one of whose classes stands for none of the others.
    #[must_use]
    pub fn with_decoy_class(self, decoy_class: Option<usize>) -> Self {
        Self { decoy_class, ..self }
    }

    /// Rows of the correctly classified images, rising.
    #[must_use]
    pub fn correct(&self) -> &[usize] {
        &self.correct
    }

    /// Rows of the correctly classified images of every class.
    #[must_use]
    pub fn by_class(&self) -> &[Vec<usize>] {
        &self.by_class
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::testing::{bank, vector_image};

    #[test]
    fn only_correct_images_count() {
        let images = [
            (0, vector_image(&[2.0, 1.0], &[5.0])),
            (1, vector_image(&[2.0, 1.0], &[6.0])),
            (1, vector_image(&[0.0, 1.0], &[7.0])),
        ];
        let bank = bank(&images);
        let input = FitInput::new(&bank, None).unwrap();
        assert_eq!(input.correct(), [0, 2]);
        assert_eq!(input.by_class(), [vec![0], vec![2]]);
        let wrong = bank.select(&[1]);
        assert_eq!(FitInput::new(&wrong, None).unwrap_err(), FitError::NoCorrectImages { images: 1 });
    }
}
