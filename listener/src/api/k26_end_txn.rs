//! `EndTxn`: commits or aborts a transaction: its records and the offsets it has committed.
//!
//! v1 throttle time. v2 `PRODUCER_FENCED` (KIP-588). v3 flexible. v4 new error code. v5
//! each transaction has an epoch of its own: the answer is the producer's next (KIP-890).

use std::sync::Arc;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use crate::conn::Connection;
use crate::db::{EndTxnCall, ProducerAnswer, TransactionalProducer};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, INT16, INT64, Kind, field};

use super::{check_transactional_id, fenced, first_error, transaction_code};

const REQUEST: &[Field] = &[
    field("transactional_id", Kind::String),
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("committed", BOOLEAN),
];

pub const API: Api = Api {
    key: 26,
    name: "EndTxn",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const NEXT_EPOCH: i16 = 5;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: EndTxnRequest = request.decode()?;
    let version = request.version();
    let response = EndTxnResponse::default();
    let response = match end(&connection.server, &body, version).await {
        Ok(ended) if version >= NEXT_EPOCH => response
            .with_error_code(ended.error_code)
            .with_producer_id(ProducerId(ended.producer_id))
            .with_producer_epoch(ended.producer_epoch),
        Ok(ended) => response.with_error_code(fenced(ended.error_code, version, 2)),
        Err(error_code) => response.with_error_code(error_code),
    };
    request.reply(&response)
}

async fn end(server: &Server, body: &EndTxnRequest, version: i16) -> Result<ProducerAnswer, i16> {
    first_error([check_transactional_id(&body.transactional_id)])?;
    let call = EndTxnCall {
        producer: TransactionalProducer {
            transactional_id: &body.transactional_id,
            producer_id: *body.producer_id,
            producer_epoch: body.producer_epoch,
        },
        committed: body.committed,
        transaction_version: if version >= NEXT_EPOCH { 2 } else { 1 },
    };
    // A call that may have happened is made again: its producer waits for the answer, so
    // the transaction is still as the first has left it, and the second recognises that.
    let ended = server.db.transaction(&call).await;
    ended.map_err(|error| transaction_code(&error))
}
