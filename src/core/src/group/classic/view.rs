//! What can be read of a classic group from outside: its members, and for groups of
//! consumers what they are subscribed to and have been assigned.

use super::{Group, Member};
use crate::consumer_protocol::{ConsumerAssignment, ConsumerSubscription, PROTOCOL_TYPE};
use crate::group::view::{MemberView, TopicKey};

impl Group {
    pub fn has_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(PROTOCOL_TYPE)
    }

    /// Whether a member is subscribed to the topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.has_consumers()
            && self.joined_members().any(|(_, member)| {
                self.subscription(member)
                    .is_some_and(|subscription| subscription.topics.iter().any(|t| t == topic))
            })
    }

    /// What a consumer is subscribed to, if that can be read.
    pub(in crate::group) fn subscription<'a>(
        &'a self,
        member: &'a Member,
    ) -> Option<ConsumerSubscription<'a>> {
        // Before the first protocol is elected each says the same of the topics.
        let metadata = match self.protocol_name {
            Some(_) => self.member_metadata(member),
            None => member
                .protocols
                .first()
                .map(|(_, metadata)| metadata.as_slice())?,
        };
        ConsumerSubscription::decode(metadata).ok()
    }

    pub fn views(&self) -> Vec<MemberView> {
        let members = self.joined_members();
        members.map(|(id, member)| self.view(id, member)).collect()
    }

    fn view(&self, member_id: &str, member: &Member) -> MemberView {
        let consumer = self.has_consumers();
        let subscription = consumer.then(|| self.subscription(member)).flatten();
        let assigned = consumer.then(|| assigned(&member.assignment)).flatten();
        let assigned = assigned.map(|assigned| {
            let pairs = assigned.into_iter();
            pairs
                .map(|(topic, partition)| (TopicKey::Name(topic), partition))
                .collect()
        });
        MemberView {
            member_id: member_id.to_owned(),
            group_instance_id: member.group_instance_id.clone(),
            member_type: "classic",
            member_epoch: None,
            state: member.phase.name(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rack_id: None,
            subscribed_topics: subscription.map(|subscription| subscription.topics),
            subscribed_topic_regex: None,
            metadata: Some(self.member_metadata(member).to_vec()),
            assignment: Some(member.assignment.clone()),
            assigned,
            target: None,
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            heartbeat_at: member.heartbeat_at,
        }
    }
}

/// A consumer's assignment as topics and partitions; none at all where it is empty.
pub fn assigned(assignment: &[u8]) -> Option<Vec<(String, i32)>> {
    if assignment.is_empty() {
        return Some(Vec::new());
    }
    let assignment = ConsumerAssignment::decode(assignment).ok()?;
    let topics = assignment.assigned_partitions.into_iter();
    let pairs = topics.flat_map(|(topic, partitions)| {
        partitions
            .into_iter()
            .map(move |partition| (topic.clone(), partition))
    });
    Some(pairs.collect())
}
