//! `JoinGroup`: a member joins, or takes part in the next generation. Answered when all
//! have joined, until then it is parked ([`crate::groups`]).
//!
//! v1 rebalance timeout (KIP-62), the session timeout before. v2 throttle time. v4 a new
//! member is given an id and joins again (KIP-394). v5 group instance ids (KIP-345).
//! v6 flexible. v7 protocol type in the answer (KIP-559). v8 reason (KIP-800). v9 a static
//! leader may skip the assignment (KIP-814).

use std::borrow::Cow;
use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{JoinCall, Joined};
use crate::error::{DbError, Fault};
use crate::groups::{Next, Turn};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, field};

use super::{
    check_group_id, check_member, client_host, client_id, first_error, is_text, member_code, words,
};

const PROTOCOL: &[Field] = &[field("name", Kind::String), field("metadata", Kind::Bytes)];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("session_timeout_ms", INT32),
    field("rebalance_timeout_ms", INT32).since(1),
    field("member_id", Kind::String),
    field("group_instance_id", Kind::String).since(5),
    field("protocol_type", Kind::String),
    field("protocols", Kind::Array(&Kind::Struct(PROTOCOL))),
    field("reason", Kind::String).since(8),
];

pub const API: Api = Api {
    key: 11,
    name: "JoinGroup",
    min: 0,
    max: 9,
    advertised_min: 0,
    codec_max: 9,
    flexible: 6,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: JoinGroupRequest = request.decode()?;
    let client = (client_id(&request), client_host(&connection));
    let call = call(&body, request.version(), &client);
    let response = match join(&connection, call).await {
        Ok(joined) => response(&body, joined, request.version()),
        Err(error_code) => refused(&body, error_code, request.version()),
    };
    request.reply(&response)
}

fn call<'a>(
    body: &'a JoinGroupRequest,
    version: i16,
    (client_id, client_host): &'a (String, String),
) -> JoinCall<'a> {
    JoinCall {
        group_id: &body.group_id,
        member_id: Cow::Borrowed(&body.member_id),
        group_instance_id: body.group_instance_id.as_deref(),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 {
            body.session_timeout_ms
        } else {
            body.rebalance_timeout_ms
        },
        protocol_type: &body.protocol_type,
        protocols: body.protocols.iter().map(|p| &*p.name).collect(),
        metadata: body.protocols.iter().map(|p| &*p.metadata).collect(),
        client_id,
        client_host,
        require_member_id: version >= 4
            && body.member_id.is_empty()
            && body.group_instance_id.is_none(),
        reason: body.reason.as_deref().filter(|reason| is_text(reason)),
        supports_skipping_assignment: version >= 9,
    }
}

async fn join(connection: &Connection, mut call: JoinCall<'_>) -> Result<Joined, i16> {
    first_error([
        check_group_id(call.group_id),
        check_member(&call.member_id, call.group_instance_id),
    ])?;
    let mut turn = Turn::new(connection, call.group_id);
    loop {
        let asked = ask(&connection.server, &call).await;
        let joined = asked.map_err(|error| member_code(&error))?;
        match turn.next(&joined.wait).await {
            Next::Answer => return Ok(joined),
            Next::GiveUp => return Err(code::NOT_COORDINATOR),
            // From now on it is the member that the first answer has made it.
            Next::Ask => {
                if let Some(member_id) = joined.member_id {
                    call.member_id = Cow::Owned(member_id);
                    call.require_member_id = false;
                }
            }
        }
    }
}

async fn ask(server: &Server, call: &JoinCall<'_>) -> Result<Joined, DbError> {
    // Made twice it would leave a member behind that nobody is, for whom all others wait.
    let becomes_member = call.member_id.is_empty() && !call.require_member_id;
    if becomes_member && call.group_instance_id.is_none() {
        server.db.group_once(call).await
    } else {
        server.db.group(call).await
    }
}

fn response(body: &JoinGroupRequest, joined: Joined, version: i16) -> JoinGroupResponse {
    let member_id = joined.member_id.map(StrBytes::from_string);
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(StrBytes::from_string(id))
            .with_group_instance_id(instance.map(StrBytes::from_string))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(joined.error_code)
        .with_generation_id(joined.generation_id.unwrap_or(-1))
        .with_protocol_type(joined.protocol_type.map(StrBytes::from_string))
        .with_protocol_name(protocol_name(joined.protocol_name, version))
        .with_leader(words(joined.leader))
        .with_skip_assignment(joined.skip_assignment && version >= 9)
        .with_member_id(member_id.unwrap_or_else(|| body.member_id.clone()))
        .with_members(members.collect())
}

fn refused(body: &JoinGroupRequest, error_code: i16, version: i16) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error_code)
        .with_protocol_name(protocol_name(None, version))
        .with_member_id(body.member_id.clone())
}

/// None is null, and an empty string before that was possible.
fn protocol_name(name: Option<String>, version: i16) -> Option<StrBytes> {
    let name = name.filter(|name| !name.is_empty());
    if version >= 7 {
        name.map(StrBytes::from_string)
    } else {
        Some(words(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_in_what_they_ask() {
        let client = (String::new(), String::new());
        let body = JoinGroupRequest::default()
            .with_session_timeout_ms(6000)
            .with_rebalance_timeout_ms(-1);
        let oldest = call(&body, 0, &client);
        assert_eq!(oldest.rebalance_timeout_ms, 6000);
        assert!(!call(&body, 3, &client).require_member_id);
        assert!(call(&body, 4, &client).require_member_id);
        assert!(!call(&body, 8, &client).supports_skipping_assignment);
        assert!(call(&body, 9, &client).supports_skipping_assignment);
        let named = body.clone().with_member_id(StrBytes::from_static_str("m"));
        assert!(!call(&named, 4, &client).require_member_id);
        let instance = Some(StrBytes::from_static_str("i"));
        let fixed = body.with_group_instance_id(instance);
        assert!(!call(&fixed, 5, &client).require_member_id);
    }

    #[test]
    fn no_protocol_is_null_or_empty() {
        for none in [None, Some(String::new())] {
            assert_eq!(protocol_name(none.clone(), 6), Some(StrBytes::new()));
            assert_eq!(protocol_name(none, 7), None);
        }
    }
}
