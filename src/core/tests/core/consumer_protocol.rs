//! What group members send each other, against the bytes of Kafka's own classes.

use std::collections::BTreeMap;

use kafka_core::KafkaError;
use kafka_core::assign::{Assignor, assign_bytes, subscription_bytes};
use kafka_core::consumer_protocol::{
    ConsumerAssignment, ConsumerSubscription, StickyUserData, TopicPartitions,
    decode_cooperative_user_data, encode_cooperative_user_data,
};
use proptest::prelude::*;

use crate::support::{noise, unhex};

/// Names separated by commas; `-` is none.
pub(crate) fn names(token: &str) -> Vec<String> {
    match token {
        "-" => Vec::new(),
        names => names.split(',').map(str::to_owned).collect(),
    }
}

/// Partitions by topic, as in `a:0,1;b:7`; `-` is none.
pub(crate) fn topic_partitions(token: &str) -> TopicPartitions {
    let topics = token.split(';').filter(|topic| *topic != "-");
    let pairs = topics.map(|topic| topic.split_once(':').unwrap());
    pairs
        .map(|(topic, partitions)| {
            let partitions = partitions.split(',').map(|p| p.parse().unwrap());
            (topic.to_owned(), partitions.collect())
        })
        .collect()
}

fn golden(kind: &str) -> Vec<Vec<&'static str>> {
    let lines: Vec<Vec<_>> = include_str!("golden/java_consumer_protocol.txt")
        .lines()
        .map(|line| line.split(' ').collect())
        .filter(|tokens: &Vec<_>| tokens[0] == kind)
        .collect();
    assert!(!lines.is_empty(), "{kind}");
    lines
}

#[test]
fn subscriptions_are_javas_in_every_version() {
    for line in golden("subscription") {
        let user_data = unhex(line[3]);
        let subscription = ConsumerSubscription {
            version: line[1].parse().unwrap(),
            topics: names(line[2]),
            user_data: user_data.as_deref(),
            owned_partitions: topic_partitions(line[4]),
            generation_id: line[5].parse().unwrap(),
            rack_id: names(line[6]).pop(),
        };
        let bytes = unhex(line[7]).unwrap();
        assert_eq!(ConsumerSubscription::decode(&bytes).unwrap(), subscription);
        assert_eq!(subscription.encode(), bytes, "{line:?}");
    }
}

#[test]
fn an_older_version_leaves_out_what_it_does_not_have() {
    let newest = golden("subscription").pop().unwrap();
    let bytes = unhex(newest[7]).unwrap();
    let mut subscription = ConsumerSubscription::decode(&bytes).unwrap();
    assert_eq!((newest[1], newest[4]), ("3", "zürich:2147483647"));
    subscription.version = 0;
    let oldest = golden("subscription").swap_remove(2);
    assert_eq!((oldest[1], oldest[2]), ("0", newest[2]));
    assert_eq!(subscription.encode(), unhex(oldest[7]).unwrap());
}

#[test]
fn assignments_are_javas_in_every_version() {
    for line in golden("assignment") {
        let user_data = unhex(line[3]);
        let assignment = ConsumerAssignment {
            version: line[1].parse().unwrap(),
            assigned_partitions: topic_partitions(line[2]),
            user_data: user_data.as_deref(),
        };
        let bytes = unhex(line[4]).unwrap();
        assert_eq!(ConsumerAssignment::decode(&bytes).unwrap(), assignment);
        assert_eq!(assignment.encode(), bytes, "{line:?}");
    }
}

#[test]
fn user_data_of_the_sticky_assignors_is_javas() {
    for line in golden("sticky") {
        let data = StickyUserData {
            previous_assignment: topic_partitions(line[2]),
            generation: Some(line[1].parse().unwrap()),
        };
        let bytes = unhex(line[3]).unwrap();
        assert_eq!(StickyUserData::decode(&bytes).unwrap(), data);
        assert_eq!(data.encode(), bytes, "{line:?}");

        let oldest = StickyUserData {
            generation: None,
            ..data
        };
        assert_eq!(oldest.encode(), bytes[..bytes.len() - 4]);
        assert_eq!(StickyUserData::decode(&oldest.encode()).unwrap(), oldest);
    }
    for line in golden("cooperative") {
        let generation = line[1].parse().unwrap();
        let bytes = unhex(line[2]).unwrap();
        assert_eq!(decode_cooperative_user_data(&bytes).unwrap(), generation);
        assert_eq!(encode_cooperative_user_data(generation)[..], bytes);
        assert!(decode_cooperative_user_data(&bytes[1..]).is_err());
    }
}

