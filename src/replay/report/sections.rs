//! The parts of the page.

use maud::{Markup, html};

use super::BagReport;
use super::page::{gate_list, seconds};
use super::timeline_chart::charts;
use crate::evaluation::report_page::{PageError, data_uri, notes, p_value};
use crate::replay::alarms::{Alarm, Cause, Occurrence, Subject};
use crate::replay::figures::{FIGURES, Figure};
use crate::replay::gate::Gate;
use crate::replay::inject::FaultOutcome;
use crate::replay::select::CameraTopics;
use crate::replay::tally::Tally;
use crate::replay::timeline::Timeline;
use crate::replay::warnings::Warning;
use crate::utc::Utc;

/// Alarms of a bag that are on the page; all are in the JSON.
const MOST_ALARMS: usize = 200;

/// Figures that the summary shows of every bag, with the heading of their column.
const SUMMARY: [(&str, &str); 8] = [
    ("images", "images"),
    ("watched_hours", "hours"),
    ("alarms", "alarms"),
    ("false_alarms", "false alarms"),
    ("anomalies", "anomalies"),
    ("missed_anomalies", "missed"),
    ("detection_delay_secs_p50", "median delay, s"),
    ("accuracy", "accuracy"),
];

/// One row per bag, and one for all.
pub(super) fn summary(bags: &[BagReport], total: &Tally) -> Markup {
    let row = |tally: &Tally| {
        html! { @for (name, _) in SUMMARY { td { (value(name, tally)) } } }
    };
    let has_gates = bags.iter().any(|bag| !bag.gate.is_empty());
    html! {
        div.scroll {
            table.figures {
                thead { tr { th { "bag" } @for (_, heading) in SUMMARY { th { (heading) } } @if has_gates { th { "as expected" } } } }
                tbody {
                    @for (index, bag) in bags.iter().enumerate() {
                        tr { th.name scope="row" { a href={ "#bag-" (index + 1) } { (bag.name) } } (row(&bag.tally)) @if has_gates { (as_expected(&bag.gate)) } }
                    }
                    tr.fused { th.name scope="row" { "all" } (row(total)) @if has_gates { td {} } }
                }
            }
        }
    }
}

fn as_expected(gate: &Gate) -> Markup {
    html! {
        @match gate.failures().count() {
            _ if gate.is_empty() => td { "–" },
            0 => td { "yes" },
            failures => td.wrong { "no, " (failures) " of " (gate.conditions().count()) " fail" },
        }
    }
}

/// All figures with what they mean.
pub(super) fn figures_table(total: &Tally) -> Markup {
    html! {
        p { "What " code { "--fail-on" } " can ask for. A dash: nothing is known of it." }
        div.scroll {
            table.figures.meaning {
                thead { tr { th { "figure" } th { "value" } th { "meaning" } } }
                tbody {
                    @for figure in FIGURES {
                        tr {
                            th.name scope="row" { code { (figure.name) } }
                            td { (value(figure.name, total)) }
                            td.words { (figure.description) }
                        }
                    }
                }
            }
        }
    }
}

