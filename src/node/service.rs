//! ROS services without r2r's loose ends: a client that is gone is no reason to end, and requests wait in the middleware
//! instead of in a channel that drops the newest.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::stream::{Stream, StreamExt};
use r2r::{QosProfile, ServiceRequest, WrappedServiceTypeSupport};

use crate::intake::throttle::Throttle;

/// Smallest time between two lines about answers that nobody takes.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A service of this node.
pub struct Service<S: WrappedServiceTypeSupport> {
    name: String,
    requests: Box<dyn Stream<Item = ServiceRequest<S>> + Unpin>,
    unsent: Unsent,
}

impl<S: WrappedServiceTypeSupport + 'static> Service<S> {
    /// Offers a service; `name` may be private (`~/enable`). `profile` bounds how many requests wait in the middleware.
    ///
    /// # Errors
    /// When ROS refuses it.
    pub fn new(node: &mut r2r::Node, name: &str, profile: QosProfile) -> r2r::Result<Self> {
        let requests = Box::new(node.create_service::<S>(name, profile)?);
        Ok(Self { name: name.to_owned(), requests, unsent: Unsent::default() })
    }

    /// Answers what has come. To be called after every `spin_once`, which takes one request per service: then none is
    /// lost, since r2r's channel holds ten.
    pub fn poll(&mut self, mut answer: impl FnMut(&S::Request) -> S::Response) {
        while let Some(request) = self.next() {
            let response = answer(&request.message);
            self.respond(request, response);
        }
    }

    /// The oldest request that has come, to be answered with [`Service::respond`], now or later.
    pub fn next(&mut self) -> Option<ServiceRequest<S>> {
        self.requests.next().now_or_never().flatten()
    }

    /// Sends an answer. A client that is gone by now is no fault of the node's.
    pub fn respond(&mut self, request: ServiceRequest<S>, response: S::Response) {
        if let Err(error) = request.respond(response)
            && let Some(count) = self.unsent.count(Instant::now())
        {
            tracing::warn!("{count} answers of {} could not be sent, is the client gone? {error}", self.name);
        }
    }
}

/// Counts answers that nobody took, to be said now and then.
#[derive(Debug)]
struct Unsent {
    count: u64,
    throttle: Throttle,
}

impl Default for Unsent {
    fn default() -> Self {
        Self { count: 0, throttle: Throttle::new(SAY_EVERY) }
    }
}

impl Unsent {
    /// Counts one more; the number since the last time when it is time to say it.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        self.throttle.passes(now).then(|| std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsent_answers_are_said_at_once_and_then_now_and_then() {
        let (mut unsent, start) = (Unsent::default(), Instant::now());
        assert_eq!(unsent.count(start), Some(1));
        assert_eq!(unsent.count(start + Duration::from_secs(1)), None);
        assert_eq!(unsent.count(start + Duration::from_secs(9)), None);
        assert_eq!(unsent.count(start + SAY_EVERY), Some(3));
        assert_eq!(unsent.count(start + SAY_EVERY), None);
    }
}
