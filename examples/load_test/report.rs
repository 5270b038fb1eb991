//! The figures as a table and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::options::Scenario;
use super::process;
use super::statistics::{Quantiles, Spread};
use super::subject::Kind;
use super::trial::Trial;

/// One scenario with one program.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name in the table.
    pub name: String,
    /// Which program.
    pub subject: Kind,
    /// What is published.
    pub scenario: Scenario,
    /// Why this cannot be measured with this node.
    pub unavailable: Option<String>,
    /// What went wrong.
    pub failure: Option<String>,
    /// Measured seconds of a repetition.
    pub duration_secs: f64,
    /// How often it is measured.
    pub repetitions: u32,
    /// One per repetition.
    pub trials: Vec<Trial>,
}

/// A figure of a trial; `None` when it was not measured.
type Figure = fn(&Trial) -> Option<f64>;

/// Name in JSON, heading in the table, digits behind the point, value.
const FIGURES: &[(&str, &str, usize, Figure)] = &[
    ("stamp_to_answer_p50_ms", "stamp → answer p50", 2, |trial| quantile(trial.stamp_to_answer_ms, |q| q.p50)),
    ("stamp_to_answer_p95_ms", "p95", 2, |trial| quantile(trial.stamp_to_answer_ms, |q| q.p95)),
    ("stamp_to_answer_p99_ms", "p99", 2, |trial| quantile(trial.stamp_to_answer_ms, |q| q.p99)),
    ("stamp_to_answer_max_ms", "max", 2, |trial| quantile(trial.stamp_to_answer_ms, |q| q.max)),
    ("arrival_to_answer_p50_ms", "arrival → answer p50", 2, |trial| {
        quantile(trial.arrival_to_answer_ms, |q| q.p50).or_else(|| diagnosed(trial, "latency_p50_ms"))
    }),
    ("arrival_to_answer_p99_ms", "p99", 2, |trial| {
        quantile(trial.arrival_to_answer_ms, |q| q.p99).or_else(|| diagnosed(trial, "latency_p99_ms"))
    }),
    ("answered_percent", "answered %", 1, |trial| Some(100.0 * trial.answered_share)),
    ("dropped", "dropped", 0, |trial| trial.counted.map(|counted| counted.dropped as f64)),
    ("lost_before_node", "lost before", 0, |trial| trial.counted.map(|counted| counted.lost_before_node as f64)),
    ("cpu_ms_per_image", "CPU ms/image", 2, |trial| trial.cpu_ms_per_image),
    ("rss_end_mib", "RSS MiB", 0, |trial| Some(trial.memory.end_mib)),
    ("rss_end_to_60_secs", "RSS end/1 min", 3, |trial| trial.memory.end_to_60_secs),
    ("other_busy_cores", "others' cores", 2, |trial| Some(trial.load.other_busy_cores)),
];

/// Processors that may be busy with something else before the figures count as noisy.
const QUIET_CORES: f64 = 0.25;

/// Pairs of programs whose figures are divided: what is said, in JSON and in words, what is divided and by what.
const PAIRS: [(&str, &str, Kind, Kind); 2] = [
    ("node_to_peer", "node ÷ peer", Kind::MonitorNode, Kind::PeerNode),
    ("recording_to_not", "recording ÷ not", Kind::MonitorRecording, Kind::MonitorNode),
];

/// Figures that are divided.
const RATIOS: [&str; 4] =
    ["stamp_to_answer_p50_ms", "stamp_to_answer_p99_ms", "arrival_to_answer_p50_ms", "cpu_ms_per_image"];

/// The figures for a person.
pub fn text(rows: &[Row]) -> String {
    let mut lines = Vec::new();
    for row in rows {
        lines.push(format!("\n{} ({})", row.name, row.scenario.title()));
        lines.extend(row.reason().map(|reason| format!("  not measured: {reason}")));
        for (_, heading, digits, figure) in FIGURES {
            let line = |Spread { min, median, max }| {
                format!("  {heading:<22} {median:>9.digits$}   ({min:.digits$} … {max:.digits$})")
            };
            lines.extend(row.spread(*figure).map(line));
        }
        let stage = |(name, times): (&String, &[Option<f64>; 3])| format!("  {name:<22} {}", slashed(times, 2));
        lines.extend(row.stages().iter().map(stage));
        lines.extend(row.noise());
    }
    for (_, words, over, under) in PAIRS {
        let ratio =
            |(name, Spread { min, median, max })| format!("{words} {name:<24} {median:>6.3}   ({min:.3} … {max:.3})");
        lines.extend(ratios(rows, over, under).into_iter().map(ratio));
    }
    lines.extend(recorder_percent(rows).map(|percent| format!("recording takes {percent:.1} % of a core")));
    lines.join("\n")
}

