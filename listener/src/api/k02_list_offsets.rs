//! `ListOffsets`: the offset of the earliest or latest record, of the first one at a time,
//! or of the newest timestamp.
//!
//! v1 one offset. v2 isolation levels. v4 leader epochs (KIP-320). v6 flexible. v7 max
//! timestamp (KIP-734). v8 earliest local offset (KIP-405). v9 last tiered offset
//! (KIP-1005). v10 timeout. v11 earliest pending upload (KIP-1023): same form as v10.
//! Nothing is tiered here, so the last tiered offset is -1 and none is pending.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use crate::conn::Connection;
use crate::db::ListedOffset;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, INT8, INT32, INT64, Kind, field};

use super::{check_leader_epoch, duplicates, isolation};

const PARTITION: &[Field] = &[
    field("partition_index", INT32),
    field("current_leader_epoch", INT32).since(4),
    field("timestamp", INT64),
];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("replica_id", INT32),
    field("isolation_level", INT8).since(2),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("timeout_ms", INT32).since(10),
];

pub const API: Api = Api {
    key: 2,
    name: "ListOffsets",
    min: 1,
    max: 11,
    advertised_min: 1,
    codec_max: 10,
    flexible: 6,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Asked for by timestamps below zero, each since a version of the request.
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const SPECIAL_SINCE: &[(i64, i16)] = &[
    (-1, 1),
    (-2, 1),
    (-3, 7),
    (-4, 8),
    (-5, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: ListOffsetsRequest = request.decode()?;
    let server = &connection.server;
    let epoch = server.cluster().await.map(|cluster| cluster.leader_epoch);
    let repeated = repeated(&body);
    let mut asked = Vec::new();
    let mut answers: Vec<Option<ListedOffset>> = Vec::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            let name: &str = &topic.name;
            let answer = if repeated.contains(&(name, partition.partition_index)) {
                Some(no_offset(code::INVALID_REQUEST))
            } else {
                let refused = match &epoch {
                    Ok(ours) => check_leader_epoch(partition.current_leader_epoch, *ours),
                    Err(error) => error.code(code::LEADER_NOT_AVAILABLE),
                };
                known_answer(refused, partition.timestamp, request.version())
            };
            if answer.is_none() {
                asked.push((
                    name.to_owned(),
                    partition.partition_index,
                    partition.timestamp,
                ));
            }
            answers.push(answer);
        }
    }
    let found = match isolation(body.isolation_level) {
        None => vec![no_offset(code::INVALID_REQUEST); asked.len()],
        Some(_) if asked.is_empty() => Vec::new(),
        Some(isolation) => server
            .db
            .list_offsets(&asked, isolation)
            .await
            .unwrap_or_else(|error| {
                tracing::debug!(%error, "listing offsets failed");
                vec![no_offset(error.code(code::LEADER_NOT_AVAILABLE)); asked.len()]
            }),
    };
    let mut found = found.into_iter();
    let answers = answers.into_iter().map(|answer| {
        answer
            .or_else(|| found.next())
            .unwrap_or_else(|| no_offset(code::UNKNOWN_SERVER_ERROR))
    });
    request.reply(&response(&body, answers, request.version()))
}

fn repeated(body: &ListOffsetsRequest) -> HashSet<(&str, i32)> {
    duplicates(body.topics.iter().flat_map(|topic| {
        let name: &str = &topic.name;
        topic
            .partitions
            .iter()
            .map(move |partition| (name, partition.partition_index))
    }))
}

/// The answer that needs no look into the log.
fn known_answer(refused: i16, timestamp: i64, version: i16) -> Option<ListedOffset> {
    if refused != code::NONE {
        return Some(no_offset(refused));
    }
    if timestamp >= 0 {
        return None;
    }
    let since = SPECIAL_SINCE
        .iter()
        .find(|(special, _)| *special == timestamp);
    match since {
        Some((_, since)) if version >= *since => {
            (timestamp == EARLIEST_PENDING_UPLOAD).then(|| no_offset(code::NONE))
        }
        _ => Some(no_offset(code::UNSUPPORTED_VERSION)),
    }
}

fn no_offset(error_code: i16) -> ListedOffset {
    ListedOffset {
        error_code,
        offset: -1,
        timestamp: -1,
        leader_epoch: -1,
    }
}

fn response(
    body: &ListOffsetsRequest,
    mut answers: impl Iterator<Item = ListedOffset>,
    version: i16,
) -> ListOffsetsResponse {
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut answers);
        let partitions = partitions.map(|(asked, answer)| {
            ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(answer.error_code)
                .with_timestamp(answer.timestamp)
                .with_offset(answer.offset)
                .with_leader_epoch(if version >= 4 {
                    answer.leader_epoch
                } else {
                    -1
                })
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_have_versions() {
        let judge = |timestamp, version| {
            known_answer(code::NONE, timestamp, version).map(|answer| answer.error_code)
        };
        assert_eq!(judge(-1, 1), None);
        assert_eq!(judge(-3, 6), Some(code::UNSUPPORTED_VERSION));
        assert_eq!(judge(-3, 7), None);
        assert_eq!(judge(-5, 8), Some(code::UNSUPPORTED_VERSION));
        assert_eq!(judge(-6, 11), Some(code::NONE));
        assert_eq!(judge(-7, 11), Some(code::UNSUPPORTED_VERSION));
        assert_eq!(judge(1_700_000_000_000, 1), None);
    }
}
