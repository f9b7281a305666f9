//! `OffsetFetch`: how far groups have come.
//!
//! v2 null topics for all that the group has committed, and an error for the group as a
//! whole. v3 throttle time. v5 leader epochs (KIP-320). v6 flexible. v7 an offset that an
//! open transaction is about to commit is an error, where that is asked for (KIP-447). v8
//! several groups (KIP-709). v9 members of consumer groups (KIP-848). v10 topic ids.

use std::sync::Arc;

use kafka_core::code;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::conn::Connection;
use crate::db::{CommittedCall, CommittedOffset, TopicRef};
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::schema::{BOOLEAN, Field, INT32, Kind, UUID, field};
use crate::wire::{Malformed, Reply, offset_requests};

use super::{check_member, first_error, gather, group_code, is_text, topic_ref};

const TOPIC: &[Field] = &[
    field("name", Kind::String).until(9),
    field("topic_id", UUID).since(10),
    field("partition_indexes", Kind::Array(&INT32)),
];
const GROUP: &[Field] = &[
    field("group_id", Kind::String),
    field("member_id", Kind::String).since(9),
    field("member_epoch", INT32).since(9),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String).until(7),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))).until(7),
    field("groups", Kind::Array(&Kind::Struct(GROUP))).since(8),
    field("require_stable", BOOLEAN).since(7),
];

pub const API: Api = Api {
    key: 9,
    name: "OffsetFetch",
    min: 1,
    max: 10,
    advertised_min: 1,
    codec_max: 9,
    flexible: 6,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

const SEVERAL_GROUPS: i16 = 8;
const TOPIC_IDS: i16 = 10;

/// What is asked of one group.
struct Asked {
    group_id: GroupId,
    member_id: Option<StrBytes>,
    member_epoch: i32,
    topics: Option<Vec<(TopicRef, Vec<i32>)>>,
    require_stable: bool,
    /// Topics that are not asked for one by one are told by id.
    by_id: bool,
}

/// By topic, or the error for the group as a whole.
type Found = Result<Vec<(TopicRef, Vec<CommittedOffset>)>, i16>;

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let (body, topic_ids) = decode(&request)?;
    let version = request.version();
    if version < SEVERAL_GROUPS {
        let asked = only_group(body);
        let found = fetch(&connection.server, &asked).await;
        return request.reply(&single(&asked, found, version));
    }
    let mut topic_ids = topic_ids.into_iter();
    let mut groups = Vec::with_capacity(body.groups.len());
    for group in body.groups {
        let topics = group.topics.map(|topics| {
            let topics = topics.into_iter();
            let topics =
                topics.map(|t| (topic_ref(&t.name, topic_ids.next()), t.partition_indexes));
            topics.collect()
        });
        let asked = Asked {
            group_id: group.group_id,
            member_id: group.member_id,
            member_epoch: group.member_epoch,
            topics,
            require_stable: body.require_stable,
            by_id: version >= TOPIC_IDS,
        };
        let found = fetch(&connection.server, &asked).await;
        groups.push(one_of_several(asked.group_id, found));
    }
    request.reply(&OffsetFetchResponse::default().with_groups(groups))
}

/// With the id of each topic where topics have no names.
pub fn decode(request: &Request) -> Result<(OffsetFetchRequest, Vec<Uuid>), Malformed> {
    if request.version() < TOPIC_IDS {
        return Ok((request.decode()?, Vec::new()));
    }
    offset_requests::decode_fetch(&request.body)
}

fn only_group(body: OffsetFetchRequest) -> Asked {
    Asked {
        group_id: body.group_id,
        member_id: None,
        member_epoch: -1,
        topics: body.topics.map(|topics| {
            let topics = topics.into_iter();
            let topics = topics.map(|t| (topic_ref(&t.name, None), t.partition_indexes));
            topics.collect()
        }),
        require_stable: body.require_stable,
        by_id: false,
    }
}

