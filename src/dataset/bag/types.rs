//! Names of ROS types.

/// The name as ROS 2 writes it: `sensor_msgs/Image` and the DDS name `sensor_msgs::msg::dds_::Image_` become
/// `sensor_msgs/msg/Image`; anything else stays.
pub(super) fn normalised(name: &str) -> String {
    let dds = || {
        let (package, name) = name.split_once("::msg::dds_::")?;
        Some(format!("{package}/msg/{}", name.strip_suffix('_')?))
    };
    let short = || {
        let (package, name) = name.split_once('/')?;
        (!package.is_empty() && !name.contains('/')).then(|| format!("{package}/msg/{name}"))
    };
    dds().or_else(short).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn names_of_ros_1_and_of_dds_become_names_of_ros_2() {
        assert_eq!(normalised("sensor_msgs/Image"), "sensor_msgs/msg/Image");
        assert_eq!(normalised("sensor_msgs::msg::dds_::Image_"), "sensor_msgs/msg/Image");
        for name in ["sensor_msgs/msg/Image", "foxglove.CompressedImage", "", "/", "a::msg::dds_::b"] {
            assert_eq!(normalised(name), name);
        }
    }
}
