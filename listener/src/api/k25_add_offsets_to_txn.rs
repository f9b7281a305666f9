//! `AddOffsetsToTxn`: a transaction may commit offsets of a group, by `TxnOffsetCommit`.
//!
//! v1 throttle time. v2 `PRODUCER_FENCED` (KIP-588). v3 flexible. v4 new error code
//! (KIP-890).

use std::sync::Arc;

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::conn::Connection;
use crate::db::{AddOffsetsCall, TransactionalProducer};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT16, INT64, Kind, field};

use super::{check_group_id, check_transactional_id, fenced, first_error, transaction_code};

const REQUEST: &[Field] = &[
    field("transactional_id", Kind::String),
    field("producer_id", INT64),
    field("producer_epoch", INT16),
    field("group_id", Kind::String),
];

pub const API: Api = Api {
    key: 25,
    name: "AddOffsetsToTxn",
    min: 0,
    max: 4,
    advertised_min: 0,
    codec_max: 4,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: AddOffsetsToTxnRequest = request.decode()?;
    let added = add(&connection.server, &body).await;
    let error_code = fenced(added.unwrap_or_else(|code| code), request.version(), 2);
    request.reply(&AddOffsetsToTxnResponse::default().with_error_code(error_code))
}

async fn add(server: &Server, body: &AddOffsetsToTxnRequest) -> Result<i16, i16> {
    first_error([
        check_transactional_id(&body.transactional_id),
        check_group_id(&body.group_id),
    ])?;
    let call = AddOffsetsCall {
        producer: TransactionalProducer {
            transactional_id: &body.transactional_id,
            producer_id: *body.producer_id,
            producer_epoch: body.producer_epoch,
        },
        group_id: &body.group_id,
    };
    let added = server.db.transaction(&call).await;
    added.map_err(|error| transaction_code(&error))
}
