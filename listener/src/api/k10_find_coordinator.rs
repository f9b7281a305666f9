//! `FindCoordinator`: who coordinates a group or a transaction, which is always us.
//!
//! v1 transactions (KIP-98). v3 flexible. v4 several keys at once (KIP-699). v5, v6 new
//! error codes and share groups (KIP-932), of which there are none here.

use std::future::ready;

use kafka_core::code;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::NODE_ID;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT8, Kind, field};

use super::text;

const REQUEST: &[Field] = &[
    field("key", Kind::String).until(3),
    field("key_type", INT8).since(1),
    field("coordinator_keys", Kind::Array(&Kind::String)).since(4),
];

pub const API: Api = Api {
    key: 10,
    name: "FindCoordinator",
    min: 0,
    max: 6,
    advertised_min: 0,
    codec_max: 6,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(ready(handle(&connection, &request))) },
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

fn handle(connection: &Connection, request: &Request) -> Result<Option<Reply>, Fault> {
    let body: FindCoordinatorRequest = request.decode()?;
    let known = matches!(body.key_type, GROUP | TRANSACTION);
    let advertised = connection.server.advertised(connection.local);
    let (error_code, error_message, node_id, host, port) = if known {
        let host = StrBytes::from_string(advertised.host);
        let port = i32::from(advertised.port);
        (code::NONE, None, NODE_ID, host, port)
    } else {
        let message = Some(text(
            "only groups (0) and transactions (1) have coordinators here",
        ));
        (code::INVALID_REQUEST, message, -1, StrBytes::new(), -1)
    };
    let response = if request.version() >= 4 {
        let coordinators = body.coordinator_keys.into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_node_id(BrokerId(node_id))
                .with_host(host.clone())
                .with_port(port)
                .with_error_code(error_code)
                .with_error_message(error_message.clone())
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    } else {
        let message = error_message.filter(|_| request.version() >= 1);
        FindCoordinatorResponse::default()
            .with_node_id(BrokerId(node_id))
            .with_host(host)
            .with_port(port)
            .with_error_code(error_code)
            .with_error_message(message)
    };
    request.reply(&response)
}
