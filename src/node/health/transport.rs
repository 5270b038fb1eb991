//! Whether large images can come: Fast DDS' transport profile and the shared memory that it needs.
//!
//! Every process with the profile takes a segment of `/dev/shm`. Where there is no room for it, as in the 64 MB that Docker
//! gives a container, Fast DDS says so on the console and goes on over UDP, which loses most large images.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// Variables that name a profile: that of Fast DDS 2, and that of Fast DDS 3.
const PROFILE_VARIABLES: [&str; 2] = ["FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"];
/// Another way to choose the transports of Fast DDS.
const OTHER_VARIABLE: &str = "FASTDDS_BUILTIN_TRANSPORTS";
/// A profile of that name in the working folder is read, too.
const PROFILE_IN_FOLDER: &str = "DEFAULT_FASTRTPS_PROFILES.xml";

/// What POSIX shared memory lies in.
const FOLDER: &str = "/dev/shm";
const MIB: u64 = 1 << 20;
/// A segment takes this many hundredths of its size.
const OVERHEAD_PERCENT: u64 = 105;
/// Camera, node and someone who looks.
const PROCESSES: u64 = 3;

const REMEDY: &str = "start the container with --shm-size=512m or --ipc=host, or enlarge /dev/shm";

/// The profiles of this package.
static FULL: Shipped = Shipped { name: "params/fastdds.xml", text: include_str!("../../../params/fastdds.xml") };
static SMALL: Shipped =
    Shipped { name: "params/fastdds_small.xml", text: include_str!("../../../params/fastdds_small.xml") };

/// Size of `/dev/shm` in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub size: u64,
    /// What is free.
    pub free: u64,
}

/// Whether this process takes part in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedMemory {
    /// It has its segment.
    Used,
    /// It has none, though the profile wants one.
    NotUsed,
    /// The profile names no segment, or the middleware is another one.
    Unknown,
}

/// How images come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// The profile in force; empty without one.
    pub profile: String,
    /// Size of a segment in bytes; `None` when no profile names one.
    pub segment: Option<u64>,
    /// Shared memory of the machine; `None` when there is none.
    pub memory: Option<Memory>,
    /// Whether it is used.
    pub shared_memory: SharedMemory,
    /// What is wrong and what to do.
    pub problem: Option<String>,
}

/// What was found and chosen before ROS starts.
#[derive(Debug)]
pub struct Prepared {
    profile: String,
    segment: Option<u64>,
    memory: Option<Memory>,
    /// What is wrong already.
    problem: Option<String>,
    /// Fast DDS reads the file when the node is created.
    _file: Option<TempPath>,
}

#[derive(Debug)]
struct Shipped {
    name: &'static str,
    text: &'static str,
}

/// What the user has set.
#[derive(Debug, Default)]
struct Given {
    profile: Option<PathBuf>,
    otherwise: bool,
}

impl SharedMemory {
    /// Word in the diagnostics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::NotUsed => "not used",
            Self::Unknown => "unknown",
        }
    }
}

impl Memory {
    /// That of this machine; `None` when it has none.
    #[must_use]
    pub fn measure() -> Option<Self> {
        let found = nix::sys::statvfs::statvfs(FOLDER).ok()?;
        let unit = found.fragment_size();
        Some(Self { size: found.blocks() * unit, free: found.blocks_available() * unit })
    }

    fn fits(&self, segment: u64) -> bool {
        self.free >= needed(segment)
    }

    fn is_large(&self) -> bool {
        FULL.segment().is_none_or(|segment| self.size >= PROCESSES * needed(segment))
    }
}

impl Shipped {
    fn segment(&self) -> Option<u64> {
        segment_size(self.text)
    }
}

impl Given {
    fn read() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let other_rmw = set("RMW_IMPLEMENTATION").is_some_and(|rmw| !rmw.to_string_lossy().starts_with("rmw_fastrtps"));
        let other = set(OTHER_VARIABLE).is_some() || Path::new(PROFILE_IN_FOLDER).exists();
        let profile = PROFILE_VARIABLES.iter().find_map(|name| set(name)).map(PathBuf::from);
        Self { profile, otherwise: other_rmw || other }
    }
}

