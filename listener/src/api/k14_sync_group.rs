//! `SyncGroup`: the leader brings the assignment, each member takes its own. A member that
//! comes before the leader is parked ([`crate::groups`]).
//!
//! v1 throttle time. v3 group instance ids (KIP-345). v4 flexible. v5 protocol type and
//! name, which have to be there (KIP-559).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{SyncCall, Synced};
use crate::error::Fault;
use crate::groups::{Next, Turn};
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, field};

use super::{check_group_id, check_member, first_error, member_code};

const ASSIGNMENT: &[Field] = &[
    field("member_id", Kind::String),
    field("assignment", Kind::Bytes),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("generation_id", INT32),
    field("member_id", Kind::String),
    field("group_instance_id", Kind::String).since(3),
    field("protocol_type", Kind::String).since(5),
    field("protocol_name", Kind::String).since(5),
    field("assignments", Kind::Array(&Kind::Struct(ASSIGNMENT))),
];

pub const API: Api = Api {
    key: 14,
    name: "SyncGroup",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 4,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: SyncGroupRequest = request.decode()?;
    let response = match sync(&connection, &body, request.version()).await {
        Ok(synced) => SyncGroupResponse::default()
            .with_error_code(synced.error_code)
            .with_protocol_type(synced.protocol_type.map(StrBytes::from_string))
            .with_protocol_name(synced.protocol_name.map(StrBytes::from_string))
            .with_assignment(synced.assignment),
        Err(error_code) => SyncGroupResponse::default().with_error_code(error_code),
    };
    request.reply(&response)
}

async fn sync(
    connection: &Connection,
    body: &SyncGroupRequest,
    version: i16,
) -> Result<Synced, i16> {
    let call = SyncCall {
        group_id: &body.group_id,
        generation_id: body.generation_id,
        member_id: &body.member_id,
        group_instance_id: body.group_instance_id.as_deref(),
        protocol_type: body.protocol_type.as_deref(),
        protocol_name: body.protocol_name.as_deref(),
        assigned_member_ids: body.assignments.iter().map(|a| &*a.member_id).collect(),
        assignments: body.assignments.iter().map(|a| &*a.assignment).collect(),
    };
    let unnamed = call.protocol_type.is_none() || call.protocol_name.is_none();
    if version >= 5 && unnamed {
        return Err(code::INCONSISTENT_GROUP_PROTOCOL);
    }
    first_error([
        check_group_id(call.group_id),
        check_member(call.member_id, call.group_instance_id),
    ])?;
    let mut turn = Turn::new(connection, call.group_id);
    loop {
        let asked = connection.server.db.group(&call).await;
        let synced = asked.map_err(|error| member_code(&error))?;
        match turn.next(&synced.wait).await {
            Next::Answer => return Ok(synced),
            Next::Ask => {}
            Next::GiveUp => return Err(code::NOT_COORDINATOR),
        }
    }
}
