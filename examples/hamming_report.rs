//! How fast and how large the compiled pattern set is, on patterns of your own: for comparison with other programs on the
//! same files.
//!
//! ```text
//! cargo run --release --example hamming_report -- --patterns patterns.bin --queries queries.bin --bits 256 --json
//! cargo run --release --example hamming_report -- --synthetic 1000000 --bits 256
//! ```
//!
//! Files hold packed patterns one after the other, without a header: bit `i` of a pattern is bit `i % 8` of its byte `i / 8`,
//! and a pattern has `bits / 8` bytes, rounded up. Everything runs on one thread; times are of single queries, without what
//! reading the clock takes. Before the first of them every page of the file is read once, and 100,000 patterns
//! of the set, not the queries, are looked up.

#[path = "support/patterns.rs"]
mod patterns;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use activation_monitor::pattern::{
    DEFAULT_RADIUS, MAX_WIDTH, Pattern, PatternSet, PatternSetBuilder, Scope, Structure,
};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

/// Distance of a query when the set is empty.
const NONE: u16 = u16::MAX;
/// So many patterns are looked up before the first query.
const WARM_UP: usize = 100_000;
/// A large prime.
const MIXING_STEP: usize = 2_654_435_761;

/// Compile binary patterns and measure the queries.
#[derive(Parser, Debug)]
struct Arguments {
    /// Packed patterns of the set.
    #[arg(long, required_unless_present = "synthetic", requires = "queries")]
    patterns: Option<PathBuf>,
    /// Packed patterns to look for.
    #[arg(long, requires = "patterns")]
    queries: Option<PathBuf>,
    /// Instead of files: so many random patterns in clusters of 900, and queries 2 bits off.
    #[arg(long, value_name = "PATTERNS", conflicts_with = "patterns")]
    synthetic: Option<u64>,
    /// Number of queries with `--synthetic`.
    #[arg(long, default_value_t = 10_000)]
    synthetic_queries: u64,
    /// Bits of a pattern, 1 to 4096.
    #[arg(long)]
    bits: usize,
    /// Bounded queries look so many bits far.
    #[arg(long, default_value_t = DEFAULT_RADIUS)]
    radius: u32,
    /// Use so many hash tables, 0 for a scan; otherwise the structure follows from size and radius.
    #[arg(long)]
    tables: Option<usize>,
    /// Write the distance to the nearest pattern of every query, as 16-bit little-endian numbers.
    #[arg(long)]
    distances: Option<PathBuf>,
    /// Keep the compiled set in this file.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bits: usize,
    patterns: u64,
    distinct: usize,
    queries: usize,
    radius: u32,
    /// Number of hash tables; 0 for a scan.
    tables: usize,
    /// Reading, compiling and writing the file.
    build_seconds: f64,
    /// Largest memory of the process until the file was written.
    build_peak_bytes: u64,
    raw_bytes: u64,
    file_bytes: u64,
    open_ms: f64,
    /// Memory of the process that opening added.
    open_resident_bytes: u64,
    /// Memory of the process, with all of the file in it.
    resident_bytes: u64,
    contains_ns: Percentiles,
    bounded_nearest_ns: Percentiles,
    nearest_ns: Percentiles,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Percentiles {
    p50: u64,
    p99: u64,
}

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    arguments.synthesize(folder.path())?;
    let mut queries = Vec::new();
    arguments.read(arguments.queries.as_deref(), |query| queries.push(query))?;
    ensure!(!queries.is_empty(), "there are no queries");
    let path = arguments.output.clone().unwrap_or_else(|| folder.path().join("set"));
    let start = Instant::now();
    let (patterns, tables) = arguments.compile(&path)?;
    let build_seconds = start.elapsed().as_secs_f64();
    let build_peak_bytes = memory("VmHWM")?;

    let before = memory("VmRSS")?;
    let start = Instant::now();
    let set = PatternSet::open(&path)?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let open_resident_bytes = memory("VmRSS")?.saturating_sub(before);
    set.prefault();
    warm_up(&set);

    let (contains_ns, _) = timed(&queries, |query| set.contains(Scope::All, query));
    let (bounded_nearest_ns, _) = timed(&queries, |query| set.nearest_within(Scope::All, query, arguments.radius));
    let (nearest_ns, nearest) = timed(&queries, |query| set.nearest(Scope::All, query));
    if let Some(path) = &arguments.distances {
        let mut file = BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?);
        for nearest in nearest {
            file.write_all(&nearest.map_or(NONE, |nearest| nearest.distance as u16).to_le_bytes())?;
        }
        file.flush()?;
    }
    arguments.print(&Report {
        bits: arguments.bits,
        patterns,
        distinct: set.len(),
        queries: queries.len(),
        radius: arguments.radius,
        tables,
        build_seconds,
        build_peak_bytes,
        raw_bytes: (set.len() * arguments.row_bytes()) as u64,
        file_bytes: std::fs::metadata(&path)?.len(),
        open_ms,
        open_resident_bytes,
        resident_bytes: memory("VmRSS")?,
        contains_ns,
        bounded_nearest_ns,
        nearest_ns,
    })
}

