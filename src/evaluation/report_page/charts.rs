//! Which charts there are.

use std::collections::BTreeMap;

use maud::Markup;

use super::chart::{Axis, Chart, ChartError, LARGE, SMALL, Shape};
use super::palette::Pen;
use crate::evaluation::{FUSED, InDistributionDetector, LEVELS, Ranking, ScoredSet, alarms};

/// Bars of a histogram.
const BINS: usize = 48;
/// Smallest share on logarithmic axes.
const SMALLEST: f64 = 1e-3;
/// Points per decade of the curves of alarm rates.
const POINTS_PER_DECADE: i32 = 20;

/// Pens of all detectors; the fused one comes last, so that it is drawn on top.
pub(super) fn pens<'a>(names: impl Iterator<Item = &'a String>) -> Vec<(&'a str, Pen)> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let single = names.iter().filter(|name| **name != FUSED).enumerate();
    let single = single.map(|(index, name)| (*name, Pen::number(index)));
    let fused = names.iter().filter(|name| **name == FUSED).map(|name| (*name, Pen::FUSED));
    single.chain(fused).collect()
}

/// ROC curves of all detectors, the false alarms on a linear or logarithmic axis.
pub(super) fn roc(
    known: &ScoredSet,
    unknown: &ScoredSet,
    pens: &[(&str, Pen)],
    logarithmic: bool,
) -> Result<Markup, ChartError> {
    let label = "known images alarmed";
    let x = if logarithmic { Axis::log_percent(label, SMALLEST) } else { Axis::percent(label, 1.0) };
    let chance = Shape::Line(steps(SMALLEST).into_iter().map(|share| (share, share)).collect(), Pen::REFERENCE);
    let curve = |&(name, pen): &(&str, Pen)| {
        let roc = Ranking::new(known.scores(name), unknown.scores(name)).roc();
        Shape::Line(if logarithmic { from_smallest(roc) } else { roc }, pen)
    };
    Chart {
        description: "ROC curves: share of OOD images caught over share of known images alarmed".into(),
        size: LARGE,
        x,
        y: Axis::percent("OOD images caught", 1.0),
        shapes: [chance].into_iter().chain(pens.iter().map(curve)).collect(),
    }
    .draw()
}

/// A rising curve without the points left of a logarithmic axis, but for the last of them.
fn from_smallest(curve: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let left = curve.partition_point(|&(x, _)| x <= SMALLEST);
    curve.into_iter().skip(left.saturating_sub(1)).collect()
}

/// Risk-coverage curves of all detectors. `risk` is the share of errors among all images, above 0.
pub(super) fn risk_coverage(known: &ScoredSet, pens: &[(&str, Pen)], risk: f64) -> Result<Markup, ChartError> {
    let curve = |&(name, pen): &(&str, Pen)| {
        let [right, wrong] = known.by_correctness(name);
        Shape::Line(Ranking::new(&right, &wrong).risk_coverage(), pen)
    };
    let constant = Shape::Line(vec![(0.0, risk), (1.0, risk)], Pen::REFERENCE);
    Chart {
        description: "Risk-coverage curves: share of errors among the images that are trusted most".into(),
        size: LARGE,
        x: Axis::percent("images kept, the least suspicious first", 1.0),
        y: Axis::percent("errors among them", (1.5 * risk).min(1.0)),
        shapes: [constant].into_iter().chain(pens.iter().map(curve)).collect(),
    }
    .draw()
}

/// Realised over nominal false-alarm rates of all detectors, those of `fused` with their intervals.
pub(super) fn alarm_rates(
    known: &ScoredSet,
    pens: &[(&str, Pen)],
    fused: Option<&InDistributionDetector>,
) -> Result<Markup, ChartError> {
    let ideal = Shape::Line(vec![(SMALLEST, SMALLEST), (1.0, 1.0)], Pen::REFERENCE);
    let curve = |&(name, pen): &(&str, Pen)| Shape::Line(alarm_curve(known.p_values(name)), pen);
    let shapes = [ideal].into_iter().chain(pens.iter().map(curve)).chain(fused.into_iter().flat_map(estimates));
    Chart {
        description: "Realised over nominal false-alarm rates".into(),
        size: LARGE,
        // Wide enough that the smallest level does not lie on the axis.
        x: Axis::log_percent("nominal false-alarm rate", SMALLEST / 2.0),
        y: Axis::log_percent("realised on known images", SMALLEST / 10.0),
        shapes: shapes.collect(),
    }
    .draw()
}

fn estimates(fused: &InDistributionDetector) -> impl Iterator<Item = Shape> {
    let pen = Pen { width: 3, ..Pen::FUSED };
    let realised = fused.alarm_rate.each().into_iter().zip(fused.alarm_rate_ci.each());
    LEVELS.into_iter().zip(realised).filter_map(move |(level, (rate, interval))| {
        let (rate, interval) = rate.zip(*interval)?;
        Some(Shape::Estimate([f64::from(level), rate, interval.low, interval.high], pen))
    })
}

fn alarm_curve(p_values: &[f32]) -> Vec<(f64, f64)> {
    let rate = |level: f64| alarms(p_values, level as f32) as f64 / p_values.len() as f64;
    steps(SMALLEST).into_iter().map(|level| (level, rate(level))).filter(|(_, rate)| *rate > 0.0).collect()
}

/// Evenly spaced on a logarithmic axis, from `smallest` to 1.
fn steps(smallest: f64) -> Vec<f64> {
    let first = (smallest.log10() * f64::from(POINTS_PER_DECADE)).round() as i32;
    (first..=0).map(|step| 10f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE))).collect()
}

