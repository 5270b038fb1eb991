//! A ROS 2 program as a process.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often is looked whether it has.
const POLL: Duration = Duration::from_millis(20);

/// Why a program does not run, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no such program.
    #[error("cannot start {name}: build it first (`make build`): {source}")]
    Start {
        /// Its path.
        name: String,
        /// Cause.
        source: io::Error,
    },
    /// It has ended by itself.
    #[error("the node ended by itself ({0}); its message stands above")]
    Ended(ExitStatus),
    /// It failed in the end.
    #[error("the node ended with {0}")]
    Failed(ExitStatus),
    /// It had to be killed.
    #[error("the node did not end within {} s of SIGINT and is killed", PATIENCE.as_secs())]
    Stuck,
    /// The system does not say how it is.
    #[error("the node cannot be watched: {0}")]
    System(#[from] io::Error),
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// [`ProgramError::Start`] when there is no such program.
    pub fn start(mut command: Command) -> Result<Self, ProgramError> {
        let started = command.spawn();
        let name = command.get_program().display().to_string();
        Ok(Self(started.map_err(|source| ProgramError::Start { name, source })?))
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// [`ProgramError::System`].
    pub fn status(&mut self) -> Result<Option<ExitStatus>, ProgramError> {
        Ok(self.0.try_wait()?)
    }

    /// Fails when the program has ended by itself.
    ///
    /// # Errors
    /// [`ProgramError::Ended`].
    pub fn check_alive(&mut self) -> Result<(), ProgramError> {
        self.status()?.map_or(Ok(()), |status| Err(ProgramError::Ended(status)))
    }

    /// Asks the program to end as Ctrl-C does, and checks that it does so cleanly.
    ///
    /// # Errors
    /// [`ProgramError`] when it does not.
    pub fn end(mut self) -> Result<(), ProgramError> {
        if self.status()?.is_none() {
            let id = i32::try_from(self.id()).map_err(io::Error::other)?;
            kill(Pid::from_raw(id), Signal::SIGINT).map_err(io::Error::from)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.status()? {
                return if status.success() { Ok(()) } else { Err(ProgramError::Failed(status)) };
            }
            std::thread::sleep(POLL);
        }
        Err(ProgramError::Stuck)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Nothing more can be done when even that fails.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
