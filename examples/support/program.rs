//! What programs that talk to the node share.

use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;

pub use activation_monitor::program::Program;
use anyhow::Result;
use futures::executor::LocalPool;
use futures::stream::{Stream, StreamExt};
use futures::task::LocalSpawnExt;

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
