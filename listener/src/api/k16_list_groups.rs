//! `ListGroups`: all groups.
//!
//! v1 throttle time. v3 flexible. v4 only those in given states (KIP-518). v5 only those of
//! given types (KIP-848).

use std::sync::Arc;

use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::messages::{GroupId, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::ListGroups;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, Kind, field};

use super::{group_code, words};

const REQUEST: &[Field] = &[
    field("states_filter", Kind::Array(&Kind::String)).since(4),
    field("types_filter", Kind::Array(&Kind::String)).since(5),
];

pub const API: Api = Api {
    key: 16,
    name: "ListGroups",
    min: 0,
    max: 5,
    advertised_min: 0,
    codec_max: 5,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: ListGroupsRequest = request.decode()?;
    let states: Vec<&str> = body.states_filter.iter().map(|state| &**state).collect();
    let types: Vec<&str> = body.types_filter.iter().map(|kind| &**kind).collect();
    let call = ListGroups {
        states: &states,
        types: &types,
    };
    let listed = connection.server.db.group(&call).await;
    let response = match listed {
        Ok(listed) => {
            let groups = listed.into_iter().map(|listed| {
                ListedGroup::default()
                    .with_group_id(GroupId(StrBytes::from_string(listed.group_id)))
                    .with_protocol_type(words(listed.protocol_type))
                    .with_group_state(StrBytes::from_string(listed.state))
                    .with_group_type(StrBytes::from_string(listed.group_type))
            });
            ListGroupsResponse::default().with_groups(groups.collect())
        }
        Err(error) => ListGroupsResponse::default().with_error_code(group_code(&error)),
    };
    request.reply(&response)
}
