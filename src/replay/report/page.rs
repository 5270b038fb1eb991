//! The report as one self-contained HTML page.

use maud::{Markup, html};

use super::BagReport;
use super::beside::{self, Beside};
use super::sections::{bag_section, figures_table, summary, terms};
use crate::evaluation::Interval;
use crate::evaluation::report_page::{PageError, document, notes, tile};
use crate::replay::figures::{Figure, false_alarm_interval};
use crate::replay::gate::Gate;
use crate::replay::tally::Tally;

const OWN_STYLE: &str = include_str!("style.css");

/// Everything that is on the page.
#[derive(Debug, Clone)]
pub struct ReplayPage<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// What was replayed with what, by name.
    pub facts: Vec<(&'static str, String)>,
    /// What the user should know of the monitor, in sentences.
    pub notes: &'a [String],
    /// The command that made the page.
    pub command: String,
    /// What all bags together give.
    pub total: &'a Tally,
    /// The bags.
    pub bags: &'a [BagReport],
    /// Conditions under which the replay fails.
    pub gate: &'a Gate,
    /// What the bags were compared with.
    pub beside: &'a [Beside<'a>],
}

impl ReplayPage<'_> {
    /// The page as HTML.
    ///
    /// # Errors
    /// [`PageError`] when a chart or a crop cannot be written.
    pub fn html(&self) -> Result<String, PageError> {
        let title = format!("Replay with {}", self.model);
        let bags = self.bags.iter().enumerate().map(|(index, bag)| bag_section(index, bag));
        let bags = bags.collect::<Result<Vec<Markup>, PageError>>()?;
        let body = html! {
            header {
                h1 { (title) }
                nav {
                    a href="#summary" { "Summary" }
                    @for (index, bag) in self.bags.iter().enumerate() { a href={ "#bag-" (index + 1) } { (bag.name) } }
                    @if !self.beside.is_empty() { a href="#comparison" { "Comparison" } }
                    a href="#figures" { "Figures" }
                    a href="#terms" { "Terms" }
                }
                (self.tiles())
                (gate_list(self.gate))
                dl.facts { @for (name, value) in &self.facts { dt { (name) } dd { (value) } } }
                (notes(self.notes))
                pre { code { (self.command) } }
            }
            section id="summary" { h2 { "Summary" } (summary(self.bags, self.total)) }
            @for bag in &bags { (bag) }
            @if !self.beside.is_empty() {
                section id="comparison" { h2 { "Comparison" } @for one in self.beside { (beside::section(one, self.total)) } }
            }
            section id="figures" { h2 { "Figures" } (figures_table(self.total)) }
            section id="terms" { h2 { "Terms" } (terms()) }
        };
        Ok(document(&title, OWN_STYLE, &body))
    }

    fn tiles(&self) -> Markup {
        let figure = |name: &str| Figure::find(name).and_then(|figure| (figure.of)(self.total));
        let interval =
            false_alarm_interval(self.total).map(|Interval { low, high }| format!("95\u{a0}%: {low:.1} to {high:.1}"));
        let tally = self.total;
        html! {
            div.tiles {
                (tile("images", tally.counted.images, format!("{} regions of {} bags", tally.counted.regions, self.bags.len())))
                (tile("alarms", tally.alarms.len(), format!("in {:.2} hours of images", tally.hours())))
                @if let Some(rate) = figure("false_alarms_per_hour") {
                    (tile("false alarms per hour", format!("{rate:.1}"), interval.unwrap_or_default()))
                }
                @if let Some((missed, all)) = figure("missed_anomalies").zip(figure("anomalies")) {
                    (tile("anomalies found", format!("{} of {all}", all - missed), "by any alarm"))
                }
                @if let Some(delay) = figure("detection_delay_secs_p50") {
                    (tile("median delay", seconds(delay), format!("longest {}", seconds(figure("detection_delay_secs_max").unwrap_or(delay)))))
                }
                @if let Some((met, all)) = self.expectations() { (tile("as expected", format!("{met} of {all}"), "scenarios")) }
                @if let Some(accuracy) = figure("accuracy") {
                    (tile("accuracy", format!("{:.1} %", 100.0 * accuracy), format!("{} nominal views", tally.counted.classified)))
                }
            }
        }
    }

    /// Recordings of which something is expected: those that are as expected, and all.
    fn expectations(&self) -> Option<(usize, usize)> {
        let gates = || self.bags.iter().map(|bag| &bag.gate).filter(|gate| !gate.is_empty());
        let met = gates().filter(|gate| gate.failures().next().is_none()).count();
        gates().next().map(|_| (met, gates().count()))
    }
}

/// Conditions, and which of them hold.
pub(super) fn gate_list(gate: &Gate) -> Markup {
    html! {
        @if !gate.is_empty() {
            ul.gate {
                @for (condition, failure) in gate.conditions() {
                    @match failure {
                        None => li.passed { "passed: not " code { (condition) } },
                        Some(failure) => li.failed { "failed: " code { (failure) } },
                    }
                }
            }
        }
    }
}

/// A delay in words.
pub(super) fn seconds(secs: f64) -> String {
    if secs.is_finite() { format!("{secs:.1}\u{a0}s") } else { "missed".to_owned() }
}
