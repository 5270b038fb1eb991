//! SIGINT and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell reports for a program that SIGINT ended.
const EXIT_CODE_SIGINT: u8 = 130;

/// Becomes true with the first signal; a second one ends the process at once.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn listen() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (interrupt, terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let told = Arc::clone(&stop);
    let wait = move || runtime.block_on(wait(interrupt, terminate, &told));
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(stop)
}

/// Ends the process without what C and C++ libraries do at the end: they would take apart what other threads still use.
pub fn leave(code: u8) -> ! {
    // SAFETY: `_exit` may be called at any time from any thread, and touches no memory of the process.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code.into())
    }
}

async fn wait(mut interrupt: Signal, mut terminate: Signal, stop: &AtomicBool) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.swap(true, Ordering::Relaxed) {
            leave(EXIT_CODE_SIGINT);
        }
    }
}
