//! `Heartbeat`: a member is alive, and learns of a rebalance.
//!
//! v1 throttle time. v3 group instance ids (KIP-345). v4 flexible.

use std::sync::Arc;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::conn::Connection;
use crate::db::Heartbeat;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, field};

use super::{check_group_id, check_member, first_error};

const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("generation_id", INT32),
    field("member_id", Kind::String),
    field("group_instance_id", Kind::String).since(3),
];

pub const API: Api = Api {
    key: 12,
    name: "Heartbeat",
    min: 0,
    max: 4,
    advertised_min: 0,
    codec_max: 4,
    flexible: 4,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: HeartbeatRequest = request.decode()?;
    let heartbeat = Heartbeat {
        group_id: body.group_id.0,
        generation_id: body.generation_id,
        member_id: body.member_id,
        group_instance_id: body.group_instance_id,
    };
    let checked = first_error([
        check_group_id(&heartbeat.group_id),
        check_member(&heartbeat.member_id, heartbeat.group_instance_id.as_deref()),
    ]);
    let error_code = match checked {
        Ok(()) => connection.server.heartbeats.beat(heartbeat).await,
        Err(error_code) => error_code,
    };
    request.reply(&HeartbeatResponse::default().with_error_code(error_code))
}
