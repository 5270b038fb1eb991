//! The results as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use activation_monitor::evaluation::{AlarmRates, OodDetector};
use activation_monitor::monitor::FUSED;

use crate::results::SeedResult;

/// Sets in the order of the columns, with their titles.
const SETS: [(&str, &str); 5] = [
    ("near", "held-out classes"),
    ("cifar10", "CIFAR-10"),
    ("fashion_mnist", "Fashion-MNIST"),
    ("kitti", "KITTI crops"),
    ("noise", "noise"),
];

/// All tables: of the results of the variant `main` after `steps` steps, then the comparison of all variants that have
/// results.
pub fn markdown(variants: &BTreeMap<&str, Vec<SeedResult>>, main: &str, steps: usize) -> String {
    let mut text = "## Traffic signs with held-out classes\n\n".to_owned();
    if let Some(seeds) = variants.get(main).filter(|seeds| !seeds.is_empty()) {
        introduction(&mut text, seeds, steps);
        detectors(&mut text, seeds);
        alarm_rates(&mut text, seeds);
        corruptions(&mut text, seeds);
    }
    compare(&mut text, variants);
    text
}

fn introduction(text: &mut String, seeds: &[SeedResult], steps: usize) {
    let names: Vec<String> = seeds.iter().map(|result| result.seed.to_string()).collect();
    let accuracy = summary(seeds, |result| result.report.in_distribution.accuracy);
    let report = &seeds[0].report;
    let sizes: Vec<String> =
        SETS.iter().filter_map(|(name, title)| Some(format!("{} {title}", report.ood.get(*name)?.images))).collect();
    let _ = write!(
        text,
        "Made by\n\n```sh\ncargo run --release --example benchmark_gtsrb -- --data gtsrb/train --test gtsrb/test --cifar cifar10 \\\n    \
         --fashion fashion-mnist --kitti kitti_drive --steps {steps} --seeds {} \\\n    --markdown docs/results.md\n```\n\n\
         GTSRB without the classes 6 12 15 19 22 25 29 34 39 41: {steps} steps of training on the other 33, 15 % of their tracks kept \
         apart for calibration (`fit --conditioning track`). Judged are {} test images of the known classes against {}. Nothing was fitted, calibrated \
         or thresholded on any of the test or out-of-distribution images; but decoys, architecture, input, pattern bits and fusion rule were chosen while \
         looking at these sets, seed 2 last and least; so these are development figures.\n\n\
         Accuracy on known classes {accuracy} %; model {:.2} MB, {:.2} ms per image. Figures are means over the \
         seeds ± their standard deviation, in %.\n\n",
        names.join(","),
        report.in_distribution.images,
        sizes.join(", "),
        seeds[0].model_bytes as f64 / 1e6,
        seeds[0].forward_ms,
    );
}

fn detectors(text: &mut String, seeds: &[SeedResult]) {
    text.push_str("AUROC / FPR95 (positive: out of distribution), and AUROC of misclassified against correctly classified test images:\n\n");
    row(text, ["detector"].into_iter().chain(SETS.map(|(_, title)| title)).chain(["misclassified"]).map(str::to_owned));
    row(text, (0..SETS.len() + 2).map(|_| "---".to_owned()));
    for name in names(seeds) {
        row(text, [format!("`{name}`")].into_iter().chain(quality(seeds, &name)));
    }
    text.push('\n');
}

/// How well a detector tells every set and misclassified images.
fn quality(seeds: &[SeedResult], name: &str) -> Vec<String> {
    let of_set = |set: &str| {
        let figure = |figure: fn(&OodDetector) -> Option<f64>| {
            summary(seeds, |result| figure(result.report.ood.get(set)?.detectors.get(name)?))
        };
        format!("{} / {}", figure(|detector| detector.auroc), figure(|detector| detector.fpr95))
    };
    let misclassified =
        summary(seeds, |result| result.report.in_distribution.detectors.get(name)?.misclassification_auroc);
    SETS.into_iter().map(|(set, _)| of_set(set)).chain([misclassified]).collect()
}

