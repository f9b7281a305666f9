//! `ConsumerGroupHeartbeat`: a member of a consumer group joins, is alive, says what it has
//! and learns what it is to have, and leaves (KIP-848).
//!
//! v1 subscription by a regular expression, and members choose their own id (KIP-1082).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;
use kafka_protocol::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::{ConsumerAnswer, ConsumerCall};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, UUID, field};

use super::{
    check_group_id, check_member, client_host, client_id, gather, member_code, message, text,
};

const TOPIC: &[Field] = &[
    field("topic_id", UUID),
    field("partitions", Kind::Array(&INT32)),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("member_id", Kind::String),
    field("member_epoch", INT32),
    field("instance_id", Kind::String),
    field("rack_id", Kind::String),
    field("rebalance_timeout_ms", INT32),
    field("subscribed_topic_names", Kind::Array(&Kind::String)),
    field("subscribed_topic_regex", Kind::String).since(1),
    field("server_assignor", Kind::String),
    field("topic_partitions", Kind::Array(&Kind::Struct(TOPIC))),
];

pub const API: Api = Api {
    key: 68,
    name: "ConsumerGroupHeartbeat",
    min: 0,
    max: 1,
    advertised_min: 0,
    codec_max: 1,
    flexible: 0,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: ConsumerGroupHeartbeatRequest = request.decode()?;
    let refusal = |error_code, message: StrBytes| {
        ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error_code)
            .with_error_message(Some(message))
    };
    if let Some((error_code, why)) = refuse(&body, request.version()) {
        return request.reply(&refusal(error_code, text(why)));
    }
    let client = (client_id(&request), client_host(&connection));
    let call = call(&body, &client);
    // Made twice it would leave a member behind that nobody is.
    let db = &connection.server.db;
    let answered = if call.member_id.is_none() {
        db.group_once(&call).await
    } else {
        db.group(&call).await
    };
    request.reply(&match answered {
        Ok(answer) => response(answer),
        Err(error) => refusal(member_code(&error), message(&error)),
    })
}

/// What the database cannot see: the version, and what its text cannot hold.
fn refuse(body: &ConsumerGroupHeartbeatRequest, version: i16) -> Option<(i16, &'static str)> {
    if body.group_id.is_empty() {
        return Some((code::INVALID_REQUEST, "the group id is empty"));
    }
    if check_group_id(&body.group_id) != code::NONE {
        return Some((code::INVALID_GROUP_ID, "the group id contains NUL"));
    }
    if check_member(&body.member_id, body.instance_id.as_deref()) != code::NONE {
        return Some((code::UNKNOWN_MEMBER_ID, "an id contains NUL"));
    }
    // The coordinator chose it in version 0.
    if body.member_id.is_empty() && (version >= 1 || body.member_epoch != 0) {
        return Some((code::INVALID_REQUEST, "the member id is empty"));
    }
    None
}

fn call<'a>(
    body: &'a ConsumerGroupHeartbeatRequest,
    (client_id, client_host): &'a (String, String),
) -> ConsumerCall<'a> {
    let topics = body.subscribed_topic_names.as_ref();
    let owned = body.topic_partitions.as_ref();
    ConsumerCall {
        group_id: &body.group_id,
        member_id: Some(&*body.member_id).filter(|id| !id.is_empty()),
        member_epoch: body.member_epoch,
        subscribed_topics: topics.map(|topics| topics.iter().map(|t| &***t).collect()),
        subscribed_topic_regex: body.subscribed_topic_regex.as_deref(),
        owned: owned.map(|owned| {
            let pairs = owned.iter().flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|partition| (topic.topic_id, *partition))
            });
            pairs.collect()
        }),
        group_instance_id: body.instance_id.as_deref(),
        rack_id: body.rack_id.as_deref(),
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        server_assignor: body.server_assignor.as_deref(),
        client_id,
        client_host,
    }
}

fn response(answer: ConsumerAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assigned.map(|assigned: Vec<(Uuid, i32)>| {
        let topics = gather(assigned).into_iter().map(|(topic_id, partitions)| {
            TopicPartitions::default()
                .with_topic_id(topic_id)
                .with_partitions(partitions)
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(answer.error_code)
        .with_error_message(answer.error_message.map(StrBytes::from_string))
        .with_member_id(answer.member_id.map(StrBytes::from_string))
        .with_member_epoch(answer.member_epoch)
        .with_heartbeat_interval_ms(answer.heartbeat_interval_ms)
        .with_assignment(assignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_name_themselves_since_version_1() {
        let body = |member_id: &'static str, member_epoch| {
            ConsumerGroupHeartbeatRequest::default()
                .with_group_id(text("g").into())
                .with_member_id(text(member_id))
                .with_member_epoch(member_epoch)
        };
        let code_of = |body, version| refuse(&body, version).map(|(error_code, _)| error_code);
        assert_eq!(code_of(body("", 0), 0), None);
        assert_eq!(code_of(body("", 5), 0), Some(code::INVALID_REQUEST));
        assert_eq!(code_of(body("", 0), 1), Some(code::INVALID_REQUEST));
        assert_eq!(code_of(body("m", 0), 1), None);
        assert_eq!(code_of(body("m\0", 0), 1), Some(code::UNKNOWN_MEMBER_ID));
    }

    #[test]
    fn nothing_assigned_is_not_the_same_as_nothing_said() {
        let answer = |assigned| ConsumerAnswer {
            error_code: 0,
            error_message: None,
            member_id: None,
            member_epoch: 1,
            heartbeat_interval_ms: 5000,
            assigned,
        };
        assert_eq!(response(answer(None)).assignment, None);
        let none = response(answer(Some(Vec::new()))).assignment;
        assert_eq!(none, Some(Assignment::default()));
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let some = response(answer(Some(vec![(a, 0), (b, 7), (a, 1)])));
        let topics = some.assignment.unwrap().topic_partitions;
        let topics: Vec<_> = topics
            .iter()
            .map(|t| (t.topic_id, &*t.partitions))
            .collect();
        assert_eq!(topics, [(a, &[0, 1][..]), (b, &[7])]);
    }
}
