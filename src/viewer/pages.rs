//! Pictures that were drawn elsewhere, as a recording.

#[cfg(feature = "viewer")]
mod recorded {
    use std::path::{Path, PathBuf};

    use rerun::EncodedImage;
    use rerun::blueprint::components::PanelState;
    use rerun::blueprint::{Blueprint, BlueprintPanel, ContainerLike, SelectionPanel, Spatial2DView};

    use super::super::layout::ROS_TIME;
    use super::super::sink::Link;
    use super::super::{Rotation, ViewerError, ViewerTarget};

    /// Entity of the pictures.
    const PAGE: &str = "page";
    /// Timeline that counts them.
    const NUMBER: &str = "picture";

    /// Writes pictures into an `.rrd` file, one after the other.
    pub struct PageRecorder {
        link: Link,
        written: u64,
    }

    impl PageRecorder {
        /// Makes the file; where one of that name exists it is kept, and the new one gets a number.
        ///
        /// # Errors
        /// [`ViewerError`] when it cannot be made.
        pub fn open(path: &Path) -> Result<Self, ViewerError> {
            let link = Link::open(&ViewerTarget::Save(path.to_owned()), Rotation::default(), layout)?;
            Ok(Self { link, written: 0 })
        }

        /// Adds a picture (a PNG file), with the stamp of its image in nanoseconds since the epoch where there is one.
        ///
        /// # Errors
        /// [`ViewerError`] when it cannot be written.
        pub fn add(&mut self, png: Vec<u8>, nanos: Option<u64>) -> Result<(), ViewerError> {
            let Some(stream) = self.link.stream() else { return Ok(()) };
            stream.set_time_sequence(NUMBER, i64::try_from(self.written).unwrap_or(i64::MAX));
            if let Some(nanos) = nanos.and_then(|nanos| i64::try_from(nanos).ok()) {
                stream.set_timestamp_nanos_since_epoch(ROS_TIME, nanos);
            }
            let refused = |error: rerun::RecordingStreamError| ViewerError::Rerun(error.to_string());
            stream.log(PAGE, &EncodedImage::from_file_contents(png)).map_err(refused)?;
            self.written += 1;
            Ok(())
        }

        /// Completes the file. Returns the number of pictures and where they are.
        ///
        /// # Errors
        /// [`ViewerError`] when something of it could not be written.
        pub fn finish(mut self) -> Result<(u64, PathBuf), ViewerError> {
            let ViewerTarget::Save(place) = self.link.target().clone() else { return Err(ViewerError::NotBuilt) };
            self.link.flush().map_err(|reason| ViewerError::file(&place, &reason))?;
            Ok((self.written, place))
        }
    }

    fn layout() -> Blueprint {
        Blueprint::new(ContainerLike::from(Spatial2DView::new("activations").with_origin(PAGE)))
            .with_auto_views(false)
            .with_auto_layout(false)
            .with_blueprint_panel(BlueprintPanel::from_state(PanelState::Collapsed))
            .with_selection_panel(SelectionPanel::from_state(PanelState::Collapsed))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pictures_are_written_and_an_earlier_recording_is_kept() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pages.rrd");
            for (pictures, name) in [(1, "pages.rrd"), (30, "pages-1.rrd")] {
                let mut recorder = PageRecorder::open(&path).unwrap();
                (0..pictures).for_each(|number| recorder.add(vec![0x89; 10_000], Some(number)).unwrap());
                assert_eq!(recorder.finish().unwrap(), (pictures, folder.path().join(name)));
            }
            let sizes = ["pages.rrd", "pages-1.rrd"].map(|name| folder.path().join(name).metadata().unwrap().len());
            assert!(sizes[1] > sizes[0] + 1000, "{sizes:?}");
            assert!(PageRecorder::open(&folder.path().join("no/such.rrd")).is_err());
        }
    }
}

#[cfg(not(feature = "viewer"))]
mod recorded {
    use std::convert::Infallible;
    use std::path::{Path, PathBuf};

    use super::super::ViewerError;

    /// Without rerun there is none.
    pub struct PageRecorder(Infallible);

    impl PageRecorder {
        /// Without rerun there is nothing to write.
        ///
        /// # Errors
        /// Always [`ViewerError::NotBuilt`].
        pub fn open(_path: &Path) -> Result<Self, ViewerError> {
            Err(ViewerError::NotBuilt)
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn add(&mut self, _png: Vec<u8>, _nanos: Option<u64>) -> Result<(), ViewerError> {
            match self.0 {}
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn finish(self) -> Result<(u64, PathBuf), ViewerError> {
            match self.0 {}
        }
    }
}

pub use recorded::PageRecorder;
