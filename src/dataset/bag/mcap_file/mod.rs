//! MCAP files.
//!
//! A file with an index of its chunks is read in the order of log time. One without (not chunked, no summary, cut off) is read
//! from the front in the order of the file, which is the order of recording, with one chunk in memory at a time.

mod channels;
mod chunk;
mod frames;
mod indexed;
mod linear;
mod records;
mod summary;

use std::path::Path;

use mcap::records::op;

use super::damage::Damages;
use super::overview::Overview;
use super::{BagError, BagMessage, Damage, Wanted};
use channels::FRONT;
use frames::{Frames, Step};
use indexed::Indexed;
use linear::Linear;
use records::Fields;
use summary::Found;

/// An open file.
pub(super) struct McapFile {
    /// Boxed, because it is much larger than a database.
    order: Box<Order>,
    damages: Damages,
}

enum Order {
    /// By log time.
    Time(Indexed),
    /// By the place in the file.
    File(Linear),
}

impl McapFile {
    /// Opens `data`, which errors and damage call `path`.
    ///
    /// # Errors
    /// [`BagError::Io`], or [`BagError::Format`] for a recording of ROS 1.
    pub(super) fn open(path: &Path, data: &Path) -> Result<Self, BagError> {
        let mut frames = Frames::open(path, data, mcap::MAGIC.len() as u64)?;
        check_profile(&mut frames)?;
        let mut damages = Damages::default();
        let order = match summary::read(&mut frames)? {
            Found::Whole(summary) => Order::Time(Indexed::new(frames, summary)),
            Found::Missing => Order::File(Linear::new(frames)),
            Found::Damaged(reason) => {
                damages.push(Damage::new(path, format!("{reason}: read from the front instead")).messages(0));
                Order::File(Linear::new(frames))
            }
        };
        Ok(Self { order: Box::new(order), damages })
    }

    /// What the file holds: by its summary, or by reading all of it. `path` and `data` are as for [`open`](Self::open).
    pub(super) fn overview(&mut self, path: &Path, data: &Path) -> Result<(Overview, Damages), BagError> {
        let mut damages = std::mem::take(&mut self.damages);
        match self.order.as_ref() {
            Order::Time(indexed) => Ok((indexed.overview(), damages)),
            Order::File(_) => {
                let (overview, mut found) = Linear::new(Frames::open(path, data, 0)?).survey()?;
                damages.append(&mut found);
                Ok((overview, damages))
            }
        }
    }

    /// Called once before the first message.
    pub(super) fn choose(&mut self, wanted: &Wanted) {
        if let Order::Time(indexed) = self.order.as_mut() {
            indexed.choose(wanted);
        }
    }

    /// The next message of a wanted topic, still compressed if rosbag2 compressed it.
    pub(super) fn next(&mut self, wanted: &Wanted) -> Result<Option<BagMessage>, BagError> {
        match self.order.as_mut() {
            Order::Time(indexed) => indexed.next(wanted),
            Order::File(linear) => linear.next(wanted),
        }
    }

    /// Damage that [`overview`](Self::overview) could not see.
    pub(super) fn new_damage(&mut self) -> Damages {
        match self.order.as_mut() {
            Order::Time(indexed) => std::mem::take(&mut indexed.damages),
            Order::File(_) => Damages::default(),
        }
    }
}

/// Refuses recordings of ROS 1 by the profile in the header.
fn check_profile(frames: &mut Frames) -> Result<(), BagError> {
    let Step::Record(frame) = frames.step()? else { return Ok(()) };
    let mut body = Vec::new();
    frames.body(frame, FRONT, &mut body)?;
    if frame.opcode == op::HEADER && Fields(&body).name() == Some("ros1") {
        return Err(BagError::format(frames.path(), "an MCAP file with messages of ROS 1"));
    }
    Ok(())
}
