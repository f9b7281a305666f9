//! The assignors that Kafka's consumers ship with, as functions: the leader of a classic
//! group gives subscriptions and gets each member's partitions.
//!
//! Racks are not looked at. Kafka's assignors look at them only where the brokers that
//! hold a topic have racks, and there is one broker here, without a rack.

mod range;
mod round_robin;
mod sticky;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use crate::consumer_protocol::{
    ConsumerAssignment, ConsumerSubscription, MAX_VERSION, NO_GENERATION, StickyUserData,
    TopicPartitions, decode_cooperative_user_data, encode_cooperative_user_data,
};
use crate::error::KafkaError;

/// How a group divides its partitions (`partition.assignment.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// Each topic by itself, in consecutive runs.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Evenly, and with as few moves as that takes (KIP-54).
    Sticky,
    /// As [`Sticky`](Self::Sticky), but members go on with what they keep, and what moves
    /// is given in the round after its owner has let go of it (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    pub const ALL: [Self; 4] = [
        Self::Range,
        Self::RoundRobin,
        Self::Sticky,
        Self::CooperativeSticky,
    ];

    /// The name under which members propose it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }
}

impl fmt::Display for Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Assignor {
    type Err = KafkaError;

    fn from_str(name: &str) -> Result<Self, KafkaError> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
            .ok_or_else(|| KafkaError::InvalidRequest {
                reason: format!("unknown assignor {name:?}"),
            })
    }
}

/// What the assignors know of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub topics: Vec<String>,
    /// What the member has from earlier rounds; only the sticky assignors look at it.
    pub owned: TopicPartitions,
    /// The generation in which it got them, [`NO_GENERATION`] where that is not known.
    pub generation: i32,
    /// Not looked at.
    pub rack_id: Option<String>,
}

/// Each member's partitions, by member id; members without any have an empty entry.
pub type Assignments = BTreeMap<String, TopicPartitions>;

/// Divides the partitions of the topics that somebody subscribes to. `partitions` is the
/// number of partitions by topic; what it does not name does not exist.
pub fn assign(
    assignor: Assignor,
    members: &[Subscription],
    partitions: &BTreeMap<String, i32>,
) -> Assignments {
    let static_first = matches!(assignor, Assignor::Range | Assignor::RoundRobin);
    let group = Group::new(members, partitions, static_first);
    let shares = match assignor {
        Assignor::Range => range::assign(&group),
        Assignor::RoundRobin => round_robin::assign(&group),
        Assignor::Sticky => sticky::assign(&group),
        Assignor::CooperativeSticky => sticky::assign_cooperatively(&group),
    };
    group.assignments(shares)
}

/// [`assign`] from the bytes that members (id, instance id, metadata) joined with to the
/// bytes that they get, in the order of `members`.
///
/// # Errors
/// [`KafkaError::InvalidRequest`] when a member's metadata is no subscription.
pub fn assign_bytes(
    assignor: Assignor,
    members: &[(&str, Option<&str>, &[u8])],
    partitions: &BTreeMap<String, i32>,
) -> Result<Vec<(String, Vec<u8>)>, KafkaError> {
    let mut subscriptions = Vec::with_capacity(members.len());
    let mut versions = Vec::with_capacity(members.len());
    for &(member_id, group_instance_id, metadata) in members {
        let subscription = ConsumerSubscription::decode(metadata)?;
        versions.push(subscription.version);
        let (owned, generation) = owned_and_generation(assignor, &subscription);
        subscriptions.push(Subscription {
            member_id: member_id.to_owned(),
            group_instance_id: group_instance_id.map(str::to_owned),
            topics: subscription.topics,
            owned: owned.unwrap_or(subscription.owned_partitions),
            generation,
            rack_id: subscription.rack_id,
        });
    }
    let mut assignments = assign(assignor, &subscriptions, partitions);
    let encode = |(subscription, version): (Subscription, i16)| {
        let assigned_partitions = assignments.remove(&subscription.member_id);
        let bytes = ConsumerAssignment {
            version,
            assigned_partitions: assigned_partitions.unwrap_or_default(),
            user_data: None,
        }
        .encode();
        (subscription.member_id, bytes)
    };
    Ok(subscriptions
        .into_iter()
        .zip(versions)
        .map(encode)
        .collect())
}

/// What a member that speaks `assignor` joins with. `owned` is what it has from
/// `generation`, [`NO_GENERATION`] before its first.
pub fn subscription_bytes(
    assignor: Assignor,
    topics: &[String],
    owned: &TopicPartitions,
    generation: i32,
) -> Vec<u8> {
    // Before it joins, a member of an eager protocol has given up all it had.
    let (user_data, owned_partitions) = match assignor {
        Assignor::Range | Assignor::RoundRobin => (None, TopicPartitions::new()),
        Assignor::Sticky if generation < 0 => (None, TopicPartitions::new()),
        Assignor::Sticky => {
            let user_data = StickyUserData {
                previous_assignment: owned.clone(),
                generation: Some(generation),
            };
            (Some(user_data.encode()), TopicPartitions::new())
        }
        Assignor::CooperativeSticky => {
            let user_data = encode_cooperative_user_data(generation);
            (Some(user_data.to_vec()), owned.clone())
        }
    };
    let mut topics = topics.to_vec();
    topics.sort_unstable();
    ConsumerSubscription {
        version: MAX_VERSION,
        topics,
        user_data: user_data.as_deref(),
        owned_partitions,
        generation_id: generation,
        rack_id: None,
    }
    .encode()
}

