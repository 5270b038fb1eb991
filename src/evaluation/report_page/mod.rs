//! The report as one self-contained HTML page: style, charts and images are part of it; nothing is loaded from
//! elsewhere, and no script runs. The same evaluation gives the same bytes.

pub(crate) mod chart;
mod charts;
mod gallery;
pub(crate) mod palette;
mod parts;
mod sections;
mod tables;

use std::collections::BTreeMap;

use maud::{Markup, html};

pub use chart::ChartError;
pub use gallery::{Exhibit, Finding, Gallery};
pub(crate) use gallery::{data_uri, p_value};
pub(crate) use parts::{document, notes, tile};

use self::sections::Section;
use super::table::percent;
use super::{AlarmIntervals, AlarmRates, EvaluationReport, FUSED, Interval, ScoredSet};

/// Everything that is on the page.
#[derive(Debug, Clone)]
pub struct ReportPage<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// What was evaluated, by name: model, monitor, data.
    pub facts: Vec<(&'static str, String)>,
    /// What the user should know about the monitor, in sentences.
    pub notes: &'a [String],
    /// The command that made the page.
    pub command: String,
    /// The figures.
    pub report: &'a EvaluationReport,
    /// Scores of images of known classes.
    pub known: &'a ScoredSet,
    /// Scores of every OOD set, by its name.
    pub ood: &'a BTreeMap<String, ScoredSet>,
    /// Images to look at.
    pub galleries: Vec<Gallery>,
}

/// A page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// An image of a gallery could not be encoded.
    #[error("cannot encode an image of a gallery: {0}")]
    Image(#[from] image::ImageError),
}

impl ReportPage<'_> {
    /// The page as HTML.
    ///
    /// # Errors
    /// [`PageError`] when a chart or an image cannot be written.
    pub fn html(&self) -> Result<String, PageError> {
        let sections = self.sections()?;
        let title = format!("Evaluation of {}", self.model);
        let body = html! {
            (self.header(&title, &sections))
            @for section in &sections { section id=(section.id) { h2 { (section.title) } (section.content) } }
        };
        Ok(document(&title, "", &body))
    }

    fn header(&self, title: &str, sections: &[Section]) -> Markup {
        html! {
            header {
                h1 { (title) }
                nav { @for section in sections { a href={ "#" (section.id) } { (section.title) } } }
                (self.tiles())
                dl.facts { @for (name, value) in &self.facts { dt { (name) } dd { (value) } } }
                (notes(self.notes))
                pre { code { (self.command) } }
            }
        }
    }

    /// The figures to see first.
    fn tiles(&self) -> Markup {
        let known = &self.report.in_distribution;
        let fused = known.detectors.get(FUSED);
        html! {
            div.tiles {
                (share_tile("accuracy", known.accuracy, None, &format!("{} images of {} tracks", known.images, known.tracks)))
                @if let Some(fused) = fused {
                    (alarm_tile("false alarms", &fused.alarm_rate, &fused.alarm_rate_ci))
                }
                @for (name, set) in &self.report.ood {
                    @if let Some(fused) = set.detectors.get(FUSED) {
                        (share_tile(&format!("AUROC {name}"), fused.auroc, fused.auroc_ci, &format!("{} images", set.images)))
                        (alarm_tile(&format!("{name} alarmed"), &fused.alarm_rate, &fused.alarm_rate_ci))
                    }
                }
            }
        }
    }
}

fn alarm_tile(label: &str, rate: &AlarmRates, interval: &AlarmIntervals) -> Markup {
    share_tile(label, rate.at_1_percent, interval.at_1_percent, "at a nominal 1\u{a0}%")
}

fn share_tile(label: &str, value: Option<f64>, interval: Option<Interval>, detail: &str) -> Markup {
    let share = html! { (percent(value)) @if value.is_some() { " %" } };
    let detail = html! {
        @if let Some(Interval { low, high }) = interval {
            (percent(Some(low))) "–" (percent(Some(high))) "\u{a0}%, "
        }
        (detail)
    };
    tile(label, share, detail)
}

#[cfg(test)]
mod tests;
