//! Requests about groups and their offsets.

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DeleteGroupsRequest,
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    SyncGroupRequest,
};

use super::{Random, tags};

impl Random {
    fn group(&mut self) -> GroupId {
        GroupId(self.string())
    }
}

pub(super) fn offset_commit(version: i16, flexible: bool, r: &mut Random) -> OffsetCommitRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| {
            let mut partition = OffsetCommitRequestPartition::default()
                .with_partition_index(r.int32())
                .with_committed_offset(r.int64())
                .with_committed_metadata(r.nullable(Random::string));
            if version >= 6 {
                partition = partition.with_committed_leader_epoch(r.int32());
            }
            tags!(partition, r, flexible)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(r.topic())
            .with_partitions(partitions);
        tags!(topic, r, flexible)
    });
    let mut request = OffsetCommitRequest::default()
        .with_group_id(r.group())
        .with_generation_id_or_member_epoch(r.int32())
        .with_member_id(r.string())
        .with_topics(topics);
    if version >= 7 {
        request = request.with_group_instance_id(r.nullable(Random::string));
    }
    if version <= 4 {
        request = request.with_retention_time_ms(r.int64());
    }
    tags!(request, r, flexible)
}

pub(super) fn offset_fetch(version: i16, flexible: bool, r: &mut Random) -> OffsetFetchRequest {
    let mut request = OffsetFetchRequest::default();
    if version >= 8 {
        request = request.with_groups(r.list(|r| offset_fetch_group(version, flexible, r)));
    } else {
        let topics = r.list(|r| {
            let topic = OffsetFetchRequestTopic::default()
                .with_name(r.topic())
                .with_partition_indexes(r.list(Random::int32));
            tags!(topic, r, flexible)
        });
        let every = version >= 2 && r.chance();
        request = request
            .with_group_id(r.group())
            .with_topics(Some(topics).filter(|_| !every));
    }
    if version >= 7 {
        request = request.with_require_stable(r.chance());
    }
    tags!(request, r, flexible)
}

fn offset_fetch_group(version: i16, flexible: bool, r: &mut Random) -> OffsetFetchRequestGroup {
    let topics = r.nullable(|r| {
        r.list(|r| {
            let topic = OffsetFetchRequestTopics::default()
                .with_name(r.topic())
                .with_partition_indexes(r.list(Random::int32));
            tags!(topic, r, flexible)
        })
    });
    let mut group = OffsetFetchRequestGroup::default()
        .with_group_id(r.group())
        .with_topics(topics);
    if version >= 9 {
        group = group
            .with_member_id(r.nullable(Random::string))
            .with_member_epoch(r.int32());
    }
    tags!(group, r, flexible)
}

pub(super) fn join_group(version: i16, flexible: bool, r: &mut Random) -> JoinGroupRequest {
    let protocols = r.list(|r| {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(r.string())
            .with_metadata(Bytes::from(r.bytes()));
        tags!(protocol, r, flexible)
    });
    let mut request = JoinGroupRequest::default()
        .with_group_id(r.group())
        .with_session_timeout_ms(r.int32())
        .with_member_id(r.string())
        .with_protocol_type(r.string())
        .with_protocols(protocols);
    if version >= 1 {
        request = request.with_rebalance_timeout_ms(r.int32());
    }
    if version >= 5 {
        request = request.with_group_instance_id(r.nullable(Random::string));
    }
    if version >= 8 {
        request = request.with_reason(r.nullable(Random::string));
    }
    tags!(request, r, flexible)
}

pub(super) fn heartbeat(version: i16, flexible: bool, r: &mut Random) -> HeartbeatRequest {
    let mut request = HeartbeatRequest::default()
        .with_group_id(r.group())
        .with_generation_id(r.int32())
        .with_member_id(r.string());
    if version >= 3 {
        request = request.with_group_instance_id(r.nullable(Random::string));
    }
    tags!(request, r, flexible)
}