/// Reads which transport profile is in force. Where the user has chosen nothing, takes the shipped one that fits into the
/// shared memory of this machine.
///
/// Must be called before any thread is started: it may set variables of the environment.
#[must_use]
pub fn prepare() -> Prepared {
    let (given, memory) = (Given::read(), Memory::measure());
    if let Some(path) = &given.profile {
        return given_profile(path, memory);
    }
    let ours = memory.filter(|_| !given.otherwise);
    let chosen = ours.as_ref().and_then(choose);
    let problem = ours.filter(|_| chosen.is_none()).map(too_little);
    match chosen.and_then(|shipped| Some((shipped, put_in_force(shipped)?))) {
        Some((shipped, file)) => {
            let profile = format!("{} (chosen by this node)", shipped.name);
            Prepared { profile, segment: shipped.segment(), memory, problem, _file: Some(file) }
        }
        None => Prepared { profile: String::new(), segment: None, memory, problem, _file: None },
    }
}

/// A profile that the user has chosen stays.
fn given_profile(path: &Path, memory: Option<Memory>) -> Prepared {
    let profile = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Prepared { profile, segment: segment_size(&text), memory, problem: None, _file: None },
        Err(error) => {
            let problem = format!("the transport profile {profile} cannot be read, and large images get lost: {error}");
            Prepared { profile, segment: None, memory, problem: Some(problem), _file: None }
        }
    }
}

/// The shipped profile for so much memory; `None` when not even the small one fits.
fn choose(memory: &Memory) -> Option<&'static Shipped> {
    let fits = |shipped: &Shipped| shipped.segment().is_some_and(|segment| memory.fits(segment));
    let full = Some(&FULL).filter(|full| memory.is_large() && fits(full));
    full.or_else(|| Some(&SMALL).filter(|small| fits(small)))
}

/// Writes the profile to a file and names it to Fast DDS.
fn put_in_force(shipped: &Shipped) -> Option<TempPath> {
    let mut file = tempfile::Builder::new().prefix("activation_monitor_").suffix(".xml").tempfile().ok()?;
    file.write_all(shipped.text.as_bytes()).ok()?;
    let path = file.into_temp_path();
    for name in PROFILE_VARIABLES {
        // SAFETY: the program has started no thread yet, and the libraries that it is linked with start none while they
        // are loaded, so nobody reads the environment at the same time.
        #[allow(unsafe_code)]
        unsafe {
            env::set_var(name, &path);
        }
    }
    Some(path)
}

impl Prepared {
    /// What has become of it once the node exists. The file of a profile that was chosen here is removed.
    #[must_use]
    pub fn confirm(self) -> Transport {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        self.judged_by(&maps)
    }

    /// `maps` are the mappings of this process; profiles are of no matter to another middleware.
    fn judged_by(self, maps: &str) -> Transport {
        let Self { profile, segment, memory, problem, .. } = self;
        if !maps.contains("librmw_fastrtps") {
            let (profile, shared_memory) = (String::new(), SharedMemory::Unknown);
            return Transport { profile, segment: None, memory, shared_memory, problem: None };
        }
        let shared_memory = segment.map_or(SharedMemory::Unknown, |segment| used(maps, segment));
        let found = memory.and_then(|memory| judge(&profile, segment, memory, shared_memory));
        Transport { profile, segment, memory, shared_memory, problem: problem.or(found) }
    }
}

impl Transport {
    /// Measures again how much memory there is.
    pub fn measure(&mut self) {
        self.memory = Memory::measure();
    }
}

