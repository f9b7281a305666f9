//! Requests of transactional producers, and about them.

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, EndTxnRequest, GroupId, InitProducerIdRequest,
    ListTransactionsRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
    WriteTxnMarkersRequest,
};

use super::topic_ids::Body;
use super::{Random, tags};

fn transactional_id(r: &mut Random) -> TransactionalId {
    TransactionalId(r.string())
}

fn producer_id(r: &mut Random) -> ProducerId {
    ProducerId(r.int64())
}

pub(super) fn init_producer_id(
    version: i16,
    flexible: bool,
    r: &mut Random,
) -> InitProducerIdRequest {
    let mut request = InitProducerIdRequest::default()
        .with_transactional_id(r.nullable(transactional_id))
        .with_transaction_timeout_ms(r.int32());
    if version >= 3 {
        request = request
            .with_producer_id(producer_id(r))
            .with_producer_epoch(r.int32() as i16);
    }
    tags!(request, r, flexible)
}

pub(super) fn add_partitions(
    version: i16,
    flexible: bool,
    r: &mut Random,
) -> AddPartitionsToTxnRequest {
    let topics = |r: &mut Random| {
        r.list(|r| {
            let topic = AddPartitionsToTxnTopic::default()
                .with_name(r.topic())
                .with_partitions(r.list(Random::int32));
            tags!(topic, r, flexible)
        })
    };
    let mut request = AddPartitionsToTxnRequest::default();
    if version >= 4 {
        let transactions = r.list(|r| {
            let transaction = AddPartitionsToTxnTransaction::default()
                .with_transactional_id(transactional_id(r))
                .with_producer_id(producer_id(r))
                .with_producer_epoch(r.int32() as i16)
                .with_verify_only(r.chance())
                .with_topics(topics(r));
            tags!(transaction, r, flexible)
        });
        request = request.with_transactions(transactions);
    } else {
        request = request
            .with_v3_and_below_transactional_id(transactional_id(r))
            .with_v3_and_below_producer_id(producer_id(r))
            .with_v3_and_below_producer_epoch(r.int32() as i16)
            .with_v3_and_below_topics(topics(r));
    }
    tags!(request, r, flexible)
}

pub(super) fn add_offsets(flexible: bool, r: &mut Random) -> AddOffsetsToTxnRequest {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(transactional_id(r))
        .with_producer_id(producer_id(r))
        .with_producer_epoch(r.int32() as i16)
        .with_group_id(GroupId(r.string()));
    tags!(request, r, flexible)
}

pub(super) fn end_txn(flexible: bool, r: &mut Random) -> EndTxnRequest {
    let request = EndTxnRequest::default()
        .with_transactional_id(transactional_id(r))
        .with_producer_id(producer_id(r))
        .with_producer_epoch(r.int32() as i16)
        .with_committed(r.chance());
    tags!(request, r, flexible)
}

pub(super) fn write_markers(r: &mut Random) -> WriteTxnMarkersRequest {
    let markers = r.list(|r| {
        let topics = r.list(|r| {
            let topic = WritableTxnMarkerTopic::default()
                .with_name(r.topic())
                .with_partition_indexes(r.list(Random::int32));
            tags!(topic, r, true)
        });
        let marker = WritableTxnMarker::default()
            .with_producer_id(producer_id(r))
            .with_producer_epoch(r.int32() as i16)
            .with_transaction_result(r.chance())
            .with_topics(topics)
            .with_coordinator_epoch(r.int32());
        tags!(marker, r, true)
    });
    tags!(
        WriteTxnMarkersRequest::default().with_markers(markers),
        r,
        true
    )
}

/// Version 2, which kafka-protocol does not encode: a transaction version for each marker.
pub(crate) fn encode_markers(request: &WriteTxnMarkersRequest) -> Vec<u8> {
    let mut body = Body::default();
    body.length(Some(request.markers.len()));
    for marker in &request.markers {
        body.0.extend(marker.producer_id.to_be_bytes());
        body.0.extend(marker.producer_epoch.to_be_bytes());
        body.0.push(marker.transaction_result.into());
        body.length(Some(marker.topics.len()));
        for topic in &marker.topics {
            body.string(Some(&topic.name));
            body.int32s(&topic.partition_indexes);
            body.tagged_fields(&topic.unknown_tagged_fields);
        }
        body.0.extend(marker.coordinator_epoch.to_be_bytes());
        body.0.push(2);
        body.tagged_fields(&marker.unknown_tagged_fields);
    }
    body.tagged_fields(&request.unknown_tagged_fields);
    body.0
}

pub(super) fn txn_offset_commit(
    version: i16,
    flexible: bool,
    r: &mut Random,
) -> TxnOffsetCommitRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| {
            let mut partition = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(r.int32())
                .with_committed_offset(r.int64())
                .with_committed_metadata(r.nullable(Random::string));
            if version >= 2 {
                partition = partition.with_committed_leader_epoch(r.int32());
            }
            tags!(partition, r, flexible)
        });
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(r.topic())
            .with_partitions(partitions);
        tags!(topic, r, flexible)
    });
    let mut request = TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id(r))
        .with_group_id(GroupId(r.string()))
        .with_producer_id(producer_id(r))
        .with_producer_epoch(r.int32() as i16)
        .with_topics(topics);
    if version >= 3 {
        request = request
            .with_generation_id(r.int32())
            .with_member_id(r.string())
            .with_group_instance_id(r.nullable(Random::string));
    }
    tags!(request, r, flexible)
}

pub(super) fn describe_producers(r: &mut Random) -> DescribeProducersRequest {
    let topics = r.list(|r| {
        let topic = TopicRequest::default()
            .with_name(r.topic())
            .with_partition_indexes(r.list(Random::int32));
        tags!(topic, r, true)
    });
    tags!(
        DescribeProducersRequest::default().with_topics(topics),
        r,
        true
    )
}

pub(super) fn describe_transactions(r: &mut Random) -> DescribeTransactionsRequest {
    let request =
        DescribeTransactionsRequest::default().with_transactional_ids(r.list(transactional_id));
    tags!(request, r, true)
}

pub(super) fn list_transactions(version: i16, r: &mut Random) -> ListTransactionsRequest {
    let mut request = ListTransactionsRequest::default()
        .with_state_filters(r.list(Random::string))
        .with_producer_id_filters(r.list(producer_id));
    if version >= 1 {
        request = request.with_duration_filter(r.int64());
    }
    if version >= 2 {
        request = request.with_transactional_id_pattern(r.nullable(Random::string));
    }
    tags!(request, r, true)
}
