#![no_main]
use kafka_core::assign::{Assignor, assign_bytes};
use kafka_core::consumer_protocol::{ConsumerAssignment, StickyUserData};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = (
        ConsumerAssignment::decode(bytes),
        StickyUserData::decode(bytes),
    );
    for assignor in Assignor::ALL {
        let _ = assign_bytes(
            assignor,
            &[("m", None, bytes)],
            &[("t".to_owned(), 9)].into(),
        );
    }
});