async fn fetch(server: &Server, asked: &Asked) -> Found {
    if !is_text(&asked.group_id) {
        return Err(code::INVALID_GROUP_ID);
    }
    let member_id = asked.member_id.as_deref();
    first_error([check_member(member_id.unwrap_or_default(), None)])?;
    let partitions: Option<Vec<(&TopicRef, i32)>> = asked.topics.as_ref().map(|topics| {
        let topics = topics.iter();
        topics
            .flat_map(|(topic, numbers)| numbers.iter().map(move |number| (topic, *number)))
            .collect()
    });
    let call = CommittedCall {
        group_id: &asked.group_id,
        partitions: partitions.as_deref(),
        member: member_id.map(|member_id| (member_id, asked.member_epoch)),
        require_stable: asked.require_stable,
    };
    let found = server.db.group(&call).await;
    let found = found.map_err(|error| group_code(&error))?;
    Ok(match &asked.topics {
        Some(topics) => {
            let mut found = found.into_iter();
            let topics = topics.iter().map(|(topic, numbers)| {
                let own = found.by_ref().take(numbers.len());
                (topic.clone(), own.collect())
            });
            topics.collect()
        }
        None => gather(found.into_iter().map(|offset| {
            let topic = if asked.by_id {
                TopicRef::Id(offset.topic_id)
            } else {
                TopicRef::Name(offset.topic.clone())
            };
            (topic, offset)
        })),
    })
}

/// The form with one group.
fn single(asked: &Asked, found: Found, version: i16) -> OffsetFetchResponse {
    let response = OffsetFetchResponse::default();
    let topics = match found {
        Ok(topics) => topics,
        // Before there was an error for the group, each partition told it.
        Err(error_code) if version < 2 => refused(asked, error_code),
        Err(error_code) => return response.with_error_code(error_code),
    };
    let topics = topics.into_iter().map(|(topic, offsets)| {
        let partitions = offsets.into_iter().map(|found| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(found.partition)
                .with_committed_offset(found.offset)
                .with_committed_leader_epoch(found.leader_epoch)
                .with_metadata(Some(StrBytes::from_string(found.metadata)))
                .with_error_code(found.error_code)
        });
        OffsetFetchResponseTopic::default()
            .with_name(name(&topic))
            .with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}

fn refused(asked: &Asked, error_code: i16) -> Vec<(TopicRef, Vec<CommittedOffset>)> {
    let topics = asked.topics.iter().flatten().map(|(topic, numbers)| {
        let partitions = numbers.iter().map(|number| CommittedOffset {
            error_code,
            topic: String::new(),
            topic_id: Uuid::nil(),
            partition: *number,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
        });
        (topic.clone(), partitions.collect())
    });
    topics.collect()
}

/// Empty for a topic that is known by its id.
fn name(topic: &TopicRef) -> TopicName {
    match topic {
        TopicRef::Name(name) => TopicName(StrBytes::from_string(name.clone())),
        TopicRef::Id(_) => TopicName::default(),
    }
}

fn one_of_several(group_id: GroupId, found: Found) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(group_id);
    let topics = match found {
        Ok(topics) => topics,
        Err(error_code) => return response.with_error_code(error_code),
    };
    let topics = topics.into_iter().map(|(topic, offsets)| {
        let partitions = offsets.into_iter().map(|found| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(found.partition)
                .with_committed_offset(found.offset)
                .with_committed_leader_epoch(found.leader_epoch)
                .with_metadata(Some(StrBytes::from_string(found.metadata)))
                .with_error_code(found.error_code)
        });
        OffsetFetchResponseTopics::default()
            .with_name(name(&topic))
            .with_topic_id(topic.id().unwrap_or_default())
            .with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_version_2_each_partition_tells_the_groups_error() {
        let asked = Asked {
            group_id: GroupId::default(),
            member_id: None,
            member_epoch: -1,
            topics: Some(vec![(TopicRef::Name("t".into()), vec![3, 4])]),
            require_stable: false,
            by_id: false,
        };
        let old = single(&asked, Err(code::INVALID_GROUP_ID), 1);
        let codes = old.topics[0].partitions.iter();
        let codes: Vec<_> = codes
            .map(|p| (p.partition_index, p.error_code, p.committed_offset))
            .collect();
        let refused = code::INVALID_GROUP_ID;
        assert_eq!(codes, [(3, refused, -1), (4, refused, -1)]);
        let new = single(&asked, Err(refused), 2);
        assert_eq!((new.error_code, new.topics.len()), (refused, 0));
    }
}
