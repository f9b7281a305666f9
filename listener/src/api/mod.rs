//! One file per API, named by key and name: its versions, its request's shape, its
//! handler. A handler decodes, checks, makes one call of the database and encodes.

pub mod k00_produce;
pub mod k01_fetch;
pub mod k02_list_offsets;
pub mod k03_metadata;
pub mod k10_find_coordinator;
pub mod k18_api_versions;
pub mod k19_create_topics;
pub mod k20_delete_topics;
pub mod k22_init_producer_id;
pub mod k37_create_partitions;
pub mod k60_describe_cluster;

use std::collections::HashSet;
use std::hash::Hash;

use kafka_core::code;
use kafka_protocol::protocol::StrBytes;

use crate::error::DbError;

/// The operations Kafka reports to everybody where no authorizer is configured, as bits:
/// read, write, create, delete, alter, describe, describe and alter configs.
const TOPIC_OPERATIONS: i32 = 3576;
/// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = 8096;
/// Not asked for.
const NO_OPERATIONS: i32 = i32::MIN;

/// What a client that administers topics is told when the database did not answer:
/// `NOT_CONTROLLER` where nothing has happened, `REQUEST_TIMED_OUT` where it may have.
fn admin_code(error: &DbError) -> i16 {
    error.code(if error.surely_failed() {
        code::NOT_CONTROLLER
    } else {
        code::REQUEST_TIMED_OUT
    })
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
