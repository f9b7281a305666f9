//! `DeleteGroups`: deletes groups without members, and their offsets, each on its own
//! (KIP-229).
//!
//! v2 flexible.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{
    DeletableGroupResult, DeleteGroupsResponse,
};

use crate::conn::Connection;
use crate::db::DeleteGroup;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, Kind, field};

use super::{group_code, is_text};

const REQUEST: &[Field] = &[field("groups_names", Kind::Array(&Kind::String))];

pub const API: Api = Api {
    key: 42,
    name: "DeleteGroups",
    min: 0,
    max: 2,
    advertised_min: 0,
    codec_max: 2,
    flexible: 2,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DeleteGroupsRequest = request.decode()?;
    let mut seen = HashSet::new();
    let mut results = Vec::with_capacity(body.groups_names.len());
    for group_id in body.groups_names {
        // Named twice it is deleted once.
        if !seen.insert(group_id.clone()) {
            continue;
        }
        let error_code = delete(&connection.server, &group_id).await;
        results.push(
            DeletableGroupResult::default()
                .with_group_id(group_id)
                .with_error_code(error_code),
        );
    }
    request.reply(&DeleteGroupsResponse::default().with_results(results))
}

async fn delete(server: &Server, group_id: &str) -> i16 {
    if !is_text(group_id) {
        return code::INVALID_GROUP_ID;
    }
    match server.db.group_once(&DeleteGroup(group_id)).await {
        Ok(()) => code::NONE,
        Err(error) => group_code(&error),
    }
}
