//! A topic whose messages become CDR here: the bytes that go out are those that recordings and replays hold.

use std::marker::PhantomData;

use r2r::{PublisherUntyped, QosProfile};

use crate::dataset::cdr::{self, CdrError, RosMessage};

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It cannot be said in CDR.
    #[error(transparent)]
    Cdr(#[from] CdrError),
    /// The middleware refuses it.
    #[error(transparent)]
    Ros(#[from] r2r::Error),
}

/// Publishes messages of one type. Copies publish on the same topic, from any thread.
#[derive(Clone)]
pub struct Topic<M> {
    publisher: PublisherUntyped,
    message: PhantomData<fn(&M)>,
}

impl<M: RosMessage> Topic<M> {
    /// Creates the publisher.
    ///
    /// # Errors
    /// When ROS refuses it.
    pub fn create(node: &mut r2r::Node, name: &str, qos: QosProfile) -> r2r::Result<Self> {
        let publisher = node.create_publisher_untyped(name, M::TYPE, qos)?;
        Ok(Self { publisher, message: PhantomData })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`PublishError`] when it cannot be said or sent.
    pub fn publish(&self, message: &M) -> Result<(), PublishError> {
        self.publisher.publish_raw(&cdr::encode(message)?)?;
        Ok(())
    }

    /// Whether another process listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.publisher.get_inter_process_subscription_count().is_ok_and(|subscribers| subscribers > 0)
    }

    /// Takes the topic back. Other copies publish nothing from then on.
    pub fn destroy(self, node: &mut r2r::Node) {
        node.destroy_publisher_untyped(self.publisher);
    }
}
