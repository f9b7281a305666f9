//! `ListTransactions`: all transactional ids, or those that pass filters (KIP-664).
//!
//! v1 by duration (KIP-994). v2 by a regular expression (KIP-1152).

use std::collections::HashSet;
use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::list_transactions_response::{
    ListTransactionsResponse, TransactionState,
};
use kafka_protocol::messages::{ListTransactionsRequest, ProducerId, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{ListTransactions, ListedTransaction};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT64, Kind, field};

use super::{is_text, producer_code};

const REQUEST: &[Field] = &[
    field("state_filters", Kind::Array(&Kind::String)),
    field("producer_id_filters", Kind::Array(&INT64)),
    field("duration_filter", INT64).since(1),
    field("transactional_id_pattern", Kind::String).since(2),
];

pub const API: Api = Api {
    key: 66,
    name: "ListTransactions",
    min: 0,
    max: 2,
    advertised_min: 0,
    codec_max: 2,
    flexible: 0,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Kafka's. Here a transaction ends in one step, and what has expired is gone, so the
/// prepared and dead states do not occur.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: ListTransactionsRequest = request.decode()?;
    let listed = list(&connection.server, &body).await;
    let response = match listed {
        Ok(listed) => {
            let states = listed.into_iter().map(|listed| {
                let transactional_id = StrBytes::from_string(listed.transactional_id);
                TransactionState::default()
                    .with_transactional_id(TransactionalId(transactional_id))
                    .with_producer_id(ProducerId(listed.producer_id))
                    .with_transaction_state(StrBytes::from_string(listed.state))
            });
            ListTransactionsResponse::default()
                .with_transaction_states(states.collect())
                .with_unknown_state_filters(unknown_states(&body.state_filters))
        }
        Err(error_code) => ListTransactionsResponse::default().with_error_code(error_code),
    };
    request.reply(&response)
}

async fn list(
    server: &Server,
    body: &ListTransactionsRequest,
) -> Result<Vec<ListedTransaction>, i16> {
    let states = body.state_filters.iter().map(|state| &**state);
    let states: Vec<&str> = states.filter(|state| STATES.contains(state)).collect();
    if states.is_empty() && !body.state_filters.is_empty() {
        return Ok(Vec::new());
    }
    let pattern = body.transactional_id_pattern.as_deref();
    if !pattern.is_none_or(is_text) {
        return Err(code::INVALID_REGULAR_EXPRESSION);
    }
    let producer_ids: Vec<i64> = body.producer_id_filters.iter().map(|id| **id).collect();
    let call = ListTransactions {
        states: &states,
        producer_ids: &producer_ids,
        min_duration_ms: Some(body.duration_filter).filter(|duration| *duration >= 0),
        transactional_id_pattern: pattern,
    };
    let listed = server.db.transaction(&call).await;
    listed.map_err(|error| producer_code(&error))
}

/// Each once.
fn unknown_states(filters: &[StrBytes]) -> Vec<StrBytes> {
    let mut seen = HashSet::new();
    let unknown = filters
        .iter()
        .filter(|filter| !STATES.contains(&&***filter) && seen.insert(*filter));
    unknown.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_states_are_told_once() {
        let filters = ["Ongoing", "ongoing", "Dead", "", "ongoing"].map(StrBytes::from_static_str);
        assert_eq!(
            unknown_states(&filters),
            ["ongoing", ""].map(StrBytes::from_static_str)
        );
        assert!(unknown_states(&filters[..1]).is_empty());
    }
}
