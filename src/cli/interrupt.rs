//! Ctrl-C and SIGTERM: the first one ends the command between two batches, the second one at once.

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// What a shell reports for a program that SIGINT ended.
const EXIT_CODE_SIGINT: i32 = 130;

/// Starts to listen for signals.
pub(super) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            process::exit(EXIT_CODE_SIGINT);
        }
    })
    .context("cannot listen for Ctrl-C")
}

/// Becomes true when the user wants to stop.
pub(super) fn flag() -> &'static AtomicBool {
    &INTERRUPTED
}

/// Whether the user wants to stop.
pub(super) fn is_set() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Fails once the user wants to stop.
pub(super) fn check() -> anyhow::Result<()> {
    anyhow::ensure!(!is_set(), "interrupted; nothing was written");
    Ok(())
}
