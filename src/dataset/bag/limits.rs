//! Bounds that hold whatever a file claims. A claim is compared with them before memory is taken.

/// Largest message, in bytes of CDR.
pub(super) const MAX_MESSAGE_BYTES: u64 = 512 << 20;

/// Largest chunk of an MCAP file, compressed as well as not.
pub(super) const MAX_CHUNK_BYTES: u64 = 1 << 30;

/// Unpacked chunks that are held to bring their messages into the order of time. Beyond it the next message is delivered
/// although a later chunk may hold an earlier one.
pub(super) const MAX_HELD_BYTES: usize = 1 << 30;

/// Longest name of a topic, a type or an encoding, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// Largest metadata.yaml, in bytes.
pub(super) const MAX_METADATA_BYTES: u64 = 64 << 20;

/// Largest file that is unpacked from a compressed one.
pub(super) const MAX_UNPACKED_BYTES: u64 = 1 << 40;

/// zstd window as a power of two: what the `zstd` program accepts unasked, 128 MiB.
pub(super) const ZSTD_WINDOW_LOG: u32 = 27;
