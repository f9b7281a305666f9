//! Requests of every API and version with random contents, by kafka-protocol's encoder
//! where it has one.

#![allow(dead_code)]

mod groups;
pub(crate) mod topic_ids;
pub(crate) mod transactions;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic, ReplicaState,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsRequest, BrokerId,
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeGroupsRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, EndTxnRequest, FetchRequest, FindCoordinatorRequest,
    HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, ListOffsetsRequest, ListTransactionsRequest, MetadataRequest,
    OffsetDeleteRequest, ProduceRequest, RequestHeader, SyncGroupRequest, TopicName,
    TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use pg_kafka_listener::api::{k08_offset_commit, k09_offset_fetch, k27_write_txn_markers};
use pg_kafka_listener::router::{Api, Request};
use pg_kafka_listener::wire::Malformed;
use uuid::Uuid;

/// A small generator, so that a seed is all a failure needs to come again.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn chance(&mut self) -> bool {
        self.next() & 64 == 0
    }

    fn int32(&mut self) -> i32 {
        self.next() as i32
    }

    fn int64(&mut self) -> i64 {
        self.next() as i64
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = if self.below(10) == 0 {
            300
        } else {
            self.below(40)
        };
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn string(&mut self) -> StrBytes {
        let length = if self.below(10) == 0 {
            200
        } else {
            self.below(20)
        };
        let letters = (0..length).map(|_| char::from(b'a' + self.below(26) as u8));
        StrBytes::from_string(letters.collect())
    }

    fn nullable<T>(&mut self, value: impl Fn(&mut Self) -> T) -> Option<T> {
        self.chance().then(|| value(self))
    }

    fn list<T>(&mut self, element: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = if self.below(20) == 0 {
            130
        } else {
            self.below(4)
        };
        (0..count).map(|_| element(self)).collect()
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }

    fn topic(&mut self) -> TopicName {
        TopicName(self.string())
    }
}

macro_rules! tags {
    ($request:expr, $random:expr, $flexible:expr) => {{
        let mut request = $request;
        if $flexible && $random.chance() {
            // Above any tag that is known.
            let tag = 100 + $random.below(1000) as i32;
            request
                .unknown_tagged_fields
                .insert(tag, Bytes::from($random.bytes()));
        }
        request
    }};
}
use tags;

/// The body of a request of `api`.
pub(crate) fn request_body(api: &Api, version: i16, r: &mut Random) -> Vec<u8> {
    match (api.key, version) {
        (8, 10) => return topic_ids::offset_commit(r),
        (9, 10) => return topic_ids::offset_fetch(r),
        (27, 2) => return transactions::encode_markers(&transactions::write_markers(r)),
        _ => {}
    }
    let version = version.min(api.codec_max);
    let flexible = version >= api.flexible;
    let mut body = BytesMut::new();
    match api.key {
        0 => produce(version, flexible, r).encode(&mut body, version),
        1 => fetch(version, flexible, r).encode(&mut body, version),
        2 => list_offsets(version, flexible, r).encode(&mut body, version),
        3 => metadata(version, flexible, r).encode(&mut body, version),
        8 => groups::offset_commit(version, flexible, r).encode(&mut body, version),
        9 => groups::offset_fetch(version, flexible, r).encode(&mut body, version),
        10 => find_coordinator(version, flexible, r).encode(&mut body, version),
        11 => groups::join_group(version, flexible, r).encode(&mut body, version),
        12 => groups::heartbeat(version, flexible, r).encode(&mut body, version),
        13 => groups::leave_group(version, flexible, r).encode(&mut body, version),
        14 => groups::sync_group(version, flexible, r).encode(&mut body, version),
        15 => groups::describe_groups(version, flexible, r).encode(&mut body, version),
        16 => groups::list_groups(version, flexible, r).encode(&mut body, version),
        18 => api_versions(version, flexible, r).encode(&mut body, version),
        19 => create_topics(flexible, r).encode(&mut body, version),
        20 => delete_topics(version, flexible, r).encode(&mut body, version),
        21 => delete_records(flexible, r).encode(&mut body, version),
        22 => transactions::init_producer_id(version, flexible, r).encode(&mut body, version),
        24 => transactions::add_partitions(version, flexible, r).encode(&mut body, version),
        25 => transactions::add_offsets(flexible, r).encode(&mut body, version),
        26 => transactions::end_txn(flexible, r).encode(&mut body, version),
        27 => transactions::write_markers(r).encode(&mut body, version),
        28 => transactions::txn_offset_commit(version, flexible, r).encode(&mut body, version),
        37 => create_partitions(flexible, r).encode(&mut body, version),
        42 => groups::delete_groups(flexible, r).encode(&mut body, version),
        47 => groups::offset_delete(r).encode(&mut body, version),
        60 => describe_cluster(version, flexible, r).encode(&mut body, version),
        61 => transactions::describe_producers(r).encode(&mut body, version),
        65 => transactions::describe_transactions(r).encode(&mut body, version),
        66 => transactions::list_transactions(version, r).encode(&mut body, version),
        68 => groups::consumer_group_heartbeat(version, r).encode(&mut body, version),
        69 => groups::consumer_group_describe(r).encode(&mut body, version),
        key => panic!("no generator for API {key}: add one"),
    }
    .unwrap();
    body.to_vec()
}

