//! `OffsetCommit`: how far a group has come, one offset per partition.
//!
//! v3 throttle time. v5 no retention time (KIP-211), which is ignored before. v6 leader
//! epochs (KIP-320). v7 group instance ids (KIP-345). v8 flexible. v9 members of consumer
//! groups (KIP-848). v10 topic ids.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::{Commit, CommitCall, TopicRef};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::schema::{Field, INT32, INT64, Kind, UUID, field};
use crate::wire::{Malformed, Reply, offset_requests};

use super::{check_member, first_error, is_text, member_code, topic_ref};

const PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("committed_offset", INT64),
    field("committed_leader_epoch", INT32).since(6),
    field("committed_metadata", Kind::String),
];
const TOPIC: &[Field] = &[
    field("name", Kind::String).until(9),
    field("topic_id", UUID).since(10),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("generation_id_or_member_epoch", INT32),
    field("member_id", Kind::String),
    field("group_instance_id", Kind::String).since(7),
    field("retention_time_ms", INT64).until(4),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
];

pub const API: Api = Api {
    key: 8,
    name: "OffsetCommit",
    min: 2,
    max: 10,
    advertised_min: 2,
    codec_max: 9,
    flexible: 8,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Since this version there are consumer groups.
const CONSUMER_GROUPS: i16 = 9;
const TOPIC_IDS: i16 = 10;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let (body, topic_ids) = decode(&request)?;
    let mut topic_ids = topic_ids.into_iter();
    let names = body.topics.iter().map(|topic| &topic.name);
    let topics: Vec<TopicRef> = names
        .map(|name| topic_ref(name, topic_ids.next()))
        .collect();
    let committed = commit(&connection.server, &body, &topics).await;
    let mut codes = committed.as_deref().unwrap_or_default().iter().copied();
    let topics = body.topics.iter().zip(&topics).map(|(asked, topic)| {
        let partitions = asked.partitions.iter().map(|asked| {
            let error_code = match &committed {
                Ok(_) => codes.next().unwrap_or(code::UNKNOWN_SERVER_ERROR),
                Err(error_code) => *error_code,
            };
            OffsetCommitResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(in_version(error_code, request.version()))
        });
        OffsetCommitResponseTopic::default()
            .with_name(asked.name.clone())
            .with_topic_id(topic.id().unwrap_or_default())
            .with_partitions(partitions.collect())
    });
    request.reply(&OffsetCommitResponse::default().with_topics(topics.collect()))
}

/// With the id of each topic where topics have no names.
pub fn decode(request: &Request) -> Result<(OffsetCommitRequest, Vec<Uuid>), Malformed> {
    if request.version() < TOPIC_IDS {
        return Ok((request.decode()?, Vec::new()));
    }
    offset_requests::decode_commit(&request.body)
}

/// An error code for each partition, or one for all. `topics` are the body's.
async fn commit(
    server: &Server,
    body: &OffsetCommitRequest,
    topics: &[TopicRef],
) -> Result<Vec<i16>, i16> {
    let commits = body.topics.iter().zip(topics).flat_map(|(asked, topic)| {
        asked.partitions.iter().map(move |partition| Commit {
            topic,
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0),
            metadata: partition.committed_metadata.as_deref(),
        })
    });
    let call = CommitCall {
        group_id: &body.group_id,
        member_id: &body.member_id,
        group_instance_id: body.group_instance_id.as_deref(),
        generation_id: body.generation_id_or_member_epoch,
        commits: commits.collect(),
    };
    if !is_text(call.group_id) {
        return Err(code::INVALID_GROUP_ID);
    }
    first_error([check_member(call.member_id, call.group_instance_id)])?;
    // PostgreSQL's text holds no NUL.
    let mut metadata = call.commits.iter().filter_map(|commit| commit.metadata);
    if !metadata.all(is_text) {
        return Err(code::INVALID_REQUEST);
    }
    if call.commits.is_empty() {
        return Ok(Vec::new());
    }
    let committed = server.db.group(&call).await;
    committed.map_err(|error| member_code(&error))
}

/// Older requests do not know groups that are missing, and are too old for the members of
/// consumer groups.
fn in_version(error_code: i16, version: i16) -> i16 {
    match error_code {
        code::GROUP_ID_NOT_FOUND if version < CONSUMER_GROUPS => code::ILLEGAL_GENERATION,
        code::STALE_MEMBER_EPOCH if version < CONSUMER_GROUPS => code::UNSUPPORTED_VERSION,
        _ => error_code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_told_what_they_know() {
        let missing = code::GROUP_ID_NOT_FOUND;
        assert_eq!(in_version(missing, 8), code::ILLEGAL_GENERATION);
        assert_eq!(in_version(missing, 9), missing);
        let stale = code::STALE_MEMBER_EPOCH;
        assert_eq!(in_version(stale, 8), code::UNSUPPORTED_VERSION);
        assert_eq!(in_version(stale, 9), stale);
        assert_eq!(in_version(code::NONE, 2), code::NONE);
    }
}