pub(super) fn leave_group(version: i16, flexible: bool, r: &mut Random) -> LeaveGroupRequest {
    let mut request = LeaveGroupRequest::default().with_group_id(r.group());
    if version >= 3 {
        let members = r.list(|r| {
            let mut member = MemberIdentity::default()
                .with_member_id(r.string())
                .with_group_instance_id(r.nullable(Random::string));
            if version >= 5 {
                member = member.with_reason(r.nullable(Random::string));
            }
            tags!(member, r, flexible)
        });
        request = request.with_members(members);
    } else {
        request = request.with_member_id(r.string());
    }
    tags!(request, r, flexible)
}

pub(super) fn sync_group(version: i16, flexible: bool, r: &mut Random) -> SyncGroupRequest {
    let assignments = r.list(|r| {
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(r.string())
            .with_assignment(Bytes::from(r.bytes()));
        tags!(assignment, r, flexible)
    });
    let mut request = SyncGroupRequest::default()
        .with_group_id(r.group())
        .with_generation_id(r.int32())
        .with_member_id(r.string())
        .with_assignments(assignments);
    if version >= 3 {
        request = request.with_group_instance_id(r.nullable(Random::string));
    }
    if version >= 5 {
        request = request
            .with_protocol_type(r.nullable(Random::string))
            .with_protocol_name(r.nullable(Random::string));
    }
    tags!(request, r, flexible)
}

pub(super) fn describe_groups(
    version: i16,
    flexible: bool,
    r: &mut Random,
) -> DescribeGroupsRequest {
    let mut request = DescribeGroupsRequest::default().with_groups(r.list(Random::group));
    if version >= 3 {
        request = request.with_include_authorized_operations(r.chance());
    }
    tags!(request, r, flexible)
}

pub(super) fn list_groups(version: i16, flexible: bool, r: &mut Random) -> ListGroupsRequest {
    let mut request = ListGroupsRequest::default();
    if version >= 4 {
        request = request.with_states_filter(r.list(Random::string));
    }
    if version >= 5 {
        request = request.with_types_filter(r.list(Random::string));
    }
    tags!(request, r, flexible)
}

pub(super) fn delete_groups(flexible: bool, r: &mut Random) -> DeleteGroupsRequest {
    let request = DeleteGroupsRequest::default().with_groups_names(r.list(Random::group));
    tags!(request, r, flexible)
}

pub(super) fn offset_delete(r: &mut Random) -> OffsetDeleteRequest {
    let topics = r.list(|r| {
        let partitions =
            r.list(|r| OffsetDeleteRequestPartition::default().with_partition_index(r.int32()));
        OffsetDeleteRequestTopic::default()
            .with_name(r.topic())
            .with_partitions(partitions)
    });
    OffsetDeleteRequest::default()
        .with_group_id(r.group())
        .with_topics(topics)
}

pub(super) fn consumer_group_heartbeat(
    version: i16,
    r: &mut Random,
) -> ConsumerGroupHeartbeatRequest {
    let owned = r.nullable(|r| {
        r.list(|r| {
            let topic = TopicPartitions::default()
                .with_topic_id(r.uuid())
                .with_partitions(r.list(Random::int32));
            tags!(topic, r, true)
        })
    });
    let mut request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(r.group())
        .with_member_id(r.string())
        .with_member_epoch(r.int32())
        .with_instance_id(r.nullable(Random::string))
        .with_rack_id(r.nullable(Random::string))
        .with_rebalance_timeout_ms(r.int32())
        .with_subscribed_topic_names(r.nullable(|r| r.list(Random::topic)))
        .with_server_assignor(r.nullable(Random::string))
        .with_topic_partitions(owned);
    if version >= 1 {
        request = request.with_subscribed_topic_regex(r.nullable(Random::string));
    }
    tags!(request, r, true)
}

pub(super) fn consumer_group_describe(r: &mut Random) -> ConsumerGroupDescribeRequest {
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(r.list(Random::group))
        .with_include_authorized_operations(r.chance());
    tags!(request, r, true)
}