pub(crate) fn frame_of(
    api_key: i16,
    version: i16,
    flexible: bool,
    correlation_id: i32,
    body: &[u8],
) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(api_key)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, if flexible { 2 } else { 1 })
        .unwrap();
    frame.extend_from_slice(body);
    frame.to_vec()
}

/// Header and body, without the frame's length.
pub(crate) fn request_frame(
    api: &Api,
    version: i16,
    correlation_id: i32,
    r: &mut Random,
) -> Vec<u8> {
    let body = request_body(api, version, r);
    frame_of(
        api.key,
        version,
        version >= api.flexible,
        correlation_id,
        &body,
    )
}

/// Decodes as the API's handler does.
pub(crate) fn decode(request: &Request) -> Result<(), Malformed> {
    match request.api.key {
        0 => request.decode::<ProduceRequest>().map(drop),
        1 => request.decode::<FetchRequest>().map(drop),
        2 => request.decode::<ListOffsetsRequest>().map(drop),
        3 => request.decode::<MetadataRequest>().map(drop),
        8 => k08_offset_commit::decode(request).map(drop),
        9 => k09_offset_fetch::decode(request).map(drop),
        10 => request.decode::<FindCoordinatorRequest>().map(drop),
        11 => request.decode::<JoinGroupRequest>().map(drop),
        12 => request.decode::<HeartbeatRequest>().map(drop),
        13 => request.decode::<LeaveGroupRequest>().map(drop),
        14 => request.decode::<SyncGroupRequest>().map(drop),
        15 => request.decode::<DescribeGroupsRequest>().map(drop),
        16 => request.decode::<ListGroupsRequest>().map(drop),
        18 => request.decode::<ApiVersionsRequest>().map(drop),
        19 => request.decode::<CreateTopicsRequest>().map(drop),
        20 => request.decode::<DeleteTopicsRequest>().map(drop),
        21 => request.decode::<DeleteRecordsRequest>().map(drop),
        22 => request.decode::<InitProducerIdRequest>().map(drop),
        24 => request.decode::<AddPartitionsToTxnRequest>().map(drop),
        25 => request.decode::<AddOffsetsToTxnRequest>().map(drop),
        26 => request.decode::<EndTxnRequest>().map(drop),
        27 => k27_write_txn_markers::decode(request).map(drop),
        28 => request.decode::<TxnOffsetCommitRequest>().map(drop),
        37 => request.decode::<CreatePartitionsRequest>().map(drop),
        42 => request.decode::<DeleteGroupsRequest>().map(drop),
        47 => request.decode::<OffsetDeleteRequest>().map(drop),
        60 => request.decode::<DescribeClusterRequest>().map(drop),
        61 => request.decode::<DescribeProducersRequest>().map(drop),
        65 => request.decode::<DescribeTransactionsRequest>().map(drop),
        66 => request.decode::<ListTransactionsRequest>().map(drop),
        68 => request.decode::<ConsumerGroupHeartbeatRequest>().map(drop),
        69 => request.decode::<ConsumerGroupDescribeRequest>().map(drop),
        key => panic!("no decoder for API {key}: add one"),
    }
}

