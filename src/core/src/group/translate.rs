//! Partitions as one protocol names them, for the other: the classic one by the names of
//! topics, the consumer protocol by their ids.

use std::collections::{BTreeMap, BTreeSet};

use super::{Partitions, TopicId, Topics};
use crate::consumer_protocol::{ConsumerSubscription, TopicPartitions};

/// The version of the consumer protocol that a member can read: that of its metadata.
pub(super) fn version_of(metadata: &[u8]) -> i16 {
    ConsumerSubscription::decode(metadata).map_or(0, |subscription| subscription.version)
}

/// Partitions that exist, by the ids of their topics.
pub(super) fn by_id(partitions: &TopicPartitions, topics: &Topics) -> Partitions {
    let mut found = Partitions::new();
    for (name, numbers) in partitions {
        let Some(topic) = topics.get(name) else {
            continue;
        };
        let numbers = numbers.iter().copied();
        let numbers: BTreeSet<i32> = numbers
            .filter(|number| (0..topic.partitions).contains(number))
            .collect();
        if !numbers.is_empty() {
            found.insert(topic.id, numbers);
        }
    }
    found
}

/// Partitions of topics that exist, by the names of the topics.
pub(super) fn by_name(
    partitions: impl Iterator<Item = (TopicId, i32)>,
    topics: &Topics,
) -> TopicPartitions {
    let names: BTreeMap<TopicId, &String> = topics
        .iter()
        .map(|(name, topic)| (topic.id, name))
        .collect();
    let mut found = TopicPartitions::new();
    for (topic, number) in partitions {
        if let Some(name) = names.get(&topic) {
            found.entry((*name).clone()).or_default().push(number);
        }
    }
    found
}
