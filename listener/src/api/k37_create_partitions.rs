//! `CreatePartitions`: raises topics' numbers of partitions, each on its own (KIP-195).
//!
//! v2 flexible. v3 quota errors. Skipped: manual assignments.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, INT32, Kind, field};

use super::{admin_code, duplicates, message, text};

const ASSIGNMENT: &[Field] = &[field("broker_ids", Kind::Array(&INT32))];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("count", INT32),
    field("assignments", Kind::Array(&Kind::Struct(ASSIGNMENT))),
];
const REQUEST: &[Field] = &[
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("timeout_ms", INT32),
    field("validate_only", BOOLEAN),
];

pub const API: Api = Api {
    key: 37,
    name: "CreatePartitions",
    min: 0,
    max: 3,
    advertised_min: 0,
    codec_max: 3,
    flexible: 2,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: CreatePartitionsRequest = request.decode()?;
    let repeated = duplicates(body.topics.iter().map(|topic| &topic.name));
    let mut results = Vec::with_capacity(body.topics.len());
    for topic in &body.topics {
        let outcome = if repeated.contains(&topic.name) {
            Err((
                code::INVALID_REQUEST,
                text("the topic is named more than once"),
            ))
        } else if topic.assignments.is_some() {
            let why = "partitions cannot be assigned to brokers: PostgreSQL replicates the log \
                       as a whole";
            Err((code::INVALID_REPLICA_ASSIGNMENT, text(why)))
        } else {
            create(&connection.server, topic, body.validate_only).await
        };
        let (error_code, error_message) = match outcome {
            Ok(()) => (code::NONE, None),
            Err((error_code, message)) => (error_code, Some(message)),
        };
        results.push(
            CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(error_code)
                .with_error_message(error_message),
        );
    }
    request.reply(&CreatePartitionsResponse::default().with_results(results))
}

async fn create(
    server: &Server,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), (i16, StrBytes)> {
    let refused = |error: DbError| (admin_code(&error), message(&error));
    let session = server.db.admin().await.map_err(refused)?;
    session
        .create_partitions(&topic.name, topic.count, validate_only)
        .await
        .map_err(refused)
}
