//! `DeleteRecords`: a partition's log begins later from now on (KIP-107). Kafka Streams
//! deletes so what it has read of its own topics.
//!
//! v2 flexible. Skipped: the time-out, since nobody else has to follow.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use crate::conn::Connection;
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, INT64, Kind, field};

const PARTITION: &[Field] = &[field("partition_index", INT32), field("offset", INT64)];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("timeout_ms", INT32),
];

pub const API: Api = Api {
    key: 21,
    name: "DeleteRecords",
    min: 0,
    max: 2,
    advertised_min: 0,
    codec_max: 2,
    flexible: 2,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Where a log begins that could not be changed.
const NO_LOW_WATERMARK: i64 = -1;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DeleteRecordsRequest = request.decode()?;
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let deleted = delete(&connection.server, &topic.name, partition).await;
            let (low_watermark, error_code) = match deleted {
                Ok(log_start_offset) => (log_start_offset, code::NONE),
                // Whether it has happened or not, it may be asked for again.
                Err(error) => {
                    tracing::debug!(%error, "deleting records failed");
                    (NO_LOW_WATERMARK, error.code(code::LEADER_NOT_AVAILABLE))
                }
            };
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(partition.partition_index)
                    .with_low_watermark(low_watermark)
                    .with_error_code(error_code),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    request.reply(&DeleteRecordsResponse::default().with_topics(topics))
}

/// The new log start offset.
async fn delete(
    server: &Server,
    topic: &str,
    partition: &DeleteRecordsPartition,
) -> Result<i64, DbError> {
    let session = server.db.admin().await?;
    session
        .delete_records(topic, partition.partition_index, partition.offset)
        .await
}