/// How the scores of one detector are distributed over known images and every OOD set.
pub(super) fn histogram(
    name: &str,
    known: &ScoredSet,
    ood: &BTreeMap<String, ScoredSet>,
    pens: &[(&str, Pen)],
    large: bool,
) -> Result<Markup, ChartError> {
    let unknown: Vec<&[f32]> = pens.iter().filter_map(|(set, _)| Some(ood.get(*set)?.scores(name))).collect();
    let ends = range(known.scores(name), &unknown);
    let known = outline(known.scores(name), ends);
    let unknown: Vec<_> = unknown.into_iter().map(|scores| outline(scores, ends)).collect();
    let highest = unknown.iter().chain([&known]).flatten().map(|(_, share)| *share).fold(0.0, f64::max);
    let areas = [Shape::Area(known.clone(), Pen::KNOWN), Shape::Line(known, Pen::KNOWN)];
    let lines = unknown.into_iter().zip(pens).map(|(outline, (_, pen))| Shape::Line(outline, *pen));
    Chart {
        description: format!("Histogram of the scores of {name} on known images and OOD sets"),
        size: if large { (LARGE.0, LARGE.1 / 2 + 100) } else { SMALL },
        x: Axis { label: if large { "fused score" } else { "score" }, ends, logarithmic: false, tick: plain },
        y: Axis::percent("images", (1.05 * highest).max(1e-6)),
        shapes: areas.into_iter().chain(lines).collect(),
    }
    .draw()
}

fn plain(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.abs() >= 1e6 { format!("{rounded:.0e}") } else { rounded.to_string() }
}

/// Ends of the axis: all but the outermost scores of every set, but not so far out that known images become one bar.
fn range(known: &[f32], unknown: &[&[f32]]) -> (f64, f64) {
    let known = sorted(known);
    let unknown: Vec<Vec<f32>> = unknown.iter().map(|scores| sorted(scores)).collect();
    let (low, median, high) = (quantile(&known, 0.005), quantile(&known, 0.5), quantile(&known, 0.99));
    let reach = 2.0 * (high - low).max(f64::from(f32::MIN_POSITIVE));
    let outer = |share: f64| unknown.iter().filter(|scores| !scores.is_empty()).map(move |set| quantile(set, share));
    let start = outer(0.01).fold(low, f64::min).max(median - reach);
    let end = outer(0.99).fold(high, f64::max).min(median + reach);
    if end > start { (start, end) } else { (start - 0.5, start + 0.5) }
}

fn sorted(scores: &[f32]) -> Vec<f32> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// The value that `share` of the sorted ones do not exceed; 0 of nothing.
fn quantile(sorted: &[f32], share: f64) -> f64 {
    let index = (share * sorted.len() as f64) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, |&value| f64::from(value))
}

/// Upper outline of a histogram: shares of the scores in bins; what lies beyond the ends counts in the outermost bins.
fn outline(scores: &[f32], (start, end): (f64, f64)) -> Vec<(f64, f64)> {
    let width = (end - start) / BINS as f64;
    let mut counts = [0_u32; BINS];
    for &score in scores {
        let bin = ((f64::from(score) - start) / width).clamp(0.0, (BINS - 1) as f64) as usize;
        counts[bin] += 1;
    }
    let share = |count: u32| f64::from(count) / scores.len().max(1) as f64;
    let edges = |bin: usize| [start + bin as f64 * width, start + (bin + 1) as f64 * width];
    counts.iter().enumerate().flat_map(|(bin, &count)| edges(bin).map(|edge| (edge, share(count)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fused_is_drawn_last() {
        let names = ["a", "fused", "z"].map(str::to_owned);
        let pens = pens(names.iter());
        assert_eq!(pens, [("a", Pen::number(0)), ("z", Pen::number(1)), ("fused", Pen::FUSED)]);
    }

    #[test]
    fn histograms_count_every_score_once() {
        let scores = [-100.0, 0.0, 0.5, 0.99, 1.0, 7.0, f32::INFINITY, f32::NEG_INFINITY];
        let outline = outline(&scores, (0.0, 1.0));
        assert_eq!(outline.len(), 2 * BINS);
        let sum: f64 = outline.iter().step_by(2).map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert_eq!((outline[0], outline[2 * BINS - 1]), ((0.0, 3.0 / 8.0), (1.0, 4.0 / 8.0)));
    }

    #[test]
    fn the_axis_shows_known_images_whatever_the_outliers() {
        let known: Vec<f32> = (0..1000).map(|image| image as f32 / 1000.0).collect();
        let unknown: Vec<f32> = vec![f32::MAX; 50];
        let (start, end) = range(&known, &[&unknown]);
        assert!((0.0..0.01).contains(&start) && end > 1.0 && end < 5.0, "{start} {end}");
        let (start, end) = range(&[2.0; 5], &[&[]]);
        assert!(start < 2.0 && end > 2.0);
        assert!(range(&[], &[]).0 < range(&[], &[]).1);
    }

    #[test]
    fn alarm_curves_start_at_the_first_alarm() {
        let curve = alarm_curve(&[0.01, 0.5, 0.5, 1.0]);
        assert_eq!(curve[curve.len() - 1], (1.0, 1.0));
        assert!((curve[0].0 - 0.01).abs() < 1e-3 && curve[0].1 == 0.25, "{curve:?}");
        assert_eq!(alarm_curve(&[]), []);
    }

    #[test]
    fn a_curve_enters_a_logarithmic_axis_at_its_best_point() {
        let roc = vec![(0.0, 0.0), (0.0, 0.4), (0.0005, 0.6), (0.5, 0.8), (1.0, 1.0)];
        assert_eq!(from_smallest(roc), [(0.0005, 0.6), (0.5, 0.8), (1.0, 1.0)]);
    }
}
