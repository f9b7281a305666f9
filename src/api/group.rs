//! Membership in groups: join, sync, heartbeat, leave. These calls answer with Kafka's
//! error code instead of raising it: the codes are part of the conversation, and what the
//! call has changed in the group must not be rolled back with them. None of them waits.
mod consumer;
mod inspect;
mod next;

pub(super) use consumer::beat;
pub(super) use inspect::current;
use kafka_core::assign::{Assignor, assign_bytes, subscription_bytes};
use kafka_core::consumer_protocol::{NO_GENERATION, PROTOCOL_TYPE, TopicPartitions};
use kafka_core::error::KafkaError;
use kafka_core::group::classic::{
    Group as Classic, Join, JoinReply, Joined, JoinedMember, Sync, SyncReply, assigned,
};
use kafka_core::group::{Context, Group, TopicId};
use pgrx::Array;
use pgrx::prelude::*;

use super::Fault;
use crate::raise::ok;
use crate::store::group::{self, Heartbeat};
use crate::store::{server, topic};

/// Protocols that a SQL member offers, the preferred one first.
const SQL_PROTOCOLS: [Assignor; 4] = Assignor::ALL;
pub(super) const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 300_000;

/// Group ids are not empty; NUL cannot come this far.
pub(super) fn check_group_id(group_id: &str) -> Result<(), KafkaError> {
    if group_id.is_empty() {
        return Err(KafkaError::InvalidGroupId {
            reason: "it must not be empty".to_owned(),
        });
    }
    Ok(())
}

/// What a step came to: its answer, and the group as it is now.
pub(super) struct Step<T> {
    pub(super) reply: Result<T, KafkaError>,
    pub(super) group: Option<Group>,
    /// By which a change of the group can be waited for.
    pub(super) version: i64,
}

/// A step of a group. One that does not exist is an empty one, and stays none where the
/// step fails.
pub(super) fn step<T>(
    group_id: &str,
    work: impl FnOnce(&mut Group, &Context<'_>) -> Result<T, KafkaError>,
) -> Step<T> {
    let ((reply, group), version) = group::step(group_id, |stored, context| {
        let is_new = stored.is_none();
        let group = stored.get_or_insert_with(|| Group::Classic(Classic::new(group_id)));
        let reply = work(group, context);
        if is_new && reply.is_err() {
            *stored = None;
        }
        (reply, stored.clone())
    });
    Step {
        reply,
        group,
        version,
    }
}

/// Who commits, as a call says.
pub(super) struct Member {
    member_id: String,
    group_instance_id: Option<String>,
    generation_id: i32,
}

impl Member {
    pub(super) fn new(
        member_id: Option<&str>,
        group_instance_id: Option<&str>,
        generation_id: Option<i32>,
    ) -> Self {
        Self {
            member_id: member_id.unwrap_or_default().to_owned(),
            group_instance_id: given(group_instance_id),
            generation_id: generation_id.unwrap_or(-1),
        }
    }
}

/// Whether this member may commit offsets, now and to the end of the transaction; and an
/// answer for each of the partitions.
pub(super) fn check_member(
    group_id: &str,
    member: &Member,
    partitions: &[(TopicId, i32)],
) -> Result<Vec<Result<(), KafkaError>>, KafkaError> {
    let check = |group: &mut Group, context: &Context<'_>| {
        let instance = member.group_instance_id.as_deref();
        group.check_commit(&member.member_id, instance, member.generation_id, context)?;
        let of = |(id, partition): &(TopicId, i32)| {
            group.check_commit_of(&member.member_id, member.generation_id, id, *partition)
        };
        Ok(partitions.iter().map(of).collect())
    };
    if let Some(result) = group::check_commit(group_id, &member.member_id, check) {
        return result;
    }
    // Only who is no member begins a group by committing.
    if member.generation_id >= 0 && group::read(group_id).is_none() {
        return Err(KafkaError::GroupIdNotFound {
            group_id: group_id.to_owned(),
        });
    }
    step(group_id, check).reply
}

