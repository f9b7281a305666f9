//! Columns of the classic protocol.

use std::collections::BTreeMap;

use kafka_core::group::classic::{self, Phase, State};
use pgrx::error;

use crate::store::sql::{self, Row, param};

pub(super) fn group(group_id: &str, row: &Row) -> classic::Group {
    let state: String = row.required(4);
    classic::Group {
        group_id: group_id.to_owned(),
        state: State::parse(&state)
            .unwrap_or_else(|| error!("group {group_id:?} has the unknown state {state:?}")),
        generation_id: row.required(5),
        protocol_type: row.get(6),
        protocol_name: row.get(7),
        leader: row.get(8),
        members: BTreeMap::new(),
        deadline: row.get(9),
        initial_deadline: row.get(10),
        reason: row.get(11),
    }
}

pub(super) fn member(row: &Row) -> classic::Member {
    let phase: String = row.required(19);
    let names: Vec<String> = row.get(20).unwrap_or_default();
    classic::Member {
        heartbeat_at: row.required(13),
        session_timeout_ms: row.required(14),
        rebalance_timeout_ms: row.required(15),
        group_instance_id: row.get(16),
        client_id: row.required(17),
        client_host: row.required(18),
        phase: Phase::parse(&phase)
            .unwrap_or_else(|| error!("a group member has the unknown phase {phase:?}")),
        protocols: names.into_iter().zip(row.byteas(21)).collect(),
        assignment: row.get(22).unwrap_or_default(),
    }
}

/// Writes the group's own row; returns its new version.
pub(super) fn save_group(
    group_id: &str,
    classic: &classic::Group,
    next_deadline: Option<i64>,
) -> i64 {
    let written = sql::modify(
        "INSERT INTO kafka_log.groups (group_id, group_type, state, generation_id, protocol_type,
             protocol_name, leader, deadline, initial_deadline, reason, next_deadline, version)
         VALUES ($1, 'classic', $2, $3, $4, $5, $6, $7, $8, $9, $10, pg_catalog.nextval('kafka_log.group_version_seq'))
         ON CONFLICT (group_id) DO UPDATE SET group_type = excluded.group_type, state = excluded.state,
             generation_id = excluded.generation_id, assignment_epoch = NULL,
             protocol_type = excluded.protocol_type, protocol_name = excluded.protocol_name,
             leader = excluded.leader, deadline = excluded.deadline,
             initial_deadline = excluded.initial_deadline, metadata_hash = NULL, reason = excluded.reason,
             next_deadline = excluded.next_deadline, version = excluded.version,
             changed_at = pg_catalog.now()
         RETURNING version",
        &[
            param(group_id),
            param(classic.state.name()),
            param(classic.generation_id),
            param(classic.protocol_type.as_deref()),
            param(classic.protocol_name.as_deref()),
            param(classic.leader.as_deref()),
            param(classic.deadline),
            param(classic.initial_deadline),
            param(classic.reason.as_deref()),
            param(next_deadline),
        ],
        |row| row.required(1),
    );
    written.first().copied().unwrap_or_default()
}

pub(super) fn save_member(group_id: &str, member_id: &str, member: &classic::Member) {
    let names: Vec<&str> = member
        .protocols
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let metadata: Vec<&[u8]> = member
        .protocols
        .iter()
        .map(|(_, data)| data.as_slice())
        .collect();
    sql::execute(
        "INSERT INTO kafka_log.group_members (group_id, member_id, heartbeat_at, session_timeout_ms,
             rebalance_timeout_ms, group_instance_id, client_id, client_host, phase, protocol_names,
             protocol_metadata, assignment)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (group_id, member_id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at,
             session_timeout_ms = excluded.session_timeout_ms,
             rebalance_timeout_ms = excluded.rebalance_timeout_ms,
             group_instance_id = excluded.group_instance_id, client_id = excluded.client_id,
             client_host = excluded.client_host, phase = excluded.phase,
             protocol_names = excluded.protocol_names, protocol_metadata = excluded.protocol_metadata,
             assignment = excluded.assignment",
        &[
            param(group_id),
            param(member_id),
            param(member.heartbeat_at),
            param(member.session_timeout_ms),
            param(member.rebalance_timeout_ms),
            param(member.group_instance_id.as_deref()),
            param(member.client_id.as_str()),
            param(member.client_host.as_str()),
            param(member.phase.name()),
            param(names),
            param(metadata),
            param(member.assignment.as_slice()),
        ],
    );
}
