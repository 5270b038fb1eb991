//! Tables of figures.

use maud::{Markup, html};

use super::palette::Pen;
use crate::evaluation::table::percent;
use crate::evaluation::{
    AlarmIntervals, AlarmRates, ClassReport, EvaluationReport, FUSED, InDistributionReport, Interval, LEVELS,
    ObjectAlarms, OodReport,
};

/// Width of a class's bar in units of its drawing.
const BAR_WIDTH: f64 = 240.0;
/// Smallest share at the right end of the bars.
const SMALLEST_BAR_END: f64 = 0.1;
/// The bars end at a multiple of this share.
const BAR_STEP: f64 = 0.05;

/// Figures of all detectors on images of known classes.
pub(super) fn known(report: &InDistributionReport, pens: &[(&str, Pen)]) -> Markup {
    let rows = pens.iter().filter_map(|(name, pen)| Some((*name, *pen, report.detectors.get(*name)?)));
    html! {
        table.figures {
            thead {
                tr {
                    th rowspan="2" { "detector" }
                    th colspan="2" { "misclassified images" }
                    th colspan="3" { "realised false-alarm rate at a nominal" }
                }
                tr { th { "AUROC" } th { "AURC" } @for level in LEVELS { th { (percent_of(level)) } } }
            }
            tbody {
                @for (name, pen, detector) in rows {
                    tr.fused[name == FUSED] {
                        (name_cell(name, pen))
                        (figure(detector.misclassification_auroc, detector.misclassification_auroc_ci))
                        (small_figure(detector.aurc, detector.aurc_ci))
                        (alarm_cells(&detector.alarm_rate, &detector.alarm_rate_ci))
                    }
                }
            }
        }
    }
}

/// Figures of all detectors on one OOD set.
pub(super) fn unknown(report: &OodReport, pens: &[(&str, Pen)]) -> Markup {
    let rows = pens.iter().filter_map(|(name, pen)| Some((*name, *pen, report.detectors.get(*name)?)));
    html! {
        table.figures {
            thead {
                tr {
                    th rowspan="2" { "detector" }
                    th rowspan="2" { "AUROC" }
                    th rowspan="2" { "FPR95" }
                    th colspan="2" { "caught at false alarms of" }
                    th rowspan="2" { "detection accuracy" }
                    th colspan="2" { "AUPR" }
                    th colspan="3" { "alarmed at a nominal" }
                }
                tr {
                    @for title in ["1 %", "0.1 %", "out", "in"] { th { (title) } }
                    @for level in LEVELS { th { (percent_of(level)) } }
                }
            }
            tbody {
                @for (name, pen, detector) in rows {
                    tr.fused[name == FUSED] {
                        (name_cell(name, pen))
                        (figure(detector.auroc, detector.auroc_ci))
                        (figure(detector.fpr95, detector.fpr95_ci))
                        (figure(detector.tpr_at_1pct, detector.tpr_at_1pct_ci))
                        (figure(detector.tpr_at_01pct, None))
                        (figure(detector.detection_accuracy, None))
                        (figure(detector.aupr_out, None))
                        (figure(detector.aupr_in, None))
                        (alarm_cells(&detector.alarm_rate, &detector.alarm_rate_ci))
                    }
                }
            }
        }
    }
}

/// False alarms of the fused p-value by true class, the highest rate at 1 % first.
pub(super) fn classes(report: &InDistributionReport) -> Markup {
    let mut classes: Vec<(&String, &ClassReport)> = report.classes.iter().collect();
    let rate = |class: &ClassReport| class.alarm_rate.at_1_percent.unwrap_or(0.0);
    classes.sort_by(|a, b| rate(b.1).total_cmp(&rate(a.1)));
    let highest = classes.iter().map(|(_, class)| rate(class)).fold(0.0, f64::max);
    let end = ((1.25 * highest / BAR_STEP).ceil() * BAR_STEP).clamp(SMALLEST_BAR_END, 1.0);
    html! {
        table.figures.classes {
            thead {
                tr {
                    th rowspan="2" { "true class" }
                    th rowspan="2" { "images" }
                    th rowspan="2" { "tracks" }
                    th rowspan="2" { "classified correctly" }
                    th colspan="3" { "false alarms at a nominal" }
                    th rowspan="2" { "rate at 1 %" }
                    th rowspan="2" { "0 to " (percent_of(end as f32)) }
                }
                tr { @for level in LEVELS { th { (percent_of(level)) } } }
            }
            tbody {
                @for (name, class) in classes {
                    tr {
                        td.name { (name) }
                        td { (class.images) }
                        td { (class.tracks) }
                        td { (percent(Some(class.correct as f64 / class.images.max(1) as f64))) }
                        @for alarms in class.alarms.each() { td.zero[*alarms == 0] { (alarms) } }
                        (figure(class.alarm_rate.at_1_percent, class.alarm_rate_ci.at_1_percent))
                        td { (bar(rate(class), class.alarm_rate_ci.at_1_percent, end)) }
                    }
                }
            }
        }
    }
}

