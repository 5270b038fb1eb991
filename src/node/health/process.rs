//! The status of the node as a process: its name, its clock, its transport.

use std::time::Duration;

use super::diagnostics::{Findings, Level, Status, optional};
use super::transport::Transport;

/// So long after the start nobody misses the time on `/clock`.
const CLOCK_PATIENCE: Duration = Duration::from_secs(3);

/// What is known of the process at the time of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessHealth {
    /// Full name of the node.
    pub node: String,
    /// Time since the start.
    pub uptime: Duration,
    /// Other nodes of the same name.
    pub namesakes: usize,
    /// Whether time comes from `/clock`.
    pub use_sim_time: bool,
    /// ROS time; zero while `/clock` is awaited.
    pub ros_now: Duration,
    /// Publishers on `/clock`.
    pub clock_publishers: usize,
    /// How images come.
    pub transport: Transport,
}

impl ProcessHealth {
    /// The status of the process.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut findings = Findings::default();
        findings.add(Level::Warn, self.same_name());
        findings.add(Level::Warn, self.no_clock());
        findings.add(Level::Warn, self.transport.problem.clone());
        let (level, message) = findings.summary(|| format!("runs as {}", self.node));
        Status { level, name: "node".to_owned(), message, values: self.values() }
    }

    fn same_name(&self) -> Option<String> {
        let (node, others) = (&self.node, self.namesakes);
        let nodes = if others == 1 { "another node is".to_owned() } else { format!("{others} other nodes are") };
        let remedy = "give each its own with `--ros-args -r __node:=…` or `-r __ns:=…` (a node that was killed counts for \
                      up to 20 s)";
        (others > 0).then(|| format!("{nodes} called {node}, too, so that their topics and services mix: {remedy}"))
    }

    fn no_clock(&self) -> Option<String> {
        let waits = self.use_sim_time && self.ros_now.is_zero() && self.uptime > CLOCK_PATIENCE;
        let who = match self.clock_publishers {
            0 => "nobody publishes there; `ros2 bag play --clock` does".to_owned(),
            count => format!("which has {count} publisher(s)"),
        };
        waits.then(|| format!("use_sim_time is true, but no time has come on /clock: {who}"))
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let Transport { profile, segment, memory, shared_memory, .. } = &self.transport;
        let mib = |bytes: Option<u64>| optional(bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)));
        vec![
            ("node", self.node.clone()),
            ("namesakes", self.namesakes.to_string()),
            ("uptime_secs", format!("{:.0}", self.uptime.as_secs_f64())),
            ("use_sim_time", self.use_sim_time.to_string()),
            ("ros_time_secs", optional(Some(self.ros_now.as_secs_f64()))),
            ("clock_publishers", self.clock_publishers.to_string()),
            ("transport_profile", profile.clone()),
            ("segment_mib", mib(*segment)),
            ("shm_size_mib", mib(memory.map(|memory| memory.size))),
            ("shm_free_mib", mib(memory.map(|memory| memory.free))),
            ("shared_memory", shared_memory.word().to_owned()),
        ]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::diagnostics::tests::value;
    use super::super::transport::{Memory, SharedMemory};
    use super::*;

    /// A process that is well.
    pub fn healthy() -> ProcessHealth {
        let transport = Transport {
            profile: "params/fastdds.xml".into(),
            segment: Some(128 << 20),
            memory: Some(Memory { size: 1 << 30, free: 1 << 29 }),
            shared_memory: SharedMemory::Used,
            problem: None,
        };
        ProcessHealth {
            node: "/front/signs".into(),
            uptime: Duration::from_secs(60),
            namesakes: 0,
            use_sim_time: false,
            ros_now: Duration::from_millis(1500),
            clock_publishers: 0,
            transport,
        }
    }

    fn says(health: &ProcessHealth, level: Level, words: &str) {
        let status = health.status();
        assert!(status.level == level && status.message.contains(words), "{level:?} {words}: {status:?}");
    }

    #[test]
    fn a_process_that_is_well_tells_its_name_and_transport() {
        says(&healthy(), Level::Ok, "runs as /front/signs");
        let status = healthy().status();
        for (key, expected) in [("shm_free_mib", "512.000"), ("segment_mib", "128.000"), ("shared_memory", "used")] {
            assert_eq!(value(&status, key), expected);
        }
    }

    #[test]
    fn nodes_of_the_same_name_warn() {
        says(&ProcessHealth { namesakes: 1, ..healthy() }, Level::Warn, "another node is called /front/signs, too");
        says(&ProcessHealth { namesakes: 2, ..healthy() }, Level::Warn, "2 other nodes are called /front/signs, too");
    }

    #[test]
    fn simulated_time_without_a_clock_warns_after_a_while() {
        let waits = ProcessHealth { use_sim_time: true, ros_now: Duration::ZERO, ..healthy() };
        says(&waits, Level::Warn, "use_sim_time is true, but no time has come on /clock: nobody publishes there");
        says(&ProcessHealth { clock_publishers: 1, ..waits.clone() }, Level::Warn, "which has 1 publisher(s)");
        says(&ProcessHealth { uptime: CLOCK_PATIENCE, ..waits.clone() }, Level::Ok, "");
        says(&ProcessHealth { ros_now: Duration::from_secs(1), ..waits }, Level::Ok, "");
    }

    #[test]
    fn a_problem_of_the_transport_warns() {
        let mut health = healthy();
        health.transport.problem = Some("/dev/shm is too small".into());
        health.namesakes = 1;
        says(&health, Level::Warn, "/dev/shm is too small");
        says(&health, Level::Warn, "another node");
    }
}