/// Whether a segment of at least that size is among the mappings of a process (`/proc/PID/maps`).
fn used(maps: &str, segment: u64) -> SharedMemory {
    let is_segment = |line: &&str| line.contains("/dev/shm/fastrtps_") && !line.contains("/fastrtps_port");
    let sizes = maps.lines().filter(is_segment).filter_map(size_of_mapping);
    if sizes.max() >= Some(segment) { SharedMemory::Used } else { SharedMemory::NotUsed }
}

fn size_of_mapping(line: &str) -> Option<u64> {
    let (begin, end) = line.split(' ').next()?.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    address(end)?.checked_sub(address(begin)?)
}

fn judge(profile: &str, segment: Option<u64>, memory: Memory, shared_memory: SharedMemory) -> Option<String> {
    let (wanted, size, free) = (segment? / MIB, memory.size / MIB, memory.free / MIB);
    match shared_memory {
        SharedMemory::NotUsed => {
            let left_over = if memory.is_large() { ", or remove what killed processes left there" } else { "" };
            Some(format!(
                "images cannot come over shared memory, and large ones get lost: {profile} wants a segment of {wanted} MiB, \
                 and /dev/shm has {free} of {size} MiB free; {REMEDY}{left_over}"
            ))
        }
        SharedMemory::Used if !memory.is_large() => Some(format!(
            "/dev/shm has only {size} MiB, room for {} processes with segments of {wanted} MiB ({profile}), in which many or \
             large images get lost; {REMEDY}",
            memory.size / needed(segment?)
        )),
        SharedMemory::Used | SharedMemory::Unknown => None,
    }
}

fn too_little(Memory { size, free }: Memory) -> String {
    let (size, free) = (size / MIB, free / MIB);
    format!("/dev/shm has {free} of {size} MiB free, no room for images on their way, which get lost; {REMEDY}")
}

fn needed(segment: u64) -> u64 {
    segment / 100 * OVERHEAD_PERCENT
}

