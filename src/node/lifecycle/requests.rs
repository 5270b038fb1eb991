//! Service requests that wait for the main thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::ready;
use std::rc::Rc;

use futures::executor::LocalSpawner;
use futures::stream::StreamExt;
use futures::task::LocalSpawnExt;
use r2r::{QosProfile, ServiceRequest, WrappedServiceTypeSupport};

/// Requests of one service in the order they came.
#[derive(Clone)]
pub struct Requests<T: WrappedServiceTypeSupport>(Rc<RefCell<VecDeque<ServiceRequest<T>>>>);

impl<T: WrappedServiceTypeSupport + 'static> Requests<T> {
    /// Offers the service `name`.
    ///
    /// # Errors
    /// When ROS refuses it.
    pub fn serve(node: &mut r2r::Node, spawner: &LocalSpawner, name: &str) -> anyhow::Result<Self> {
        let requests = Self(Rc::default());
        let queue = Rc::clone(&requests.0);
        let stream = node.create_service::<T>(name, QosProfile::default())?;
        spawner.spawn_local(stream.for_each(move |request| {
            queue.borrow_mut().push_back(request);
            ready(())
        }))?;
        Ok(requests)
    }

    /// The oldest request, where there is one.
    pub fn next(&self) -> Option<ServiceRequest<T>> {
        self.0.borrow_mut().pop_front()
    }

    /// Answers every request that waits.
    pub fn answer_all(&self, mut answer: impl FnMut(&T::Request) -> T::Response) {
        while let Some(request) = self.next() {
            let response = answer(&request.message);
            respond(request, response);
        }
    }
}

/// Sends a response. A client that is gone by now is no fault of the node's.
pub fn respond<T: WrappedServiceTypeSupport + 'static>(request: ServiceRequest<T>, response: T::Response) {
    if let Err(error) = request.respond(response) {
        tracing::warn!("the client of a service has gone before its answer: {error}");
    }
}
