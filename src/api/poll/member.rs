//! How the session stands in its group, and the steps that it takes there.

use std::collections::BTreeSet;

use kafka_core::consumer_protocol::{ConsumerSubscription, NO_GENERATION, TopicPartitions};
use kafka_core::error::KafkaError;
use kafka_core::group::classic::{self, Join, JoinReply, Phase, State, Sync, SyncReply};
use kafka_core::group::consumer::{self, ConsumerGroup, Heartbeat, MemberState};
use kafka_core::group::{Group, Partitions, TopicId, TopicKey};

use super::{Look, Poller, Standing};
use crate::api::group::{self as member, Said};
use crate::store::topic::{self, TopicRef};
use crate::store::{group, polled, server};

impl Poller {
    /// How this session's member stands, if it is one.
    pub(super) fn look(&self, stepped: bool) -> Look {
        let Some(member_id) = polled::member_id(&self.group_id, self.instance.as_deref()) else {
            return Look::Due;
        };
        match group::read(&self.group_id) {
            Some(Group::Classic(group)) => self.look_classic(&group, member_id),
            Some(Group::Consumer(group)) => self.look_consumer(&group, &member_id, stepped),
            None => Look::Due,
        }
    }

    fn look_classic(&self, group: &classic::Group, member_id: String) -> Look {
        let now = server::now_ms();
        let due = group.next_deadline().is_none_or(|deadline| deadline <= now);
        let Some(member) = group.members.get(&member_id).filter(|_| !due) else {
            return Look::Due;
        };
        if self.wants_to_join(group, &member_id, member)
            || classic::needs_touch(member.heartbeat_at, member.session_timeout_ms, now)
                && group.state != State::Stable
        {
            return Look::Due;
        }
        match (group.state, member.phase) {
            (State::Stable, Phase::Synced) => Look::Assigned(Standing {
                member_id,
                generation_id: group.generation_id,
                assigned: classic::assigned(&member.assignment).unwrap_or_default(),
            }),
            (State::PreparingRebalance, Phase::Joined)
            | (State::CompletingRebalance, Phase::Synced) => Look::Waiting {
                until: group.next_deadline().unwrap_or(now),
            },
            _ => Look::Due,
        }
    }

