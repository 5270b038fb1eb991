//! Loops over pixels, compiled twice: with AVX2, and with what every processor of the architecture has. With AVX2 they
//! take a quarter of the time.

/// What is compiled twice.
pub(super) trait Loop {
    /// Has to be inlined always, or else it is compiled once.
    fn run(self);
}

/// Runs a loop with the instructions of this processor.
#[allow(unsafe_code)]
pub(super) fn run(body: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2.
        return unsafe { with_avx2(body) };
    }
    body.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(body: impl Loop) {
    body.run();
}
