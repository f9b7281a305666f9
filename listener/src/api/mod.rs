//! One file per API, named by key and name: its versions, its request's shape, its
//! handler. A handler decodes, checks, makes one call of the database and encodes.

pub mod k00_produce;
pub mod k01_fetch;
pub mod k02_list_offsets;
pub mod k03_metadata;
pub mod k08_offset_commit;
pub mod k09_offset_fetch;
pub mod k10_find_coordinator;
pub mod k11_join_group;
pub mod k12_heartbeat;
pub mod k13_leave_group;
pub mod k14_sync_group;
pub mod k15_describe_groups;
pub mod k16_list_groups;
pub mod k18_api_versions;
pub mod k19_create_topics;
pub mod k20_delete_topics;
pub mod k21_delete_records;
pub mod k22_init_producer_id;
pub mod k24_add_partitions_to_txn;
pub mod k25_add_offsets_to_txn;
pub mod k26_end_txn;
pub mod k27_write_txn_markers;
pub mod k28_txn_offset_commit;
pub mod k37_create_partitions;
pub mod k42_delete_groups;
pub mod k47_offset_delete;
pub mod k60_describe_cluster;
pub mod k61_describe_producers;
pub mod k65_describe_transactions;
pub mod k66_list_transactions;
pub mod k68_consumer_group_heartbeat;
pub mod k69_consumer_group_describe;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use kafka_core::code;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::TopicRef;
use crate::error::{DbError, Meaning};
use crate::router::Request;

/// The operations Kafka reports to everybody where no authorizer is configured, as bits:
/// read, write, create, delete, alter, describe, describe and alter configs.
const TOPIC_OPERATIONS: i32 = 3576;
/// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = 8096;
/// Read, delete, describe, describe and alter configs.
const GROUP_OPERATIONS: i32 = 3400;

/// The operations to report, or the number that says that they were not asked for.
const fn operations(all: i32, asked: bool) -> i32 {
    if asked { all } else { i32::MIN }
}

/// What a client that administers topics is told when the database did not answer:
/// `NOT_CONTROLLER` where nothing has happened, `REQUEST_TIMED_OUT` where it may have.
fn admin_code(error: &DbError) -> i16 {
    error.code(if error.surely_failed() {
        code::NOT_CONTROLLER
    } else {
        code::REQUEST_TIMED_OUT
    })
}

/// What a member of a group is told when the database did not answer. All clients know
/// `NOT_COORDINATOR` from all its calls, look for the coordinator again and try again;
/// each of these calls may have happened and be made again.
fn member_code(error: &DbError) -> i16 {
    log(error);
    error.group_code(code::NOT_COORDINATOR)
}

/// The same for who only looks at groups, or administers them: `COORDINATOR_LOAD_IN_PROGRESS`
/// has them try again right here.
fn group_code(error: &DbError) -> i16 {
    log(error);
    error.group_code(code::COORDINATOR_LOAD_IN_PROGRESS)
}

/// What a transactional producer is told when the database did not answer. All clients
/// try again at either code: at the first after they have looked for the coordinator. Each
/// of these calls may have happened and be made again.
fn transaction_code(error: &DbError) -> i16 {
    log(error);
    error.transaction_code(
        code::COORDINATOR_NOT_AVAILABLE,
        code::CONCURRENT_TRANSACTIONS,
    )
}

/// The same where there is no transactional id whose coordinator could be looked for, and
/// for who only looks at transactions.
fn producer_code(error: &DbError) -> i16 {
    log(error);
    let again = code::COORDINATOR_LOAD_IN_PROGRESS;
    error.transaction_code(again, again)
}

fn log(error: &DbError) {
    if error.meaning() == Meaning::Unexpected {
        tracing::warn!(%error, "a call about a group or a transaction failed");
    } else {
        tracing::debug!(%error, "a call about a group or a transaction was refused");
    }
}

/// Clients older than the version `since` of an API know no `PRODUCER_FENCED`.
const fn fenced(error_code: i16, version: i16, since: i16) -> i16 {
    if error_code == code::PRODUCER_FENCED && version < since {
        code::INVALID_PRODUCER_EPOCH
    } else {
        error_code
    }
}

/// Clients older than the version `since` of an API know no `TRANSACTION_ABORTABLE`.
const fn abortable(error_code: i16, version: i16, since: i16) -> i16 {
    if error_code == code::TRANSACTION_ABORTABLE && version < since {
        code::INVALID_TXN_STATE
    } else {
        error_code
    }
}

/// PostgreSQL's text holds every string of Kafka's but those with a NUL.
fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

/// For the APIs that Kafka refuses without a group id; the others allow the empty one.
fn check_group_id(group_id: &str) -> i16 {
    if !group_id.is_empty() && is_text(group_id) {
        code::NONE
    } else {
        code::INVALID_GROUP_ID
    }
}