    /// The member subscribes to other topics now, has (in a cooperative rebalance) given up
    /// partitions that others wait for, or leads a group whose topics have grown.
    fn wants_to_join(
        &self,
        group: &classic::Group,
        member_id: &str,
        member: &classic::Member,
    ) -> bool {
        let metadata = group.member_metadata(member);
        let Ok(mut subscription) = ConsumerSubscription::decode(metadata) else {
            return false;
        };
        subscription.topics.sort();
        let given_up = || {
            let assigned = classic::assigned(&member.assignment).unwrap_or_default();
            subscription
                .owned_partitions
                .iter()
                .flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, p)))
                .any(|(topic, partition)| !assigned.contains(&(topic.clone(), *partition)))
        };
        group.protocol_name.is_some() && subscription.topics != self.topics
            || group.state == State::Stable
                && group.protocol_name.as_deref() == Some("cooperative-sticky")
                && given_up()
            || group.state == State::Stable && group.is_leader(member_id) && has_unassigned(group)
    }

    /// Joins or syncs, whichever is next. False where others are awaited.
    pub(super) fn step(&self) -> Result<bool, KafkaError> {
        let member_id = polled::member_id(&self.group_id, self.instance.as_deref());
        let current = member::current(&self.group_id).ok();
        if let Some(Group::Consumer(group)) = &current
            && !group.members.is_empty()
        {
            return self.beat(group, member_id);
        }
        let standing = match (&current, &member_id) {
            (Some(Group::Classic(group)), Some(id)) => group.members.get(id).map(|m| (group, m)),
            _ => None,
        };
        let Some((group, member)) = standing else {
            return self.join(None, &TopicPartitions::new(), NO_GENERATION);
        };
        let member_id = member_id.clone().unwrap_or_default();
        let must_sync = match group.state {
            State::PreparingRebalance | State::Empty => false,
            State::CompletingRebalance | State::Stable => {
                !self.wants_to_join(group, &member_id, member)
            }
        };
        if must_sync {
            return self.sync(&member_id, group.generation_id);
        }
        let mut owned = TopicPartitions::new();
        for (topic, partition) in classic::assigned(&member.assignment).unwrap_or_default() {
            owned.entry(topic).or_default().push(partition);
        }
        self.join(Some(member_id), &owned, group.generation_id)
    }

    /// Where the server assigns, a member has what it holds at any moment; it steps when
    /// the group has moved on, or when others may have given up what it is to get.
    fn look_consumer(&self, group: &ConsumerGroup, member_id: &str, stepped: bool) -> Look {
        let context = group::context();
        let due = consumer::next_deadline(group, &context.consumer)
            .is_none_or(|deadline| deadline <= context.now);
        let Some(member) = group.members.get(member_id).filter(|_| !due) else {
            return Look::Due;
        };
        let timeout_ms = context.consumer.session_timeout_ms;
        let waits = match member.state {
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => {
                classic::needs_touch(member.heartbeat_at, timeout_ms, context.now)
            }
        };
        let topics: Vec<&String> = member.subscribed_topics.iter().collect();
        let moved = member.epoch != group.epoch || !topics.into_iter().eq(&self.topics);
        if !stepped && (waits || moved) {
            return Look::Due;
        }
        let name = |id: &TopicId| topic::find(&TopicRef::Id(*id)).ok().map(|t| t.name.clone());
        let assigned = member.assigned.iter().flat_map(|(id, partitions)| {
            let name = name(id);
            partitions
                .keys()
                .filter_map(move |partition| Some((name.clone()?, *partition)))
        });
        Look::Assigned(Standing {
            member_id: member_id.to_owned(),
            generation_id: member.epoch,
            assigned: assigned.collect(),
        })
    }

    /// A heartbeat of a member whose group the server assigns: it joins, or says that it
    /// holds what it was given and nothing else, which is true between transactions.
    fn beat(&self, group: &ConsumerGroup, member_id: Option<String>) -> Result<bool, KafkaError> {
        let member = member_id.as_ref().and_then(|id| group.members.get(id));
        let (client_id, client_host) = group::client(None, None);
        let request = Heartbeat {
            member_id: member.map_or_else(server::random_uuid, |m| m.member_id.clone()),
            member_epoch: member.map_or(consumer::JOIN_EPOCH, |m| m.epoch),
            instance_id: self.instance.clone(),
            client_id,
            client_host,
            rebalance_timeout_ms: Some(group::context().consumer.session_timeout_ms),
            subscribed_topics: Some(self.topics.clone()),
            owned: Some(member.map_or_else(Partitions::new, held)),
            ..Heartbeat::default()
        };
        let reply = member::beat(&self.group_id, &request)?;
        polled::remember_member(&self.group_id, self.instance.as_deref(), &reply.member_id);
        Ok(true)
    }

    fn join(
        &self,
        member_id: Option<String>,
        owned: &TopicPartitions,
        generation_id: i32,
    ) -> Result<bool, KafkaError> {
        let (client_id, client_host) = group::client(None, None);
        let join = Join {
            member_id: member_id.unwrap_or_default(),
            group_instance_id: self.instance.clone(),
            ..member::new_join(&client_id, client_host, self.instance.as_deref())
        };
        let said = Said {
            topics: None,
            protocols: Some(member::sql_protocols(&self.topics, owned, generation_id)),
            session_timeout_ms: self.session_timeout_ms,
            // Between calls nobody can rejoin for it.
            rebalance_timeout_ms: self.session_timeout_ms.or(Some(member::SESSION_TIMEOUT_MS)),
            client: true,
        };
        let (id, joined) = match member::join(&self.group_id, join, said).reply? {
            JoinReply::Joined(joined) => (joined.member_id, true),
            JoinReply::Parked { member_id, .. } | JoinReply::MemberIdRequired { member_id } => {
                (member_id, false)
            }
        };
        polled::remember_member(&self.group_id, self.instance.as_deref(), &id);
        Ok(joined)
    }

    fn sync(&self, member_id: &str, generation_id: i32) -> Result<bool, KafkaError> {
        let sync = Sync {
            member_id: member_id.to_owned(),
            group_instance_id: self.instance.clone(),
            generation_id,
            protocol_type: None,
            protocol_name: None,
            assignments: Vec::new(),
        };
        let reply = member::sync(&self.group_id, sync, None).reply?;
        Ok(matches!(reply, SyncReply::Synced { .. }))
    }
}

fn held(member: &consumer::Member) -> Partitions {
    let topics = member.assigned.iter();
    topics
        .map(|(id, partitions)| (*id, partitions.keys().copied().collect()))
        .collect()
}

/// Whether a topic that members subscribe to has partitions that none of them was given.
fn has_unassigned(group: &classic::Group) -> bool {
    let members = group.views();
    let assigned: BTreeSet<(&str, i32)> = members
        .iter()
        .flat_map(|member| member.assigned.iter().flatten())
        .filter_map(|(topic, partition)| match topic {
            TopicKey::Name(topic) => Some((topic.as_str(), *partition)),
            TopicKey::Id(_) => None,
        })
        .collect();
    let topics: BTreeSet<&str> = members
        .iter()
        .flat_map(|member| member.subscribed_topics.iter().flatten())
        .map(String::as_str)
        .collect();
    topics.into_iter().any(|topic| {
        topic::find(&TopicRef::Name(topic.to_owned()))
            .is_ok_and(|found| (0..found.partitions).any(|p| !assigned.contains(&(topic, p))))
    })
}
