//! `DescribeCluster`: one broker, us (KIP-700).
//!
//! v1 endpoint type (KIP-919): there are brokers and no controllers to reach. v2 fenced
//! brokers, of which there are none.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::NODE_ID;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, INT8, field};

use super::{CLUSTER_OPERATIONS, message, operations, text};

const REQUEST: &[Field] = &[
    field("include_cluster_authorized_operations", BOOLEAN),
    field("endpoint_type", INT8).since(1),
    field("include_fenced_brokers", BOOLEAN).since(2),
];

pub const API: Api = Api {
    key: 60,
    name: "DescribeCluster",
    min: 0,
    max: 2,
    advertised_min: 0,
    codec_max: 2,
    flexible: 0,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DescribeClusterRequest = request.decode()?;
    let response = DescribeClusterResponse::default().with_controller_id(BrokerId(-1));
    let refused = match body.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((code::MISMATCHED_ENDPOINT_TYPE, text("this is a broker"))),
        _ => Some((
            code::UNSUPPORTED_ENDPOINT_TYPE,
            text("unknown endpoint type"),
        )),
    };
    if let Some((error_code, message)) = refused {
        let response = response.with_error_code(error_code);
        return request.reply(&response.with_error_message(Some(message)));
    }
    let cluster = match connection.server.cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            let response = response.with_error_code(error.code(code::REQUEST_TIMED_OUT));
            return request.reply(&response.with_error_message(Some(message(&error))));
        }
    };
    let advertised = connection.server.advertised(connection.local);
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(StrBytes::from_string(advertised.host))
        .with_port(i32::from(advertised.port));
    let operations = operations(
        CLUSTER_OPERATIONS,
        body.include_cluster_authorized_operations,
    );
    let response = response
        .with_cluster_id(StrBytes::from_string(cluster.cluster_id))
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(operations);
    request.reply(&response)
}
