//! Writes the paths of ROS 2, libtorch and this package's messages into every executable, so that it starts from a
//! plain shell. Says which messages are there that the node can do without.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for variable in ["ACTIVATION_MONITOR_RPATH", "AMENT_PREFIX_PATH", "IDL_PACKAGE_FILTER", "LIBTORCH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    // DT_RPATH instead of DT_RUNPATH: only the former also serves the libraries that ROS 2 opens at run time.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    // An installed executable lies in lib/activation_monitor, the messages installed with it in lib.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/..");
    println!("cargo:rustc-check-cfg=cfg(vision_msgs)");
    if has_messages("vision_msgs") {
        println!("cargo:rustc-cfg=vision_msgs");
    }
    for folder in library_folders() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

/// Whether r2r makes bindings for the messages of `package`: it is in a prefix, and the filter names it.
fn has_messages(package: &str) -> bool {
    let prefixes = env::var("AMENT_PREFIX_PATH").unwrap_or_default();
    let found = prefixes.split(':').any(|prefix| Path::new(prefix).join("share").join(package).is_dir());
    let filter = env::var("IDL_PACKAGE_FILTER").ok();
    found && filter.is_none_or(|packages| packages.split(';').any(|name| name == package))
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
