//! Filters as text: what is read is written so that it is read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moiety_engine::Filter;

fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text) {
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
    }
});
