//! Pictures of what is inside the network for one image: channels of its layers, and with a monitor what is usual there.
//!
//! A [`Sheet`] is one picture: [`Subject`] is the image in its head, [`LayerView`] a layer below it. [`Sheet::draw`] stacks the
//! pieces of `piece.rs`: text, `portrait.rs` (the image), `grid.rs` (one tile per channel), `chart.rs` (numbers of all channels)
//! and `bits.rs` (binary patterns). [`Scales`] are the ends of colours and axes, which the pictures of an animation share.
//! [`Animation`] writes pictures as APNG. Nothing here knows torch or rerun: everything is drawn from arrays.

mod animation;
mod bits;
mod chart;
mod grid;
mod layer;
mod piece;
mod plot;
mod portrait;
mod scale;
mod sheet;
mod style;

#[cfg(feature = "viewer")]
pub(crate) use bits::bit_color;

pub use animation::{Animation, AnimationError};
pub use chart::ChartError;
pub use layer::{LayerChoice, LayerView, UnknownLayer};
pub use portrait::{Opinion, Subject};
pub use scale::{Range, Scales};
pub use sheet::{Detail, Sheet};