#[test]
fn members_join_with_javas_bytes() {
    for line in golden("join") {
        let assignor: Assignor = line[1].parse().unwrap();
        let bytes = subscription_bytes(
            assignor,
            &names(line[2]),
            &topic_partitions(line[3]),
            line[4].parse().unwrap(),
        );
        assert_eq!(bytes, unhex(line[5]).unwrap(), "{line:?}");
    }
}

#[test]
fn a_newer_version_is_read_as_the_newest_known() {
    let mut bytes = unhex(golden("subscription").pop().unwrap()[7]).unwrap();
    let known = ConsumerSubscription::decode(&bytes).unwrap();
    let mut newer = bytes.clone();
    newer[..2].copy_from_slice(&17i16.to_be_bytes());
    newer.extend_from_slice(b"fields of version 17");
    assert_eq!(ConsumerSubscription::decode(&newer).unwrap(), known);

    bytes[..2].copy_from_slice(&(-1i16).to_be_bytes());
    assert!(ConsumerSubscription::decode(&bytes).is_err());
}

#[test]
fn a_topic_that_comes_twice_counts_once() {
    let hex = "x00000000000200016100000001000000000001610000000100000004ffffffff";
    let bytes = unhex(hex).unwrap();
    let assignment = ConsumerAssignment::decode(&bytes).unwrap();
    assert_eq!(assignment.assigned_partitions, topic_partitions("a:0,4"));
}

#[test]
fn bytes_that_end_early_are_refused() {
    for (kind, at) in [("subscription", 7), ("assignment", 4)] {
        for line in golden(kind) {
            let bytes = unhex(line[at]).unwrap();
            for len in 0..bytes.len() {
                let refused = match kind {
                    "subscription" => ConsumerSubscription::decode(&bytes[..len]).err(),
                    _ => ConsumerAssignment::decode(&bytes[..len]).err(),
                };
                let refused = refused.unwrap_or_else(|| panic!("{len} bytes of {line:?}"));
                assert!(matches!(refused, KafkaError::InvalidRequest { .. }));
            }
        }
    }
}

/// Everything that reads foreign bytes, on `bytes`: what is read has room in them.
fn read_everything(bytes: &[u8]) {
    let count = |topics: &TopicPartitions| -> usize { topics.values().map(Vec::len).sum() };
    if let Ok(read) = ConsumerSubscription::decode(bytes) {
        let fields = 2 * read.topics.len() + 4 * count(&read.owned_partitions);
        assert!(fields <= bytes.len());
        assert!((0..=3).contains(&read.version));
    }
    if let Ok(read) = ConsumerAssignment::decode(bytes) {
        assert!(4 * count(&read.assigned_partitions) <= bytes.len());
    }
    if let Ok(read) = StickyUserData::decode(bytes) {
        assert!(4 * count(&read.previous_assignment) <= bytes.len());
    }
    let member = [("m", None, bytes)];
    let partitions = BTreeMap::from([("a".to_owned(), 3)]);
    for assignor in Assignor::ALL {
        let assigned = assign_bytes(assignor, &member, &partitions);
        assert_eq!(
            assigned.is_ok(),
            ConsumerSubscription::decode(bytes).is_ok()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    #[test]
    fn any_damage_is_read_or_refused(
        line in 0..12usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = unhex(golden("subscription")[line][7]).unwrap();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        read_everything(&bytes);
    }

    #[test]
    fn what_is_written_reads_back(
        version in 0..=3i16,
        topics in proptest::collection::vec("[a-zé.]{0,9}", 0..5),
        owned in proptest::collection::btree_map("[a-z]{0,5}", proptest::collection::vec(any::<i32>(), 0..5), 0..4),
        user_data in proptest::option::of(0..40usize),
        generation_id in any::<i32>(),
        rack_id in proptest::option::of("[a-z]{1,5}"),
    ) {
        let user_data = user_data.map(noise);
        let subscription = ConsumerSubscription {
            version,
            topics,
            user_data: user_data.as_deref(),
            owned_partitions: if version >= 1 { owned.clone() } else { TopicPartitions::new() },
            generation_id: if version >= 2 { generation_id } else { -1 },
            rack_id: rack_id.filter(|_| version >= 3),
        };
        let bytes = subscription.encode();
        prop_assert_eq!(ConsumerSubscription::decode(&bytes).unwrap(), subscription);
        let assignment = ConsumerAssignment {
            version,
            assigned_partitions: owned,
            user_data: user_data.as_deref(),
        };
        let bytes = assignment.encode();
        prop_assert_eq!(ConsumerAssignment::decode(&bytes).unwrap(), assignment);
    }
}
