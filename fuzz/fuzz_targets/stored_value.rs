//! Values of the store.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| moiety_engine::read_any_value(bytes));
