//! Whether the view works: known to everybody, said once per change.

use std::sync::{Mutex, PoisonError};

/// Why frames are not shown, as long as they are not.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Mutex<Option<String>>,
}

impl Health {
    /// Frames are not shown. The first time after they were, that is an error in the log.
    pub(super) fn fails(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() {
            tracing::error!("the live view fails: {reason}; until it works again its frames are lost");
        }
        *failure = Some(reason);
    }

    /// Frames are shown.
    pub(super) fn works(&self) {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = failure {
            tracing::info!("the live view works again, after: {reason}");
        }
    }

    /// Why frames are not shown; `None` when they are.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Levels {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    #[test]
    fn every_change_is_said_once() {
        let levels = Levels::default();
        let health = Health::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(levels.clone()), || {
            health.works();
            assert_eq!(health.failure(), None);
            for reason in ["full", "full", "fuller"] {
                health.fails(reason.into());
                assert_eq!(health.failure().as_deref(), Some(reason));
            }
            health.works();
            health.works();
            health.fails("full".into());
        });
        assert_eq!(*levels.0.lock().unwrap(), [Level::ERROR, Level::INFO, Level::ERROR]);
    }
}
