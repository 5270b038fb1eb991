//! The ROS 2 executable; see [`activation_monitor::node`].

fn main() -> std::process::ExitCode {
    activation_monitor::node::main()
}
