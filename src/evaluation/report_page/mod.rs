//! The report as one self-contained HTML page: style, charts and images are part of it; nothing is loaded from
//! elsewhere, and no script runs. The same evaluation gives the same bytes.

mod chart;
mod charts;
mod gallery;
mod palette;
mod sections;
mod tables;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use chart::ChartError;
pub use gallery::{Exhibit, Finding, Gallery};
pub(crate) use gallery::{data_uri, p_value};

use self::sections::Section;
use super::table::percent;
use super::{AlarmIntervals, AlarmRates, EvaluationReport, FUSED, Interval, ScoredSet};

/// Style that the pages of this program share.
pub(crate) const STYLE: &str = include_str!("style.css");

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
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.header(&title, &sections))
                    @for section in &sections {
                        section id=(section.id) { h2 { (section.title) } (section.content) }
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    fn header(&self, title: &str, sections: &[Section]) -> Markup {
        html! {
            header {
                h1 { (title) }
                nav { @for section in sections { a href={ "#" (section.id) } { (section.title) } } }
                (self.tiles())
                dl.facts { @for (name, value) in &self.facts { dt { (name) } dd { (value) } } }
                @if !self.notes.is_empty() {
                    div.notes { @for note in self.notes { p { (note) } } }
                }
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
                (tile("accuracy", known.accuracy, None, &format!("{} images of {} tracks", known.images, known.tracks)))
                @if let Some(fused) = fused {
                    (alarm_tile("false alarms", &fused.alarm_rate, &fused.alarm_rate_ci))
                }
                @for (name, set) in &self.report.ood {
                    @if let Some(fused) = set.detectors.get(FUSED) {
                        (tile(&format!("AUROC {name}"), fused.auroc, fused.auroc_ci, &format!("{} images", set.images)))
                        (alarm_tile(&format!("{name} alarmed"), &fused.alarm_rate, &fused.alarm_rate_ci))
                    }
                }
            }
        }
    }
}

fn alarm_tile(label: &str, rate: &AlarmRates, interval: &AlarmIntervals) -> Markup {
    tile(label, rate.at_1_percent, interval.at_1_percent, "at a nominal 1\u{a0}%")
}

fn tile(label: &str, value: Option<f64>, interval: Option<Interval>, detail: &str) -> Markup {
    html! {
        div.tile {
            span.label { (label) }
            span.value { (percent(value)) @if value.is_some() { " %" } }
            span.detail {
                @if let Some(Interval { low, high }) = interval {
                    (percent(Some(low))) "–" (percent(Some(high))) "\u{a0}%, "
                }
                (detail)
            }
        }
    }
}

#[cfg(test)]
mod tests;
