//! The spinning thread: brings ROS messages to the camera and keeps everything else going. It decodes nothing and waits
//! for nothing but ROS.

use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::future::Future;
use futures::stream::{Stream, StreamExt};
use futures::task::{LocalSpawnExt, SpawnError};
use r2r::activation_monitor::msg::RegionArray;
use r2r::sensor_msgs::msg::{CompressedImage, Image};

use crate::node::health::reporter::Reporter;
use crate::node::inference::worker::Shared;
use crate::node::input::camera::Camera;
use crate::node::input::messages;
use crate::node::input::request::{Header, Picture};
use crate::node::output::publishers::Outputs;
use crate::node::parameters::qos::Qos;
use crate::node::parameters::server::{ParameterServer, profile};
use crate::node::parameters::settings::{CameraSettings, Transport};
use crate::node::parameters::store::Rules;

/// Longest wait for a message; bounds how late a signal or an overdue image is seen.
const WAIT: Duration = Duration::from_millis(20);

/// A ROS node with its subscriptions.
///
/// r2r hands messages over in channels that hold ten and then drop the *newest*, so they are emptied after every step of
/// the node, on the same thread.
pub struct Spinner {
    node: r2r::Node,
    pool: LocalPool,
    camera: Rc<RefCell<Camera>>,
}

impl Spinner {
    /// Subscribes to the topics that the parameters name.
    ///
    /// # Errors
    /// When ROS refuses a subscription.
    pub fn new(node: r2r::Node, settings: &CameraSettings, shared: &Shared) -> anyhow::Result<Self> {
        let camera = Rc::new(RefCell::new(Camera::new(shared.clone(), settings.regions_topic.is_some())));
        let mut spinner = Self { node, pool: LocalPool::new(), camera };
        spinner.subscribe_to_images(settings)?;
        if let Some(topic) = &settings.regions_topic {
            spinner.subscribe_to_regions(topic, settings.regions_qos)?;
        }
        Ok(spinner)
    }

    /// Spins until `go_on` says no. Images whose regions do not come are answered here.
    pub fn run(
        &mut self,
        outputs: &Outputs,
        reporter: &mut Reporter,
        mut parameters: ParameterServer,
        rules: &dyn Rules,
        go_on: impl Fn() -> bool,
    ) {
        while go_on() {
            self.node.spin_once(WAIT);
            self.pool.run_until_stalled();
            parameters.poll(&mut self.node, rules);
            let now = Instant::now();
            self.camera.borrow_mut().overdue(now).iter().for_each(|answer| outputs.publish(answer));
            reporter.report_when_due(&self.node, now);
        }
    }

    fn subscribe_to_images(&mut self, settings: &CameraSettings) -> anyhow::Result<()> {
        let (topic, profile) = (&settings.image_topic, profile(settings.image_qos));
        match settings.transport {
            Transport::Raw => {
                let images = self.node.subscribe::<Image>(topic, profile)?;
                self.take_images(images, messages::from_raw)
            }
            Transport::Compressed => {
                let images = self.node.subscribe::<CompressedImage>(topic, profile)?;
                self.take_images(images, messages::from_compressed)
            }
        }
    }

    fn take_images<M: 'static>(
        &self,
        images: impl Stream<Item = M> + 'static,
        convert: fn(M) -> (Header, Picture),
    ) -> anyhow::Result<()> {
        let camera = Rc::clone(&self.camera);
        self.for_each(images, move |message| {
            let (header, picture) = convert(message);
            camera.borrow_mut().image(header, picture, Instant::now());
        })
    }

    fn subscribe_to_regions(&mut self, topic: &str, qos: Qos) -> anyhow::Result<()> {
        let regions = self.node.subscribe::<RegionArray>(topic, profile(qos))?;
        let camera = Rc::clone(&self.camera);
        self.for_each(regions, move |message| {
            let (stamp, regions) = messages::from_regions(message);
            camera.borrow_mut().regions(stamp, regions);
        })
    }

    fn for_each<M: 'static>(
        &self,
        messages: impl Stream<Item = M> + 'static,
        mut action: impl FnMut(M) + 'static,
    ) -> anyhow::Result<()> {
        let every = messages.for_each(move |message| {
            action(message);
            ready(())
        });
        Ok(self.run_in_background(every)?)
    }

    fn run_in_background(&self, future: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
        self.pool.spawner().spawn_local(future)
    }
}
