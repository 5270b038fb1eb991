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

use super::native;
use crate::intake::camera::{Arrival, Camera};
use crate::node::output::publishers::RosClock;
use crate::node::parameters::server::profile;
use crate::parameters::typed::{CameraSettings, RegionsType, Transport};

const WITHOUT_VISION_MSGS: &str = "the parameter `regions_type` is detection2d_array, but this node was built without \
     vision_msgs: install vision_msgs, source it and build again, or set regions_type to region_array";

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
    let Some(topic) = &settings.regions_topic else { return Ok(subscriptions) };
    let (camera, quality) = (Rc::clone(camera), profile(settings.regions_qos));
    let take = move |(header, regions)| camera.borrow_mut().regions(header, regions, Instant::now());
    match settings.regions_type {
        RegionsType::RegionArray => {
            let regions = node.subscribe_native::<RegionArray>(topic, quality)?;
            subscriptions.each(spawner, regions, move |message| take(native::from_regions(&message)))?;
        }
        #[cfg(vision_msgs)]
        RegionsType::Detection2dArray => {
            let regions = node.subscribe_native::<r2r::vision_msgs::msg::Detection2DArray>(topic, quality)?;
            subscriptions.each(spawner, regions, move |message| take(native::from_detections(&message)))?;
        }
        #[cfg(not(vision_msgs))]
        RegionsType::Detection2dArray => anyhow::bail!(WITHOUT_VISION_MSGS),
    }
    Ok(subscriptions)
}

/// Whether this node knows the messages that a camera asks for.
///
/// # Errors
/// When it was built without them.
pub fn check_types(settings: &CameraSettings) -> anyhow::Result<()> {
    let foreign = settings.regions_topic.is_some() && settings.regions_type == RegionsType::Detection2dArray;
    anyhow::ensure!(cfg!(vision_msgs) || !foreign, WITHOUT_VISION_MSGS);
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::names::CameraName;
    use crate::parameters::settings::Settings;
    use crate::parameters::table::Value;

    #[test]
    fn detections_are_refused_where_their_messages_are_not_known() {
        let mut settings = Settings::default();
        let text = |text: &str| Value::Text(text.into());
        settings.set("regions_type", text("detection2d_array")).unwrap();
        let check = |settings: &Settings| check_types(&settings.camera(&CameraName::default()));
        assert!(check(&settings).is_ok(), "without regions their type does not matter");
        settings.set("regions_topic", text("detections")).unwrap();
        assert_eq!(check(&settings).is_ok(), cfg!(vision_msgs));
    }
}