/// No producer has an id that cannot be told to the database.
fn check_transactional_id(transactional_id: &str) -> i16 {
    if is_text(transactional_id) {
        code::NONE
    } else {
        code::INVALID_PRODUCER_ID_MAPPING
    }
}

/// No member has an id that cannot be told to the database.
fn check_member(member_id: &str, group_instance_id: Option<&str>) -> i16 {
    if is_text(member_id) && group_instance_id.is_none_or(is_text) {
        code::NONE
    } else {
        code::UNKNOWN_MEMBER_ID
    }
}

/// The first that is an error.
fn first_error(codes: impl IntoIterator<Item = i16>) -> Result<(), i16> {
    match codes
        .into_iter()
        .find(|error_code| *error_code != code::NONE)
    {
        Some(error_code) => Err(error_code),
        None => Ok(()),
    }
}

fn client_id(request: &Request) -> String {
    let client_id = request.header.client_id.as_deref().unwrap_or_default();
    client_id.replace('\0', "?")
}

/// As Kafka writes it: `/` and the address.
fn client_host(connection: &Connection) -> String {
    format!("/{}", connection.peer.ip().to_canonical())
}

/// Nothing where the database says nothing.
fn words(text: Option<String>) -> StrBytes {
    text.map(StrBytes::from_string).unwrap_or_default()
}

/// By id in the versions that have ids instead of names.
fn topic_ref(name: &TopicName, topic_id: Option<Uuid>) -> TopicRef {
    topic_id.map_or_else(|| TopicRef::Name(name.to_string()), TopicRef::Id)
}

/// Brings elements of the same key together, in the order in which keys first come.
fn gather<K: Eq + Hash + Clone, T>(elements: impl IntoIterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut gathered: Vec<(K, Vec<T>)> = Vec::new();
    for (key, element) in elements {
        let place = *places.entry(key.clone()).or_insert(gathered.len());
        match gathered.get_mut(place) {
            Some((_, together)) => together.push(element),
            None => gathered.push((key, vec![element])),
        }
    }
    gathered
}

fn message(error: &DbError) -> StrBytes {
    StrBytes::from_string(error.client_message())
}

const fn text(message: &'static str) -> StrBytes {
    StrBytes::from_static_str(message)
}

/// Elements that occur more than once.
fn duplicates<T: Eq + Hash + Copy>(elements: impl Iterator<Item = T>) -> HashSet<T> {
    let mut seen = HashSet::new();
    elements.filter(|element| !seen.insert(*element)).collect()
}

/// `None` for a level that Kafka does not know.
fn isolation(level: i8) -> Option<&'static str> {
    match level {
        0 => Some("read_uncommitted"),
        1 => Some("read_committed"),
        _ => None,
    }
}

/// Fences a client whose idea of the leader is older or newer than ours; -1 is none.
fn check_leader_epoch(current: i32, ours: i32) -> i16 {
    if current < 0 || current == ours {
        code::NONE
    } else if current < ours {
        code::FENCED_LEADER_EPOCH
    } else {
        code::UNKNOWN_LEADER_EPOCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_ids_are_any_text_that_postgresql_can_hold() {
        for good in ["g", " ", "größe", "\u{1f980}", "a\nb", "\u{7f}"] {
            assert_eq!(check_group_id(good), code::NONE, "{good:?}");
        }
        for bad in ["", "\0", "a\0b"] {
            assert_eq!(check_group_id(bad), code::INVALID_GROUP_ID, "{bad:?}");
        }
        assert_eq!(check_member("", None), code::NONE);
        assert_eq!(check_member("m", Some("i\0")), code::UNKNOWN_MEMBER_ID);
    }

    #[test]
    fn old_versions_are_told_codes_that_they_know() {
        let epoch = code::INVALID_PRODUCER_EPOCH;
        assert_eq!(fenced(code::PRODUCER_FENCED, 1, 2), epoch);
        assert_eq!(fenced(code::PRODUCER_FENCED, 2, 2), code::PRODUCER_FENCED);
        assert_eq!(fenced(code::NONE, 1, 2), code::NONE);
        let aborted = code::TRANSACTION_ABORTABLE;
        assert_eq!(abortable(aborted, 10, 11), code::INVALID_TXN_STATE);
        assert_eq!(abortable(aborted, 11, 11), aborted);
        assert_eq!(abortable(epoch, 10, 11), epoch);
    }

    #[test]
    fn elements_are_gathered_in_order() {
        let elements = [("b", 1), ("a", 2), ("b", 0)];
        assert_eq!(gather(elements), [("b", vec![1, 0]), ("a", vec![2])]);
    }
}
