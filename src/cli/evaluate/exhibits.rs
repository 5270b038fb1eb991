//! The images that tell most about a monitor.

use std::collections::BTreeMap;

use anyhow::Context;
use image::{Rgb, RgbImage};
use ndarray::Array3;

use super::{Data, Evaluated, Judge};
use crate::{
    activation::Features,
    dataset::ImageFile,
    evaluation::{
        ScoredImage, ScoredSet,
        report_page::{Exhibit, Finding, Gallery},
    },
    frame::{self, Region},
    monitor::DetectorExplanation,
};

/// Images per gallery.
const IMAGES: usize = 24;

impl Judge<'_> {
    /// The most suspicious known images, and the least suspicious ones of every OOD set.
    pub(super) fn galleries(&self, evaluated: &Evaluated, data: &Data) -> anyhow::Result<Vec<Gallery>> {
        let most = evaluated.known.by_suspicion();
        let mut galleries = vec![Gallery {
            title: "Most suspicious known images".to_owned(),
            caption: format!("The {} known images with the highest fused scores.", most.len().min(IMAGES)),
            exhibits: self.exhibits(&evaluated.known, most.into_iter(), &data.known_files())?,
        }];
        for (name, set) in &evaluated.ood {
            let files: Vec<&ImageFile> = data.ood.get(name).into_iter().flatten().collect();
            let least = set.by_suspicion();
            galleries.push(Gallery {
                title: format!("Least suspicious images of {name}"),
                caption: format!("The {} OOD images with the lowest fused scores.", least.len().min(IMAGES)),
                exhibits: self.exhibits(set, least.into_iter().rev(), &files)?,
            });
        }
        Ok(galleries)
    }

    /// Judges the first of the chosen images once more, to explain them.
    fn exhibits(
        &self,
        set: &ScoredSet,
        chosen: impl Iterator<Item = usize>,
        files: &[&ImageFile],
    ) -> anyhow::Result<Vec<Exhibit>> {
        let by_key: BTreeMap<&str, &ImageFile> = files.iter().map(|file| (file.key.as_str(), *file)).collect();
        let images = chosen.take(IMAGES).map(|index| &set.images()[index]);
        let chosen: Vec<(&ScoredImage, &ImageFile)> =
            images.filter_map(|image| Some((image, *by_key.get(image.key.as_str())?))).collect();
        let files: Vec<&ImageFile> = chosen.iter().map(|(_, file)| *file).collect();
        let mut exhibits = Vec::with_capacity(chosen.len());
        self.extractor.run("gallery", &files, |index, features| {
            let (image, file) = chosen[index];
            let exhibit = self.exhibit(image, file, &features).with_context(|| file.path.display().to_string())?;
            exhibits.push(exhibit);
            Ok(())
        })?;
        Ok(exhibits)
    }

    fn exhibit(&self, image: &ScoredImage, file: &ImageFile, features: &Features) -> anyhow::Result<Exhibit> {
        let manifest = self.extractor.classifier.manifest();
        let judgement = self.monitor.judge(features)?;
        let explanations = self.monitor.explain(features, &judgement);
        Ok(Exhibit {
            key: file.key.clone(),
            image: to_image(&frame::cut(&frame::read_file(&file.path)?, Region::WHOLE, &manifest.input)?),
            predicted: manifest.classes[judgement.predicted_class].clone(),
            truth: image.class.map(|class| manifest.classes[class].clone()),
            p_value: judgement.fused.p_value,
            findings: explanations.iter().map(finding).collect(),
        })
    }
}

/// What one detector found, as pages show it.
pub(in crate::cli) fn finding(explanation: &DetectorExplanation) -> Finding {
    Finding { detector: explanation.detector.to_owned(), p_value: explanation.p_value, text: explanation.to_string() }
}

/// The input of the network, `3×H×W`, RGB in 0..1, as an image.
fn to_image(input: &Array3<f32>) -> RgbImage {
    let (_, height, width) = input.dim();
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb([0, 1, 2].map(|channel| (input[(channel, y as usize, x as usize)] * 255.0).round() as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InputSpec;

    #[test]
    fn the_input_is_shown_as_it_is() {
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 100, 255]));
        let input = InputSpec { width: 5, height: 3, region_margin: 0.0 };
        assert_eq!(to_image(&frame::cut(&image, Region::WHOLE, &input).unwrap()), image);
    }
}