/// Text from a client's or user's argument, where null and empty say the same.
fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

type JoinRow = (
    i16,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<Vec<String>>,
    Option<Vec<Option<String>>>,
    Option<Vec<Vec<u8>>>,
    Option<i32>,
    Option<i64>,
    Option<String>,
);

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn join_group(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    member_id: Option<&str>,
    group_instance_id: Option<&str>,
    session_timeout_ms: Option<i32>,
    rebalance_timeout_ms: Option<i32>,
    protocol_type: Option<&str>,
    protocols: Option<Vec<Option<String>>>,
    metadata: Option<Array<'_, &[u8]>>,
    client_id: Option<&str>,
    client_host: Option<&str>,
    require_member_id: Option<bool>,
    reason: Option<&str>,
    supports_skipping_assignment: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(state, Option<String>),
        name!(member_id, Option<String>),
        name!(generation_id, Option<i32>),
        name!(protocol_type, Option<String>),
        name!(protocol_name, Option<String>),
        name!(leader, Option<String>),
        name!(skip_assignment, Option<bool>),
        name!(member_ids, Option<Vec<String>>),
        name!(member_instance_ids, Option<Vec<Option<String>>>),
        name!(member_metadata, Option<Vec<Vec<u8>>>),
        name!(wait_ms, Option<i32>),
        name!(version, Option<i64>),
        name!(next, Option<String>),
    ),
> {
    server::require_writable(c"kafka.join_group()");
    let group_id = ok(super::required("group_id", group_id));
    let names_client = client_id.is_some() || client_host.is_some();
    let (client_id, client_host) = server::client(client_id, client_host);
    let instance = given(group_instance_id);
    let said = Said {
        topics: topics.map(|topics| ok(super::elements("topics", Some(topics)))),
        protocols: protocols.map(|names| ok(named_protocols(names, metadata))),
        session_timeout_ms,
        rebalance_timeout_ms,
        client: names_client,
    };
    let join = Join {
        member_id: member_id.unwrap_or_default().to_owned(),
        protocol_type: protocol_type.unwrap_or(PROTOCOL_TYPE).to_owned(),
        require_member_id: require_member_id.unwrap_or(false),
        supports_skipping_assignment: supports_skipping_assignment.unwrap_or(false),
        reason: given(reason),
        ..new_join(&client_id, client_host, instance.as_deref())
    };
    TableIterator::once(join_row(group_id, join, said))
}

/// The join of a consumer that has no id yet.
pub(super) fn new_join(client_id: &str, client_host: String, instance: Option<&str>) -> Join {
    Join {
        member_id: String::new(),
        new_member_id: format!(
            "{}-{}",
            instance.unwrap_or(client_id),
            server::random_uuid()
        ),
        group_instance_id: instance.map(str::to_owned),
        client_id: client_id.to_owned(),
        client_host,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        protocol_type: PROTOCOL_TYPE.to_owned(),
        protocols: Vec::new(),
        require_member_id: false,
        supports_skipping_assignment: false,
        reason: None,
    }
}

/// What a SQL member says of itself in each protocol that it offers.
pub(super) fn sql_protocols(
    topics: &[String],
    owned: &TopicPartitions,
    generation_id: i32,
) -> Vec<(String, Vec<u8>)> {
    SQL_PROTOCOLS
        .iter()
        .map(|assignor| {
            let metadata = subscription_bytes(*assignor, topics, owned, generation_id);
            (assignor.name().to_owned(), metadata)
        })
        .collect()
}

/// What a joining member may leave out.
pub(super) struct Said {
    pub(super) topics: Option<Vec<String>>,
    pub(super) protocols: Option<Vec<(String, Vec<u8>)>>,
    pub(super) session_timeout_ms: Option<i32>,
    pub(super) rebalance_timeout_ms: Option<i32>,
    /// It says which client it is.
    pub(super) client: bool,
}

