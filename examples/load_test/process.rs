//! What Linux says about processes: processor time and memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

/// The kernel counts processor time for programs in hundredths of a second on every platform of ROS 2.
const TICK: Duration = Duration::from_millis(10);

/// Scheduling without precedence.
pub const NORMAL: &str = "normal";

/// Processor time since the start of a process.
#[derive(Debug, Clone, Default)]
pub struct Cpu {
    /// Of all threads, those that have ended included.
    pub total: Duration,
    /// Of the running threads, by name.
    pub by_thread: BTreeMap<String, Duration>,
}

/// Memory in use, in MiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Seconds since the start of the measurement.
    pub at_secs: f64,
    /// Resident set.
    pub rss_mib: f64,
    /// Part of it that is the process's own.
    pub anonymous_mib: f64,
    /// Part of it that is shared memory, above all images on their way.
    pub shared_mib: f64,
}

/// Processor time of a whole machine, of a process under test and of this program at one moment.
#[derive(Debug, Clone)]
pub struct Clocks {
    moment: Instant,
    machine: Duration,
    subject: Cpu,
    own: Duration,
}

/// Processor time between two moments.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Length in seconds.
    pub seconds: f64,
    /// Processor seconds of the process under test.
    pub node_cpu_secs: f64,
    /// The same by name of the thread.
    pub node_cpu_secs_by_thread: BTreeMap<String, f64>,
    /// Processor seconds of this program: cameras and listening.
    pub own_cpu_secs: f64,
    /// Processors that were busy with something else: the noise of the measurement.
    pub other_busy_cores: f64,
}

impl Clocks {
    /// Now.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn read(process: u32) -> Result<Self> {
        let own = cpu(std::process::id())?.total;
        Ok(Self { moment: Instant::now(), machine: machine()?, subject: cpu(process)?, own })
    }

    /// What happened since `earlier`.
    pub fn since(&self, earlier: &Self) -> Load {
        let seconds = self.moment.saturating_duration_since(earlier.moment).as_secs_f64();
        let between = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64();
        let node = between(self.subject.total, earlier.subject.total);
        let own = between(self.own, earlier.own);
        let thread = |(name, now): (&String, &Duration)| {
            (name.clone(), between(*now, earlier.subject.by_thread.get(name).copied().unwrap_or_default()))
        };
        let others = between(self.machine, earlier.machine) - node - own;
        Load {
            seconds,
            node_cpu_secs: node,
            node_cpu_secs_by_thread: self.subject.by_thread.iter().map(thread).collect(),
            own_cpu_secs: own,
            other_busy_cores: (others / seconds).max(0.0),
        }
    }
}

/// Memory of a process, `at_secs` after the start of the measurement.
///
/// # Errors
/// When the process is gone.
pub fn memory(process: u32, at_secs: f64) -> Result<Memory> {
    let status = read(&format!("/proc/{process}/status"))?;
    let mib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    let (rss_mib, anonymous_mib, shared_mib) = (mib("VmRSS:"), mib("RssAnon:"), mib("RssShmem:"));
    Ok(Memory { at_secs, rss_mib, anonymous_mib, shared_mib })
}

/// Name of the processor.
pub fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// How this process and those that it starts are scheduled.
pub fn scheduling() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat_fields(&stat);
    match (fields.get(38), fields.get(37)) {
        (Some(&"0"), _) => NORMAL.to_owned(),
        (Some(&"1"), Some(priority)) => format!("SCHED_FIFO {priority}"),
        (Some(&"2"), Some(priority)) => format!("SCHED_RR {priority}"),
        (policy, _) => format!("policy {}", policy.unwrap_or(&"unknown")),
    }
}

/// Memory of the machine in MiB; 0 when it is not known.
pub fn machine_memory_mib() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn cpu(process: u32) -> Result<Cpu> {
    let text = read(&format!("/proc/{process}/stat"))?;
    let fields = stat_fields(&text);
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u32>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).with_context(|| format!("cannot read the times in {text}"))?;
    Ok(Cpu { total: TICK * (user + system), by_thread: threads(process) })
}

/// The fields of `/proc/<process>/stat` from the third one on; the second, in parentheses, may hold blanks.
fn stat_fields(text: &str) -> Vec<&str> {
    text.rsplit(')').next().unwrap_or_default().split_whitespace().collect()
}

/// Threads that end meanwhile are left out.
fn threads(process: u32) -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::<String, Duration>::new();
    let folders = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for (name, time) in folders.filter_map(|folder| thread(&folder.path())) {
        *times.entry(name).or_default() += time;
    }
    times
}

fn thread(folder: &Path) -> Option<(String, Duration)> {
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    let nanos = fs::read_to_string(folder.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()?;
    Some((name.trim().to_owned(), Duration::from_nanos(nanos)))
}

/// Busy time of all processors together.
fn machine() -> Result<Duration> {
    let text = read("/proc/stat")?;
    let ticks = text.lines().next().unwrap_or_default().split_whitespace().skip(1).map(|field| field.parse::<u64>());
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().context("cannot read /proc/stat")?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: u64 = ticks.iter().take(8).enumerate().filter(|(index, _)| ![3, 4].contains(index)).map(|(_, t)| t).sum();
    Ok(TICK * u32::try_from(busy).context("/proc/stat counts too far")?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}
