//! `kafka.sync_group`.

use kafka_core::assign::{Assignor, assign_bytes};
use kafka_core::consumer_protocol::PROTOCOL_TYPE;
use kafka_core::error::KafkaError;
use kafka_core::group::Group;
use kafka_core::group::classic::{Group as Classic, Sync, SyncReply, assigned};
use pgrx::Array;
use pgrx::prelude::*;

use super::join::Known;
use super::{Step, byteas, given, next, step, wait_ms};
use crate::api::{Fault, check_lengths, elements, required};
use crate::raise::ok;
use crate::store::{server, topic};

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
    let group_id = ok(required("group_id", group_id));
    let sync = Sync {
        member_id: ok(required("member_id", member_id)).to_owned(),
        group_instance_id: given(group_instance_id),
        generation_id: ok(required("generation_id", generation_id)),
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
    let members = elements("assigned_member_ids", members)?;
    let assignments = byteas("assignments", assignments)?;
    check_lengths(&[
        ("assigned_member_ids", members.len()),
        ("assignments", assignments.len()),
    ])?;
    Ok(members.into_iter().zip(assignments).collect())
}

/// Syncs, or asks again about a sync that had to wait. A leader without `assignments` of
/// its own leaves the assigning to the server.
pub(in crate::api) fn sync(
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

/// A consumer's assignment as topics and partitions; None for one of another protocol.
fn readable(assignment: &[u8]) -> Option<(Vec<String>, Vec<i32>)> {
    Some(assigned(assignment)?.into_iter().unzip())
}