fn produce(version: i16, flexible: bool, r: &mut Random) -> ProduceRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| {
            let records = r.nullable(|r| Bytes::from(r.bytes()));
            let partition = PartitionProduceData::default()
                .with_index(r.int32())
                .with_records(records);
            tags!(partition, r, flexible)
        });
        let topic = TopicProduceData::default().with_partition_data(partitions);
        let topic = if version >= 13 {
            topic.with_topic_id(r.uuid())
        } else {
            topic.with_name(r.topic())
        };
        tags!(topic, r, flexible)
    });
    let request = ProduceRequest::default()
        .with_transactional_id(r.nullable(|r| TransactionalId(r.string())))
        .with_acks(r.int32() as i16)
        .with_timeout_ms(r.int32())
        .with_topic_data(topics);
    tags!(request, r, flexible)
}

fn fetch(version: i16, flexible: bool, r: &mut Random) -> FetchRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| tags!(fetch_partition(version, r), r, flexible));
        let topic = FetchTopic::default().with_partitions(partitions);
        let topic = if version >= 13 {
            topic.with_topic_id(r.uuid())
        } else {
            topic.with_topic(r.topic())
        };
        tags!(topic, r, flexible)
    });
    let mut request = FetchRequest::default()
        .with_max_wait_ms(r.int32())
        .with_min_bytes(r.int32())
        .with_max_bytes(r.int32())
        .with_isolation_level(r.int32() as i8)
        .with_topics(topics);
    if version <= 14 {
        request = request.with_replica_id(BrokerId(r.int32()));
    } else if r.chance() {
        let state = ReplicaState::default()
            .with_replica_id(BrokerId(r.int32()))
            .with_replica_epoch(r.int64());
        request = request.with_replica_state(state);
    }
    if version >= 7 {
        let forgotten = r.list(|r| {
            let topic = ForgottenTopic::default().with_partitions(r.list(Random::int32));
            let topic = if version >= 13 {
                topic.with_topic_id(r.uuid())
            } else {
                topic.with_topic(r.topic())
            };
            tags!(topic, r, flexible)
        });
        request = request
            .with_session_id(r.int32())
            .with_session_epoch(r.int32())
            .with_forgotten_topics_data(forgotten);
    }
    if version >= 11 {
        request = request.with_rack_id(r.string());
    }
    if version >= 12 {
        request = request.with_cluster_id(r.nullable(Random::string));
    }
    tags!(request, r, flexible)
}

fn fetch_partition(version: i16, r: &mut Random) -> FetchPartition {
    let mut partition = FetchPartition::default()
        .with_partition(r.int32())
        .with_fetch_offset(r.int64())
        .with_partition_max_bytes(r.int32());
    if version >= 5 {
        partition = partition.with_log_start_offset(r.int64());
    }
    if version >= 9 {
        partition = partition.with_current_leader_epoch(r.int32());
    }
    if version >= 12 {
        partition = partition.with_last_fetched_epoch(r.int32());
    }
    if version >= 17 && r.chance() {
        partition = partition.with_replica_directory_id(r.uuid());
    }
    if version >= 18 && r.chance() {
        partition = partition.with_high_watermark(r.int64());
    }
    partition
}

fn list_offsets(version: i16, flexible: bool, r: &mut Random) -> ListOffsetsRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| {
            let mut partition = ListOffsetsPartition::default()
                .with_partition_index(r.int32())
                .with_timestamp(r.int64());
            if version >= 4 {
                partition = partition.with_current_leader_epoch(r.int32());
            }
            tags!(partition, r, flexible)
        });
        let topic = ListOffsetsTopic::default()
            .with_name(r.topic())
            .with_partitions(partitions);
        tags!(topic, r, flexible)
    });
    let mut request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(r.int32()))
        .with_topics(topics);
    if version >= 2 {
        request = request.with_isolation_level(r.int32() as i8);
    }
    if version >= 10 {
        request = request.with_timeout_ms(r.int32());
    }
    tags!(request, r, flexible)
}

fn metadata(version: i16, flexible: bool, r: &mut Random) -> MetadataRequest {
    let topics = r.list(|r| {
        let name = if version >= 10 {
            r.nullable(Random::topic)
        } else {
            Some(r.topic())
        };
        let mut topic = MetadataRequestTopic::default().with_name(name);
        if version >= 10 {
            topic = topic.with_topic_id(r.uuid());
        }
        tags!(topic, r, flexible)
    });
    let every = version >= 1 && r.chance();
    let mut request = MetadataRequest::default()
        .with_topics(Some(topics).filter(|_| !every))
        .with_allow_auto_topic_creation(version < 4 || r.chance());
    if (8..=10).contains(&version) {
        request = request.with_include_cluster_authorized_operations(r.chance());
    }
    if version >= 8 {
        request = request.with_include_topic_authorized_operations(r.chance());
    }
    tags!(request, r, flexible)
}

