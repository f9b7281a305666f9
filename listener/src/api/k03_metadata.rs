//! Metadata: topics, their partitions, and who to ask for them, which is always us.
//!
//! v0 an empty list means every topic, since v1 null does. v4 auto-creation is the
//! client's choice. v7 leader epochs. v8 authorized operations (KIP-430). v9 flexible.
//! v10 topic ids in responses, v12 in requests (KIP-516). v13 top-level error code.

use std::sync::{Arc, PoisonError};

use kafka_core::code;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::{ClusterInfo, TopicDescription, TopicRef};
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::{NODE_ID, Server};
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, Kind, UUID, field};

use super::{CLUSTER_OPERATIONS, TOPIC_OPERATIONS, operations};

const TOPIC: &[Field] = &[
    field("topic_id", UUID).since(10),
    field("name", Kind::String),
];
const REQUEST: &[Field] = &[
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
    field("allow_auto_topic_creation", BOOLEAN).since(4),
    field("include_cluster_authorized_operations", BOOLEAN)
        .since(8)
        .until(10),
    field("include_topic_authorized_operations", BOOLEAN).since(8),
];

pub const API: Api = Api {
    key: 3,
    name: "Metadata",
    min: 0,
    max: 13,
    advertised_min: 0,
    codec_max: 13,
    flexible: 9,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: MetadataRequest = request.decode()?;
    let version = request.version();
    let server = &connection.server;
    let asked = asked(&body, version);
    let described = describe(server, asked.as_deref(), body.allow_auto_topic_creation).await;
    let cluster = server.cluster().await.unwrap_or_default();
    let topics = match described {
        Ok(topics) => topics,
        Err(error) => {
            tracing::debug!(%error, "describing topics failed");
            without_leader(server, asked.as_deref(), &error)
        }
    };
    let operations = operations(TOPIC_OPERATIONS, body.include_topic_authorized_operations);
    let topics = topics.into_iter().enumerate().map(|(index, topic)| {
        let asked = asked.as_ref().and_then(|asked| asked.get(index));
        response_topic(asked, topic, &cluster, version).with_topic_authorized_operations(operations)
    });
    let topics = topics.collect();
    request.reply(&response(&connection, &body, cluster, version).with_topics(topics))
}

/// What is asked for, `None` for every topic. `Err`: not as this version may ask.
fn asked(body: &MetadataRequest, version: i16) -> Option<Vec<Result<TopicRef, TopicRef>>> {
    let topics = body
        .topics
        .as_ref()
        .filter(|topics| version > 0 || !topics.is_empty())?;
    let asked = topics.iter().map(|topic| match &topic.name {
        Some(name) if topic.topic_id.is_nil() => Ok(TopicRef::Name(name.to_string())),
        // Versions 10 and 11 have the field and no meaning for it.
        _ if version >= 12 => Ok(TopicRef::Id(topic.topic_id)),
        Some(name) => Err(TopicRef::Name(name.to_string())),
        None => Err(TopicRef::Name(String::new())),
    });
    Some(asked.collect())
}

/// One description for each of `asked`, or for each topic there is.
async fn describe(
    server: &Server,
    asked: Option<&[Result<TopicRef, TopicRef>]>,
    auto_create: bool,
) -> Result<Vec<TopicDescription>, DbError> {
    let legal: Option<Vec<TopicRef>> = asked.map(|asked| asked.iter().flatten().cloned().collect());
    let described = match &legal {
        Some(legal) if legal.is_empty() => Vec::new(),
        _ => {
            let db = &server.db;
            db.describe_topics(legal.as_deref(), auto_create).await?
        }
    };
    for topic in &described {
        if let (Some(id), Some(name)) = (topic.topic_id, &topic.topic) {
            server.wake.learn_name(id, name);
        }
    }
    let Some(asked) = asked else {
        let names = described.iter().filter_map(|topic| topic.topic.clone());
        *server
            .last_topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = names.collect();
        return Ok(described);
    };
    let mut described = described.into_iter();
    let topics = asked.iter().map(|asked| match asked {
        Ok(_) => described
            .next()
            .unwrap_or_else(|| failed(code::UNKNOWN_SERVER_ERROR)),
        Err(_) => failed(code::INVALID_REQUEST),
    });
    Ok(topics.collect())
}

fn failed(error_code: i16) -> TopicDescription {
    TopicDescription {
        topic: None,
        topic_id: None,
        partitions: 0,
        error_code,
        error_message: None,
    }
}

/// While the database is away topics have no leader. They are not gone: a consumer of a
/// pattern would give up its partitions.
fn without_leader(
    server: &Server,
    asked: Option<&[Result<TopicRef, TopicRef>]>,
    error: &DbError,
) -> Vec<TopicDescription> {
    let error_code = error.code(code::LEADER_NOT_AVAILABLE);
    match asked {
        Some(asked) => vec![failed(error_code); asked.len()],
        None => server
            .last_topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|name| TopicDescription {
                topic: Some(name.clone()),
                ..failed(error_code)
            })
            .collect(),
    }
}

fn response_topic(
    asked: Option<&Result<TopicRef, TopicRef>>,
    topic: TopicDescription,
    cluster: &ClusterInfo,
    version: i16,
) -> MetadataResponseTopic {
    let (asked_name, asked_id) = match asked {
        Some(Ok(TopicRef::Name(name)) | Err(TopicRef::Name(name))) => (Some(name.clone()), None),
        Some(Ok(TopicRef::Id(id)) | Err(TopicRef::Id(id))) => (None, Some(*id)),
        None => (None, None),
    };
    // A client knows its topic by the name it gave, whatever is wrong with it.
    let name = asked_name.or(topic.topic);
    let topic_id = topic.topic_id.or(asked_id).unwrap_or_default();
    let partitions = if topic.error_code == code::NONE {
        topic.partitions
    } else {
        0
    };
    MetadataResponseTopic::default()
        .with_error_code(topic.error_code)
        .with_name(name.map(|name| TopicName(StrBytes::from_string(name))))
        .with_topic_id(if version >= 10 { topic_id } else { Uuid::nil() })
        .with_partitions(
            (0..partitions)
                .map(|index| response_partition(index, cluster.leader_epoch, version))
                .collect(),
        )
}

fn response_partition(index: i32, leader_epoch: i32, version: i16) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(BrokerId(NODE_ID))
        .with_leader_epoch(if version >= 7 { leader_epoch } else { -1 })
        .with_replica_nodes(vec![BrokerId(NODE_ID)])
        .with_isr_nodes(vec![BrokerId(NODE_ID)])
}

fn response(
    connection: &Connection,
    body: &MetadataRequest,
    cluster: ClusterInfo,
    version: i16,
) -> MetadataResponse {
    let advertised = connection.server.advertised(connection.local);
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(StrBytes::from_string(advertised.host))
        .with_port(i32::from(advertised.port));
    let cluster_id = Some(cluster.cluster_id).filter(|id| !id.is_empty() && version >= 2);
    let operations = operations(
        CLUSTER_OPERATIONS,
        body.include_cluster_authorized_operations,
    );
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(cluster_id.map(StrBytes::from_string))
        .with_controller_id(BrokerId(NODE_ID))
        .with_cluster_authorized_operations(operations)
}
