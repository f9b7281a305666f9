//! Fetch: stored batches from an offset on, waiting for them where there are too few.
//!
//! v4 isolation levels (KIP-98). v5 log start offset. v7 fetch sessions (KIP-227). v9
//! leader epochs (KIP-320). v11 rack id. v12 flexible. v13 topic ids (KIP-516). v15
//! replica state. v16 node endpoints (KIP-951). v17, v18 say more about replicas.
//! Skipped: replicas, down-conversion.

mod plan;

use std::sync::Arc;
use std::time::Instant;

use kafka_core::code;
use kafka_protocol::messages::{FetchRequest, TopicName};
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::{FetchPosition, Fetched, TopicRef};
use crate::error::Fault;
use crate::fetch_sessions::{Answer as SessionAnswer, Asked, SessionRequest, is_unknown};
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::fetch_response::{FetchResponse, PartitionResponse, TopicResponse};
use crate::wire::schema::{Field, INT8, INT32, INT64, Kind, UUID, field};

use super::isolation;
use plan::Plan;

const PARTITION: &[Field] = &[
    field("partition", INT32),
    field("current_leader_epoch", INT32).since(9),
    field("fetch_offset", INT64),
    field("last_fetched_epoch", INT32).since(12),
    field("log_start_offset", INT64).since(5),
    field("partition_max_bytes", INT32),
    field("replica_directory_id", UUID).since(17).tagged(0),
    field("high_watermark", INT64).since(18).tagged(1),
];
const TOPIC: &[Field] = &[
    field("topic", Kind::String).until(12),
    field("topic_id", UUID).since(13),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const FORGOTTEN_TOPIC: &[Field] = &[
    field("topic", Kind::String).until(12),
    field("topic_id", UUID).since(13),
    field("partitions", Kind::Array(&INT32)),
];
const REPLICA_STATE: &[Field] = &[field("replica_id", INT32), field("replica_epoch", INT64)];
const REQUEST: &[Field] = &[
    field("cluster_id", Kind::String).since(12).tagged(0),
    field("replica_id", INT32).until(14),
    field("replica_state", Kind::Struct(REPLICA_STATE))
        .since(15)
        .tagged(1),
    field("max_wait_ms", INT32),
    field("min_bytes", INT32),
    field("max_bytes", INT32),
    field("isolation_level", INT8),
    field("session_id", INT32).since(7),
    field("session_epoch", INT32).since(7),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field(
        "forgotten_topics_data",
        Kind::Array(&Kind::Struct(FORGOTTEN_TOPIC)),
    )
    .since(7),
    field("rack_id", Kind::String).since(11),
];

pub const API: Api = Api {
    key: 1,
    name: "Fetch",
    min: 4,
    max: 18,
    advertised_min: 4,
    codec_max: 18,
    flexible: 12,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: FetchRequest = request.decode()?;
    let version = request.version();
    let correlation_id = request.header.correlation_id;
    let sessions = &connection.server.fetch_sessions;
    let begun = if isolation(body.isolation_level).is_some() {
        sessions.begin(session_request(&body, version), Instant::now())
    } else {
        Err(code::INVALID_REQUEST)
    };
    let (context, asked) = match begun {
        Ok(begun) => begun,
        Err(error_code) => {
            let refused = FetchResponse {
                error_code,
                ..FetchResponse::default()
            };
            return Ok(Some(refused.encode(version, correlation_id)));
        }
    };
    let plan = Plan::new(&connection.server, &body, asked).await;
    let found = plan.collect(&connection, &context).await;
    plan.read_ahead(&connection, &found);
    let committed = plan.committed();
    let partitions = plan.asked.into_iter().zip(found.partitions).collect();
    let answer = sessions.answer(context, partitions, Instant::now());
    let mut reply = response(answer, committed).encode(version, correlation_id);
    if let Some(reserved) = found.reserved {
        reply.hold(reserved);
    }
    Ok(Some(reply))
}

/// Topics go by id since version 13.
fn session_request(body: &FetchRequest, version: i16) -> SessionRequest {
    let by_id = version >= 13;
    let topic_ref = |name: &TopicName, id: Uuid| {
        Arc::new(if by_id {
            TopicRef::Id(id)
        } else {
            TopicRef::Name(name.to_string())
        })
    };
    let asked = body.topics.iter().flat_map(|topic| {
        let topic_ref = topic_ref(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |partition| Asked {
            position: FetchPosition {
                topic: Arc::clone(&topic_ref),
                partition: partition.partition,
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes.max(0),
            },
            current_leader_epoch: partition.current_leader_epoch,
        })
    });
    let forgotten = body.forgotten_topics_data.iter().flat_map(|topic| {
        let topic_ref = topic_ref(&topic.topic, topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| (Arc::clone(&topic_ref), *partition))
    });
    SessionRequest {
        session_id: body.session_id,
        session_epoch: body.session_epoch,
        by_id,
        asked: asked.collect(),
        forgotten: forgotten.collect(),
    }
}

/// In the order of `answer`: a topic is named as often as its partitions are apart.
fn response(answer: SessionAnswer, committed: bool) -> FetchResponse {
    let mut topics: Vec<TopicResponse> = Vec::new();
    for (asked, found) in answer.partitions {
        let partition = partition_response(asked.position.partition, found, committed);
        let topic = asked.position.topic;
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partitions.push(partition),
            _ => topics.push(TopicResponse {
                topic,
                partitions: vec![partition],
            }),
        }
    }
    FetchResponse {
        error_code: answer.error_code,
        session_id: answer.session_id,
        topics,
    }
}

fn partition_response(partition: i32, found: Fetched, committed: bool) -> PartitionResponse {
    // As Kafka does where nothing was read.
    let has_aborted = match found.error_code {
        code::NONE => committed,
        _ => is_unknown(&found),
    };
    PartitionResponse {
        partition,
        error_code: found.error_code,
        high_watermark: found.high_watermark,
        last_stable_offset: found.last_stable_offset,
        log_start_offset: found.log_start_offset,
        aborted_transactions: has_aborted.then_some(found.aborted),
        records: found.records,
    }
}
