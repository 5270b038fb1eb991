//! Loops that are compiled once per instruction set and chosen at run time.
//!
//! They are written as plain Rust over arrays of eight lanes; the compiler makes of them what the enabled instructions
//! allow. Sums of floating-point numbers have a fixed order, so every instruction set gives the same bits.

/// Which instructions the loops may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// AVX-512 with VPOPCNTDQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on `AArch64`.
    Baseline,
}

impl Kernel {
    /// All that this machine can run, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, is_x86_feature_detected!("avx512vpopcntdq") && has_avx512()),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")),
            (Self::Baseline, true),
        ]
        .into_iter()
        .filter_map(|(kernel, available)| available.then_some(kernel))
    }

    /// The fastest that this machine can run.
    pub fn fastest() -> Self {
        Self::available().next().unwrap_or(Self::Baseline)
    }

    /// The fastest with registers of at most 256 bits, which eight lanes of 32 bits fill. In wider ones the compiler puts
    /// the lanes of several sums together, and takes longer.
    pub fn fastest_of_256_bits() -> Self {
        Self::available().find(|kernel| !kernel.is_wide()).unwrap_or(Self::Baseline)
    }

    fn is_wide(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => true,
            _ => false,
        }
    }

    /// Runs a loop with these instructions.
    #[allow(unsafe_code)]
    pub fn run<L: Loop>(self, body: L) -> L::Output {
        match self {
            // SAFETY: `available` names these only on processors with the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(body) },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(body) },
            Self::Baseline => body.run(),
        }
    }
}

/// What is compiled for every instruction set.
pub(crate) trait Loop {
    type Output;

    /// Has to be inlined always, or else it is compiled for the baseline alone.
    fn run(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vpopcntdq,popcnt")]
fn avx512<L: Loop>(body: L) -> L::Output {
    body.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn avx2<L: Loop>(body: L) -> L::Output {
    body.run()
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("popcnt")
}
