//! `InitProducerId`: a fresh id for an idempotent producer.
//!
//! v2 flexible. v3 a producer names its old id and epoch (KIP-360): without a
//! transactional id it gets a new one all the same, as from Kafka. v4, v5 new error
//! codes. Skipped: transactional ids.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::conn::Connection;
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT16, INT32, INT64, Kind, field};

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
    let response = InitProducerIdResponse::default()
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    if let Some(transactional_id) = body.transactional_id {
        // The only code that both Java's and librdkafka's producers give up at at once:
        // others are tried again until a timeout. Clients show the code's text, so why
        // is said here.
        tracing::warn!(
            peer = %connection.peer,
            transactional_id = ?&*transactional_id,
            "refused a transactional producer: they are not supported yet"
        );
        return request
            .reply(&response.with_error_code(code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
    }
    let response = match init(&connection.server).await {
        Ok((producer_id, producer_epoch)) => response
            .with_producer_id(ProducerId(producer_id))
            .with_producer_epoch(producer_epoch),
        // Retriable for Java's producer, which at COORDINATOR_NOT_AVAILABLE would look for
        // the coordinator of a transactional id it has not.
        Err(error) => response.with_error_code(error.code(code::COORDINATOR_LOAD_IN_PROGRESS)),
    };
    request.reply(&response)
}

async fn init(server: &Server) -> Result<(i64, i16), DbError> {
    server.db.admin().await?.init_producer_id().await
}
