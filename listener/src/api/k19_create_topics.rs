//! `CreateTopics`: creates topics, each on its own, so that one may fail alone.
//!
//! v4 defaults by -1 (KIP-464). v5 flexible, and the response tells partitions,
//! replication factor and configs (KIP-525). v7 topic ids. Skipped: manual assignments,
//! as PostgreSQL replicates the log as a whole.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, INT16, INT32, Kind, field};

use super::{admin_code, duplicates, message, text};

const ASSIGNMENT: &[Field] = &[
    field("partition_index", INT32),
    field("broker_ids", Kind::Array(&INT32)),
];
const CONFIG: &[Field] = &[field("name", Kind::String), field("value", Kind::String)];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("num_partitions", INT32),
    field("replication_factor", INT16),
    field("assignments", Kind::Array(&Kind::Struct(ASSIGNMENT))),
    field("configs", Kind::Array(&Kind::Struct(CONFIG))),
];
const REQUEST: &[Field] = &[
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("timeout_ms", INT32),
    field("validate_only", BOOLEAN),
];

pub const API: Api = Api {
    key: 19,
    name: "CreateTopics",
    min: 2,
    max: 7,
    advertised_min: 2,
    codec_max: 7,
    flexible: 5,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// Where a config in a response comes from: set for this topic.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: CreateTopicsRequest = request.decode()?;
    let repeated = duplicates(body.topics.iter().map(|topic| &topic.name));
    let mut results = Vec::with_capacity(body.topics.len());
    for topic in &body.topics {
        let refused = if repeated.contains(&topic.name) {
            Some((
                code::INVALID_REQUEST,
                text("the topic is named more than once"),
            ))
        } else {
            refuse(topic)
        };
        let result = match refused {
            Some((error_code, message)) => failed(topic, error_code, message, request.version()),
            None => {
                create(
                    &connection.server,
                    topic,
                    body.validate_only,
                    request.version(),
                )
                .await
            }
        };
        results.push(result);
    }
    request.reply(&CreateTopicsResponse::default().with_topics(results))
}

fn refuse(topic: &CreatableTopic) -> Option<(i16, StrBytes)> {
    if !topic.assignments.is_empty() {
        let why = "partitions cannot be assigned to brokers: PostgreSQL replicates the log as a \
                   whole; give num_partitions instead";
        return Some((code::INVALID_REPLICA_ASSIGNMENT, text(why)));
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        let factor = topic.replication_factor;
        let why = format!(
            "replication factor {factor} is not possible with 1 broker; use 1 or -1: PostgreSQL \
             replicates the log as a whole"
        );
        return Some((code::INVALID_REPLICATION_FACTOR, StrBytes::from_string(why)));
    }
    None
}

async fn create(
    server: &Server,
    topic: &CreatableTopic,
    validate_only: bool,
    version: i16,
) -> CreatableTopicResult {
    let partitions = Some(topic.num_partitions).filter(|partitions| *partitions != -1);
    let configs = topic.configs.iter().map(|config| {
        let value = config.value.as_ref().map(ToString::to_string);
        (config.name.to_string(), value.into())
    });
    let configs = serde_json::Value::Object(configs.collect()).to_string();
    let created = match server.db.admin().await {
        Ok(session) => {
            session
                .create_topic(&topic.name, partitions, &configs, validate_only)
                .await
        }
        Err(error) => Err(error),
    };
    let (topic_id, partitions) = match created {
        Ok(created) => created,
        Err(error) => return failed(topic, admin_code(&error), message(&error), version),
    };
    if let Some(id) = topic_id {
        server.wake.learn_name(id, &topic.name);
    }
    let result = CreatableTopicResult::default().with_name(topic.name.clone());
    if version < 5 {
        return result;
    }
    let configs = topic.configs.iter().map(|config| {
        CreatableTopicConfigs::default()
            .with_name(config.name.clone())
            .with_value(config.value.clone())
            .with_config_source(DYNAMIC_TOPIC_CONFIG)
    });
    result
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs.collect()))
        .with_topic_id(topic_id.filter(|_| version >= 7).unwrap_or_default())
}

fn failed(
    topic: &CreatableTopic,
    error_code: i16,
    error_message: StrBytes,
    version: i16,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(error_code)
        .with_error_message(Some(error_message));
    if version >= 5 {
        result.with_configs(None)
    } else {
        result
    }
}
