//! Columns of the protocol in which the server assigns (KIP-848).

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::group::consumer::{
    self, Assigned, ClassicFields, ConsumerGroup, Member, MemberState,
};
use kafka_core::group::{Partitions, TopicId};
use pgrx::{JsonB, Uuid, error};
use serde_json::{Map, Value};

use crate::store::sql::{self, Row, param};

pub(super) fn group(group_id: &str, row: &Row) -> ConsumerGroup {
    ConsumerGroup {
        group_id: group_id.to_owned(),
        epoch: row.required(5),
        assignment_epoch: row.required(23),
        metadata_hash: row.required(24),
        members: BTreeMap::new(),
    }
}

/// Kept in the column that the classic protocol has for its deadline; null there.
pub(super) fn topics_due(row: &Row) -> Option<i64> {
    row.get(9)
        .filter(|_| row.required::<String>(1) == "consumer")
}

pub(super) fn member(member_id: String, row: &Row) -> Member {
    let state: String = row.required(27);
    let topics: Vec<String> = row.get(29).unwrap_or_default();
    Member {
        member_id,
        heartbeat_at: row.required(13),
        rebalance_timeout_ms: row.required(15),
        instance_id: row.get(16),
        client_id: row.required(17),
        client_host: row.required(18),
        epoch: row.required(25),
        previous_epoch: row.required(26),
        state: MemberState::parse(&state)
            .unwrap_or_else(|| error!("a group member has the unknown state {state:?}")),
        rack_id: row.get(28),
        subscribed_topics: topics.into_iter().collect(),
        subscribed_regex: row.get(30),
        server_assignor: row.get(31),
        assigned: assigned(row.get(32)),
        pending_revocation: assigned(row.get(33)),
        target: partitions(row.get(34)),
        revoke_deadline: row.get(35),
        classic: classic_fields(row),
    }
}

/// Only members that speak the classic protocol have protocols.
fn classic_fields(row: &Row) -> Option<ClassicFields> {
    let names: Vec<String> = row.get(20)?;
    Some(ClassicFields {
        session_timeout_ms: row.required(14),
        protocols: names.into_iter().zip(row.byteas(21)).collect(),
        rejoin_deadline: row.get(36),
    })
}

pub(super) fn save_group(
    group_id: &str,
    group: &ConsumerGroup,
    overview: &kafka_core::group::Overview<'_>,
    next_deadline: Option<i64>,
    topics_due: i64,
) -> i64 {
    let written = sql::modify(
        "INSERT INTO kafka_log.groups (group_id, group_type, state, generation_id, assignment_epoch,
             protocol_type, protocol_name, metadata_hash, next_deadline, deadline, version)
         VALUES ($1, 'consumer', $2, $3, $4, $5, $6, $7, $8, $9, pg_catalog.nextval('kafka_log.group_version_seq'))
         ON CONFLICT (group_id) DO UPDATE SET group_type = excluded.group_type, state = excluded.state,
             generation_id = excluded.generation_id, assignment_epoch = excluded.assignment_epoch,
             protocol_type = excluded.protocol_type, protocol_name = excluded.protocol_name,
             leader = NULL, deadline = excluded.deadline, initial_deadline = NULL, reason = NULL,
             metadata_hash = excluded.metadata_hash, next_deadline = excluded.next_deadline,
             version = excluded.version, changed_at = pg_catalog.now()
         RETURNING version",
        &[
            param(group_id),
            param(overview.state),
            param(group.epoch),
            param(group.assignment_epoch),
            param(overview.protocol_type),
            param(overview.protocol_name),
            param(group.metadata_hash),
            param(next_deadline),
            param(topics_due),
        ],
        |row| row.required(1),
    );
    written.first().copied().unwrap_or_default()
}

