#![no_main]
use kafka_core::{Limits, split_batches, stamp};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    max_message_bytes: 1 << 20,
};

fuzz_target!(|bytes: &[u8]| {
    for batch in split_batches(bytes).flatten() {
        // The fuzzer cannot guess a checksum: it gets the right one.
        let mut bytes = batch.bytes().to_vec();
        bytes[17..21].copy_from_slice(&batch.computed_crc().to_be_bytes());
        let (batch, _) = kafka_core::Batch::parse(&bytes).unwrap();
        if let Ok(summary) = batch.accept(LIMITS) {
            let mut stamped = bytes.clone();
            stamp(&mut stamped, 7, 1, None);
            let (stamped, _) = kafka_core::Batch::parse(&stamped).unwrap();
            assert_eq!(stamped.accept(LIMITS), Ok(summary));
        }
    }
});
