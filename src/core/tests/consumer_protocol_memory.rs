//! How much memory it takes to read what group members send. One test, so that nothing
//! else allocates meanwhile.

use std::alloc::System;

use kafka_core::consumer_protocol::{
    ConsumerAssignment, ConsumerSubscription, StickyUserData, TopicPartitions,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn memory_is_bounded() {
    huge_counts_are_not_allocated();
    memory_stays_in_proportion_to_the_bytes();
}

fn huge_counts_are_not_allocated() {
    let counts = [i32::MAX, i32::MAX / 2, 1 << 24, -1, i32::MIN];
    for count in counts.map(i32::to_be_bytes) {
        // In place of the number of topics; of owned topics; of a topic's partitions.
        let cases = [
            [&[0, 3][..], &count, &[0; 30]].concat(),
            [&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..], &count, &[0; 30]].concat(),
            [&[0, 3, 0, 0, 0, 1, 0, 1, b'a'][..], &count, &[0; 30]].concat(),
        ];
        for bytes in cases {
            let region = Region::new(ALLOCATOR);
            let _ = ConsumerSubscription::decode(&bytes);
            let _ = ConsumerAssignment::decode(&bytes);
            let _ = StickyUserData::decode(&bytes[2..]);
            let allocated = region.change().bytes_allocated;
            assert!(allocated < 4096, "{allocated} bytes for {bytes:?}");
        }
    }
}

/// A long topic name is not repeated for each of its partitions.
fn memory_stays_in_proportion_to_the_bytes() {
    let owned_partitions = TopicPartitions::from([("t".repeat(30_000), (0..200_000).collect())]);
    let subscription = ConsumerSubscription {
        version: 3,
        topics: vec![String::new(); 100_000],
        user_data: None,
        owned_partitions,
        generation_id: 1,
        rack_id: None,
    };
    let bytes = subscription.encode();
    let region = Region::new(ALLOCATOR);
    let read = ConsumerSubscription::decode(&bytes).unwrap();
    let allocated = region.change().bytes_allocated;
    assert!(allocated < 30 * bytes.len(), "{allocated} bytes");
    assert_eq!(read, subscription);
}