/// A figure as text.
pub(super) fn value(name: &str, tally: &Tally) -> String {
    match Figure::find(name).and_then(|figure| (figure.of)(tally)) {
        None => "–".to_owned(),
        Some(value) if value.is_infinite() => "∞".to_owned(),
        Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// A bag with its timelines and alarms.
pub(super) fn bag_section(index: usize, bag: &BagReport) -> Result<Markup, PageError> {
    let cameras = bag.cameras.iter().zip(&bag.timelines).map(|(camera, timeline)| camera_part(bag, camera, timeline));
    let cameras = cameras.collect::<Result<Vec<Markup>, PageError>>()?;
    Ok(html! {
        section id={ "bag-" (index + 1) } {
            h2 { (bag.name) }
            @if !bag.description.is_empty() { p { (bag.description) } }
            (gate_list(&bag.gate))
            (notes(&bag.notes))
            @for camera in &cameras { (camera) }
            @if !bag.tally.faults.is_empty() { (fault_table(&bag.tally.faults)) }
        }
    })
}

fn camera_part(bag: &BagReport, camera: &CameraTopics, timeline: &Timeline) -> Result<Markup, PageError> {
    let topic = camera.images.name.as_str();
    let alarms: Vec<&Alarm> = bag.tally.alarms.iter().filter(|alarm| alarm.topic == topic).collect();
    let anomalies: Vec<&Occurrence> = bag.tally.anomalies.iter().filter(|one| one.topic == topic).collect();
    let from = timeline.span_nanos().map_or(0, |(first, _)| first);
    let begin = timeline.span_nanos().map(|(first, _)| Utc::from_nanos(first).readable());
    let rows = alarms.iter().take(MOST_ALARMS).map(|alarm| alarm_row(alarm, from));
    let rows = rows.collect::<Result<Vec<Markup>, PageError>>()?;
    Ok(html! {
        h3 { (topic) }
        p.caption {
            @match &camera.regions { Some(regions) => { "regions of " (regions.name) }, None => { "whole images" } }
            @if let Some(begin) = begin { ", second 0 is " (begin) " UTC" }
        }
        (charts(timeline, &alarms, &anomalies, from)?)
        @if rows.is_empty() { p { "No alarm." } } @else { (alarm_table(&rows, alarms.len() - rows.len())) }
        @if !anomalies.is_empty() { (anomaly_table(&anomalies, from)) }
        @for warning in bag.tally.warnings.iter().filter(|warning| warning.topic == topic) { (warning_line(warning, from)) }
    })
}

/// A stamp as the time since the beginning of the recording.
fn since(nanos: u64, from_nanos: u64) -> String {
    seconds(nanos.saturating_sub(from_nanos) as f64 / 1e9)
}

fn warning_line(warning: &Warning, from_nanos: u64) -> Markup {
    let at = |nanos| since(nanos, from_nanos);
    html! {
        p.caption {
            "The node's diagnostics would have warned from " (at(warning.begin_nanos)) " to " (at(warning.end_nanos)) ": "
            (warning.kind.text()) "."
        }
    }
}

fn alarm_table(rows: &[Markup], more: usize) -> Markup {
    html! {
        h4 { "Alarms" }
        div.scroll {
            table.figures.alarms {
                thead {
                    tr {
                        th { "at" } th { "what" } th { "crop" } th { "for" } th { "smallest p" } th { "predicted as" }
                        th { "nearest class" } th { "truth" } th { "strange because" }
                    }
                }
                tbody { @for row in rows { (row) } }
            }
        }
        @if more > 0 { p { (more) " more alarms are in report.json." } }
    }
}

fn alarm_row(alarm: &Alarm, from_nanos: u64) -> Result<Markup, PageError> {
    let at = |nanos| since(nanos, from_nanos);
    let crop = alarm.crop.as_ref().map(data_uri).transpose()?;
    let lasting = alarm.end_nanos.saturating_sub(alarm.begin_nanos) as f64 / 1e9;
    Ok(html! {
        tr {
            th.name scope="row" {
                (at(alarm.begin_nanos))
                @if let Some((begin, end)) = alarm.onset_nanos { span.ci { "began " (at(begin)) " to " (at(end)) } }
            }
            td.name { (subject(&alarm.subject)) }
            td { @if let Some(crop) = &crop { img src=(crop) alt=(alarm.class_name); } }
            td { (seconds(lasting)) span.ci { (alarm.images) " images" } }
            td { @if alarm.p_value.is_nan() { "–" } @else { (p_value(alarm.p_value)) } }
            td.name { (alarm.class_name) }
            td.name { (alarm.nearest_class_name) }
            td.name { (cause(&alarm.cause)) }
            td.words { (alarm.explanation) }
        }
    })
}

fn anomaly_table(anomalies: &[&Occurrence], from_nanos: u64) -> Markup {
    let at = |nanos| since(nanos, from_nanos);
    html! {
        h4 { "What was strange" }
        div.scroll {
            table.figures {
                thead { tr { th { "anomaly" } th { "from" } th { "to" } th { "images" } th { "found after" } th { "images until then" } } }
                tbody {
                    @for one in anomalies {
                        tr {
                            th.name scope="row" { (one.anomaly) }
                            td { (at(one.begin_nanos)) }
                            td { (at(one.end_nanos)) }
                            td { (one.images) }
                            @match one.found {
                                Some(found) => { td { (seconds(found.delay_secs)) } td { (found.images) } },
                                None => { td.wrong { "missed" } td {} },
                            }
                        }
                    }
                }
            }
        }
    }
}

fn fault_table(faults: &[FaultOutcome]) -> Markup {
    let share =
        |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.0}\u{a0}%", 100.0 * share));
    html! {
        h3 { "Injected faults" }
        p.caption { "The bag once more for each, with the fault in all images from some time on. An alarm or a warning that is there without the fault does not count as finding it." }
        div.scroll {
            table.figures {
                thead {
                    tr {
                        th { "fault" } th { "images" } th { "found after" } th { "images until then" } th { "diagnostics warn after" }
                        th { "regions alarmed or refused" } th { "without the fault" }
                    }
                }
                tbody {
                    @for one in faults {
                        tr {
                            th.name scope="row" { (one.fault) }
                            td { (one.images) }
                            @match (one.found, one.warned_after_secs) {
                                (Some(found), _) => { td { (seconds(found.delay_secs)) } td { (found.images) } },
                                (None, Some(_)) => { td { "–" } td {} },
                                (None, None) => { td.wrong { "missed" } td {} },
                            }
                            td { (one.warned_after_secs.map_or_else(|| "–".to_owned(), seconds)) }
                            td { (share(one.alarm_share)) }
                            td { (share(one.alarm_share_without)) }
                        }
                    }
                }
            }
        }
    }
}

fn subject(subject: &Subject) -> Markup {
    match subject {
        Subject::Object(name) => html! { "object " b { (name) } },
        Subject::Image => html! { "image" },
        Subject::Camera => html! { b { "camera" } },
    }
}

fn cause(cause: &Cause) -> Markup {
    match cause {
        Cause::Anomaly(anomaly) if anomaly.is_empty() => html! { "strange" },
        Cause::Anomaly(anomaly) => html! { (anomaly) },
        Cause::Nominal => html! { span.wrong { "false alarm" } },
        Cause::Unknown => html! { "not known" },
    }
}

pub(super) fn terms() -> Markup {
    html! {
        dl.terms {
            dt { "Alarm" }
            dd { "From the first image on which all views of an object together (a single view where the region has no name) are out of
                distribution, to the last one; or as long as a camera is CHANGED." }
            dt { "False alarm" }
            dd { "An alarm while the ground truth says that nothing was strange. Without ground truth nobody knows." }
            dt { "Anomaly" }
            dd { "Something strange before a camera, as long as it is seen at least every five seconds, whichever objects show it. It is
                found by the first alarm of an object that shows it, or when the camera becomes CHANGED meanwhile." }
            dt { "Delay" }
            dd { "By the stamps of the images, from the first one that shows it." }
            dt { "p" }
            dd { "Share of images of known classes that are at least as strange: small is out of distribution." }
            dt { "Interval" }
            dd { "95 % interval of a rate by Garwood, for alarms that come independently of each other." }
            dt { "Latency" }
            dd { "Decoding, network and detectors of one image on this machine, without waiting." }
        }
    }
}
