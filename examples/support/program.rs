//! A ROS 2 program as a process, and what is heard of it.

use std::cell::RefCell;
use std::future::ready;
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::executor::LocalPool;
use futures::stream::{Stream, StreamExt};
use futures::task::LocalSpawnExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running program; killed when dropped.
pub struct Program(Child);

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(mut command: Command) -> Result<Self> {
        let started = command.spawn();
        let name = command.get_program().display();
        Ok(Self(started.with_context(|| format!("cannot start {name}: build it first (`make build`)"))?))
    }

    /// Process id.
    #[allow(dead_code)] // Not every example asks for it.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Fails when the program has ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the node ended by itself ({status}); its message stands above"),
        }
    }

    /// Asks the program to end as Ctrl-C does, and checks that it does so cleanly.
    ///
    /// # Errors
    /// When it does not.
    pub fn end(mut self) -> Result<()> {
        if self.0.try_wait()?.is_none() {
            kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGINT)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "the node ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the node did not end within {} s of SIGINT and is killed", PATIENCE.as_secs())
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

/// The arguments that set a parameter. ROS reads values as YAML; an unquoted empty text would be nothing.
pub fn parameter(name: &str, value: &str) -> [String; 2] {
    let value = if value.is_empty() { "\"\"" } else { value };
    ["-p".to_owned(), format!("{name}:={value}")]
}

/// Runs `action` on what is shared, once per message, whenever `pool` runs.
///
/// # Errors
/// When the pool has ended.
pub fn for_each<M: 'static, T: 'static>(
    pool: &LocalPool,
    shared: &Rc<RefCell<T>>,
    messages: impl Stream<Item = M> + 'static,
    action: impl Fn(&mut T, M) + 'static,
) -> Result<()> {
    let shared = Rc::clone(shared);
    let every = messages.for_each(move |message| {
        action(&mut shared.borrow_mut(), message);
        ready(())
    });
    Ok(pool.spawner().spawn_local(every)?)
}
