//! `ConsumerGroupDescribe`: state and members of consumer groups (KIP-848).
//!
//! v1 the type of each member (KIP-1099).

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::conn::Connection;
use crate::db::{AssignedPartition, GroupDescription, MemberDescription};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{BOOLEAN, Field, Kind, field};

use super::k15_describe_groups::describe;
use super::{GROUP_OPERATIONS, gather, operations, text, words};

const REQUEST: &[Field] = &[
    field("group_ids", Kind::Array(&Kind::String)),
    field("include_authorized_operations", BOOLEAN),
];

pub const API: Api = Api {
    key: 69,
    name: "ConsumerGroupDescribe",
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
    let body: ConsumerGroupDescribeRequest = request.decode()?;
    let described = describe(&connection.server, &body.group_ids).await;
    let groups = body.group_ids.into_iter().zip(described);
    let groups = groups.map(|(group_id, described)| {
        let group = match described {
            _ if group_id.is_empty() => refused(code::INVALID_GROUP_ID),
            Ok(described) => described_group(described),
            Err(error_code) => refused(error_code),
        };
        let asked = body.include_authorized_operations && group.error_code == code::NONE;
        group
            .with_group_id(group_id)
            .with_authorized_operations(operations(GROUP_OPERATIONS, asked))
    });
    request.reply(&ConsumerGroupDescribeResponse::default().with_groups(groups.collect()))
}

fn refused(error_code: i16) -> DescribedGroup {
    DescribedGroup::default().with_error_code(error_code)
}

fn described_group(found: GroupDescription) -> DescribedGroup {
    if found.error_code != code::NONE {
        return refused(found.error_code)
            .with_error_message(found.error_message.map(StrBytes::from_string));
    }
    if !found.is_type("consumer") {
        return refused(code::GROUP_ID_NOT_FOUND)
            .with_error_message(Some(text("this is not a consumer group")));
    }
    let members = found.members.into_iter().map(described_member);
    DescribedGroup::default()
        .with_group_state(StrBytes::from_string(found.state))
        .with_group_epoch(found.generation_id)
        .with_assignment_epoch(found.assignment_epoch)
        .with_assignor_name(words(found.protocol_name))
        .with_members(members.collect())
}

fn described_member(found: MemberDescription) -> Member {
    let topics = found.subscribed_topics.into_iter();
    Member::default()
        .with_member_id(StrBytes::from_string(found.member_id))
        .with_instance_id(found.group_instance_id.map(StrBytes::from_string))
        .with_rack_id(found.rack_id.map(StrBytes::from_string))
        .with_member_epoch(found.member_epoch)
        .with_client_id(StrBytes::from_string(found.client_id))
        .with_client_host(StrBytes::from_string(found.client_host))
        .with_subscribed_topic_names(topics.map(topic_name).collect())
        .with_subscribed_topic_regex(found.subscribed_topic_regex.map(StrBytes::from_string))
        .with_assignment(assignment(found.assigned))
        .with_target_assignment(assignment(found.target))
        .with_member_type(match found.member_type.as_deref() {
            Some("classic") => 0,
            Some("consumer") => 1,
            _ => -1,
        })
}

fn topic_name(name: String) -> TopicName {
    TopicName(StrBytes::from_string(name))
}

fn assignment(partitions: Vec<AssignedPartition>) -> Assignment {
    let by_topic = gather(partitions.into_iter().map(|assigned| {
        let topic = (assigned.topic_id, assigned.topic);
        (topic, assigned.partition)
    }));
    let topics = by_topic.into_iter().map(|((topic_id, topic), partitions)| {
        TopicPartitions::default()
            .with_topic_id(topic_id)
            .with_topic_name(topic_name(topic))
            .with_partitions(partitions)
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
