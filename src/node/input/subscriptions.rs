//! Subscriptions of one camera.

use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;
use std::time::Instant;

use futures::executor::LocalSpawner;
use futures::future::{AbortHandle, abortable};
use futures::stream::{Stream, StreamExt};
use futures::task::LocalSpawnExt;
use r2r::activation_monitor::msg::RegionArray;
use r2r::sensor_msgs::msg::{CompressedImage, Image};

use super::camera::{Arrival, Camera};
use super::native;
use crate::node::output::publishers::RosClock;
use crate::node::parameters::server::profile;
use crate::node::parameters::settings::{CameraSettings, Transport};

/// What a camera is subscribed to. Dropping it ends the subscriptions; r2r takes one out of the graph when its next
/// message comes.
pub struct Subscriptions(Vec<AbortHandle>);

/// Subscribes to images and regions of `camera` with `settings`. The messages are handled where `spawner` runs.
///
/// # Errors
/// When ROS refuses a subscription.
pub fn subscribe(
    node: &mut r2r::Node,
    spawner: &LocalSpawner,
    settings: &CameraSettings,
    camera: &Rc<RefCell<Camera>>,
) -> anyhow::Result<Subscriptions> {
    let mut subscriptions = Subscriptions(Vec::new());
    let clock = RosClock::of(node);
    let take = move |camera: &Rc<RefCell<Camera>>, (header, picture)| {
        camera.borrow_mut().image(header, picture, Arrival { at: Instant::now(), ros: clock.stamp() });
    };
    let of_images = Rc::clone(camera);
    match settings.transport {
        Transport::Raw => {
            let images = node.subscribe_native::<Image>(&settings.image_topic, profile(settings.image_qos))?;
            subscriptions.each(spawner, images, move |message| take(&of_images, native::from_raw(message)))?;
        }
        Transport::Compressed => {
            let images =
                node.subscribe_native::<CompressedImage>(&settings.image_topic, profile(settings.image_qos))?;
            subscriptions.each(spawner, images, move |message| take(&of_images, native::from_compressed(message)))?;
        }
    }
    if let Some(topic) = &settings.regions_topic {
        let (regions, camera) =
            (node.subscribe_native::<RegionArray>(topic, profile(settings.regions_qos))?, Rc::clone(camera));
        subscriptions.each(spawner, regions, move |message| {
            let (header, regions) = native::from_regions(&message);
            camera.borrow_mut().regions(&header, regions);
        })?;
    }
    Ok(subscriptions)
}

impl Subscriptions {
    fn each<M: 'static>(
        &mut self,
        spawner: &LocalSpawner,
        messages: impl Stream<Item = M> + 'static,
        mut action: impl FnMut(M) + 'static,
    ) -> anyhow::Result<()> {
        let every = messages.for_each(move |message| {
            action(message);
            ready(())
        });
        let (every, handle) = abortable(every);
        spawner.spawn_local(async move {
            // Ends when the handle says so, which is no error.
            let _ = every.await;
        })?;
        self.0.push(handle);
        Ok(())
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}
