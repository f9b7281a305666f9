//! `WriteTxnMarkers`: ends transactions partition by partition, as Kafka's admin client
//! does with one that hangs (KIP-664).
//!
//! v1 flexible. v2 transaction versions, by which Kafka's brokers among themselves tell
//! markers of epochs of their own (KIP-1228); not looked at.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};
use kafka_protocol::messages::{ProducerId, TopicName, WriteTxnMarkersRequest};

use crate::conn::Connection;
use crate::db::{Marker, WriteMarkers};
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::schema::{BOOLEAN, Field, INT8, INT16, INT32, INT64, Kind, field};
use crate::wire::{Malformed, Reply, marker_requests};

use super::gather;

const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partition_indexes", Kind::Array(&INT32)),
];
const MARKER: &[Field] = &[
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("transaction_result", BOOLEAN),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("coordinator_epoch", INT32),
    field("transaction_version", INT8).since(2),
];
const REQUEST: &[Field] = &[field("markers", Kind::Array(&Kind::Struct(MARKER)))];

pub const API: Api = Api {
    key: 27,
    name: "WriteTxnMarkers",
    min: 1,
    max: 2,
    advertised_min: 1,
    codec_max: 1,
    flexible: 1,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const TRANSACTION_VERSIONS: i16 = 2;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body = decode(&request)?;
    let markers = markers(&body);
    let written = write(&connection.server, &markers).await;
    let results = markers.iter().zip(written);
    let results = results.map(|(marker, code)| (marker.producer_id, (marker, code)));
    // As from Kafka, all that is told of a producer is told together.
    let results = gather(results).into_iter().map(|(producer_id, results)| {
        let results = results.into_iter();
        let topics = gather(results.map(|(m, code)| (m.topic, (m.partition, code))));
        let topics = topics.into_iter();
        WritableTxnMarkerResult::default()
            .with_producer_id(ProducerId(producer_id))
            .with_topics(topics.map(topic_result).collect())
    });
    request.reply(&WriteTxnMarkersResponse::default().with_markers(results.collect()))
}

pub fn decode(request: &Request) -> Result<WriteTxnMarkersRequest, Malformed> {
    if request.version() < TRANSACTION_VERSIONS {
        return request.decode();
    }
    marker_requests::decode(&request.body)
}

/// One for each partition.
fn markers(body: &WriteTxnMarkersRequest) -> Vec<Marker<'_>> {
    let markers = body.markers.iter().flat_map(|marker| {
        marker.topics.iter().flat_map(move |topic| {
            let partitions = topic.partition_indexes.iter();
            partitions.map(move |partition| Marker {
                producer_id: *marker.producer_id,
                producer_epoch: marker.producer_epoch,
                committed: marker.transaction_result,
                coordinator_epoch: marker.coordinator_epoch,
                topic: &topic.name,
                partition: *partition,
            })
        })
    });
    markers.collect()
}

/// An error code for each. A call that may have happened is not made again: the producer
/// may have begun its next transaction since, which the second would end.
async fn write(server: &Server, markers: &[Marker<'_>]) -> Vec<i16> {
    if markers.is_empty() {
        return Vec::new();
    }
    let written = server.db.transaction_once(&WriteMarkers(markers)).await;
    written.unwrap_or_else(|error| vec![refused(&error); markers.len()])
}

fn refused(error: &DbError) -> i16 {
    super::log(error);
    error.code(if error.surely_failed() {
        code::NOT_LEADER_OR_FOLLOWER
    } else {
        code::REQUEST_TIMED_OUT
    })
}

fn topic_result((topic, partitions): (&str, Vec<(i32, i16)>)) -> WritableTxnMarkerTopicResult {
    let partitions = partitions.into_iter().map(|(partition, error_code)| {
        WritableTxnMarkerPartitionResult::default()
            .with_partition_index(partition)
            .with_error_code(error_code)
    });
    WritableTxnMarkerTopicResult::default()
        .with_name(TopicName(topic.to_owned().into()))
        .with_partitions(partitions.collect())
}
