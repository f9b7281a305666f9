//! `InitProducerId`: a fresh id for an idempotent producer; for a transactional one its id
//! and the next epoch, which fences whoever has an older one.
//!
//! v2 flexible. v3 a producer names its old id and epoch (KIP-360): without a transactional
//! id it gets a new one all the same, as from Kafka. v4 `PRODUCER_FENCED` (KIP-588). v5 new
//! error code (KIP-890). Skipped: v6, which Kafka does not advertise (KIP-939).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::conn::Connection;
use crate::db::{InitProducerIdCall, ProducerAnswer};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT16, INT32, INT64, Kind, field};

use super::{fenced, is_text, producer_code, transaction_code};

const REQUEST: &[Field] = &[
    field("transactional_id", Kind::String),
    field("transaction_timeout_ms", INT32),
    field("producer_id", INT64).since(3),
    field("producer_epoch", INT16).since(3),
];

pub const API: Api = Api {
    key: 22,
    name: "InitProducerId",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 2,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: InitProducerIdRequest = request.decode()?;
    let initialized = init(&connection.server, &body).await;
    let answer = initialized.unwrap_or_else(|error_code| ProducerAnswer {
        error_code,
        producer_id: -1,
        producer_epoch: -1,
    });
    let response = InitProducerIdResponse::default()
        .with_error_code(fenced(answer.error_code, request.version(), 4))
        .with_producer_id(ProducerId(answer.producer_id))
        .with_producer_epoch(answer.producer_epoch);
    request.reply(&response)
}

async fn init(server: &Server, body: &InitProducerIdRequest) -> Result<ProducerAnswer, i16> {
    let current = match (*body.producer_id, body.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(code::INVALID_REQUEST),
        current => Some(current),
    };
    let transactional_id = body.transactional_id.as_deref();
    if !transactional_id.is_none_or(|id| is_text(id)) {
        return Err(code::INVALID_REQUEST);
    }
    let call = InitProducerIdCall {
        transactional_id: transactional_id.map(|id| &**id),
        transaction_timeout_ms: body.transaction_timeout_ms,
        current: current.filter(|_| transactional_id.is_some()),
    };
    // A call that may have happened is made again. An id or an epoch that nobody was told
    // is skipped without harm; a producer that names its id and epoch is recognised, or
    // fenced by whoever came in between; and one that does not was going to fence others
    // anyhow, whose later call it looks like, as if it had only now been made.
    let initialized = server.db.transaction(&call).await;
    initialized.map_err(|error| match transactional_id {
        Some(_) => transaction_code(&error),
        None => producer_code(&error),
    })
}