/// Protocols by name, with metadata for each.
fn named_protocols(
    names: Vec<Option<String>>,
    metadata: Option<Array<'_, &[u8]>>,
) -> Result<Vec<(String, Vec<u8>)>, KafkaError> {
    let names = super::elements("protocols", Some(names))?;
    let metadata = byteas("metadata", metadata)?;
    super::check_lengths(&[("protocols", names.len()), ("metadata", metadata.len())])?;
    Ok(names.into_iter().zip(metadata).collect())
}

/// A `bytea[]` argument that must not be null, nor any of its elements.
fn byteas(name: &str, array: Option<Array<'_, &[u8]>>) -> Result<Vec<Vec<u8>>, KafkaError> {
    let array = super::required(name, array)?;
    let elements = array
        .iter()
        .map(|bytes| bytes.map(<[u8]>::to_vec))
        .collect();
    super::elements(name, Some(elements))
}

impl Said {
    /// Fills in what was left out: a member that asks again goes on as it joined, a new
    /// one gets the defaults.
    fn complete(self, join: &mut Join, group: &Group) -> Result<(), KafkaError> {
        let known = Known::find(group, &join.member_id);
        join.protocols = match (self.protocols, self.topics, known) {
            (Some(protocols), _, _) => protocols,
            (None, Some(topics), _) => {
                sql_protocols(&topics, &TopicPartitions::new(), NO_GENERATION)
            }
            (None, None, Some(member)) => member.protocols.to_vec(),
            (None, None, None) if join.member_id.is_empty() => {
                return Err(KafkaError::InvalidRequest {
                    reason: "a member needs topics, or protocols with their metadata".to_owned(),
                });
            }
            // Unknown, which is for the step to say.
            (None, None, None) => vec![(String::new(), Vec::new())],
        };
        if let Some(member) = known {
            if !self.client {
                member.client_id.clone_into(&mut join.client_id);
                member.client_host.clone_into(&mut join.client_host);
            }
            join.session_timeout_ms = member.session_timeout_ms;
            join.rebalance_timeout_ms = member.rebalance_timeout_ms;
            join.group_instance_id = join
                .group_instance_id
                .take()
                .or_else(|| member.group_instance_id.map(str::to_owned));
        }
        join.session_timeout_ms = self.session_timeout_ms.unwrap_or(join.session_timeout_ms);
        join.rebalance_timeout_ms = self
            .rebalance_timeout_ms
            .unwrap_or(join.rebalance_timeout_ms);
        Ok(())
    }
}

/// A member as it has joined by the classic protocol.
#[derive(Clone, Copy)]
struct Known<'a> {
    client_id: &'a str,
    client_host: &'a str,
    group_instance_id: Option<&'a str>,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    protocols: &'a [(String, Vec<u8>)],
}

impl<'a> Known<'a> {
    fn find(group: &'a Group, member_id: &str) -> Option<Self> {
        match group {
            Group::Classic(group) => group.members.get(member_id).map(|member| Self {
                client_id: &member.client_id,
                client_host: &member.client_host,
                group_instance_id: member.group_instance_id.as_deref(),
                session_timeout_ms: member.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                protocols: &member.protocols,
            }),
            Group::Consumer(group) => {
                let member = group.members.get(member_id)?;
                let classic = member.classic.as_ref()?;
                Some(Self {
                    client_id: &member.client_id,
                    client_host: &member.client_host,
                    group_instance_id: member.instance_id.as_deref(),
                    session_timeout_ms: classic.session_timeout_ms,
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    protocols: &classic.protocols,
                })
            }
        }
    }
}

/// Joins, or asks again about a join that had to wait.
pub(super) fn join(group_id: &str, mut join: Join, said: Said) -> Step<JoinReply> {
    step(group_id, |group, context| {
        check_group_id(group_id)?;
        said.complete(&mut join, group)?;
        group.join(join, context)
    })
}