fn alarm_rates(text: &mut String, seeds: &[SeedResult]) {
    text.push_str(
        "Realised false-alarm rates on the known classes at nominal rates, and what is caught at p ≤ 0.01:\n\n",
    );
    let titles = ["detector", "at 10 %", "at 1 %", "at 0.1 %"];
    let caught = SETS.map(|(_, title)| format!("{title} caught"));
    row(text, titles.into_iter().map(str::to_owned).chain(caught));
    row(text, (0..SETS.len() + 4).map(|_| "---".to_owned()));
    for name in names(seeds) {
        let mut cells = vec![format!("`{name}`")];
        let rates: [fn(&AlarmRates) -> Option<f64>; 3] =
            [|rates| rates.at_10_percent, |rates| rates.at_1_percent, |rates| rates.at_01_percent];
        for rate in rates {
            cells.push(summary(seeds, |result| rate(&result.report.in_distribution.detectors.get(&name)?.alarm_rate)));
        }
        for (set, _) in SETS {
            cells.push(summary(seeds, |result| {
                result.report.ood.get(set)?.detectors.get(&name)?.alarm_rate.at_1_percent
            }));
        }
        row(text, cells.into_iter());
    }
    text.push('\n');
}

fn corruptions(text: &mut String, seeds: &[SeedResult]) {
    text.push_str(
        "Every fourth known test image made worse in five steps (`src/evaluation/corruption.rs`). Each cell: accuracy · share alarmed at \
         p ≤ 0.01 · share alarmed of the misclassified ones, in %:\n\n",
    );
    row(text, ["corruption", "clean", "1", "2", "3", "4", "5"].into_iter().map(str::to_owned));
    row(text, (0..7).map(|_| "---".to_owned()));
    for corruption in seeds[0].corrupted.keys() {
        let mut cells = vec![corruption.clone()];
        for strength in 0..seeds[0].corrupted[corruption].len() {
            let of = |figure: fn(&crate::corrupted::Corrupted) -> Option<f64>| {
                mean(seeds, |result| figure(result.corrupted.get(corruption)?.get(strength)?))
                    .map_or("–".to_owned(), |mean| format!("{:.1}", 100.0 * mean))
            };
            cells.push(format!(
                "{} · {} · {}",
                of(|figures| figures.accuracy),
                of(|figures| figures.alarmed),
                of(|figures| figures.misclassified_alarmed)
            ));
        }
        row(text, cells.into_iter());
    }
    text.push('\n');
}

/// The variants that have results, by the seeds that all of these have.
fn compare(text: &mut String, variants: &BTreeMap<&str, Vec<SeedResult>>) {
    let present: Vec<(&str, &Vec<SeedResult>)> =
        variants.iter().filter(|(_, seeds)| !seeds.is_empty()).map(|(name, seeds)| (*name, seeds)).collect();
    if present.len() < 2 {
        return;
    }
    let everywhere = |seed: u64| present.iter().all(|(_, seeds)| seeds.iter().any(|result| result.seed == seed));
    let _ = write!(
        text,
        "What decoys (training images made into something else, `src/training/decoys.rs`) are good for: the network learns to be undecided \
         about them, that they are a class of their own (`--variant class`), or nothing (`--variant none`). Fused detectors, AUROC / FPR95 \
         in %, for the seeds that all variants were run with:\n\n",
    );
    let titles =
        ["decoys", "seeds", "accuracy"].into_iter().chain(SETS.map(|(_, title)| title)).chain(["misclassified"]);
    row(text, titles.map(str::to_owned));
    row(text, (0..SETS.len() + 4).map(|_| "---".to_owned()));
    for (variant, seeds) in &present {
        let seeds: Vec<SeedResult> = seeds.iter().filter(|result| everywhere(result.seed)).cloned().collect();
        let names: Vec<String> = seeds.iter().map(|result| result.seed.to_string()).collect();
        let accuracy = summary(&seeds, |result| result.report.in_distribution.accuracy);
        row(text, [(*variant).to_owned(), names.join(", "), accuracy].into_iter().chain(quality(&seeds, FUSED)));
    }
    text.push('\n');
}

/// All detectors by name, their fusion at the end.
fn names(seeds: &[SeedResult]) -> Vec<String> {
    let all = seeds[0].report.in_distribution.detectors.keys();
    let (fused, single): (Vec<String>, Vec<String>) = all.cloned().partition(|name| name == FUSED);
    single.into_iter().chain(fused).collect()
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn mean(seeds: &[SeedResult], figure: impl Fn(&SeedResult) -> Option<f64>) -> Option<f64> {
    let values = seeds.iter().map(figure).collect::<Option<Vec<f64>>>()?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean and, for several seeds, sample standard deviation, times 100.
fn summary(seeds: &[SeedResult], figure: impl Fn(&SeedResult) -> Option<f64>) -> String {
    let Some(mean) = mean(seeds, &figure) else { return "–".to_owned() };
    if seeds.len() < 2 {
        return format!("{:.2}", 100.0 * mean);
    }
    let squares: f64 = seeds.iter().filter_map(figure).map(|value| (value - mean).powi(2)).sum();
    format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * (squares / (seeds.len() - 1) as f64).sqrt())
}
