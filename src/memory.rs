//! How glibc deals with the memory of images. Other C libraries have no such settings, and stay as they are.

#[cfg(target_env = "gnu")]
use libc::c_int;

/// Largest block that comes from the heap: 32 MiB, the most that glibc takes, an image of eleven megapixels in RGB. Larger ones
/// are mapped each time, and the kernel clears every page of them again.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD_BYTES: c_int = 32 << 20;

/// Free memory at the end of the heap that is kept rather than given back to the kernel: 128 MiB.
#[cfg(target_env = "gnu")]
const TRIM_THRESHOLD_BYTES: c_int = 128 << 20;

/// Lets glibc keep the memory of one image for the next one. By default it gives blocks of this size back after every image,
/// so that the pages of each are mapped and cleared anew, which costs a camera of 1920×1080 pixels several milliseconds an
/// image (`docs/performance.md`). Call it before the first image.
pub fn keep_freed() {
    #[cfg(target_env = "gnu")]
    set_thresholds();
}

#[cfg(target_env = "gnu")]
fn set_thresholds() {
    let set = |parameter, bytes| {
        // SAFETY: `mallopt` may be called at any time from any thread; it changes numbers of the allocator, no memory.
        #[allow(unsafe_code)]
        let done = unsafe { libc::mallopt(parameter, bytes) };
        if done == 0 {
            tracing::debug!("the allocator refuses to keep free memory: images cost more time");
        }
    };
    set(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    set(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
}
