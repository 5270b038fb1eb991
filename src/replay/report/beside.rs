//! What another monitor, or the node, says of the same images.

use maud::{Markup, html};

use super::sections::value;
use crate::replay::compare::{Comparison, Difference};
use crate::replay::figures::{FIGURES, OF_THE_MACHINE};
use crate::replay::tally::Tally;

/// Differences that are on the page.
const MOST_DIFFERENCES: usize = 50;

/// What is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// What it is, as "the other monitor".
    pub name: &'a str,
    /// What differs, image by image.
    pub comparison: &'a Comparison,
    /// Figures of the same bags; `None` where they are not counted.
    pub tally: Option<&'a Tally>,
}

/// The section of a comparison.
pub(super) fn section(beside: &Beside<'_>, total: &Tally) -> Markup {
    let Beside { name, comparison, tally } = beside;
    html! {
        h3 { "Beside " (name) }
        p { (counts(comparison)) }
        @if let Some(tally) = tally { (figures(total, tally)) }
        @if !comparison.differences.is_empty() { (differences(&comparison.differences)) }
    }
}

fn counts(comparison: &Comparison) -> String {
    let Comparison { images, regions, changed_verdicts, changed_classes, new_alarms, gone_alarms, .. } = comparison;
    let unanswered = comparison.only_first + comparison.only_second;
    let unanswered = if unanswered > 0 {
        format!(" {unanswered} images have an answer of one of them alone.")
    } else {
        String::new()
    };
    format!(
        "{images} images with {regions} regions: other verdicts of {changed_verdicts} views and {} objects ({new_alarms} views are out of distribution \
         there alone, {gone_alarms} here alone), other classes of {changed_classes} views, another state of the camera after {} images. Largest change of \
         a p-value: {:.4}.{unanswered}",
        comparison.changed_object_verdicts, comparison.changed_states, comparison.largest_p_value_change,
    )
}

/// The figures that differ, but for those of the machine.
fn figures(here: &Tally, there: &Tally) -> Markup {
    // Faults are put in for one of the two alone.
    let mut here = here.clone();
    here.faults.clear();
    let rows = FIGURES.iter().filter(|figure| !OF_THE_MACHINE.contains(&figure.name));
    let rows = rows.map(|figure| (figure.name, value(figure.name, &here), value(figure.name, there)));
    let rows: Vec<_> = rows.filter(|(_, here, there)| here != there).collect();
    html! {
        @if rows.is_empty() { p { "All figures are the same." } } @else {
            div.scroll {
                table.figures {
                    thead { tr { th { "figures that differ" } th { "here" } th { "there" } } }
                    tbody {
                        @for (name, here, there) in &rows {
                            tr { th.name scope="row" { code { (name) } } td { (here) } td { (there) } }
                        }
                    }
                }
            }
        }
    }
}

fn differences(all: &[Difference]) -> Markup {
    let shown = all.len().min(MOST_DIFFERENCES);
    html! {
        h4 { "The first differences" }
        div.scroll {
            table.figures {
                thead { tr { th { "stamp, s" } th { "topic" } th { "object" } th { "what" } th { "here" } th { "there" } } }
                tbody {
                    @for one in &all[..shown] {
                        tr {
                            th.name scope="row" { (format!("{:.3}", one.stamp_nanos as f64 / 1e9)) }
                            td.name { (one.topic) }
                            td.name { (one.object) }
                            td.name { (one.field) }
                            td.name { (one.first) }
                            td.name { (one.second) }
                        }
                    }
                }
            }
        }
        @if all.len() > shown { p { (all.len() - shown) " more are in comparison.json." } }
    }
}
