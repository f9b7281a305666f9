//! `kafka.poll`: a member of a group in one call. It joins or goes on as a member, returns
//! the next records of the partitions assigned to it, and advances the group's offsets in
//! the caller's transaction.
//!
//! Between two calls nothing runs on the member's behalf: a call, and the commit of a
//! transaction that has polled, are its signs of life. A step of the group keeps the group
//! locked to the end of the transaction, so a call that had to make one returns without
//! records; the usual call makes none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_core::consumer_protocol::{ConsumerSubscription, NO_GENERATION, TopicPartitions};
use kafka_core::error::KafkaError;
use kafka_core::group::classic::{self, Join, JoinReply, Phase, State, Sync, SyncReply};
use kafka_core::group::consumer::{self, ConsumerGroup, Heartbeat, MemberState};
use kafka_core::group::{Group, Partitions, TopicId, TopicKey};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::fetch::{Budget, RecordRow, fetch_now};
use super::group::{self as member, Said};
use crate::raise::ok;
use crate::store::header::Headers;
use crate::store::log::{self, LockMode};
use crate::store::offset::{self, NewOffset};
use crate::store::polled::{self, Claim};
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::wake::{self, Slot};
use crate::store::{group, server, wait_duration};

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn poll(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    max_records: Option<i32>,
    max_wait_ms: Option<i32>,
    max_bytes: Option<i32>,
    auto_offset_reset: Option<&str>,
    group_instance_id: Option<&str>,
    session_timeout_ms: Option<i32>,
) -> TableIterator<
    'static,
    (
        name!(topic, String),
        name!(partition, i32),
        name!(offset, i64),
        name!(timestamp, Option<TimestampWithTimeZone>),
        name!(key, Option<Vec<u8>>),
        name!(value, Option<Vec<u8>>),
        name!(headers, Headers),
    ),
> {
    server::require_writable(c"kafka.poll()");
    let mut topics = ok(super::elements("topics", topics));
    topics.sort();
    topics.dedup();
    let poller = Poller {
        group_id: ok(super::required("group_id", group_id)).to_owned(),
        topics,
        instance: group_instance_id
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        session_timeout_ms,
        reset: ok(Reset::parse(auto_offset_reset.unwrap_or("earliest"))),
        budget: Budget {
            records: max_records.unwrap_or(500).max(0) as usize,
            bytes: max_bytes.unwrap_or(50 << 20).max(0) as usize,
        },
    };
    let records = ok(poller.poll(wait_duration(max_wait_ms.unwrap_or(0))));
    TableIterator::new(records.into_iter().map(|(topic, partition, r)| {
        (
            topic,
            partition,
            r.offset,
            r.timestamp,
            r.key,
            r.value,
            r.headers,
        )
    }))
}

/// Where a partition begins of which the group has no offset, or one that is gone.
#[derive(Clone, Copy)]
enum Reset {
    Earliest,
    Latest,
}

impl Reset {
    fn parse(text: &str) -> Result<Self, KafkaError> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            other => Err(KafkaError::InvalidRequest {
                reason: format!("auto_offset_reset is earliest or latest, not {other:?}"),
            }),
        }
    }
}

struct Poller {
    group_id: String,
    topics: Vec<String>,
    instance: Option<String>,
    session_timeout_ms: Option<i32>,
    reset: Reset,
    budget: Budget,
}

/// A member that may take records.
struct Standing {
    member_id: String,
    generation_id: i32,
    assigned: Vec<(String, i32)>,
}

/// How a member stands when its group is looked at without a lock.
enum Look {
    Assigned(Standing),
    /// Others are awaited, nothing is due: worth waiting for until this time.
    Waiting {
        until: i64,
    },
    /// A step is to be made.
    Due,
}

type Found = Vec<(String, i32, RecordRow)>;