/// The largest segment that a profile of Fast DDS asks for, in bytes; `None` when it asks for none or is no profile.
fn segment_size(profile: &str) -> Option<u64> {
    let document = roxmltree::Document::parse(profile).ok()?;
    let child = |node: roxmltree::Node<'_, '_>, name: &str| -> Option<String> {
        let found = node.children().find(|child| child.has_tag_name(name) || child.tag_name().name() == name)?;
        found.text().map(|text| text.trim().to_owned())
    };
    let descriptors = document.descendants().filter(|node| node.tag_name().name() == "transport_descriptor");
    let shared = descriptors.filter(|node| child(*node, "type").as_deref() == Some("SHM"));
    shared.filter_map(|node| child(node, "segment_size")?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: Memory = Memory { size: 64 * MIB, free: 63 * MIB };
    const ROOMY: Memory = Memory { size: 512 * MIB, free: 500 * MIB };

    #[test]
    fn the_shipped_profiles_say_their_segments() {
        assert_eq!((FULL.segment(), SMALL.segment()), (Some(128 * MIB), Some(16 * MIB)));
        for shipped in [&FULL, &SMALL] {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(shipped.name).exists());
        }
    }

    #[test]
    fn other_profiles_are_read_too_and_what_is_none_is_none() {
        let with = |kind: &str| {
            format!(
                "<dds><transport_descriptor><type>{kind}</type><segment_size> 42 </segment_size></transport_descriptor></dds>"
            )
        };
        assert_eq!((segment_size(&with("SHM")), segment_size(&with("UDPv4"))), (Some(42), None));
        for text in ["", "<a>", "no xml", "<dds/>"] {
            assert_eq!(segment_size(text), None, "{text}");
        }
    }

    #[test]
    fn the_profile_is_chosen_by_the_memory() {
        let name = |size, free| choose(&Memory { size: size * MIB, free: free * MIB }).map(|shipped| shipped.name);
        assert_eq!(name(512, 500), Some(FULL.name));
        assert_eq!(name(512, 100), Some(SMALL.name), "others have taken most of it");
        assert_eq!(name(256, 256), Some(SMALL.name), "room for one, not for three");
        assert_eq!(name(64, 63), Some(SMALL.name));
        assert_eq!(name(64, 10), None);
    }

    #[test]
    fn the_segment_of_this_process_is_found_among_its_mappings() {
        let maps = "\
7f0000000000-7f0000087000 rw-s 00000000 00:18 3 /dev/shm/fastrtps_5f3f077126be98c1
7f1000000000-7f1009000000 rw-s 00000000 00:18 4 /dev/shm/fastrtps_port7000
7f2000000000-7f2001100000 rw-s 00000000 00:18 5 /dev/shm/fastrtps_ae3a96f52f41ce28 (deleted)
7f3000000000-7f4000000000 r-xp 00000000 00:18 6 /usr/lib/libtorch_cpu.so
";
        assert_eq!(used(maps, 16 * MIB), SharedMemory::Used);
        assert_eq!(used(maps, 128 * MIB), SharedMemory::NotUsed);
        assert_eq!(used("", 1), SharedMemory::NotUsed);
        assert_eq!(used("nonsense /dev/shm/fastrtps_x", 1), SharedMemory::NotUsed);
    }

    #[test]
    fn too_little_memory_is_told_with_the_remedy() {
        let told = |segment, memory, used| judge("fastdds.xml", Some(segment * MIB), memory, used).unwrap_or_default();
        let text = told(128, DOCKER, SharedMemory::NotUsed);
        assert!(text.contains("segment of 128 MiB, and /dev/shm has 63 of 64 MiB free"), "{text}");
        assert!(text.contains("--shm-size=512m or --ipc=host"), "{text}");
        let text = told(16, DOCKER, SharedMemory::Used);
        assert!(text.contains("only 64 MiB, room for 3 processes with segments of 16 MiB"), "{text}");
        assert_eq!(told(128, ROOMY, SharedMemory::Used), "");
        assert_eq!(told(16, DOCKER, SharedMemory::Unknown), "");
        assert!(told(128, Memory { free: 0, ..ROOMY }, SharedMemory::NotUsed).contains("killed processes"));
        assert_eq!(judge("", None, DOCKER, SharedMemory::Unknown), None);
    }

    fn prepared(problem: Option<&str>) -> Prepared {
        let (profile, memory) = ("x.xml".to_owned(), Some(DOCKER));
        Prepared { profile, segment: Some(128 * MIB), memory, problem: problem.map(str::to_owned), _file: None }
    }

    #[test]
    fn another_middleware_needs_no_profile() {
        let found = prepared(Some("cannot be read")).judged_by("7f00-7f01 r-xp 0 0:0 1 /opt/librmw_cyclonedds_cpp.so");
        assert_eq!((found.profile.as_str(), found.problem, found.shared_memory), ("", None, SharedMemory::Unknown));
    }

    #[test]
    fn what_was_wrong_before_the_start_is_said_first() {
        let fast = "7f00-7f01 r-xp 0 0:0 1 /opt/librmw_fastrtps_cpp.so";
        assert_eq!(prepared(Some("cannot be read")).judged_by(fast).problem.as_deref(), Some("cannot be read"));
        let found = prepared(None).judged_by(fast);
        assert_eq!(found.shared_memory, SharedMemory::NotUsed);
        assert!(found.problem.is_some_and(|text| text.contains("cannot come over shared memory")));
    }

    #[test]
    fn a_profile_that_cannot_be_read_is_a_problem() {
        let found = given_profile(Path::new("/nowhere/profile.xml"), Some(ROOMY));
        assert!(found.problem.is_some_and(|text| text.starts_with("the transport profile /nowhere/profile.xml")));
        let ours = given_profile(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SMALL.name), None);
        assert_eq!((ours.segment, ours.problem), (Some(16 * MIB), None));
    }

    #[test]
    fn this_machine_can_be_measured() {
        if let Some(Memory { size, free }) = Memory::measure() {
            assert!(free <= size, "{free} of {size}");
        }
    }
}