fn join_row(group_id: &str, request: Join, said: Said) -> JoinRow {
    let Step {
        reply,
        group,
        version,
    } = join(group_id, request, said);
    let fault = Fault::of(&reply);
    let next = next::after_join(group_id, &reply);
    let state = group.map(|group| group.state_name().to_owned());
    let mut row: JoinRow = (
        fault.code,
        fault.message,
        state,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        Some(version),
        next,
    );
    match reply {
        Err(_) => {}
        Ok(JoinReply::MemberIdRequired { member_id }) => {
            let error = KafkaError::MemberIdRequired {
                member_id: member_id.clone(),
            };
            (row.0, row.1) = (error.code(), Some(error.to_string()));
            row.3 = Some(member_id);
        }
        Ok(JoinReply::Parked { member_id, until }) => {
            row.3 = Some(member_id);
            row.12 = Some(wait_ms(until));
        }
        Ok(JoinReply::Joined(joined)) => fill_joined(&mut row, joined),
    }
    row
}

fn fill_joined(row: &mut JoinRow, joined: Joined) {
    let Joined {
        member_id,
        generation_id,
        protocol_type,
        protocol_name,
        leader,
        members,
        skip_assignment,
    } = joined;
    row.3 = Some(member_id);
    row.4 = Some(generation_id);
    row.5 = Some(protocol_type);
    row.6 = Some(protocol_name);
    row.7 = Some(leader);
    row.8 = Some(skip_assignment);
    if members.is_empty() {
        return;
    }
    let (mut ids, mut instances, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
    for JoinedMember {
        member_id,
        group_instance_id,
        metadata: data,
    } in members
    {
        ids.push(member_id);
        instances.push(group_instance_id);
        metadata.push(data);
    }
    row.9 = Some(ids);
    row.10 = Some(instances);
    row.11 = Some(metadata);
}

/// A consumer's assignment as topics and partitions; None for one of another protocol.
fn readable(assignment: &[u8]) -> Option<(Vec<String>, Vec<i32>)> {
    Some(assigned(assignment)?.into_iter().unzip())
}

/// From now to a time that a reply names, in milliseconds.
fn wait_ms(until: i64) -> i32 {
    let left = until.saturating_sub(server::now_ms());
    left.clamp(0, i64::from(i32::MAX)) as i32
}

type SyncRow = (
    i16,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<String>>,
    Option<Vec<i32>>,
    Option<i32>,
    Option<i64>,
    Option<String>,
);

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn sync_group(
    group_id: Option<&str>,
    generation_id: Option<i32>,
    member_id: Option<&str>,
    group_instance_id: Option<&str>,
    protocol_type: Option<&str>,
    protocol_name: Option<&str>,
    assigned_member_ids: Option<Vec<Option<String>>>,
    assignments: Option<Array<'_, &[u8]>>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(state, Option<String>),
        name!(protocol_type, Option<String>),
        name!(protocol_name, Option<String>),
        name!(assignment, Option<Vec<u8>>),
        name!(topics, Option<Vec<String>>),
        name!(partitions, Option<Vec<i32>>),
        name!(wait_ms, Option<i32>),
        name!(version, Option<i64>),
        name!(next, Option<String>),
    ),
> {
    server::require_writable(c"kafka.sync_group()");
    let group_id = ok(super::required("group_id", group_id));
    let sync = Sync {
        member_id: ok(super::required("member_id", member_id)).to_owned(),
        group_instance_id: given(group_instance_id),
        generation_id: ok(super::required("generation_id", generation_id)),
        protocol_type: given(protocol_type),
        protocol_name: given(protocol_name),
        assignments: Vec::new(),
    };
    let assignments = match (assigned_member_ids, assignments) {
        (None, None) => None,
        (members, assignments) => Some(ok(given_assignments(members, assignments))),
    };
    TableIterator::once(sync_row(group_id, sync, assignments))
}

fn given_assignments(
    members: Option<Vec<Option<String>>>,
    assignments: Option<Array<'_, &[u8]>>,
) -> Result<Vec<(String, Vec<u8>)>, KafkaError> {
    let members = super::elements("assigned_member_ids", members)?;
    let assignments = byteas("assignments", assignments)?;
    super::check_lengths(&[
        ("assigned_member_ids", members.len()),
        ("assignments", assignments.len()),
    ])?;
    Ok(members.into_iter().zip(assignments).collect())
}

/// Syncs, or asks again about a sync that had to wait. A leader without `assignments` of
/// its own leaves the assigning to the server.
pub(super) fn sync(
    group_id: &str,
    mut sync: Sync,
    assignments: Option<Vec<(String, Vec<u8>)>>,
) -> Step<SyncReply> {
    step(group_id, |group, context| {
        group.advance(context);
        let led = match group {
            Group::Classic(classic) => Some(classic).filter(|c| c.is_leader(&sync.member_id)),
            Group::Consumer(_) => None,
        };
        sync.assignments = match (assignments, led) {
            (Some(assignments), _) => assignments,
            (None, Some(classic)) => assign(classic)?,
            (None, None) => Vec::new(),
        };
        group.sync(sync, context)
    })
}

/// The group's assignment as the server computes it.
fn assign(group: &Classic) -> Result<Vec<(String, Vec<u8>)>, KafkaError> {
    let protocol = group.protocol_name.as_deref().unwrap_or_default();
    let assignor = Some(protocol.parse::<Assignor>())
        .filter(|_| group.has_consumers())
        .and_then(Result::ok)
        .ok_or_else(|| KafkaError::InvalidRequest {
            reason: format!(
                "the server cannot assign by protocol {protocol:?}: the leader has to give assignments"
            ),
        })?;
    let partitions = topic::all()
        .iter()
        .map(|t| (t.name.clone(), t.partitions))
        .collect();
    let members: Vec<_> = group
        .joined_members()
        .map(|(id, member)| {
            let instance = member.group_instance_id.as_deref();
            (id.as_str(), instance, group.member_metadata(member))
        })
        .collect();
    assign_bytes(assignor, &members, &partitions)
}

fn sync_row(group_id: &str, request: Sync, assignments: Option<Vec<(String, Vec<u8>)>>) -> SyncRow {
    let (member_id, generation_id) = (request.member_id.clone(), request.generation_id);
    let Step {
        reply,
        group,
        version,
    } = sync(group_id, request, assignments);
    let fault = Fault::of(&reply);
    let next = next::after_sync(group_id, &member_id, generation_id, &reply);
    let state = group.as_ref().map(|group| group.state_name().to_owned());
    let (protocol_type, protocol_name) = match group {
        Some(Group::Classic(group)) => (group.protocol_type, group.protocol_name),
        Some(group @ Group::Consumer(_)) => told_protocol(&group, &member_id),
        None => (None, None),
    };
    let (mut assignment, mut topics, mut partitions, mut wait) = (None, None, None, None);
    match reply {
        Ok(SyncReply::Synced { assignment: bytes }) => {
            if let Some((names, numbers)) = readable(&bytes) {
                (topics, partitions) = (Some(names), Some(numbers));
            }
            assignment = Some(bytes);
        }
        Ok(SyncReply::Parked { until }) => wait = Some(wait_ms(until)),
        Err(_) => {}
    }
    (
        fault.code,
        fault.message,
        state,
        protocol_type,
        protocol_name,
        assignment,
        topics,
        partitions,
        wait,
        Some(version),
        next,
    )
}

/// The protocol that a member was told when it joined a group that the server assigns.
fn told_protocol(group: &Group, member_id: &str) -> (Option<String>, Option<String>) {
    let preferred = Known::find(group, member_id).and_then(|member| member.protocols.first());
    let name = preferred.map(|(name, _)| name.clone());
    (name.as_ref().map(|_| PROTOCOL_TYPE.to_owned()), name)
}

#[pg_extern(sql = false)]
fn heartbeat(
    group_id: Option<&str>,
    generation_id: Option<i32>,
    member_id: Option<&str>,
    group_instance_id: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(state, Option<String>),
        name!(next, Option<String>),
    ),
> {
    server::require_writable(c"kafka.heartbeat()");
    let group_id = ok(super::required("group_id", group_id));
    let generation_id = ok(super::required("generation_id", generation_id));
    let member_id = ok(super::required("member_id", member_id));
    let instance = given(group_instance_id);
    let beat = step(group_id, |group, context| {
        group.heartbeat(member_id, instance.as_deref(), generation_id, context)
    });
    let fault = Fault::of(&beat.reply);
    let state = beat.group.map(|group| group.state_name().to_owned());
    let next = next::after_heartbeat(group_id, member_id, generation_id, &beat.reply);
    TableIterator::once((fault.code, fault.message, state, next))
}

#[pg_extern(sql = false)]
fn heartbeats(
    group_ids: Option<Vec<Option<String>>>,
    generation_ids: Option<Vec<Option<i32>>>,
    member_ids: Option<Vec<Option<String>>>,
    group_instance_ids: Option<Vec<Option<String>>>,
) -> TableIterator<'static, (name!(idx, i32), name!(error_code, Option<i16>))> {
    server::require_writable(c"kafka.heartbeats()");
    let groups = ok(super::elements("group_ids", group_ids));
    let generations = ok(super::elements("generation_ids", generation_ids));
    let members = ok(super::elements("member_ids", member_ids));
    let instances = group_instance_ids.unwrap_or_else(|| vec![None; groups.len()]);
    ok(super::check_lengths(&[
        ("group_ids", groups.len()),
        ("generation_ids", generations.len()),
        ("member_ids", members.len()),
        ("group_instance_ids", instances.len()),
    ]));
    let heartbeats: Vec<Heartbeat<'_>> = (0..groups.len())
        .map(|i| Heartbeat {
            group_id: &groups[i],
            member_id: &members[i],
            group_instance_id: instances[i].as_deref(),
            generation_id: generations[i],
        })
        .collect();
    let well = group::note_heartbeats(&heartbeats, server::now_ms());
    let rows: Vec<_> = (1..)
        .zip(well.into_iter().map(|well| well.then_some(0)))
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn leave_group(
    group_id: Option<&str>,
    member_ids: Option<Vec<Option<String>>>,
    group_instance_ids: Option<Vec<Option<String>>>,
    reasons: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(member_id, Option<String>),
    ),
> {
    server::require_writable(c"kafka.leave_group()");
    let group_id = ok(super::required("group_id", group_id));
    let members = ok(super::required("member_ids", member_ids));
    let instances = group_instance_ids.unwrap_or_else(|| vec![None; members.len()]);
    let reasons = reasons.unwrap_or_else(|| vec![None; members.len()]);
    ok(super::check_lengths(&[
        ("member_ids", members.len()),
        ("group_instance_ids", instances.len()),
        ("reasons", reasons.len()),
    ]));
    let rows: Vec<_> = (0..members.len())
        .map(|i| {
            let member = members[i].as_deref().unwrap_or_default();
            let left = leave(
                group_id,
                member,
                given(instances[i].as_deref()),
                reasons[i].as_deref(),
            );
            let fault = Fault::of(&left);
            (i as i32 + 1, fault.code, fault.message, left.ok())
        })
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn leave_group_member(group_id: &str, member_id: &str) {
    server::require_writable(c"kafka.leave_group()");
    ok(leave(group_id, member_id, None, None));
}

fn leave(
    group_id: &str,
    member_id: &str,
    instance: Option<String>,
    reason: Option<&str>,
) -> Result<String, KafkaError> {
    let left = step(group_id, |group, context| {
        group.leave(member_id, instance.as_deref(), reason, context)
    });
    left.reply
}
