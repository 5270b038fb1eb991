//! Galleries of images with what the detectors found in them.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageError, RgbImage};
use maud::{Markup, html};

use crate::calibration::p_text;
use crate::frame::encode_png;

/// Some images worth looking at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gallery {
    /// Heading.
    pub title: String,
    /// What is shown and how it was chosen.
    pub caption: String,
    /// The images, in the order in which they are shown.
    pub exhibits: Vec<Exhibit>,
}

/// One image of a gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhibit {
    /// Name of the image in its set.
    pub key: String,
    /// What the network saw: the image cut out and resized to its input.
    pub image: RgbImage,
    /// Name of the predicted class.
    pub predicted: String,
    /// Name of the true class, where there is one.
    pub truth: Option<String>,
    /// Fused p-value, 0..1.
    pub p_value: f32,
    /// What the most suspicious detectors found, the most suspicious one first.
    pub findings: Vec<Finding>,
}

/// What one detector found in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Name of the detector.
    pub detector: String,
    /// Its p-value, 0..1.
    pub p_value: f32,
    /// In words.
    pub text: String,
}

impl Gallery {
    pub(crate) fn render(&self) -> Result<Markup, ImageError> {
        let cards = self.exhibits.iter().map(Exhibit::render).collect::<Result<Vec<Markup>, ImageError>>()?;
        Ok(html! {
            h3 { (self.title) }
            p.caption { (self.caption) }
            div.gallery { @for card in cards { (card) } }
        })
    }
}

impl Exhibit {
    fn render(&self) -> Result<Markup, ImageError> {
        let wrong = self.truth.as_ref().filter(|truth| **truth != self.predicted);
        Ok(html! {
            figure.card {
                img src=(data_uri(&self.image)?) alt=(self.key) title=(self.key);
                figcaption {
                    p { strong { (self.predicted) } @if let Some(truth) = wrong { br; span.wrong { "is: " (truth) } } }
                    p { (p_value(self.p_value)) }
                    @if let [first, others @ ..] = self.findings.as_slice() {
                        p.finding { (first.render()) }
                        @if !others.is_empty() {
                            details {
                                summary { "other detectors" }
                                @for other in others { p.finding { (other.render()) } }
                            }
                        }
                    }
                    p.key { (self.key) }
                }
            }
        })
    }
}

impl Finding {
    fn render(&self) -> Markup {
        html! { b { (self.detector) } " (" (p_value(self.p_value)) "): " (self.text) }
    }
}

/// A p-value that is not broken between lines.
pub(crate) fn p_value(p_value: f32) -> Markup {
    html! { span.p { "p = " (p_text(p_value)) } }
}

/// The image itself as an address.
pub(crate) fn data_uri(image: &RgbImage) -> Result<String, ImageError> {
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(encode_png(image)?)))
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn images_are_their_own_address() {
        let image = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8 * 80, y as u8 * 200, 7]));
        let uri = data_uri(&image).unwrap();
        let encoded = uri.strip_prefix("data:image/png;base64,").unwrap();
        let decoded = image::load_from_memory(&STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(decoded.into_rgb8(), image);
    }

    #[test]
    fn a_wrong_class_is_marked() {
        let exhibit = |truth: Option<&str>| Exhibit {
            key: "a.png".into(),
            image: RgbImage::new(1, 1),
            predicted: "stop".into(),
            truth: truth.map(str::to_owned),
            p_value: 0.00012,
            findings: Vec::new(),
        };
        let html = |truth| exhibit(truth).render().unwrap().into_string();
        assert!(html(Some("yield")).contains("is: yield"));
        assert!(!html(Some("stop")).contains("is: ") && !html(None).contains("is: "));
        assert!(html(None).contains("p = 1.2e-4"), "{}", html(None));
    }
}
