//! `TxnOffsetCommit`: how far a group has come, to hold when the transaction commits.
//!
//! v1 throttle time. v2 leader epochs (KIP-320). v3 flexible, and member, instance and
//! generation fence who has lost its partitions (KIP-447). v4 new error code. v5 the group
//! becomes part of the transaction without `AddOffsetsToTxn` (KIP-890).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::TxnOffsetCommitRequest;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use crate::conn::Connection;
use crate::db::{Commit, TopicRef, TransactionalProducer, TxnOffsetCommitCall};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT16, INT32, INT64, Kind, field};

use super::{
    abortable, check_group_id, check_member, check_transactional_id, first_error, is_text, log,
    topic_ref,
};

const PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("committed_offset", INT64),
    field("committed_leader_epoch", INT32).since(2),
    field("committed_metadata", Kind::String),
];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("transactional_id", Kind::String),
    field("group_id", Kind::String),
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("generation_id", INT32).since(3),
    field("member_id", Kind::String).since(3),
    field("group_instance_id", Kind::String).since(3),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
];

pub const API: Api = Api {
    key: 28,
    name: "TxnOffsetCommit",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const ADDS_THE_GROUP: i16 = 5;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: TxnOffsetCommitRequest = request.decode()?;
    let version = request.version();
    let committed = commit(&connection.server, &body, version).await;
    let mut codes = committed.as_deref().unwrap_or_default().iter().copied();
    let topics = body.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|asked| {
            let error_code = match &committed {
                Ok(_) => codes.next().unwrap_or(code::UNKNOWN_SERVER_ERROR),
                Err(error_code) => *error_code,
            };
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(in_version(error_code, version))
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(asked.name.clone())
            .with_partitions(partitions.collect())
    });
    request.reply(&TxnOffsetCommitResponse::default().with_topics(topics.collect()))
}

/// An error code for each partition, or one for all.
async fn commit(
    server: &Server,
    body: &TxnOffsetCommitRequest,
    version: i16,
) -> Result<Vec<i16>, i16> {
    first_error([
        check_transactional_id(&body.transactional_id),
        check_group_id(&body.group_id),
        check_member(&body.member_id, body.group_instance_id.as_deref()),
    ])?;
    let names = body.topics.iter().map(|topic| topic_ref(&topic.name, None));
    let topics: Vec<TopicRef> = names.collect();
    let commits = body.topics.iter().zip(&topics).flat_map(|(asked, topic)| {
        asked.partitions.iter().map(move |partition| Commit {
            topic,
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0),
            metadata: partition.committed_metadata.as_deref(),
        })
    });
    let call = TxnOffsetCommitCall {
        producer: TransactionalProducer {
            transactional_id: &body.transactional_id,
            producer_id: *body.producer_id,
            producer_epoch: body.producer_epoch,
        },
        group_id: &body.group_id,
        member_id: &body.member_id,
        group_instance_id: body.group_instance_id.as_deref(),
        generation_id: body.generation_id,
        transaction_version: if version >= ADDS_THE_GROUP { 2 } else { 1 },
        commits: commits.collect(),
    };
    // PostgreSQL's text holds no NUL.
    let mut metadata = call.commits.iter().filter_map(|commit| commit.metadata);
    if !metadata.all(is_text) {
        return Err(code::INVALID_REQUEST);
    }
    if call.commits.is_empty() {
        return Ok(Vec::new());
    }
    let committed = server.db.transaction(&call).await;
    committed.map_err(|error| {
        log(&error);
        // A client may have this from the coordinator of a group, unlike other codes about
        // transactions in progress.
        let busy = code::COORDINATOR_LOAD_IN_PROGRESS;
        error.transaction_code(code::COORDINATOR_NOT_AVAILABLE, busy)
    })
}

/// Members of consumer groups learn of a stale epoch as others do of their generation, and
/// producers of a fence as they do from a partition. Before version 2 a client may end at
/// `COORDINATOR_LOAD_IN_PROGRESS` (KAFKA-7296).
fn in_version(error_code: i16, version: i16) -> i16 {
    match error_code {
        code::STALE_MEMBER_EPOCH => code::ILLEGAL_GENERATION,
        code::PRODUCER_FENCED => code::INVALID_PRODUCER_EPOCH,
        code::COORDINATOR_LOAD_IN_PROGRESS if version < 2 => code::COORDINATOR_NOT_AVAILABLE,
        _ => abortable(error_code, version, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_are_told_what_they_know() {
        let loading = code::COORDINATOR_LOAD_IN_PROGRESS;
        let table = [
            (code::NONE, 0, code::NONE),
            (loading, 1, code::COORDINATOR_NOT_AVAILABLE),
            (loading, 2, loading),
            (code::STALE_MEMBER_EPOCH, 5, code::ILLEGAL_GENERATION),
            (code::TRANSACTION_ABORTABLE, 3, code::INVALID_TXN_STATE),
            (code::TRANSACTION_ABORTABLE, 4, code::TRANSACTION_ABORTABLE),
            (code::PRODUCER_FENCED, 5, code::INVALID_PRODUCER_EPOCH),
        ];
        for (error_code, version, told) in table {
            assert_eq!(in_version(error_code, version), told, "{error_code}");
        }
    }
}
