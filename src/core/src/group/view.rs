//! What can be read of a group from outside.

use super::consumer::{self, Assigned, ConsumerGroup, Member};
use super::{Group, Partitions, TopicId};

/// What there is to say of a group as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview<'a> {
    pub state: &'static str,
    pub protocol_type: Option<&'a str>,
    /// The protocol that the members elected, or the assignor.
    pub protocol_name: Option<&'a str>,
    /// The generation, or the group epoch.
    pub generation_id: i32,
    pub assignment_epoch: Option<i32>,
    pub leader: Option<&'a str>,
}

/// What there is to say of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    /// `classic` or `consumer`: the protocol that it speaks.
    pub member_type: &'static str,
    pub member_epoch: Option<i32>,
    pub state: &'static str,
    pub client_id: String,
    pub client_host: String,
    pub rack_id: Option<String>,
    /// None where its metadata is no consumer's.
    pub subscribed_topics: Option<Vec<String>>,
    pub subscribed_topic_regex: Option<String>,
    /// Of the group's protocol.
    pub metadata: Option<Vec<u8>>,
    pub assignment: Option<Vec<u8>>,
    /// None where its assignment is no consumer's.
    pub assigned: Option<Vec<(TopicKey, i32)>>,
    pub target: Option<Vec<(TopicKey, i32)>>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// Epoch milliseconds.
    pub heartbeat_at: i64,
}

/// How a protocol names a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicKey {
    Name(String),
    Id(TopicId),
}

impl Group {
    /// `classic` or `consumer`, as Kafka's admin client lists them.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Consumer(_) => "consumer",
        }
    }

    /// Kafka's name of the group's state.
    pub fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state.name(),
            Self::Consumer(group) => consumer::state(group).name(),
        }
    }

    pub fn overview(&self, consumer: &consumer::Config) -> Overview<'_> {
        match self {
            Self::Classic(group) => Overview {
                state: self.state_name(),
                protocol_type: group.protocol_type.as_deref(),
                protocol_name: group.protocol_name.as_deref(),
                generation_id: group.generation_id,
                assignment_epoch: None,
                leader: group.leader.as_deref(),
            },
            Self::Consumer(group) => Overview {
                state: self.state_name(),
                protocol_type: Some(crate::consumer_protocol::PROTOCOL_TYPE),
                protocol_name: Some(consumer::preferred_assignor(group, consumer).name()),
                generation_id: group.epoch,
                assignment_epoch: Some(group.assignment_epoch),
                leader: None,
            },
        }
    }

    /// Its members, without those that only hold an id.
    pub fn members(&self, consumer: &consumer::Config) -> Vec<MemberView> {
        match self {
            Self::Classic(group) => group.views(),
            Self::Consumer(group) => views(group, consumer),
        }
    }
}

fn views(group: &ConsumerGroup, config: &consumer::Config) -> Vec<MemberView> {
    let members = group.members.values();
    members.map(|member| view(member, config)).collect()
}

fn view(member: &Member, config: &consumer::Config) -> MemberView {
    let classic = member.classic.as_ref();
    MemberView {
        member_id: member.member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        member_type: if classic.is_some() {
            "classic"
        } else {
            "consumer"
        },
        member_epoch: Some(member.epoch),
        state: member.state.name(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rack_id: member.rack_id.clone(),
        subscribed_topics: Some(member.subscribed_topics.iter().cloned().collect()),
        subscribed_topic_regex: member.subscribed_regex.clone(),
        metadata: None,
        assignment: None,
        assigned: Some(assigned(&member.assigned)),
        target: Some(targeted(&member.target)),
        session_timeout_ms: classic.map_or(config.session_timeout_ms, |c| c.session_timeout_ms),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        heartbeat_at: member.heartbeat_at,
    }
}

fn assigned(partitions: &Assigned) -> Vec<(TopicKey, i32)> {
    let topics = partitions.iter();
    let pairs = topics.flat_map(|(id, numbers)| numbers.keys().map(|n| (TopicKey::Id(*id), *n)));
    pairs.collect()
}

fn targeted(partitions: &Partitions) -> Vec<(TopicKey, i32)> {
    let topics = partitions.iter();
    let pairs = topics.flat_map(|(id, numbers)| numbers.iter().map(|n| (TopicKey::Id(*id), *n)));
    pairs.collect()
}