/// Where an assignor finds what a member owned, and since when; `None` where that is the
/// owned partitions of the subscription. User data that cannot be read tells nothing.
fn owned_and_generation(
    assignor: Assignor,
    subscription: &ConsumerSubscription,
) -> (Option<TopicPartitions>, i32) {
    let user_data = subscription.user_data.unwrap_or_default();
    match assignor {
        Assignor::Sticky => StickyUserData::decode(user_data).map_or_else(
            |_| (Some(TopicPartitions::new()), NO_GENERATION),
            |data| {
                let generation = data.generation.unwrap_or(NO_GENERATION);
                (Some(data.previous_assignment), generation)
            },
        ),
        Assignor::CooperativeSticky if subscription.generation_id < 0 => {
            let generation = decode_cooperative_user_data(user_data);
            (None, generation.unwrap_or(NO_GENERATION))
        }
        _ => (None, subscription.generation_id),
    }
}

/// A member's partitions, by the position of their topic in [`Group::topics`].
type Share = BTreeMap<usize, Vec<usize>>;

/// A topic that exists and has subscribers.
struct Topic<'a> {
    name: &'a str,
    partitions: usize,
    /// The position of its subscribers in [`Group::audiences`].
    audience: usize,
}

/// Members and topics by position. The assignors index with these positions only, never
/// with what a member says.
struct Group<'a> {
    members: Vec<&'a Subscription>,
    /// By name.
    topics: Vec<Topic<'a>>,
    /// Positions of members, ascending and never none. Topics with the same subscribers
    /// share one: often all do, and each has a great many.
    audiences: Vec<Vec<usize>>,
}

impl<'a> Group<'a> {
    /// Members are ordered by member id; if `static_first`, those with an instance id come
    /// before all others, by that id, so that their turn survives a restart.
    fn new(
        members: &'a [Subscription],
        partitions: &'a BTreeMap<String, i32>,
        static_first: bool,
    ) -> Self {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_key(|member| {
            let instance = member.group_instance_id.as_deref();
            let instance = instance.filter(|_| static_first);
            (instance.is_none(), instance, &member.member_id)
        });
        let existing: Vec<_> = partitions.iter().filter(|(_, count)| **count > 0).collect();
        let names: Vec<_> = existing.iter().map(|(name, _)| name.as_str()).collect();
        let (audiences, audience_of) = audiences(&members, &names);
        let topics = existing.into_iter().zip(audience_of);
        let topics = topics.filter_map(|((name, &count), audience)| {
            Some(Topic {
                name,
                partitions: count as usize,
                audience: audience?,
            })
        });
        Self {
            topics: topics.collect(),
            members,
            audiences,
        }
    }

    fn subscribers(&self, topic: usize) -> &[usize] {
        &self.audiences[self.topics[topic].audience]
    }

    /// The position of a topic.
    fn topic(&self, name: &str) -> Option<usize> {
        let position = self.topics.binary_search_by(|topic| topic.name.cmp(name));
        position.ok()
    }

    fn assignments(&self, shares: Vec<Share>) -> Assignments {
        let mut assignments = Assignments::new();
        for (member, share) in self.members.iter().zip(shares) {
            let assignment = assignments.entry(member.member_id.clone()).or_default();
            for (topic, mut partitions) in share {
                partitions.sort_unstable();
                // Counts are 32 bits wide, so partitions are, too.
                let partitions = partitions.into_iter().map(|partition| partition as i32);
                assignment
                    .entry(self.topics[topic].name.to_owned())
                    .or_default()
                    .extend(partitions);
            }
        }
        assignments
    }
}

/// The different sets of subscribers of topics, and which one each topic has, if any.
///
/// The sets so far form a tree: a member turns the set of each of its topics into the
/// child that has this member, too. So they take no more room than there are different
/// ones, and nothing is compared.
fn audiences(members: &[&Subscription], topics: &[&str]) -> (Vec<Vec<usize>>, Vec<Option<usize>>) {
    let positions: HashMap<_, _> = topics
        .iter()
        .enumerate()
        .map(|(i, &name)| (name, i))
        .collect();
    // Each with its last member and the set before that one.
    let mut sets: Vec<(usize, Option<usize>)> = Vec::new();
    let mut set_of = vec![None; topics.len()];
    let mut subscribed = Vec::new();
    let mut previous: &[String] = &[];
    for (member, subscription) in members.iter().enumerate() {
        if subscription.topics != previous {
            previous = &subscription.topics;
            let known = previous
                .iter()
                .filter_map(|name| positions.get(name.as_str()));
            subscribed = known.copied().collect();
            subscribed.sort_unstable();
            subscribed.dedup();
        }
        let mut with_member = HashMap::new();
        for &topic in &subscribed {
            let before = set_of[topic];
            let set = with_member.entry(before).or_insert_with(|| {
                sets.push((member, before));
                sets.len() - 1
            });
            set_of[topic] = Some(*set);
        }
    }
    let mut audiences = Vec::new();
    let mut audience_of_set = HashMap::new();
    let audience_of = set_of.into_iter().map(|set| {
        let set = set?;
        let audience = audience_of_set.entry(set).or_insert_with(|| {
            let path =
                std::iter::successors(Some(sets[set]), |(_, before)| before.map(|set| sets[set]));
            let mut audience: Vec<_> = path.map(|(member, _)| member).collect();
            audience.reverse();
            audiences.push(audience);
            audiences.len() - 1
        });
        Some(*audience)
    });
    let audience_of = audience_of.collect();
    (audiences, audience_of)
}
