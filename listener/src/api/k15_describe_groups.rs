//! `DescribeGroups`: state and members of classic groups.
//!
//! v1 throttle time. v3 authorized operations (KIP-430). v4 group instance ids (KIP-345).
//! v5 flexible. v6 an unknown group is an error with a message (KIP-1043), and a dead group
//! before that.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::messages::{DescribeGroupsRequest, GroupId};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{DescribeGroups, GroupDescription, MemberDescription};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, Kind, field};

use super::{GROUP_OPERATIONS, group_code, is_text, operations, text, words};

const REQUEST: &[Field] = &[
    field("groups", Kind::Array(&Kind::String)),
    field("include_authorized_operations", BOOLEAN).since(3),
];

pub const API: Api = Api {
    key: 15,
    name: "DescribeGroups",
    min: 0,
    max: 6,
    advertised_min: 0,
    codec_max: 6,
    flexible: 5,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const DEAD: StrBytes = text("Dead");

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DescribeGroupsRequest = request.decode()?;
    let described = describe(&connection.server, &body.groups).await;
    let groups = body.groups.into_iter().zip(described);
    let groups = groups.map(|(group_id, described)| {
        let group = match described {
            Ok(described) => described_group(described, request.version()),
            Err(error_code) => DescribedGroup::default().with_error_code(error_code),
        };
        let asked = body.include_authorized_operations && group.error_code == code::NONE;
        group
            .with_group_id(group_id)
            .with_authorized_operations(operations(GROUP_OPERATIONS, asked))
    });
    request.reply(&DescribeGroupsResponse::default().with_groups(groups.collect()))
}

/// One for each group asked for.
pub(super) async fn describe(
    server: &Server,
    group_ids: &[GroupId],
) -> Vec<Result<GroupDescription, i16>> {
    let asked: Vec<&str> = group_ids
        .iter()
        .map(|group_id| &***group_id)
        .filter(|group_id| is_text(group_id))
        .collect();
    let described = if asked.is_empty() {
        Ok(Vec::new())
    } else {
        let described = server.db.group(&DescribeGroups(&asked)).await;
        described.map_err(|error| group_code(&error))
    };
    let (mut found, refused) = match described {
        Ok(found) => (found.into_iter(), code::UNKNOWN_SERVER_ERROR),
        Err(error_code) => (Vec::new().into_iter(), error_code),
    };
    let all = group_ids.iter().map(|group_id| {
        if is_text(group_id) {
            found.next().ok_or(refused)
        } else {
            Err(code::INVALID_GROUP_ID)
        }
    });
    all.collect()
}

fn described_group(found: GroupDescription, version: i16) -> DescribedGroup {
    let group = DescribedGroup::default();
    let another_type = found.error_code == code::NONE && !found.is_type("classic");
    if another_type || found.error_code == code::GROUP_ID_NOT_FOUND {
        let group = group.with_group_state(DEAD);
        if version < 6 {
            return group;
        }
        let message = found.error_message.map(StrBytes::from_string);
        return group
            .with_error_code(code::GROUP_ID_NOT_FOUND)
            .with_error_message(message.or(Some(text("this is not a classic group"))));
    }
    // Only now it is settled which protocol counts.
    let stable = found.state == "Stable";
    let members = found.members.into_iter();
    group
        .with_error_code(found.error_code)
        .with_error_message(
            found
                .error_message
                .filter(|_| version >= 6)
                .map(StrBytes::from_string),
        )
        .with_group_state(StrBytes::from_string(found.state))
        .with_protocol_type(words(found.protocol_type))
        .with_protocol_data(words(found.protocol_name.filter(|_| stable)))
        .with_members(
            members
                .map(|member| described_member(member, stable))
                .collect(),
        )
}

fn described_member(found: MemberDescription, stable: bool) -> DescribedGroupMember {
    let member = DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(found.member_id))
        .with_group_instance_id(found.group_instance_id.map(StrBytes::from_string))
        .with_client_id(StrBytes::from_string(found.client_id))
        .with_client_host(StrBytes::from_string(found.client_host))
        .with_member_assignment(found.assignment);
    if stable {
        member.with_member_metadata(found.metadata)
    } else {
        member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(group_type: &str, state: &str) -> GroupDescription {
        GroupDescription {
            group_type: Some(group_type.into()),
            state: state.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            members: vec![MemberDescription {
                member_id: "m".into(),
                metadata: "subscription".into(),
                ..MemberDescription::default()
            }],
            ..GroupDescription::default()
        }
    }

    #[test]
    fn unknown_groups_are_dead_and_an_error_since_version_6() {
        let unknown = GroupDescription {
            error_code: code::GROUP_ID_NOT_FOUND,
            error_message: Some("unknown group".into()),
            state: "Dead".into(),
            ..GroupDescription::default()
        };
        for group in [unknown, found("consumer", "Stable")] {
            let old = described_group(group.clone(), 5);
            assert_eq!((old.error_code, &*old.group_state), (code::NONE, "Dead"));
            assert!(old.error_message.is_none() && old.members.is_empty());
            let new = described_group(group, 6);
            assert_eq!(new.error_code, code::GROUP_ID_NOT_FOUND);
            assert_eq!(&*new.group_state, "Dead");
            assert!(new.error_message.is_some() && new.members.is_empty());
        }
    }

    #[test]
    fn the_protocol_is_told_once_the_group_is_stable() {
        let stable = described_group(found("classic", "Stable"), 6);
        assert_eq!(&*stable.protocol_data, "range");
        assert_eq!(&*stable.members[0].member_metadata, b"subscription");
        let joining = described_group(found("classic", "PreparingRebalance"), 6);
        assert_eq!(&*joining.protocol_data, "");
        assert!(joining.members[0].member_metadata.is_empty());
        assert_eq!(&*joining.members[0].member_id, "m");
    }
}
