//! What is asked of groups and their offsets, and what is answered.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::queries::TopicRef;

/// What an answer says to somebody who may have to wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait {
    /// To be asked again after this time at the latest; `None`: the answer is final.
    pub wait_ms: Option<i32>,
    /// The group's, which moves when there may be another answer.
    pub version: Option<i64>,
}

/// A group parked members wait for, and the version they know.
#[derive(Debug, Clone)]
pub struct WatchedGroup {
    pub group_id: Arc<str>,
    pub version: i64,
}

/// A call of `kafka.join_group`.
#[derive(Debug, Clone)]
pub struct JoinCall<'a> {
    pub group_id: &'a str,
    pub member_id: Cow<'a, str>,
    pub group_instance_id: Option<&'a str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: &'a str,
    pub protocols: Vec<&'a str>,
    pub metadata: Vec<&'a [u8]>,
    pub client_id: &'a str,
    pub client_host: &'a str,
    pub require_member_id: bool,
    pub reason: Option<&'a str>,
    pub supports_skipping_assignment: bool,
}

#[derive(Debug)]
pub struct Joined {
    pub error_code: i16,
    pub member_id: Option<String>,
    pub generation_id: Option<i32>,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub leader: Option<String>,
    pub skip_assignment: bool,
    /// For the leader: member id, instance id, metadata.
    pub members: Vec<(String, Option<String>, Bytes)>,
    pub wait: Wait,
}

/// A call of `kafka.sync_group`.
#[derive(Debug, Clone)]
pub struct SyncCall<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub protocol_type: Option<&'a str>,
    pub protocol_name: Option<&'a str>,
    pub assigned_member_ids: Vec<&'a str>,
    pub assignments: Vec<&'a [u8]>,
}

#[derive(Debug)]
pub struct Synced {
    pub error_code: i16,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
    pub wait: Wait,
}

/// One member's, as it came. Alone it is a call that is answered by an error code.
#[derive(Debug)]
pub struct Heartbeat {
    pub group_id: StrBytes,
    pub generation_id: i32,
    pub member_id: StrBytes,
    pub group_instance_id: Option<StrBytes>,
}

#[derive(Debug, Clone)]
pub struct Leaving<'a> {
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub reason: Option<&'a str>,
}

/// Answered by error code and member id for each.
#[derive(Debug, Clone, Copy)]
pub struct LeaveCall<'a> {
    pub group_id: &'a str,
    pub leaving: &'a [Leaving<'a>],
}

/// A call of `kafka.consumer_group_heartbeat`; null is "unchanged".
#[derive(Debug, Clone)]
pub struct ConsumerCall<'a> {
    pub group_id: &'a str,
    pub member_id: Option<&'a str>,
    pub member_epoch: i32,
    pub subscribed_topics: Option<Vec<&'a str>>,
    pub subscribed_topic_regex: Option<&'a str>,
    pub owned: Option<Vec<(Uuid, i32)>>,
    pub group_instance_id: Option<&'a str>,
    pub rack_id: Option<&'a str>,
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<&'a str>,
    pub client_id: &'a str,
    pub client_host: &'a str,
}

#[derive(Debug)]
pub struct ConsumerAnswer {
    pub error_code: i16,
    pub error_message: Option<String>,
    pub member_id: Option<String>,
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    pub assigned: Option<Vec<(Uuid, i32)>>,
}

#[derive(Debug, Clone, Copy)]
pub struct DescribeGroups<'a>(pub &'a [&'a str]);

#[derive(Debug, Clone, Default)]
pub struct GroupDescription {
    pub error_code: i16,
    pub error_message: Option<String>,
    /// `classic` or `consumer`.
    pub group_type: Option<String>,
    pub state: String,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub generation_id: i32,
    pub assignment_epoch: i32,
    pub members: Vec<MemberDescription>,
}

impl GroupDescription {
    pub fn is_type(&self, name: &str) -> bool {
        self.group_type.as_deref() == Some(name)
    }
}

#[derive(Debug, Clone, Default)]
pub struct MemberDescription {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub member_type: Option<String>,
    pub member_epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub rack_id: Option<String>,
    pub subscribed_topics: Vec<String>,
    pub subscribed_topic_regex: Option<String>,
    pub metadata: Bytes,
    pub assignment: Bytes,
    pub assigned: Vec<AssignedPartition>,
    pub target: Vec<AssignedPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPartition {
    pub topic: String,
    pub topic_id: Uuid,
    pub partition: i32,
}

/// Empty: all states, all types.
#[derive(Debug, Clone, Copy)]
pub struct ListGroups<'a> {
    pub states: &'a [&'a str],
    pub types: &'a [&'a str],
}

#[derive(Debug)]
pub struct ListedGroup {
    pub group_id: String,
    pub group_type: String,
    pub state: String,
    pub protocol_type: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct DeleteGroup<'a>(pub &'a str);

/// One partition's share of a commit.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    pub topic: &'a TopicRef,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: Option<&'a str>,
}

/// Commits as a member, or as nobody with generation -1. An error code for each.
#[derive(Debug, Clone)]
pub struct CommitCall<'a> {
    pub group_id: &'a str,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub generation_id: i32,
    pub commits: Vec<Commit<'a>>,
}

#[derive(Debug, Clone)]
pub struct CommittedCall<'a> {
    pub group_id: &'a str,
    /// `None`: all that the group has committed.
    pub partitions: Option<&'a [(&'a TopicRef, i32)]>,
    /// Id and epoch of a consumer group's member.
    pub member: Option<(&'a str, i32)>,
    /// An offset that an open transaction is about to commit is an error.
    pub require_stable: bool,
}

#[derive(Debug, Clone)]
pub struct CommittedOffset {
    pub error_code: i16,
    /// As the database names it, where everything was asked for.
    pub topic: String,
    pub topic_id: Uuid,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// An error code for each.
#[derive(Debug, Clone, Copy)]
pub struct DeleteOffsets<'a> {
    pub group_id: &'a str,
    pub partitions: &'a [(&'a str, i32)],
}