impl Poller {
    fn poll(&self, max_wait: Duration) -> Result<Found, KafkaError> {
        member::check_group_id(&self.group_id)?;
        let deadline = Instant::now() + max_wait;
        let mut stepped = false;
        loop {
            let look = self.look(stepped);
            if let Look::Due = look {
                if !self.step()? {
                    return Ok(Vec::new());
                }
                stepped = true;
                continue;
            }
            if let Look::Assigned(standing) = &look {
                let found = self.take(standing)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // What a step has written nobody else sees while this transaction goes on.
            if left.is_zero() || stepped {
                return Ok(Vec::new());
            }
            self.wait(&look, left);
        }
    }

    /// How this session's member stands, if it is one.
    fn look(&self, stepped: bool) -> Look {
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
    fn step(&self) -> Result<bool, KafkaError> {
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
        let (client_id, client_host) = server::client(None, None);
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
        let (client_id, client_host) = server::client(None, None);
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

    /// Takes the next records of the first partitions that have some, and advances the
    /// group's offsets behind them.
    fn take(&self, standing: &Standing) -> Result<Found, KafkaError> {
        let mut found: Found = Vec::new();
        let mut taken = Vec::new();
        let mut left = Budget { ..self.budget };
        let count = standing.assigned.len().max(1);
        let first = server::random_below(count);
        for (topic, partition) in standing
            .assigned
            .iter()
            .cycle()
            .skip(first)
            .take(standing.assigned.len())
        {
            if left.records == 0 || left.bytes == 0 {
                break;
            }
            // Deleted since it was assigned.
            let Ok(topic) = topic::find(&TopicRef::Name(topic.clone())) else {
                continue;
            };
            let Some(claim) = Claim::try_take(&self.group_id, &topic, *partition) else {
                continue;
            };
            let records = self.take_of(&topic, *partition, &left)?;
            let Some(last) = records.last() else {
                claim.release();
                continue;
            };
            offset::commit(
                &self.group_id,
                &mut vec![NewOffset {
                    topic: &topic,
                    partition: *partition,
                    offset: last.offset + 1,
                    leader_epoch: Some(server::leader_epoch()),
                    metadata: "",
                }],
            );
            taken.push((*topic.id.as_bytes(), *partition));
            left.records -= records.len().min(left.records);
            let bytes: usize = records.iter().map(RecordRow::payload).sum();
            left.bytes = left.bytes.saturating_sub(bytes);
            found.extend(
                records
                    .into_iter()
                    .map(|r| (topic.name.clone(), *partition, r)),
            );
        }
        polled::note(
            &self.group_id,
            &standing.member_id,
            standing.generation_id,
            taken,
        );
        Ok(found)
    }

    fn take_of(
        &self,
        topic: &Topic,
        partition: i32,
        budget: &Budget,
    ) -> Result<Vec<RecordRow>, KafkaError> {
        let wanted = TopicRef::Name(topic.name.clone());
        let (start, end) = {
            let (topic, log) = topic::open(&wanted, LockMode::Read)?;
            topic.check_partition(partition)?;
            let watermarks = log::watermarks(&topic, &log, partition);
            (watermarks.log_start_offset, watermarks.high_watermark)
        };
        let committed = offset::one(&self.group_id, topic, partition);
        let from = match (committed, self.reset) {
            (Some(offset), _) if (start..=end).contains(&offset) => offset,
            (_, Reset::Earliest) => start,
            (_, Reset::Latest) => end,
        };
        fetch_now(&wanted, partition, from, budget)
    }

    /// Waits for records of the assigned partitions, or a change of the group.
    fn wait(&self, look: &Look, left: Duration) {
        let mut slots = vec![Slot::group(&self.group_id)];
        let mut known = Vec::new();
        let mut time = left;
        match look {
            Look::Assigned(standing) => {
                for (name, partition) in &standing.assigned {
                    if let Ok(topic) = topic::find(&TopicRef::Name(name.clone())) {
                        slots.push(Slot::partition(topic.number, *partition));
                        known.push((name.clone(), *partition, end_of(name, *partition)));
                    }
                }
            }
            Look::Waiting { until } => {
                let due = until.saturating_sub(server::now_ms()).max(1);
                time = time.min(Duration::from_millis(due as u64));
            }
            Look::Due => return,
        }
        let group_ids = [self.group_id.clone()];
        let version = group::versions(&group_ids);
        wake::wait(slots.into_iter(), time, None, || {
            let moved = known
                .iter()
                .any(|(topic, partition, end)| end_of(topic, *partition) != *end);
            (moved || group::versions(&group_ids) != version).then_some(())
        });
    }
}

/// The partition's high watermark; None where it is gone.
fn end_of(topic: &str, partition: i32) -> Option<i64> {
    let (topic, log) = topic::open(&TopicRef::Name(topic.to_owned()), LockMode::Read).ok()?;
    topic.check_partition(partition).ok()?;
    Some(log::watermarks(&topic, &log, partition).high_watermark)
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
