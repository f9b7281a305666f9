//! `LeaveGroup`: members leave, or are removed by an administrator.
//!
//! v1 throttle time. v3 several members, also by group instance id (KIP-345). v4 flexible.
//! v5 reasons (KIP-800).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{LeaveCall, Leaving};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, Kind, field};

use super::{check_group_id, check_member, first_error, is_text, member_code};

const MEMBER: &[Field] = &[
    field("member_id", Kind::String),
    field("group_instance_id", Kind::String),
    field("reason", Kind::String).since(5),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("member_id", Kind::String).until(2),
    field("members", Kind::Array(&Kind::Struct(MEMBER))).since(3),
];

pub const API: Api = Api {
    key: 13,
    name: "LeaveGroup",
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
    let body: LeaveGroupRequest = request.decode()?;
    let members = if request.version() >= 3 {
        body.members
    } else {
        vec![MemberIdentity::default().with_member_id(body.member_id)]
    };
    let response = match leave(&connection.server, &body.group_id, &members).await {
        Ok(left) => response(&members, left, request.version()),
        Err(error_code) => LeaveGroupResponse::default().with_error_code(error_code),
    };
    request.reply(&response)
}

/// Error code and member id for each member, or an error for all.
type Left = Vec<(i16, Option<String>)>;

async fn leave(server: &Server, group_id: &str, members: &[MemberIdentity]) -> Result<Left, i16> {
    first_error([check_group_id(group_id)])?;
    let checked: Vec<i16> = members.iter().map(check).collect();
    let leaving = members
        .iter()
        .zip(&checked)
        .filter(|(_, checked)| **checked == code::NONE)
        .map(|(member, _)| Leaving {
            member_id: &member.member_id,
            group_instance_id: member.group_instance_id.as_deref(),
            reason: member.reason.as_deref().filter(|reason| is_text(reason)),
        });
    let leaving: Vec<Leaving<'_>> = leaving.collect();
    let call = LeaveCall {
        group_id,
        leaving: &leaving,
    };
    let left = if leaving.is_empty() {
        Vec::new()
    } else {
        let left = server.db.group(&call).await;
        left.map_err(|error| member_code(&error))?
    };
    let mut left = left.into_iter();
    let all = checked.into_iter().map(|checked| match checked {
        code::NONE => left.next().unwrap_or((code::UNKNOWN_SERVER_ERROR, None)),
        refused => (refused, None),
    });
    Ok(all.collect())
}

fn check(member: &MemberIdentity) -> i16 {
    check_member(&member.member_id, member.group_instance_id.as_deref())
}

fn response(members: &[MemberIdentity], left: Left, version: i16) -> LeaveGroupResponse {
    let response = LeaveGroupResponse::default();
    if version < 3 {
        let only = left.first().map(|(error_code, _)| *error_code);
        return response.with_error_code(only.unwrap_or(code::NONE));
    }
    let members = members.iter().zip(left);
    let members = members.map(|(asked, (error_code, member_id))| {
        let member_id = member_id.map(StrBytes::from_string);
        MemberResponse::default()
            .with_member_id(member_id.unwrap_or_else(|| asked.member_id.clone()))
            .with_group_instance_id(asked.group_instance_id.clone())
            .with_error_code(error_code)
    });
    response.with_members(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_version_3_the_only_members_error_is_the_answers() {
        let members = [MemberIdentity::default()];
        let left = || vec![(code::UNKNOWN_MEMBER_ID, None)];
        let old = response(&members, left(), 2);
        assert_eq!(
            (old.error_code, old.members.len()),
            (code::UNKNOWN_MEMBER_ID, 0)
        );
        let new = response(&members, left(), 3);
        assert_eq!(new.error_code, code::NONE);
        assert_eq!(new.members[0].error_code, code::UNKNOWN_MEMBER_ID);
    }
}
