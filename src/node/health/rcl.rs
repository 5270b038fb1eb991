//! Asks rcl itself for the names of all topics, since r2r's own call reads beyond its memory (see [`super::lookup`]).

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::time::Duration;

use r2r_rcl::{
    RCL_RET_OK, rcl_context_t, rcl_get_topic_names_and_types, rcl_get_zero_initialized_context,
    rcl_get_zero_initialized_init_options, rcl_get_zero_initialized_node, rcl_init, rcl_init_options_init,
    rcl_node_get_default_options, rcl_node_init, rcl_node_t, rcl_ret_t, rcutils_get_default_allocator,
    rmw_get_zero_initialized_names_and_types,
};

/// Names of all topics that a new node called `name` hears of in that time. What it takes from ROS for that is given back
/// by the end of the process, which must have no other node.
///
/// # Errors
/// The function of rcl that failed, with its code.
pub fn topic_names(name: &CStr, discovery: Duration) -> Result<BTreeSet<String>, String> {
    // rcl keeps pointers to both: they must not move, and live as long as the process.
    let context = Box::leak(Box::new(zero_context()));
    let node = Box::leak(Box::new(zero_node()));
    start(context, node, name)?;
    std::thread::sleep(discovery);
    ask(node)
}

#[allow(unsafe_code)]
fn zero_context() -> rcl_context_t {
    // SAFETY: makes a value and reads nothing.
    unsafe { rcl_get_zero_initialized_context() }
}

#[allow(unsafe_code)]
fn zero_node() -> rcl_node_t {
    // SAFETY: makes a value and reads nothing.
    unsafe { rcl_get_zero_initialized_node() }
}

#[allow(unsafe_code)]
fn start(context: &mut rcl_context_t, node: &mut rcl_node_t, name: &CStr) -> Result<(), String> {
    let namespace = CString::default();
    // SAFETY: context and node are zero-initialised and live on; options and names live until the calls that read them
    // return; no arguments are passed, as a count of 0 and a null pointer say.
    unsafe {
        let mut options = rcl_get_zero_initialized_init_options();
        succeed("rcl_init_options_init", rcl_init_options_init(&raw mut options, rcutils_get_default_allocator()))?;
        succeed("rcl_init", rcl_init(0, std::ptr::null(), &raw const options, &raw mut *context))?;
        let mut of_node = rcl_node_get_default_options();
        of_node.enable_rosout = false;
        let (name, namespace) = (name.as_ptr(), namespace.as_ptr());
        succeed("rcl_node_init", rcl_node_init(&raw mut *node, name, namespace, &raw mut *context, &raw const of_node))
    }
}

#[allow(unsafe_code)]
fn ask(node: &rcl_node_t) -> Result<BTreeSet<String>, String> {
    // SAFETY: the node is initialised; on success rcl has filled `names` with `size` strings that end with a zero byte,
    // and nobody frees them.
    unsafe {
        let (mut allocator, mut found) = (rcutils_get_default_allocator(), rmw_get_zero_initialized_names_and_types());
        let code = rcl_get_topic_names_and_types(&raw const *node, &raw mut allocator, false, &raw mut found);
        succeed("rcl_get_topic_names_and_types", code)?;
        if found.names.data.is_null() {
            return Ok(BTreeSet::new());
        }
        let names = std::slice::from_raw_parts(found.names.data, found.names.size);
        Ok(names.iter().map(|name| CStr::from_ptr(*name).to_string_lossy().into_owned()).collect())
    }
}

fn succeed(function: &str, code: rcl_ret_t) -> Result<(), String> {
    if u32::try_from(code) == Ok(RCL_RET_OK) { Ok(()) } else { Err(format!("{function} fails with code {code}")) }
}