fn find_coordinator(version: i16, flexible: bool, r: &mut Random) -> FindCoordinatorRequest {
    let mut request = FindCoordinatorRequest::default();
    if version >= 4 {
        request = request.with_coordinator_keys(r.list(Random::string));
    } else {
        request = request.with_key(r.string());
    }
    if version >= 1 {
        request = request.with_key_type(r.int32() as i8);
    }
    tags!(request, r, flexible)
}

fn api_versions(version: i16, flexible: bool, r: &mut Random) -> ApiVersionsRequest {
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request = request
            .with_client_software_name(r.string())
            .with_client_software_version(r.string());
    }
    tags!(request, r, flexible)
}

fn create_topics(flexible: bool, r: &mut Random) -> CreateTopicsRequest {
    let topics = r.list(|r| {
        let assignments = r.list(|r| {
            let assignment = CreatableReplicaAssignment::default()
                .with_partition_index(r.int32())
                .with_broker_ids(r.list(|r| BrokerId(r.int32())));
            tags!(assignment, r, flexible)
        });
        let configs = r.list(|r| {
            let config = CreatableTopicConfig::default()
                .with_name(r.string())
                .with_value(r.nullable(Random::string));
            tags!(config, r, flexible)
        });
        let topic = CreatableTopic::default()
            .with_name(r.topic())
            .with_num_partitions(r.int32())
            .with_replication_factor(r.int32() as i16)
            .with_assignments(assignments)
            .with_configs(configs);
        tags!(topic, r, flexible)
    });
    let request = CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(r.int32())
        .with_validate_only(r.chance());
    tags!(request, r, flexible)
}

fn delete_topics(version: i16, flexible: bool, r: &mut Random) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest::default().with_timeout_ms(r.int32());
    if version >= 6 {
        let topics = r.list(|r| {
            let topic = DeleteTopicState::default()
                .with_name(r.nullable(Random::topic))
                .with_topic_id(r.uuid());
            tags!(topic, r, flexible)
        });
        request = request.with_topics(topics);
    } else {
        request = request.with_topic_names(r.list(Random::topic));
    }
    tags!(request, r, flexible)
}

fn delete_records(flexible: bool, r: &mut Random) -> DeleteRecordsRequest {
    let topics = r.list(|r| {
        let partitions = r.list(|r| {
            let partition = DeleteRecordsPartition::default()
                .with_partition_index(r.int32())
                .with_offset(r.int64());
            tags!(partition, r, flexible)
        });
        let topic = DeleteRecordsTopic::default()
            .with_name(r.topic())
            .with_partitions(partitions);
        tags!(topic, r, flexible)
    });
    let request = DeleteRecordsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(r.int32());
    tags!(request, r, flexible)
}

fn create_partitions(flexible: bool, r: &mut Random) -> CreatePartitionsRequest {
    let topics = r.list(|r| {
        let assignments = r.nullable(|r| {
            r.list(|r| {
                let assignment = CreatePartitionsAssignment::default()
                    .with_broker_ids(r.list(|r| BrokerId(r.int32())));
                tags!(assignment, r, flexible)
            })
        });
        let topic = CreatePartitionsTopic::default()
            .with_name(r.topic())
            .with_count(r.int32())
            .with_assignments(assignments);
        tags!(topic, r, flexible)
    });
    let request = CreatePartitionsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(r.int32())
        .with_validate_only(r.chance());
    tags!(request, r, flexible)
}

fn describe_cluster(version: i16, flexible: bool, r: &mut Random) -> DescribeClusterRequest {
    let mut request =
        DescribeClusterRequest::default().with_include_cluster_authorized_operations(r.chance());
    if version >= 1 {
        request = request.with_endpoint_type(r.int32() as i8);
    }
    if version >= 2 {
        request = request.with_include_fenced_brokers(r.chance());
    }
    tags!(request, r, flexible)
}
