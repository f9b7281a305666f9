//! `DeleteTopics`: deletes topics by name or id, each on its own.
//!
//! v4 flexible. v5 error messages. v6 topic ids (KIP-516).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use kafka_protocol::messages::{DeleteTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::TopicRef;
use crate::error::{DbError, Fault};
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, UUID, field};

use super::{admin_code, duplicates, message, text};

const TOPIC: &[Field] = &[field("name", Kind::String), field("topic_id", UUID)];
const REQUEST: &[Field] = &[
    field("topics", Kind::Array(&Kind::Struct(TOPIC))).since(6),
    field("topic_names", Kind::Array(&Kind::String)).until(5),
    field("timeout_ms", INT32),
];

pub const API: Api = Api {
    key: 20,
    name: "DeleteTopics",
    min: 1,
    max: 6,
    advertised_min: 1,
    codec_max: 6,
    flexible: 4,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

/// A topic as the request names it: by either, and not by both.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Named {
    name: Option<TopicName>,
    topic_id: Uuid,
}

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: DeleteTopicsRequest = request.decode()?;
    let by_name = body.topic_names.into_iter().map(|name| Named {
        name: Some(name),
        topic_id: Uuid::nil(),
    });
    let by_either = body.topics.into_iter().map(|topic| Named {
        name: topic.name,
        topic_id: topic.topic_id,
    });
    let topics: Vec<Named> = by_name.chain(by_either).collect();
    let repeated = duplicates(topics.iter());
    let mut responses = Vec::with_capacity(topics.len());
    for topic in &topics {
        let refused = refuse(topic, repeated.contains(topic));
        let mut result = DeletableTopicResult::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id);
        let outcome = match refused {
            Some(why) => Err((code::INVALID_REQUEST, text(why))),
            None => delete(&connection.server, topic).await,
        };
        match outcome {
            Ok(name) => result.name = Some(name),
            Err((error_code, message)) => {
                result.error_code = error_code;
                result.error_message = Some(message).filter(|_| request.version() >= 5);
            }
        }
        responses.push(result);
    }
    request.reply(&DeleteTopicsResponse::default().with_responses(responses))
}

fn refuse(topic: &Named, repeated: bool) -> Option<&'static str> {
    match (&topic.name, topic.topic_id.is_nil()) {
        _ if repeated => Some("the topic is named more than once"),
        (Some(_), false) => Some("a topic is named by its name or by its id, not by both"),
        (None, true) => Some("a topic needs a name or an id"),
        _ => None,
    }
}

async fn delete(server: &Server, topic: &Named) -> Result<TopicName, (i16, StrBytes)> {
    let refused = |error: DbError| (admin_code(&error), message(&error));
    let session = server.db.admin().await.map_err(refused)?;
    let name = if let Some(name) = &topic.name {
        name.clone()
    } else {
        let asked = [TopicRef::Id(topic.topic_id)];
        let described = session.describe_topics(Some(&asked), false).await;
        let found = described.map_err(refused)?.into_iter().next();
        let name = found
            .and_then(|found| found.topic)
            .ok_or((code::UNKNOWN_TOPIC_ID, text("no topic has this id")))?;
        TopicName(StrBytes::from_string(name))
    };
    session.delete_topic(&name).await.map_err(refused)?;
    Ok(name)
}
