//! What a member in a SQL session calls next.

use kafka_core::error::{KafkaError, code};
use kafka_core::group::classic::{JoinReply, SyncReply};

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

fn join(group_id: &str, member_id: &str) -> String {
    format!(
        "SELECT * FROM kafka.join_group({}, member_id => {})",
        literal(group_id),
        literal(member_id)
    )
}

fn sync(group_id: &str, generation_id: i32, member_id: &str) -> String {
    format!(
        "SELECT * FROM kafka.sync_group({}, {generation_id}, {})",
        literal(group_id),
        literal(member_id)
    )
}

fn heartbeat(group_id: &str, generation_id: i32, member_id: &str) -> String {
    format!(
        "SELECT * FROM kafka.heartbeat({}, {generation_id}, {})",
        literal(group_id),
        literal(member_id)
    )
}

pub(super) fn after_join(group_id: &str, reply: &Result<JoinReply, KafkaError>) -> Option<String> {
    match reply {
        Ok(JoinReply::Joined(joined)) => {
            Some(sync(group_id, joined.generation_id, &joined.member_id))
        }
        Ok(JoinReply::MemberIdRequired { member_id } | JoinReply::Parked { member_id, .. }) => {
            Some(join(group_id, member_id))
        }
        Err(_) => None,
    }
}

pub(super) fn after_sync(
    group_id: &str,
    member_id: &str,
    generation_id: i32,
    reply: &Result<SyncReply, KafkaError>,
) -> Option<String> {
    match reply {
        Ok(SyncReply::Synced { .. }) => Some(heartbeat(group_id, generation_id, member_id)),
        Ok(SyncReply::Parked { .. }) => Some(sync(group_id, generation_id, member_id)),
        Err(error) => after_error(group_id, member_id, error),
    }
}

pub(super) fn after_heartbeat(
    group_id: &str,
    member_id: &str,
    generation_id: i32,
    reply: &Result<(), KafkaError>,
) -> Option<String> {
    match reply {
        Ok(()) => Some(heartbeat(group_id, generation_id, member_id)),
        Err(error) => after_error(group_id, member_id, error),
    }
}

/// Codes after which a member joins again under its id.
fn after_error(group_id: &str, member_id: &str, error: &KafkaError) -> Option<String> {
    matches!(
        error.code(),
        code::REBALANCE_IN_PROGRESS | code::ILLEGAL_GENERATION
    )
    .then(|| join(group_id, member_id))
}