/// The same as a section of a document.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![provenance(rows)];
    lines.push(String::new());
    lines.push(
        "| what | program | stamp → answer: p50 / p95 / p99 / max, ms | arrival → answer: p50 / p99, ms | answered, % | \
         dropped | CPU, ms per image | RSS, MiB | RSS at the end / after 1 min | other work, cores |"
            .to_owned(),
    );
    lines.push("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned());
    lines.extend(rows.iter().map(markdown_row));
    for (_, words, over, under) in PAIRS {
        let ratios = ratios(rows, over, under);
        if !ratios.is_empty() {
            lines.extend([String::new(), format!("| {words} | median | smallest | largest |")]);
            lines.push("| --- | ---: | ---: | ---: |".to_owned());
            let row = |(name, Spread { min, median, max }): (String, Spread)| {
                format!("| `{name}` | {median:.3} | {min:.3} | {max:.3} |")
            };
            lines.extend(ratios.into_iter().map(row));
        }
    }
    let recorder = recorder_percent(rows).map(|percent| format!("Recording takes {percent:.1} % of a core."));
    lines.extend(recorder.into_iter().flat_map(|line| [String::new(), line]));
    let stages: Vec<String> = rows.iter().flat_map(markdown_stages).collect();
    if !stages.is_empty() {
        lines.extend([String::new(), "| what | stage, by the node's diagnostics | p50 / p95 / p99, ms |".to_owned()]);
        lines.push("| --- | --- | ---: |".to_owned());
        lines.extend(stages);
    }
    lines.join("\n")
}

fn markdown_row(row: &Row) -> String {
    let figure = |name: &str| {
        let (_, _, digits, figure) = FIGURES.iter().find(|(known, ..)| *known == name)?;
        row.spread(*figure).map(|spread| format!("{:.digits$}", spread.median))
    };
    let cell = |names: &[&str]| {
        let values: Vec<String> = names.iter().map(|name| figure(name).unwrap_or_else(|| "–".to_owned())).collect();
        values.join(" / ")
    };
    let cells = [
        row.scenario.title(),
        row.reason().map_or_else(|| row.name.clone(), |reason| format!("not measured: {reason}")),
        cell(&["stamp_to_answer_p50_ms", "stamp_to_answer_p95_ms", "stamp_to_answer_p99_ms", "stamp_to_answer_max_ms"]),
        cell(&["arrival_to_answer_p50_ms", "arrival_to_answer_p99_ms"]),
        cell(&["answered_percent"]),
        cell(&["dropped"]),
        cell(&["cpu_ms_per_image"]),
        cell(&["rss_end_mib"]),
        cell(&["rss_end_to_60_secs"]),
        cell(&["other_busy_cores"]),
    ];
    format!("| {} |", cells.join(" | "))
}

fn markdown_stages(row: &Row) -> Vec<String> {
    let stages = row.stages();
    stages
        .iter()
        .map(|(name, times)| format!("| {} | {name} | {} |", row.scenario.title(), slashed(times, 2)))
        .collect()
}

/// By what, on what and how often the figures were measured.
fn provenance(rows: &[Row]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let (machine, versions) = (machine(), versions());
    let times: Vec<String> = rows
        .iter()
        .map(|row| format!("{} × {} s", row.repetitions, row.duration_secs))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    format!(
        "Measured with `{}` ({} per row in turns, medians) on {}, {} cores, {} MiB, Linux {}, scheduling {}; \
         activation_monitor {} ({}), ROS 2 {}, {}.",
        command(),
        times.join(" or "),
        text(&machine["cpu"]),
        machine["cores"],
        machine["memory_mib"],
        text(&machine["kernel"]),
        text(&machine["scheduling"]),
        text(&versions["activation_monitor"]),
        text(&versions["commit"]),
        text(&versions["ros_distro"]),
        text(&versions["rmw"]),
    )
}

/// How this program was called, as a person calls it.
fn command() -> String {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--peer-python") {
        arguments.drain(at..(at + 2).min(arguments.len()));
    }
    format!("tools/load_test {}", arguments.join(" ")).trim_end().to_owned()
}

fn slashed(times: &[Option<f64>], digits: usize) -> String {
    let time = |time: &Option<f64>| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.digits$}"));
    times.iter().map(time).collect::<Vec<_>>().join(" / ")
}

/// Everything, for a program.
///
/// # Errors
/// When a figure cannot be said in JSON.
pub fn json(rows: &[Row]) -> Result<Value> {
    let described = rows.iter().map(|row| {
        let mut value = serde_json::to_value(row)?;
        value["median"] = row.medians();
        Ok(value)
    });
    let described = described.collect::<Result<Vec<Value>>>()?;
    let mut value = json!({"machine": machine(), "versions": versions(), "rows": described});
    for (key, _, over, under) in PAIRS {
        let ratios: Map<String, Value> =
            ratios(rows, over, under).into_iter().map(|(name, spread)| (name, json!(spread))).collect();
        value[key] = if ratios.is_empty() { Value::Null } else { Value::Object(ratios) };
    }
    value["recorder_percent_of_a_core"] = json!(recorder_percent(rows));
    Ok(value)
}

