//! `DescribeProducers`: the producers that partitions remember, and their open
//! transactions (KIP-664).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, ProducerId};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{ActiveProducer, DescribeProducers, PartitionProducers};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, field};

use super::log;

const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partition_indexes", Kind::Array(&INT32)),
];
const REQUEST: &[Field] = &[field("topics", Kind::Array(&Kind::Struct(TOPIC)))];

pub const API: Api = Api {
    key: 61,
    name: "DescribeProducers",
    min: 0,
    max: 0,
    advertised_min: 0,
    codec_max: 0,
    flexible: 0,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DescribeProducersRequest = request.decode()?;
    let mut found = describe(&connection.server, &body).await.into_iter();
    let topics = body.topics.into_iter().map(|asked| {
        let partitions = asked.partition_indexes.iter().zip(&mut found);
        let partitions = partitions.map(|(index, found)| partition(*index, found));
        TopicResponse::default()
            .with_partitions(partitions.collect())
            .with_name(asked.name)
    });
    request.reply(&DescribeProducersResponse::default().with_topics(topics.collect()))
}

/// One for each partition asked for.
async fn describe(server: &Server, body: &DescribeProducersRequest) -> Vec<PartitionProducers> {
    let partitions = body.topics.iter().flat_map(|topic| {
        let partitions = topic.partition_indexes.iter();
        partitions.map(|partition| (&**topic.name, *partition))
    });
    let partitions: Vec<(&str, i32)> = partitions.collect();
    if partitions.is_empty() {
        return Vec::new();
    }
    let found = server.db.transaction(&DescribeProducers(&partitions)).await;
    found.unwrap_or_else(|error| {
        log(&error);
        let refused = PartitionProducers {
            error_code: error.code(code::NOT_LEADER_OR_FOLLOWER),
            error_message: Some(error.client_message()),
            producers: Vec::new(),
        };
        vec![refused; partitions.len()]
    })
}

fn partition(index: i32, found: PartitionProducers) -> PartitionResponse {
    let producers = found.producers.iter().map(producer);
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(found.error_code)
        .with_active_producers(producers.collect())
        .with_error_message(found.error_message.map(StrBytes::from_string))
}

fn producer(found: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(found.producer_id))
        .with_producer_epoch(i32::from(found.producer_epoch))
        .with_last_sequence(found.last_sequence)
        .with_last_timestamp(found.last_timestamp)
        .with_coordinator_epoch(found.coordinator_epoch)
        .with_current_txn_start_offset(found.txn_first_offset)
}
