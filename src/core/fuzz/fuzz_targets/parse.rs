#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for batch in kafka_core::split_batches(bytes).flatten() {
        assert!(batch.len() <= bytes.len());
    }
});
