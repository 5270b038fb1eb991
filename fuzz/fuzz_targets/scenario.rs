#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| activation_monitor_fuzz::scenario(data));