pub(super) fn save_member(group_id: &str, member: &Member, config: &consumer::Config) {
    let topics: Vec<&str> = member
        .subscribed_topics
        .iter()
        .map(String::as_str)
        .collect();
    let classic = member.classic.as_ref();
    let protocols = classic.map(|classic| &classic.protocols);
    let names: Option<Vec<&str>> =
        protocols.map(|all| all.iter().map(|(name, _)| name.as_str()).collect());
    let metadata: Option<Vec<&[u8]>> =
        protocols.map(|all| all.iter().map(|(_, data)| data.as_slice()).collect());
    sql::execute(
        "INSERT INTO kafka_log.group_members (group_id, member_id, heartbeat_at, session_timeout_ms,
             rebalance_timeout_ms, group_instance_id, client_id, client_host, member_epoch,
             previous_member_epoch, member_state, rack_id, subscribed_topics, subscribed_topic_regex,
             server_assignor, assigned, pending_revocation, target, revoke_deadline, protocol_names,
             protocol_metadata, rejoin_deadline)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         ON CONFLICT (group_id, member_id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at,
             session_timeout_ms = excluded.session_timeout_ms,
             rebalance_timeout_ms = excluded.rebalance_timeout_ms,
             group_instance_id = excluded.group_instance_id, client_id = excluded.client_id,
             client_host = excluded.client_host, member_epoch = excluded.member_epoch,
             previous_member_epoch = excluded.previous_member_epoch,
             member_state = excluded.member_state, rack_id = excluded.rack_id,
             subscribed_topics = excluded.subscribed_topics,
             subscribed_topic_regex = excluded.subscribed_topic_regex,
             server_assignor = excluded.server_assignor, assigned = excluded.assigned,
             pending_revocation = excluded.pending_revocation, target = excluded.target,
             revoke_deadline = excluded.revoke_deadline, protocol_names = excluded.protocol_names,
             protocol_metadata = excluded.protocol_metadata,
             rejoin_deadline = excluded.rejoin_deadline",
        &[
            param(group_id),
            param(member.member_id.as_str()),
            param(member.heartbeat_at),
            param(member.session_timeout_ms(config)),
            param(member.rebalance_timeout_ms),
            param(member.instance_id.as_deref()),
            param(member.client_id.as_str()),
            param(member.client_host.as_str()),
            param(member.epoch),
            param(member.previous_epoch),
            param(member.state.name()),
            param(member.rack_id.as_deref()),
            param(topics),
            param(member.subscribed_regex.as_deref()),
            param(member.server_assignor.as_deref()),
            param(assigned_json(&member.assigned)),
            param(assigned_json(&member.pending_revocation)),
            param(partitions_json(&member.target)),
            param(member.revoke_deadline),
            param(names),
            param(metadata),
            param(classic.and_then(|classic| classic.rejoin_deadline)),
        ],
    );
}

/// `{"<topic id>": {"<partition>": <member epoch at which it was assigned>}}`
fn assigned_json(assigned: &Assigned) -> JsonB {
    let topics = assigned.iter().map(|(id, epochs)| {
        let epochs = epochs.iter();
        let epochs = epochs.map(|(partition, epoch)| (partition.to_string(), Value::from(*epoch)));
        (key(id), Value::Object(epochs.collect()))
    });
    JsonB(Value::Object(topics.collect()))
}

fn assigned(json: Option<JsonB>) -> Assigned {
    let topics = objects(json).into_iter().filter_map(|(id, epochs)| {
        let epochs = epochs.as_object()?.iter();
        let epochs = epochs.filter_map(|(partition, epoch)| {
            Some((partition.parse().ok()?, epoch.as_i64()? as i32))
        });
        Some((topic_id(&id)?, epochs.collect()))
    });
    topics.collect()
}

/// `{"<topic id>": [<partition>, ...]}`
fn partitions_json(partitions: &Partitions) -> JsonB {
    let topics = partitions
        .iter()
        .map(|(id, numbers)| (key(id), numbers.iter().copied().collect::<Value>()));
    JsonB(Value::Object(topics.collect()))
}

fn partitions(json: Option<JsonB>) -> Partitions {
    let topics = objects(json).into_iter().filter_map(|(id, numbers)| {
        let numbers = numbers.as_array()?.iter();
        let numbers = numbers.filter_map(|number| Some(number.as_i64()? as i32));
        Some((topic_id(&id)?, numbers.collect::<BTreeSet<i32>>()))
    });
    topics.collect()
}

fn objects(json: Option<JsonB>) -> Map<String, Value> {
    match json {
        Some(JsonB(Value::Object(topics))) => topics,
        _ => Map::new(),
    }
}

fn key(id: &TopicId) -> String {
    Uuid::from_bytes(*id).to_string()
}

fn topic_id(text: &str) -> Option<TopicId> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok()?;
    Some(number.to_be_bytes())
}
