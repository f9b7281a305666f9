#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for batch in kafka_core::split_batches(bytes).flatten() {
        let _ = batch.verify_records(1 << 20);
        let _ = kafka_core::recompress(&batch, kafka_core::Codec::None, 1 << 20);
    }
});