/// Writes the JSON to a file, or to standard output for `-`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(value: &Value, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    if path == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Row {
    /// Why there is nothing, or no more, to be measured.
    pub fn reason(&self) -> Option<&str> {
        self.failure.as_deref().or(self.unavailable.as_deref())
    }

    fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.trials.iter().filter_map(figure))
    }

    /// Median p50, p95 and p99 in milliseconds of every stage in the node's diagnostics; of the slowest camera.
    fn stages(&self) -> BTreeMap<String, [Option<f64>; 3]> {
        let keys = self.trials.iter().flat_map(|trial| trial.diagnostics.values()).flat_map(BTreeMap::keys);
        let names: BTreeSet<&str> = keys.filter_map(|key| key.strip_suffix("_p50_ms")).collect();
        let median =
            |key: &str| Spread::of(self.trials.iter().filter_map(|trial| diagnosed(trial, key))).map(|s| s.median);
        let times = |name: &str| ["p50", "p95", "p99"].map(|which| median(&format!("{name}_{which}_ms")));
        names.into_iter().map(|name| (name.to_owned(), times(name))).collect()
    }

    /// A warning when the machine had something else to do, unless this program has precedence.
    fn noise(&self) -> Option<String> {
        if process::scheduling() != process::NORMAL {
            return None;
        }
        let others = self.spread(|trial| Some(trial.load.other_busy_cores))?.median;
        (others > QUIET_CORES).then(|| format!("  noisy: other processes kept {others:.1} cores busy"))
    }

    fn medians(&self) -> Value {
        let figures = FIGURES.iter().map(|(name, _, _, figure)| ((*name).to_owned(), json!(self.spread(*figure))));
        Value::Object(figures.collect())
    }
}

/// Of every repetition a figure of one program over that of another, where both were measured with the same scenario.
fn ratios(rows: &[Row], over: Kind, under: Kind) -> Vec<(String, Spread)> {
    let Some((over, under)) = pair(rows, over, under) else { return Vec::new() };
    let ratio = |(name, _, _, figure): &(&str, &str, usize, Figure)| {
        let pairs = over.trials.iter().zip(&under.trials);
        let spread = Spread::of(pairs.filter_map(|(over, under)| Some(figure(over)? / figure(under)?)))?;
        Some(((*name).to_owned(), spread))
    };
    FIGURES.iter().filter(|(name, ..)| RATIOS.contains(name)).filter_map(ratio).collect()
}

fn pair(rows: &[Row], over: Kind, under: Kind) -> Option<(&Row, &Row)> {
    let under = rows.iter().find(|row| row.subject == under)?;
    let over = rows.iter().find(|row| row.subject == over && row.scenario == under.scenario)?;
    Some((over, under))
}

/// Processor time that recording adds, in percent of a core.
fn recorder_percent(rows: &[Row]) -> Option<f64> {
    let (with, without) = pair(rows, Kind::MonitorRecording, Kind::MonitorNode)?;
    let millis = |row: &Row| row.spread(|trial| trial.cpu_ms_per_image).map(|spread| spread.median);
    let images_per_sec = with.scenario.rate_hz * f64::from(with.scenario.cameras);
    Some((millis(with)? - millis(without)?) * images_per_sec / 10.0)
}

fn quantile(quantiles: Option<Quantiles>, which: fn(&Quantiles) -> f64) -> Option<f64> {
    quantiles.as_ref().map(which)
}

/// A time in the node's diagnostics, of the slowest camera.
fn diagnosed(trial: &Trial, key: &str) -> Option<f64> {
    trial.diagnostics.values().filter_map(|values| values.get(key)?.parse().ok()).reduce(f64::max)
}

fn machine() -> Value {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cpu": process::cpu_name(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_mib": process::machine_memory_mib(),
        "kernel": kernel.trim(),
        "scheduling": process::scheduling(),
    })
}

fn versions() -> Value {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = git.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    json!({
        "activation_monitor": env!("CARGO_PKG_VERSION"),
        "commit": commit,
        "ros_distro": env::var("ROS_DISTRO").ok(),
        "rmw": env::var("RMW_IMPLEMENTATION").unwrap_or_else(|_| "rmw_fastrtps_cpp".to_owned()),
        "dds_profile": env::var("FASTRTPS_DEFAULT_PROFILES_FILE").ok().map(|path| {
            Path::new(&path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }),
    })
}
