//! Writes the paths of ROS 2, libtorch and this package's messages into every executable, so that it starts from a
//! plain shell.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for variable in ["ACTIVATION_MONITOR_RPATH", "AMENT_PREFIX_PATH", "LIBTORCH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    // DT_RPATH instead of DT_RUNPATH: only the former also serves the libraries that ROS 2 opens at run time.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    // An installed executable lies in lib/activation_monitor, the messages installed with it in lib.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/..");
    for folder in library_folders() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

/// In the order of search: `tools/setup` knows it; without it, what the environment names.
fn library_folders() -> Vec<String> {
    let split = |name| env::var(name).map(|list| list.split(':').map(String::from).collect()).unwrap_or_default();
    let from_setup: Vec<String> = split("ACTIVATION_MONITOR_RPATH");
    if !from_setup.is_empty() {
        return from_setup;
    }
    let prefixes: Vec<String> = split("AMENT_PREFIX_PATH");
    prefixes.into_iter().chain(env::var("LIBTORCH")).map(|prefix| format!("{prefix}/lib")).collect()
}
