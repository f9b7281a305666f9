//! The server-side assignors: from subscriptions and the last target to the next one.

mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::error::KafkaError;
use crate::group::{Partitions, TopicId};

/// Kafka's built-in assignors (KIP-848).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Assignor {
    /// Members get the same number of partitions, give or take one, and keep what they have.
    #[default]
    Uniform,
    /// Members get neighbouring partitions of each topic, the same of all topics where the
    /// topics and subscriptions are alike.
    Range,
}

impl Assignor {
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

impl FromStr for Assignor {
    type Err = KafkaError;

    fn from_str(name: &str) -> Result<Self, KafkaError> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
            .ok_or_else(|| KafkaError::UnsupportedAssignor {
                assignor: name.to_owned(),
            })
    }
}

/// A member, as far as an assignor looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    pub topics: BTreeSet<TopicId>,
    /// Its last target.
    pub target: &'a Partitions,
}

/// The next target of each member, in their order: of every topic that somebody is
/// subscribed to, each partition goes to exactly one of its subscribers.
///
/// `partition_counts` has the topics that exist; subscriptions to others are passed over.
pub fn assign(
    assignor: Assignor,
    members: &[Subscriber<'_>],
    partition_counts: &BTreeMap<TopicId, i32>,
) -> Vec<Partitions> {
    match assignor {
        Assignor::Uniform => uniform::assign(members, partition_counts),
        Assignor::Range => range::assign(members, partition_counts),
    }
}

/// The subscribers of each topic that exists, as positions in `members`.
fn subscribers_by_topic(
    members: &[Subscriber<'_>],
    partition_counts: &BTreeMap<TopicId, i32>,
) -> BTreeMap<TopicId, Vec<usize>> {
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (position, member) in members.iter().enumerate() {
        for topic in &member.topics {
            if partition_counts.contains_key(topic) {
                subscribers.entry(*topic).or_default().push(position);
            }
        }
    }
    subscribers
}