impl Arguments {
    fn row_bytes(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// Writes the random patterns and queries that were asked for.
    fn synthesize(&mut self, folder: &Path) -> Result<()> {
        let Some(count) = self.synthetic else { return Ok(()) };
        ensure!(
            count > 0 && self.bits >= 16 && self.bits <= MAX_WIDTH,
            "--synthetic wants patterns of 16 to {MAX_WIDTH} bits"
        );
        let (bits, row_bytes) = (self.bits, self.row_bytes());
        let write = |name: &str, patterns: &mut dyn Iterator<Item = Pattern>| -> Result<PathBuf> {
            let path = folder.join(name);
            let mut file = BufWriter::new(File::create(&path)?);
            for pattern in patterns {
                let bytes: Vec<u8> = pattern.words().iter().flat_map(|word| word.to_le_bytes()).collect();
                file.write_all(&bytes[..row_bytes])?;
            }
            file.flush()?;
            Ok(path)
        };
        self.patterns = Some(write("patterns", &mut (0..count).map(|index| patterns::member(bits, index)))?);
        let queries = &mut (0..self.synthetic_queries).map(|index| patterns::query(bits, count, index));
        self.queries = Some(write("queries", queries)?);
        Ok(())
    }

    /// Compiles the patterns into a file. Gives the number of patterns and of tables.
    fn compile(&self, path: &Path) -> Result<(u64, usize)> {
        let mut builder = PatternSetBuilder::new(self.bits, 1)?.radius(self.radius);
        if let Some(tables) = self.tables {
            let structure = if tables == 0 { Structure::Scan } else { Structure::MultiIndex { tables } };
            builder = builder.structure(structure)?;
        }
        let patterns = self.read(self.patterns.as_deref(), |pattern| builder.insert(0, &pattern))?;
        let set = builder.build()?;
        set.write(path)?;
        Ok((
            patterns,
            match set.structure() {
                Structure::Scan => 0,
                Structure::MultiIndex { tables } => tables,
            },
        ))
    }

    /// Gives `take` every pattern of a file, and counts them.
    fn read(&self, path: Option<&Path>, mut take: impl FnMut(Pattern)) -> Result<u64> {
        let path = path.context("name --patterns and --queries, or --synthetic")?;
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let (size, row_bytes) = (file.metadata()?.len(), self.row_bytes() as u64);
        ensure!(
            size.is_multiple_of(row_bytes),
            "{} has {size} bytes, which is no multiple of the {row_bytes} bytes of {} bits",
            path.display(),
            self.bits
        );
        let (mut file, mut row) = (BufReader::with_capacity(1 << 20, file), vec![0; self.row_bytes()]);
        for index in 0..size / row_bytes {
            file.read_exact(&mut row)?;
            let pattern = Pattern::from_bytes(self.bits, &row);
            take(pattern.with_context(|| format!("pattern {index} of {}", path.display()))?);
        }
        Ok(size / row_bytes)
    }

    fn print(&self, report: &Report) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(report)?);
            return Ok(());
        }
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let structure = if report.tables == 0 { "scan".to_owned() } else { format!("{} tables", report.tables) };
        println!("{} patterns of {} bits, {} distinct: {structure}", report.patterns, report.bits, report.distinct);
        println!(
            "built in      {:8.2} s, at most {:.1} MB of memory",
            report.build_seconds,
            mb(report.build_peak_bytes)
        );
        let ratio = report.file_bytes as f64 / report.raw_bytes.max(1) as f64;
        println!("file          {:8.1} MB, {ratio:.2} times the patterns", mb(report.file_bytes));
        println!("opened in     {:8.2} ms, with {:.1} MB of memory", report.open_ms, mb(report.open_resident_bytes));
        println!("resident      {:8.1} MB with the whole file", mb(report.resident_bytes));
        println!("per query     {:>8} {:>10}   {} queries", "p50 µs", "p99 µs", report.queries);
        for (name, times) in [
            ("contains".to_owned(), report.contains_ns),
            (format!("nearest ≤ {}", report.radius), report.bounded_nearest_ns),
            ("nearest".to_owned(), report.nearest_ns),
        ] {
            println!("{name:13} {:8.2} {:10.2}", times.p50 as f64 / 1e3, times.p99 as f64 / 1e3);
        }
        Ok(())
    }
}

/// Asks for patterns all over the set in a mixed order, so that caches and branch predictors are in the state of a program at
/// work, without having seen the queries.
fn warm_up(set: &PatternSet) {
    for step in 0..WARM_UP.min(set.len()) {
        let index = step.wrapping_mul(MIXING_STEP) % set.len();
        black_box(set.contains(Scope::All, &set.pattern(index)));
    }
}

/// Times every query by itself, without the time that reading the clock takes.
fn timed<T>(queries: &[Pattern], mut ask: impl FnMut(&Pattern) -> T) -> (Percentiles, Vec<T>) {
    let clock = measured(queries, |_| ()).0.p50;
    let (times, answers) = measured(queries, |query| ask(query));
    (Percentiles { p50: times.p50.saturating_sub(clock), p99: times.p99.saturating_sub(clock) }, answers)
}

fn measured<T>(queries: &[Pattern], mut ask: impl FnMut(&Pattern) -> T) -> (Percentiles, Vec<T>) {
    let mut times = Vec::with_capacity(queries.len());
    let answers = queries.iter().map(|query| {
        let start = Instant::now();
        let answer = black_box(ask(black_box(query)));
        times.push(start.elapsed().as_nanos() as u64);
        answer
    });
    let answers = answers.collect();
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100];
    (Percentiles { p50: percentile(50), p99: percentile(99) }, answers)
}

/// Bytes of memory of this process: `VmRSS` now, `VmHWM` at most.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes: u64 = line.and_then(|line| line.split_whitespace().next()).context("no memory figures")?.parse()?;
    Ok(kilobytes * 1024)
}