/// Verdicts on objects; `None` where there are none.
pub(super) fn objects(report: &EvaluationReport) -> Option<Markup> {
    let known = report.in_distribution.objects.as_ref();
    let row = |name: &str, ranks: Option<(Option<f64>, Option<f64>)>, alarms: &ObjectAlarms| {
        let (auroc, fpr95) = ranks.unwrap_or_default();
        html! {
            tr {
                td.name { (name) }
                td { (alarms.objects) }
                (figure(auroc, None))
                (figure(fpr95, None))
                (alarm_cells(&alarms.alarm_rate, &alarms.alarm_rate_ci))
                (alarm_cells(&alarms.ever_alarm_rate, &alarms.ever_alarm_rate_ci))
            }
        }
    };
    let unknown: Vec<_> = report.ood.iter().filter_map(|(name, set)| Some((name, set.objects.as_ref()?))).collect();
    (known.is_some() || !unknown.is_empty()).then(|| {
        html! {
            table.figures {
                thead {
                    tr {
                        th rowspan="2" { "set" }
                        th rowspan="2" { "objects" }
                        th rowspan="2" { "AUROC" }
                        th rowspan="2" { "FPR95" }
                        th colspan="3" { "alarmed after the last view at a nominal" }
                        th colspan="3" { "alarmed after any view at a nominal" }
                    }
                    tr { @for level in LEVELS.iter().chain(&LEVELS) { th { (percent_of(*level)) } } }
                }
                tbody {
                    @if let Some(alarms) = known { (row("known", None, alarms)) }
                    @for (name, found) in unknown { (row(name, Some((found.auroc, found.fpr95)), &found.alarms)) }
                }
            }
        }
    })
}

/// A rate as a bar with its interval; a thin line marks the nominal 1 %.
fn bar(rate: f64, interval: Option<Interval>, end: f64) -> Markup {
    let place = |share: f64| format!("{:.1}", BAR_WIDTH * (share / end).clamp(0.0, 1.0));
    let colour = Pen::number(3).css();
    html! {
        svg.bar viewBox=(format!("0 0 {BAR_WIDTH} 16")) aria-hidden="true" {
            rect x="0" y="3" width=(place(rate)) height="10" fill=(colour) fill-opacity="0.6" {}
            @if let Some(Interval { low, high }) = interval {
                line x1=(place(low)) y1="8" x2=(place(high)) y2="8" stroke="#222" stroke-width="1.5" {}
            }
            line x1=(place(0.01)) y1="0" x2=(place(0.01)) y2="16" stroke="#888" stroke-width="1" {}
        }
    }
}

/// A line of the legend for every series, the last one (which is drawn on top) first.
pub(super) fn legend(pens: &[(&str, Pen)]) -> Markup {
    html! {
        p.legend {
            @for (name, pen) in pens.last().into_iter().chain(pens.iter().rev().skip(1).rev()) {
                span { (pen.swatch()) " " (name) }
            }
        }
    }
}

fn name_cell(name: &str, pen: Pen) -> Markup {
    html! { th.name scope="row" { (pen.swatch()) " " (name) } }
}

/// One cell per nominal rate.
fn alarm_cells(rates: &AlarmRates, intervals: &AlarmIntervals) -> Markup {
    html! { @for (rate, interval) in rates.each().into_iter().zip(intervals.each()) { (figure(*rate, *interval)) } }
}

/// A share in percent with its interval.
fn figure(value: Option<f64>, interval: Option<Interval>) -> Markup {
    cell(&percent(value), interval.map(|Interval { low, high }| (percent(Some(low)), percent(Some(high)))))
}

/// A share in thousandths with its interval.
fn small_figure(value: Option<f64>, interval: Option<Interval>) -> Markup {
    let thousandths = |share: f64| format!("{:.2} ‰", 1000.0 * share);
    let ends = |Interval { low, high }: Interval| (format!("{:.2}", 1000.0 * low), format!("{:.2}", 1000.0 * high));
    cell(&value.map_or("–".to_owned(), thousandths), interval.map(ends))
}

fn cell(value: &str, interval: Option<(String, String)>) -> Markup {
    html! {
        td { (value) @if let Some((low, high)) = interval { span.ci { (low) "–" (high) } } }
    }
}

/// A nominal rate in percent.
pub(super) fn percent_of(level: f32) -> String {
    format!("{} %", (f64::from(level) * 1e4).round() / 100.0)
}
