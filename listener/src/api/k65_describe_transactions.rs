//! `DescribeTransactions`: state and partitions of transactional ids (KIP-664).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{DescribeTransactions, TransactionDescription};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, Kind, field};

use super::{gather, is_text, producer_code};

const REQUEST: &[Field] = &[field("transactional_ids", Kind::Array(&Kind::String))];

pub const API: Api = Api {
    key: 65,
    name: "DescribeTransactions",
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
    let body: DescribeTransactionsRequest = request.decode()?;
    let described = describe(&connection.server, &body.transactional_ids).await;
    let states = body.transactional_ids.into_iter().zip(described);
    let states = states.map(|(transactional_id, described)| {
        let state = match described {
            Ok(described) => state(described),
            Err(error_code) => TransactionState::default().with_error_code(error_code),
        };
        state.with_transactional_id(transactional_id)
    });
    let response = DescribeTransactionsResponse::default();
    request.reply(&response.with_transaction_states(states.collect()))
}

/// One for each transactional id asked for.
async fn describe(
    server: &Server,
    transactional_ids: &[TransactionalId],
) -> Vec<Result<TransactionDescription, i16>> {
    let ids = transactional_ids.iter().map(|id| &***id);
    let asked: Vec<&str> = ids.clone().filter(|id| is_text(id)).collect();
    let described = if asked.is_empty() {
        Ok(Vec::new())
    } else {
        let described = server.db.transaction(&DescribeTransactions(&asked)).await;
        described.map_err(|error| producer_code(&error))
    };
    let (mut found, refused) = match described {
        Ok(found) => (found.into_iter(), code::UNKNOWN_SERVER_ERROR),
        Err(error_code) => (Vec::new().into_iter(), error_code),
    };
    let all = ids.map(|id| {
        if is_text(id) {
            found.next().ok_or(refused)
        } else {
            Err(code::TRANSACTIONAL_ID_NOT_FOUND)
        }
    });
    all.collect()
}

fn state(found: TransactionDescription) -> TransactionState {
    let state = TransactionState::default().with_error_code(found.error_code);
    if found.error_code != code::NONE {
        return state;
    }
    let topics = gather(found.partitions).into_iter();
    let topics = topics.map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(TopicName(StrBytes::from_string(topic)))
            .with_partitions(partitions)
    });
    state
        .with_transaction_state(StrBytes::from_string(found.state))
        .with_transaction_timeout_ms(found.timeout_ms)
        .with_transaction_start_time_ms(found.started_at)
        .with_producer_id(ProducerId(found.producer_id))
        .with_producer_epoch(found.producer_epoch)
        .with_topics(topics.collect())
}
