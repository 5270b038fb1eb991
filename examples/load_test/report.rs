//! The figures as a table and as JSON.

use std::env;
use std::fmt::Write as _;
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
    /// Why nothing could be measured.
    pub unavailable: Option<String>,
    /// Measured seconds of a repetition.
    pub duration_secs: f64,
    /// How often it is measured.
    pub repetitions: u32,
    /// One per repetition.
    #[serde(rename = "trials")]
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

/// Figures of which the node's is divided by the peer's.
const RATIOS: [&str; 4] =
    ["stamp_to_answer_p50_ms", "stamp_to_answer_p99_ms", "arrival_to_answer_p50_ms", "cpu_ms_per_image"];

/// The table for a person.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        // Writing to a string succeeds.
        let _ = writeln!(text, "\n{} ({})", row.name, row.scenario.title());
        if let Some(reason) = &row.unavailable {
            let _ = writeln!(text, "  not measured: {reason}");
        }
        for (_, heading, digits, figure) in FIGURES {
            if let Some(Spread { min, median, max }) = row.spread(*figure) {
                let _ = writeln!(text, "  {heading:<22} {median:>9.digits$}   ({min:.digits$} … {max:.digits$})");
            }
        }
    }
    for (name, Spread { min, median, max }) in ratios(rows) {
        let _ = writeln!(text, "node / peer {name:<24} {median:>6.3}   ({min:.3} … {max:.3})");
    }
    text
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
    let ratios: Map<String, Value> = ratios(rows).into_iter().map(|(name, spread)| (name, json!(spread))).collect();
    let ratios = if ratios.is_empty() { Value::Null } else { Value::Object(ratios) };
    Ok(json!({"machine": machine(), "versions": versions(), "rows": described, "node_to_peer": ratios}))
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
    fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.trials.iter().filter_map(figure))
    }

    fn medians(&self) -> Value {
        let figures = FIGURES.iter().map(|(name, _, _, figure)| ((*name).to_owned(), json!(self.spread(*figure))));
        Value::Object(figures.collect())
    }
}

/// Of every repetition the node's figure over the peer's, where both were measured with the same scenario.
fn ratios(rows: &[Row]) -> Vec<(String, Spread)> {
    let Some(peer) = rows.iter().find(|row| row.subject == Kind::PeerNode) else { return Vec::new() };
    let same = |row: &&Row| row.subject == Kind::MonitorNode && row.scenario == peer.scenario;
    let Some(node) = rows.iter().find(same) else { return Vec::new() };
    let ratio = |(name, _, _, figure): &(&str, &str, usize, Figure)| {
        let pairs = node.trials.iter().zip(&peer.trials);
        let spread = Spread::of(pairs.filter_map(|(node, peer)| Some(figure(node)? / figure(peer)?)))?;
        Some(((*name).to_owned(), spread))
    };
    FIGURES.iter().filter(|(name, ..)| RATIOS.contains(name)).filter_map(ratio).collect()
}

fn quantile(quantiles: Option<Quantiles>, which: fn(&Quantiles) -> f64) -> Option<f64> {
    quantiles.as_ref().map(which)
}

/// A time that only the diagnostics of the node tell.
fn diagnosed(trial: &Trial, key: &str) -> Option<f64> {
    trial.diagnostics.values().find_map(|values| values.get(key)?.parse().ok())
}

fn machine() -> Value {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cpu": process::cpu_name(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_mib": process::machine_memory_mib(),
        "kernel": kernel.trim(),
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
