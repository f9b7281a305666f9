//! `OffsetCommit` and `OffsetFetch` in version 10, which names topics by id:
//! kafka-protocol does not encode its requests. Names are left out.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use uuid::Uuid;

use super::{Random, groups};

pub(super) fn offset_commit(r: &mut Random) -> Vec<u8> {
    let request = groups::offset_commit(9, true, r);
    let topic_ids: Vec<Uuid> = request.topics.iter().map(|_| r.uuid()).collect();
    encode_commit(&request, &topic_ids)
}

pub(super) fn offset_fetch(r: &mut Random) -> Vec<u8> {
    let request = groups::offset_fetch(9, true, r);
    let topics = request.groups.iter().flat_map(|group| &group.topics);
    let topic_ids: Vec<Uuid> = topics.flatten().map(|_| r.uuid()).collect();
    encode_fetch(&request, &topic_ids)
}

/// An id for each topic.
pub(crate) fn encode_commit(request: &OffsetCommitRequest, topic_ids: &[Uuid]) -> Vec<u8> {
    let mut body = Body::default();
    body.string(Some(&request.group_id));
    body.0.put_i32(request.generation_id_or_member_epoch);
    body.string(Some(&request.member_id));
    body.string(request.group_instance_id.as_deref());
    assert_eq!(request.topics.len(), topic_ids.len());
    body.length(Some(request.topics.len()));
    for (topic, topic_id) in request.topics.iter().zip(topic_ids) {
        body.commit_topic(topic, topic_id);
    }
    body.tagged_fields(&request.unknown_tagged_fields);
    body.0
}

/// An id for each topic of the first group, then of the second, and so on.
pub(crate) fn encode_fetch(request: &OffsetFetchRequest, topic_ids: &[Uuid]) -> Vec<u8> {
    let mut body = Body::default();
    let mut topic_ids = topic_ids.iter();
    body.length(Some(request.groups.len()));
    for group in &request.groups {
        body.fetch_group(group, &mut topic_ids);
    }
    assert_eq!(topic_ids.next(), None);
    body.0.put_u8(request.require_stable.into());
    body.tagged_fields(&request.unknown_tagged_fields);
    body.0
}

/// A request of a flexible version, written by hand.
#[derive(Default)]
pub(super) struct Body(pub(super) Vec<u8>);

impl Body {
    fn commit_topic(&mut self, topic: &OffsetCommitRequestTopic, topic_id: &Uuid) {
        self.0.put_slice(topic_id.as_bytes());
        self.length(Some(topic.partitions.len()));
        for partition in &topic.partitions {
            self.0.put_i32(partition.partition_index);
            self.0.put_i64(partition.committed_offset);
            self.0.put_i32(partition.committed_leader_epoch);
            self.string(partition.committed_metadata.as_deref());
            self.tagged_fields(&partition.unknown_tagged_fields);
        }
        self.tagged_fields(&topic.unknown_tagged_fields);
    }

    fn fetch_group<'a>(
        &mut self,
        group: &OffsetFetchRequestGroup,
        topic_ids: &mut impl Iterator<Item = &'a Uuid>,
    ) {
        self.string(Some(&group.group_id));
        self.string(group.member_id.as_deref());
        self.0.put_i32(group.member_epoch);
        self.length(group.topics.as_ref().map(Vec::len));
        for topic in group.topics.iter().flatten() {
            self.0.put_slice(topic_ids.next().unwrap().as_bytes());
            self.int32s(&topic.partition_indexes);
            self.tagged_fields(&topic.unknown_tagged_fields);
        }
        self.tagged_fields(&group.unknown_tagged_fields);
    }

    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.0.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value as u8);
    }

    pub(super) fn length(&mut self, length: Option<usize>) {
        self.varint(length.map_or(0, |length| length + 1));
    }

    pub(super) fn int32s(&mut self, numbers: &[i32]) {
        self.length(Some(numbers.len()));
        for number in numbers {
            self.0.put_i32(*number);
        }
    }

    pub(super) fn string(&mut self, text: Option<&str>) {
        self.length(text.map(str::len));
        self.0.put_slice(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn tagged_fields(&mut self, fields: &BTreeMap<i32, Bytes>) {
        self.varint(fields.len());
        for (tag, bytes) in fields {
            self.varint(*tag as usize);
            self.varint(bytes.len());
            self.0.put_slice(bytes);
        }
    }
}
