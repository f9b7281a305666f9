//! `AddPartitionsToTxn`: partitions become part of a transaction, which begins with the
//! first.
//!
//! v1 throttle time. v2 `PRODUCER_FENCED` (KIP-588). v3 flexible. v4 several transactions,
//! and asking whether partitions are part of one, as brokers do among themselves
//! (KIP-890). v5 new error code.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::AddPartitionsToTxnRequest;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};

use crate::conn::Connection;
use crate::db::{AddPartitionsCall, TransactionalProducer};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, INT16, INT32, INT64, Kind, field};

use super::{check_transactional_id, fenced, first_error, transaction_code};

const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partitions", Kind::Array(&INT32)),
];
const TRANSACTION: &[Field] = &[
    field("transactional_id", Kind::String),
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("verify_only", BOOLEAN),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
];
const REQUEST: &[Field] = &[
    field("transactions", Kind::Array(&Kind::Struct(TRANSACTION))).since(4),
    field("transactional_id", Kind::String).until(3),
    field("producer_id", INT64).until(3),
    field("producer_epoch", INT16).until(3),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))).until(3),
];

pub const API: Api = Api {
    key: 24,
    name: "AddPartitionsToTxn",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const SEVERAL_TRANSACTIONS: i16 = 4;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: AddPartitionsToTxnRequest = request.decode()?;
    let (server, version) = (&connection.server, request.version());
    let response = AddPartitionsToTxnResponse::default();
    if version < SEVERAL_TRANSACTIONS {
        let only = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(body.v3_and_below_transactional_id)
            .with_producer_id(body.v3_and_below_producer_id)
            .with_producer_epoch(body.v3_and_below_producer_epoch)
            .with_topics(body.v3_and_below_topics);
        let added = add(server, &only).await;
        let results = topic_results(&only, &added, version);
        return request.reply(&response.with_results_by_topic_v3_and_below(results));
    }
    let mut results = Vec::with_capacity(body.transactions.len());
    for transaction in body.transactions {
        let added = add(server, &transaction).await;
        let topics = topic_results(&transaction, &added, version);
        results.push(
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id)
                .with_topic_results(topics),
        );
    }
    request.reply(&response.with_results_by_transaction(results))
}

/// An error code for each partition, or one for all.
async fn add(
    server: &Server,
    transaction: &AddPartitionsToTxnTransaction,
) -> Result<Vec<i16>, i16> {
    first_error([check_transactional_id(&transaction.transactional_id)])?;
    let partitions = transaction.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (&**topic.name, *partition))
    });
    let partitions: Vec<(&str, i32)> = partitions.collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let call = AddPartitionsCall {
        producer: TransactionalProducer {
            transactional_id: &transaction.transactional_id,
            producer_id: *transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
        },
        partitions: &partitions,
        verify_only: transaction.verify_only,
    };
    let added = server.db.transaction(&call).await;
    added.map_err(|error| transaction_code(&error))
}

fn topic_results(
    transaction: &AddPartitionsToTxnTransaction,
    added: &Result<Vec<i16>, i16>,
    version: i16,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut codes = added.as_deref().unwrap_or_default().iter().copied();
    let topics = transaction.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let error_code = match added {
                Ok(_) => codes.next().unwrap_or(code::UNKNOWN_SERVER_ERROR),
                Err(error_code) => *error_code,
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*partition)
                .with_partition_error_code(fenced(error_code, version, 2))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    topics.collect()
}
