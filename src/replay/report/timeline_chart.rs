//! The course of a camera as charts.

use maud::{Markup, html};

use crate::evaluation::report_page::chart::{Axis, Chart, ChartError, Shape};
use crate::evaluation::report_page::palette::Pen;
use crate::replay::alarms::{Alarm, Occurrence, Subject};
use crate::replay::timeline::{Point, Timeline};

/// Size of a chart in units of its drawing.
const WIDE: (u32, u32) = (2200, 520);
/// Smallest p-value that is told apart.
const SMALLEST_P: f64 = 1e-4;
/// Largest evidence that is shown, in units of the threshold.
const MOST_EVIDENCE: f64 = 100.0;

/// Single views.
const VIEWS: Pen = Pen::number(5);
/// Objects.
const OBJECTS: Pen = Pen::FUSED;
/// Where something is strange by the truth.
const STRANGE: Pen = Pen::number(1);
/// Alarms.
const ALARMS: Pen = Pen { width: 14, ..Pen::number(3) };

/// The charts of a camera with their legend; nothing without images.
pub(super) fn charts(
    timeline: &Timeline,
    alarms: &[&Alarm],
    anomalies: &[&Occurrence],
    from_nanos: u64,
) -> Result<Markup, ChartError> {
    let Some((_, last)) = timeline.span_nanos() else { return Ok(html! { p { "No image was answered." } }) };
    let end = (last.saturating_sub(from_nanos) as f64 / 1e9).max(1e-3);
    let time = || Axis::plain("seconds", (0.0, end));
    let at = |nanos: u64| nanos.saturating_sub(from_nanos) as f64 / 1e9;
    let p_values = Chart {
        description: "p-values of views and objects over time".into(),
        size: WIDE,
        x: time(),
        y: Axis::log_percent("p-value", SMALLEST_P),
        shapes: p_value_shapes(timeline, alarms, anomalies, from_nanos, end, at),
    };
    let evidence = evidence_shapes(timeline, alarms, from_nanos, end, at);
    let evidence = evidence.map(|shapes| Chart {
        description: "evidence that what the camera shows has changed, over time".into(),
        size: WIDE,
        x: time(),
        y: Axis::log_plain("evidence", (1.0, (timeline.threshold * MOST_EVIDENCE).max(10.0))),
        shapes,
    });
    Ok(html! {
        p.legend {
            span { (VIEWS.swatch()) " smallest p-value of a view" }
            span { (OBJECTS.swatch()) " smallest p-value of an object" }
            span { (Pen::REFERENCE.swatch()) " alarm level, threshold" }
            @if !anomalies.is_empty() { span { (STRANGE.swatch()) " strange, by the ground truth" } }
            span { (ALARMS.swatch()) " alarm" }
        }
        figure.chart { (p_values.draw()?) }
        @if let Some(evidence) = evidence { figure.chart { (evidence.draw()?) } }
    })
}

fn p_value_shapes(
    timeline: &Timeline,
    alarms: &[&Alarm],
    anomalies: &[&Occurrence],
    from_nanos: u64,
    end: f64,
    at: impl Fn(u64) -> f64,
) -> Vec<Shape> {
    let strange = anomalies.iter().map(|one| {
        let (begin, end) = (at(one.begin_nanos), at(one.end_nanos));
        Shape::Area(vec![(begin, 1.0), (end.max(begin + 1e-3), 1.0)], STRANGE)
    });
    let level = f64::from(timeline.alarm_level);
    let level = Shape::Line(vec![(0.0, level), (end, level)], Pen::REFERENCE);
    let views = lines(timeline, from_nanos, VIEWS, |point| point.p_value.map(f64::from));
    let objects = lines(timeline, from_nanos, OBJECTS, |point| point.object_p_value.map(f64::from));
    let of_regions = alarms.iter().filter(|alarm| alarm.subject != Subject::Camera);
    let alarms = of_regions.map(|alarm| bar(alarm, SMALLEST_P, &at));
    strange.chain([level]).chain(views).chain(objects).chain(alarms).collect()
}

/// `None` where the camera is not watched.
fn evidence_shapes(
    timeline: &Timeline,
    alarms: &[&Alarm],
    from_nanos: u64,
    end: f64,
    at: impl Fn(u64) -> f64,
) -> Option<Vec<Shape>> {
    let evidence = lines(timeline, from_nanos, OBJECTS, |point| point.evidence);
    if evidence.is_empty() || timeline.threshold <= 1.0 {
        return None;
    }
    let threshold = Shape::Line(vec![(0.0, timeline.threshold), (end, timeline.threshold)], Pen::REFERENCE);
    let of_camera = alarms.iter().filter(|alarm| alarm.subject == Subject::Camera);
    Some([threshold].into_iter().chain(evidence).chain(of_camera.map(|alarm| bar(alarm, 1.0, &at))).collect())
}

/// An alarm as a thick line at the bottom; short ones are made long enough to be seen.
fn bar(alarm: &Alarm, bottom: f64, at: &impl Fn(u64) -> f64) -> Shape {
    let (begin, end) = (at(alarm.begin_nanos), at(alarm.end_nanos));
    Shape::Line(vec![(begin, bottom), (end.max(begin + 0.1), bottom)], ALARMS)
}

/// Lines through the points, broken where nothing was there for a while.
fn lines(timeline: &Timeline, from_nanos: u64, pen: Pen, value: impl Fn(&Point) -> Option<f64>) -> Vec<Shape> {
    let mut lines: Vec<Vec<(f64, f64)>> = Vec::new();
    for (secs, point) in timeline.points(from_nanos) {
        let Some(value) = value(&point) else { continue };
        match lines
            .last_mut()
            .filter(|line| line.last().is_some_and(|last| secs - last.0 <= timeline.longest_gap_secs()))
        {
            Some(line) => line.push((secs, value)),
            None => lines.push(vec![(secs, value)]),
        }
    }
    // A lone point is made long enough to be seen.
    let seen = |line: Vec<(f64, f64)>| match line[..] {
        [(secs, value)] => vec![(secs, value), (secs + 0.05, value)],
        _ => line,
    };
    lines.into_iter().map(|line| Shape::Line(seen(line), pen)).collect()
}
