//! Frames against a listener with a real server behind it.

mod common;
#[path = "common/requests.rs"]
mod requests;

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Buf;
use common::{Env, Raw, batch, encode, idempotent_batch, name, produce_request};
use kafka_core::builder::ProducerFields;
use kafka_core::code;
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, CreateTopicsRequest, DescribeClusterRequest, FetchRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use pg_kafka_listener::router::APIS;
use uuid::Uuid;

/// A fetch of one partition, with everything there is to set.
struct FetchOne {
    topic: &'static str,
    partition: i32,
    offset: i64,
    max_wait_ms: i32,
    min_bytes: i32,
    partition_max_bytes: i32,
    isolation: i8,
    leader_epoch: i32,
    session: (i32, i32),
}

impl FetchOne {
    fn new(topic: &'static str, offset: i64) -> Self {
        Self {
            topic,
            partition: 0,
            offset,
            max_wait_ms: 0,
            min_bytes: 1,
            partition_max_bytes: 1 << 20,
            isolation: 0,
            leader_epoch: -1,
            session: (0, -1),
        }
    }

    fn request(&self) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_partition(self.partition)
            .with_fetch_offset(self.offset)
            .with_current_leader_epoch(self.leader_epoch)
            .with_partition_max_bytes(self.partition_max_bytes);
        let topic = FetchTopic::default()
            .with_topic(name(self.topic))
            .with_partitions(vec![partition]);
        FetchRequest::default()
            .with_max_wait_ms(self.max_wait_ms)
            .with_min_bytes(self.min_bytes)
            .with_max_bytes(50 << 20)
            .with_isolation_level(self.isolation)
            .with_session_id(self.session.0)
            .with_session_epoch(self.session.1)
            .with_topics(vec![topic])
    }

    fn ask(&self, raw: &mut Raw) -> PartitionData {
        let mut response = raw.call(12, &self.request());
        assert_eq!(response.error_code, code::NONE);
        response.responses.remove(0).partitions.remove(0)
    }
}

fn records(found: &PartitionData) -> &[u8] {
    found.records.as_deref().unwrap_or_default()
}

#[test]
fn api_versions_from_the_future_is_answered_in_version_0s_form() {
    let env = Env::shared();
    let mut raw = env.raw();
    for version in [5_i16, 17, i16::MAX] {
        let mut frame = encode(4, 9, &ApiVersionsRequest::default());
        frame[2..4].copy_from_slice(&version.to_be_bytes());
        frame.extend(b"fields of a version to come");
        raw.send_frame(&frame);
        let (correlation_id, mut body) = raw.receive().unwrap();
        assert_eq!(correlation_id, 9);
        let response = ApiVersionsResponse::decode(&mut body, 0).unwrap();
        assert!(!body.has_remaining());
        assert_eq!(response.error_code, code::UNSUPPORTED_VERSION);
        let own = response.api_keys.iter().find(|api| api.api_key == 18);
        assert_eq!(
            own.map(|api| (api.min_version, api.max_version)),
            Some((0, 4))
        );
    }
    // The connection is still good.
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test"))
        .with_client_software_version(StrBytes::from_static_str("1.0"));
    for version in 0..=4 {
        let response = raw.call(version, &request_for(version, &request));
        assert_eq!(response.error_code, code::NONE);
        assert!(response.api_keys.len() > 10);
    }
}

fn request_for(version: i16, request: &ApiVersionsRequest) -> ApiVersionsRequest {
    if version >= 3 {
        request.clone()
    } else {
        ApiVersionsRequest::default()
    }
}

#[test]
fn every_api_answers_in_every_version_it_names() {
    let env = Env::shared();
    for api in APIS {
        for version in api.min..=api.max {
            for seed in 0..8 {
                let mut random = requests::Random::new(seed);
                let frame = requests::request_frame(api, version, 77, &mut random);
                let mut raw = env.raw();
                // A parked fetch would be answered at its deadline only.
                raw.stream.shutdown_after(&frame);
                // acks=0, or a fault that such a producer learns of by being cut off.
                let silent = api.key == 0;
                match raw.receive() {
                    Some((correlation_id, _)) => assert_eq!(correlation_id, 77),
                    None => assert!(silent, "{} {version} seed {seed}", api.name),
                }
            }
        }
    }
}

/// Sends a frame and closes the sending side, which ends waits.
trait ShutdownAfter {
    fn shutdown_after(&mut self, frame: &[u8]);
}

impl ShutdownAfter for std::net::TcpStream {
    fn shutdown_after(&mut self, frame: &[u8]) {
        self.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes())
            .unwrap();
        self.write_all(frame).unwrap();
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

#[test]
fn unknown_apis_and_versions_close_their_connection_with_one_line() {
    let env = Env::own("", &[]);
    for (key, version) in [(1_i16, 3_i16), (1, 19), (0, 2), (11, 0), (999, 0)] {
        let mut raw = env.raw();
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        raw.send_frame(&frame);
        assert!(raw.receive().is_none(), "{key} {version}");
    }
    common::eventually("each is logged", || {
        env.listener.log_lines("unsupported request") == 5
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let env = Env::shared();
    env.create_topic("pipeline", 1);
    let mut raw = env.raw();
    let mut sent = Vec::new();
    for round in 0..20 {
        let value = format!("value {round}");
        let produce = produce_request("pipeline", -1, &[(0, batch(&[&value]))]);
        sent.push((0, raw.send(9, &produce)));
        if round % 3 == 0 {
            sent.push((3, raw.send(9, &MetadataRequest::default())));
        }
    }
    let mut offset = 0;
    for (key, correlation_id) in sent {
        if key == 0 {
            let (answered, response) = raw.receive_response::<ProduceRequest>(9);
            assert_eq!(answered, correlation_id);
            let partition = &response.responses[0].partition_responses[0];
            // Requests of one connection are appended in their order.
            assert_eq!((partition.error_code, partition.base_offset), (0, offset));
            offset += 1;
        } else {
            let (answered, _) = raw.receive_response::<MetadataRequest>(9);
            assert_eq!(answered, correlation_id);
        }
    }
}

#[test]
fn hostile_frames_end_their_connection_and_nothing_else() {
    let mut env = Env::own("", &[]);
    let mut bystander = env.raw();
    env.create_topic("hostile", 1);
    bystander.produce("hostile", -1, &[(0, batch(&["before"]))]);
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("frame of 2^31-1", 0x7fff_ffff_u32.to_be_bytes().to_vec()),
        ("frame of -1", (-1_i32).to_be_bytes().to_vec()),
        ("frame of 0", vec![0; 4]),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (
            "metadata of 2^31-1 topics",
            framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "produce of 2^31-1 topics",
            framed(&[
                0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff,
                0xff,
            ]),
        ),
        (
            "compact array of 2^32-2",
            framed(&[
                0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ]),
        ),
        (
            "tagged fields without end",
            framed(&[
                0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ]),
        ),
        (
            "client id longer than the frame",
            framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff]),
        ),
    ];
    let count = hostile.len();
    for (what, bytes) in hostile {
        let mut raw = env.raw();
        raw.stream.write_all(&bytes).unwrap();
        assert!(raw.receive().is_none(), "{what}");
    }
    // Cut off inside a frame.
    let mut raw = env.raw();
    raw.stream.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(raw.receive().is_none());
    // A connection's line may come a moment after its end.
    common::eventually("each is logged", || {
        env.listener.log_lines("malformed") > count
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        env.listener.log_lines("malformed"),
        count + 1,
        "one line each"
    );
    assert!(env.listener.alive());
    let produced = bystander.produce("hostile", -1, &[(0, batch(&["after"]))]);
    assert_eq!(produced[0].base_offset, 1);
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

#[test]
fn a_record_count_of_2_to_the_31_is_refused_and_the_server_stays_up() {
    let env = Env::own("", &[]);
    env.create_topic("counts", 1);
    let started = env.sql().value("SELECT pg_postmaster_start_time()");
    let mut raw = env.raw();
    for offset in [57, 23] {
        let mut bytes = batch(&["one"]);
        bytes[offset..offset + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        let produced = raw.produce("counts", -1, &[(0, bytes.clone())]);
        assert_eq!(produced[0].error_code, code::CORRUPT_MESSAGE, "CRC");
        // With a right CRC too.
        let crc = crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let produced = raw.produce("counts", -1, &[(0, bytes)]);
        assert_ne!(produced[0].error_code, code::NONE);
    }
    assert_eq!(
        started,
        env.sql().value("SELECT pg_postmaster_start_time()")
    );
    assert_eq!(env.stored("counts"), 0);
}

/// Bit by bit: a test needs no speed.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn producer(producer_id: i64, epoch: i16, base_sequence: i32) -> ProducerFields {
    ProducerFields {
        producer_id,
        epoch,
        base_sequence,
        transactional: false,
    }
}

#[test]
fn each_partition_checks_its_own_sequence() {
    let env = Env::shared();
    env.create_topic("sequences", 3);
    let mut raw = env.raw();
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let id = raw.call(4, &request);
    assert_eq!((id.error_code, id.producer_epoch), (0, 0));
    let id = *id.producer_id;
    let of = |values: &[&str], sequence| idempotent_batch(values, producer(id, 0, sequence));

    let first = raw.produce(
        "sequences",
        -1,
        &[(0, of(&["a", "b"], 0)), (1, of(&["c"], 0))],
    );
    assert_eq!(
        first
            .iter()
            .map(|p| (p.error_code, p.base_offset))
            .collect::<Vec<_>>(),
        [(0, 0), (0, 0)]
    );
    // In one request: next, duplicate, out of order.
    let next = raw.produce(
        "sequences",
        -1,
        &[(0, of(&["d"], 2)), (1, of(&["c"], 0)), (2, of(&["e"], 0))],
    );
    let codes: Vec<_> = next.iter().map(|p| (p.error_code, p.base_offset)).collect();
    assert_eq!(codes, [(0, 2), (0, 0), (0, 0)]);
    let gap = raw.produce("sequences", -1, &[(0, of(&["x"], 9)), (1, of(&["y"], 1))]);
    assert_eq!(gap[0].error_code, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!((gap[1].error_code, gap[1].base_offset), (0, 1));
    // A newer epoch takes over, the older one is then stale.
    let fenced = idempotent_batch(&["z"], producer(id, 1, 0));
    assert_eq!(
        raw.produce("sequences", -1, &[(0, fenced)])[0].error_code,
        0
    );
    let stale = raw.produce("sequences", -1, &[(0, of(&["w"], 3))]);
    assert_eq!(stale[0].error_code, code::INVALID_PRODUCER_EPOCH);
    assert_eq!(env.stored("sequences"), 7);
}

#[test]
fn produce_refusals() {
    let env = Env::shared();
    env.create_topic("refusals", 1);
    let mut raw = env.raw();
    let mut refused = |topic: &str, partition, bytes: Vec<u8>| {
        raw.produce(topic, -1, &[(partition, bytes)])[0].error_code
    };
    let mut damaged = batch(&["a"]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(refused("refusals", 0, damaged), code::CORRUPT_MESSAGE);
    assert_eq!(
        refused("refusals", 1, batch(&["a"])),
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        refused("no-such-topic", 0, batch(&["a"])),
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    let unknown = refused("not a topic\0", 0, batch(&["a"]));
    assert!(
        [
            code::INVALID_TOPIC_EXCEPTION,
            code::UNKNOWN_TOPIC_OR_PARTITION
        ]
        .contains(&unknown)
    );
    let huge = "x".repeat(2 << 20);
    assert_eq!(
        refused("refusals", 0, batch(&[&huge])),
        code::MESSAGE_TOO_LARGE
    );
    let twice = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(refused("refusals", 0, twice), code::INVALID_RECORD);
    assert_eq!(refused("refusals", 0, Vec::new()), code::INVALID_RECORD);
    let mut unknown_codec = batch(&["a"]);
    unknown_codec[22] = 5;
    let crc = crc32c(&unknown_codec[21..]);
    unknown_codec[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        refused("refusals", 0, unknown_codec),
        code::UNSUPPORTED_COMPRESSION_TYPE
    );
    let mut legacy = batch(&["a"]);
    legacy[16] = 1;
    assert_eq!(
        refused("refusals", 0, legacy),
        code::UNSUPPORTED_FOR_MESSAGE_FORMAT
    );
    for acks in [7, -2, 2] {
        let produced = raw.produce("refusals", acks, &[(0, batch(&["a"])), (0, batch(&["b"]))]);
        let codes: Vec<_> = produced.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [code::INVALID_REQUIRED_ACKS; 2]);
    }
    let transactional = produce_request("refusals", -1, &[(0, batch(&["a"]))])
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("tx"))));
    let refused = common::partition_responses(raw.call(9, &transactional));
    assert_eq!(refused[0].error_code, code::INVALID_TXN_STATE);
    assert!(
        refused[0]
            .error_message
            .as_ref()
            .unwrap()
            .contains("transactional")
    );
    // The good one beside the bad one is stored.
    let mixed = raw.produce(
        "refusals",
        1,
        &[(5, batch(&["bad"])), (0, batch(&["good"]))],
    );
    assert_eq!(mixed[0].error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((mixed[1].error_code, mixed[1].base_offset), (0, 0));
    assert_eq!(env.stored("refusals"), 1);
}

#[test]
fn partition_minus_one_routes_by_key() {
    let env = Env::shared();
    env.create_topic("routed", 4);
    let mut builder = kafka_core::builder::BatchBuilder::new();
    for key in 0..40 {
        let key = format!("key {key}");
        builder.append(1_700_000_000_000, Some(key.as_bytes()), Some(b"v"), &[]);
    }
    let bytes = builder.build(kafka_core::Codec::None, ProducerFields::default());
    let produced = env.raw().produce("routed", -1, &[(-1, bytes)]);
    assert_eq!((produced[0].error_code, produced[0].index), (0, -1));
    let rows = env
        .sql()
        .rows("SELECT partition, key FROM kafka.records('routed')");
    assert_eq!(rows.len(), 40);
    for row in rows {
        let key = row.get(1).unwrap().trim_start_matches("\\x");
        let bytes: Vec<u8> = (0..key.len() / 2)
            .map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let expected = kafka_core::murmur2_partition(&bytes, 4);
        assert_eq!(row.get(0).unwrap(), expected.to_string());
    }
}

#[test]
fn acks_0_appends_without_an_answer_and_closes_on_failure() {
    let env = Env::shared();
    env.create_topic("acks0", 1);
    let mut raw = env.raw();
    raw.send(9, &produce_request("acks0", 0, &[(0, batch(&["quiet"]))]));
    // The next answer belongs to the next request.
    let produced = raw.produce("acks0", 1, &[(0, batch(&["loud"]))]);
    assert_eq!((produced[0].error_code, produced[0].base_offset), (0, 1));
    raw.send(9, &produce_request("acks0", 0, &[(9, batch(&["nowhere"]))]));
    assert!(raw.receive().is_none());
    // A producer that closes at once after its last request has still sent it.
    let mut raw = env.raw();
    raw.send(9, &produce_request("acks0", 0, &[(0, batch(&["last"]))]));
    drop(raw);
    common::eventually("the last record is stored", || env.stored("acks0") == 3);
}

#[test]
fn fetch_answers() {
    let env = Env::shared();
    env.create_topic("fetches", 2);
    let mut raw = env.raw();
    let stored = batch(&["a", "b", "c"]);
    raw.produce("fetches", -1, &[(0, stored.clone())]);
    let found = FetchOne::new("fetches", 1).ask(&mut raw);
    assert_eq!(
        (
            found.error_code,
            found.high_watermark,
            found.last_stable_offset
        ),
        (0, 3, 3)
    );
    // Stored bytes, but for base offset and leader epoch.
    assert_eq!(records(&found)[16..], stored[16..]);
    assert_eq!(found.aborted_transactions, None);
    let committed = FetchOne {
        isolation: 1,
        ..FetchOne::new("fetches", 0)
    }
    .ask(&mut raw);
    assert_eq!(records(&committed), records(&found));
    assert_eq!(committed.aborted_transactions, Some(vec![]));
    let end = FetchOne::new("fetches", 3).ask(&mut raw);
    assert_eq!((end.error_code, records(&end).len()), (0, 0));
    for offset in [4, -1, i64::MAX] {
        let out = FetchOne::new("fetches", offset).ask(&mut raw);
        assert_eq!(out.error_code, code::OFFSET_OUT_OF_RANGE, "{offset}");
        assert!(records(&out).is_empty());
    }
    let unknown = FetchOne {
        max_wait_ms: 20_000,
        ..FetchOne::new("no-such-topic", 0)
    };
    assert_eq!(
        unknown.ask(&mut raw).error_code,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    let unknown = FetchOne {
        partition: 2,
        max_wait_ms: 20_000,
        ..FetchOne::new("fetches", 0)
    };
    assert_eq!(
        unknown.ask(&mut raw).error_code,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    let epoch: i32 = env
        .sql()
        .value("SELECT leader_epoch FROM kafka.cluster()")
        .parse()
        .unwrap();
    let fenced = FetchOne {
        leader_epoch: epoch - 1,
        ..FetchOne::new("fetches", 0)
    };
    assert_eq!(fenced.ask(&mut raw).error_code, code::FENCED_LEADER_EPOCH);
    let ahead = FetchOne {
        leader_epoch: epoch + 1,
        ..FetchOne::new("fetches", 0)
    };
    assert_eq!(ahead.ask(&mut raw).error_code, code::UNKNOWN_LEADER_EPOCH);
    let current = FetchOne {
        leader_epoch: epoch,
        ..FetchOne::new("fetches", 0)
    };
    assert_eq!(current.ask(&mut raw).error_code, code::NONE);
}

#[test]
fn fetch_sessions_are_not_made() {
    let env = Env::shared();
    env.create_topic("sessions", 1);
    let mut raw = env.raw();
    // Asks for a session: full answer, none given.
    let new = FetchOne {
        session: (0, 0),
        ..FetchOne::new("sessions", 0)
    };
    let response = raw.call(12, &new.request());
    assert_eq!((response.error_code, response.session_id), (0, 0));
    assert_eq!(response.responses[0].partitions.len(), 1);
    let continued = FetchOne {
        session: (77, 3),
        ..FetchOne::new("sessions", 0)
    };
    let response = raw.call(12, &continued.request());
    assert_eq!(response.error_code, code::FETCH_SESSION_ID_NOT_FOUND);
    assert!(response.responses.is_empty());
}

#[test]
fn a_record_larger_than_the_limits_is_still_delivered() {
    let env = Env::shared();
    env.create_topic("large", 1);
    let mut raw = env.raw();
    let value = "x".repeat(600_000);
    raw.produce("large", -1, &[(0, batch(&[&value]))]);
    let small = FetchOne {
        partition_max_bytes: 100,
        ..FetchOne::new("large", 0)
    };
    let mut request = small.request();
    request.max_bytes = 50;
    let response = raw.call(12, &request);
    assert!(records(&response.responses[0].partitions[0]).len() > 600_000);
}

#[test]
fn fetch_by_topic_id() {
    let env = Env::shared();
    env.create_topic("by-id", 1);
    let mut raw = env.raw();
    let asked = MetadataRequestTopic::default().with_name(Some(name("by-id")));
    let metadata = raw.call(
        12,
        &MetadataRequest::default().with_topics(Some(vec![asked])),
    );
    let id = metadata.topics[0].topic_id;
    assert!(!id.is_nil());
    let request = |id: Uuid, max_wait_ms| {
        let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default()
            .with_topic_id(id)
            .with_partitions(vec![partition]);
        FetchRequest::default()
            .with_max_wait_ms(max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_topics(vec![topic])
    };
    // Parked, then woken by a produce by name.
    raw.send(17, &request(id, 20_000));
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    env.raw().produce("by-id", -1, &[(0, batch(&["woken"]))]);
    let (_, response) = raw.receive_response::<FetchRequest>(17);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(response.responses[0].topic_id, id);
    assert!(!records(&response.responses[0].partitions[0]).is_empty());
    let unknown = raw.call(13, &request(Uuid::from_u128(5), 20_000));
    assert_eq!(
        unknown.responses[0].partitions[0].error_code,
        code::UNKNOWN_TOPIC_ID
    );
    // Produce by id, since version 13.
    let mut produce = produce_request("", -1, &[(0, batch(&["by id"]))]);
    produce.topic_data[0].name = TopicName::default();
    produce.topic_data[0].topic_id = id;
    let produced = raw.call(13, &produce);
    assert_eq!(produced.responses[0].topic_id, id);
    assert_eq!(produced.responses[0].partition_responses[0].base_offset, 1);
    produce.topic_data[0].topic_id = Uuid::from_u128(5);
    let produced = raw.call(13, &produce);
    assert_eq!(
        produced.responses[0].partition_responses[0].error_code,
        code::UNKNOWN_TOPIC_ID
    );
}

fn list(raw: &mut Raw, version: i16, topic: &str, asked: &[(i32, i64)]) -> Vec<(i16, i64, i64)> {
    let partitions = asked.iter().map(|(partition, timestamp)| {
        ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_timestamp(*timestamp)
    });
    let topic = ListOffsetsTopic::default()
        .with_name(name(topic))
        .with_partitions(partitions.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let response = raw.call(version, &request);
    let partitions = response.topics[0].partitions.iter();
    partitions
        .map(|p| (p.error_code, p.offset, p.timestamp))
        .collect()
}

#[test]
fn list_offsets_answers() {
    let env = Env::shared();
    env.create_topic("listed", 2);
    let mut raw = env.raw();
    raw.produce("listed", -1, &[(0, batch(&["a", "b"]))]);
    let time = 1_700_000_000_000;
    assert_eq!(
        list(&mut raw, 1, "listed", &[(0, -1), (1, -1)]),
        [(0, 2, -1), (0, 0, -1)]
    );
    assert_eq!(list(&mut raw, 10, "listed", &[(0, -2)]), [(0, 0, -1)]);
    assert_eq!(list(&mut raw, 7, "listed", &[(0, time)]), [(0, 0, time)]);
    assert_eq!(list(&mut raw, 7, "listed", &[(0, time + 1)]), [(0, -1, -1)]);
    let newest = list(&mut raw, 7, "listed", &[(0, -3)]);
    assert_eq!((newest[0].0, newest[0].2), (0, time));
    assert_eq!(
        list(&mut raw, 6, "listed", &[(0, -3)])[0].0,
        code::UNSUPPORTED_VERSION
    );
    let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(list(&mut raw, 5, "listed", &[(2, -1)])[0].0, unknown);
    assert_eq!(list(&mut raw, 5, "no-such-topic", &[(0, -1)])[0].0, unknown);
    let twice = list(&mut raw, 5, "listed", &[(0, -1), (1, -1), (0, -2)]);
    let codes: Vec<_> = twice.iter().map(|p| p.0).collect();
    assert_eq!(codes, [code::INVALID_REQUEST, 0, code::INVALID_REQUEST]);
}

#[test]
fn metadata_answers() {
    let env = Env::shared();
    env.create_topic("described", 3);
    let mut raw = env.raw();
    let ask = |raw: &mut Raw, version, topic: MetadataRequestTopic, create| {
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(create);
        raw.call(version, &request)
    };
    let by_name = |topic: &str| MetadataRequestTopic::default().with_name(Some(name(topic)));
    for version in 1..=13 {
        let create = version < 4;
        let response = ask(&mut raw, version, by_name("described"), create);
        let topic = &response.topics[0];
        assert_eq!(
            (topic.error_code, topic.partitions.len()),
            (0, 3),
            "{version}"
        );
        assert_eq!(*topic.partitions[2].leader_id, 1);
        let broker = &response.brokers[0];
        assert_eq!(
            format!("{}:{}", broker.host, broker.port),
            env.listener.address
        );
    }
    let topic = ask(&mut raw, 12, by_name("not-there"), false)
        .topics
        .remove(0);
    assert_eq!(topic.error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = ask(&mut raw, 12, by_name("made on the way"), true)
        .topics
        .remove(0);
    assert_eq!(topic.error_code, code::INVALID_TOPIC_EXCEPTION);
    assert_eq!(**topic.name.as_ref().unwrap(), *"made on the way");
    let topic = ask(&mut raw, 12, by_name("made-on-the-way"), true)
        .topics
        .remove(0);
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 1));
    let by_id = MetadataRequestTopic::default()
        .with_topic_id(topic.topic_id)
        .with_name(None);
    let found = ask(&mut raw, 12, by_id, false).topics.remove(0);
    assert_eq!(found.name, Some(name("made-on-the-way")));
    let by_id = MetadataRequestTopic::default()
        .with_topic_id(Uuid::from_u128(9))
        .with_name(None);
    let missing = ask(&mut raw, 13, by_id.clone(), false).topics.remove(0);
    assert_eq!(
        (missing.error_code, missing.name),
        (code::UNKNOWN_TOPIC_ID, None)
    );
    let too_early = by_id.with_name(Some(name("x")));
    let refused = ask(&mut raw, 11, too_early, false).topics.remove(0);
    assert_eq!(refused.error_code, code::INVALID_REQUEST);
    let every = raw.call(9, &MetadataRequest::default().with_topics(None));
    assert!(
        every
            .topics
            .iter()
            .any(|topic| topic.name == Some(name("described")))
    );
    let none = raw.call(9, &MetadataRequest::default().with_topics(Some(vec![])));
    assert!(none.topics.is_empty());
    let every = raw.call(0, &MetadataRequest::default().with_topics(Some(vec![])));
    assert!(!every.topics.is_empty());
}

fn creatable(topic: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}

fn create(
    raw: &mut Raw,
    topics: Vec<CreatableTopic>,
    validate_only: bool,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
        .with_validate_only(validate_only);
    raw.call(7, &request).topics
}

#[test]
fn create_topics_answers() {
    let env = Env::shared();
    let mut raw = env.raw();
    let config = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("max.message.bytes"))
        .with_value(Some(StrBytes::from_static_str("5000")));
    let good = creatable("created", 3, 1).with_configs(vec![config.clone()]);
    let made = create(&mut raw, vec![good, creatable("by-default", -1, -1)], false);
    assert_eq!(
        (made[0].error_code, made[0].num_partitions),
        (0, 3),
        "{:?}",
        made[0]
    );
    assert_eq!(made[0].configs.as_ref().unwrap()[0].name, config.name);
    assert!(!made[0].topic_id.is_nil());
    assert_eq!((made[1].error_code, made[1].num_partitions), (0, 1));
    let started = Instant::now();
    let assigned = creatable("assigned", -1, -1).with_assignments(vec![
        CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1)]),
    ]);
    let bad_config = creatable("configured", 1, 1).with_configs(vec![
        config.with_name(StrBytes::from_static_str("no.such.config")),
    ]);
    let refused = create(
        &mut raw,
        vec![
            creatable("created", 1, 1),
            creatable("huge", i32::MAX, 1),
            creatable("none", 0, 1),
            creatable("replicated", 1, 3),
            assigned,
            bad_config,
            creatable("twice", 1, 1),
            creatable("twice", 1, 1),
            creatable("no good name", 1, 1),
        ],
        false,
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "refused at once"
    );
    let codes: Vec<_> = refused.iter().map(|topic| topic.error_code).collect();
    assert_eq!(
        codes,
        [
            code::TOPIC_ALREADY_EXISTS,
            code::INVALID_PARTITIONS,
            code::INVALID_PARTITIONS,
            code::INVALID_REPLICATION_FACTOR,
            code::INVALID_REPLICA_ASSIGNMENT,
            code::INVALID_CONFIG,
            code::INVALID_REQUEST,
            code::INVALID_REQUEST,
            code::INVALID_TOPIC_EXCEPTION,
        ]
    );
    assert!(refused.iter().all(|topic| topic.error_message.is_some()));
    assert!(refused[1].error_message.as_ref().unwrap().contains("10000"));
    let validated = create(&mut raw, vec![creatable("validated", 2, 1)], true);
    assert_eq!(
        (validated[0].error_code, validated[0].num_partitions),
        (0, 2)
    );
    let topics = env
        .sql()
        .value("SELECT count(*) FROM kafka.topics WHERE topic = 'validated'");
    assert_eq!(topics, "0");
}

#[test]
fn delete_and_grow_topics() {
    use kafka_protocol::messages::create_partitions_request::{
        CreatePartitionsAssignment, CreatePartitionsTopic,
    };
    use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
    use kafka_protocol::messages::{CreatePartitionsRequest, DeleteTopicsRequest};

    let env = Env::shared();
    let mut raw = env.raw();
    let made = create(
        &mut raw,
        vec![
            creatable("grown", 1, 1),
            creatable("gone", 1, 1),
            creatable("gone-too", 1, 1),
        ],
        false,
    );
    let grow = |count: i32| {
        CreatePartitionsTopic::default()
            .with_name(name("grown"))
            .with_count(count)
            .with_assignments(None)
    };
    let mut ask = |topic: CreatePartitionsTopic, validate_only| {
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(1000)
            .with_validate_only(validate_only);
        raw.call(3, &request).results[0].error_code
    };
    assert_eq!(ask(grow(5), true), code::NONE);
    assert_eq!(ask(grow(1), false), code::INVALID_PARTITIONS);
    assert_eq!(ask(grow(4), false), code::NONE);
    assert_eq!(ask(grow(2), false), code::INVALID_PARTITIONS);
    let assigned = grow(6).with_assignments(Some(vec![CreatePartitionsAssignment::default()]));
    assert_eq!(ask(assigned, false), code::INVALID_REPLICA_ASSIGNMENT);
    let partitions = env
        .sql()
        .value("SELECT partitions FROM kafka.topics WHERE topic = 'grown'");
    assert_eq!(partitions, "4");

    let by_name = DeleteTopicsRequest::default()
        .with_topic_names(vec![name("gone"), name("never-there")])
        .with_timeout_ms(1000);
    let deleted = raw.call(5, &by_name).responses;
    let codes: Vec<_> = deleted.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [code::NONE, code::UNKNOWN_TOPIC_OR_PARTITION]);
    let state = |id: Uuid| {
        DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(id)
    };
    let both = state(made[0].topic_id).with_name(Some(name("grown")));
    let by_id = DeleteTopicsRequest::default()
        .with_topics(vec![
            state(made[2].topic_id),
            state(Uuid::from_u128(3)),
            both,
        ])
        .with_timeout_ms(1000);
    let deleted = raw.call(6, &by_id).responses;
    let codes: Vec<_> = deleted.iter().map(|topic| topic.error_code).collect();
    assert_eq!(
        codes,
        [code::NONE, code::UNKNOWN_TOPIC_ID, code::INVALID_REQUEST]
    );
    assert_eq!(deleted[0].name, Some(name("gone-too")));
}

#[test]
fn coordinators_and_cluster() {
    let env = Env::shared();
    let mut raw = env.raw();
    for version in 0..=3 {
        let request =
            FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("group"));
        let found = raw.call(version, &request);
        assert_eq!((found.error_code, *found.node_id), (0, 1));
        assert_eq!(
            format!("{}:{}", found.host, found.port),
            env.listener.address
        );
    }
    for version in 4..=6 {
        for (key_type, expected) in [(0, 0), (1, 0), (2, code::INVALID_REQUEST)] {
            let request = FindCoordinatorRequest::default()
                .with_key_type(key_type)
                .with_coordinator_keys(vec![
                    StrBytes::from_static_str("a"),
                    StrBytes::from_static_str("b"),
                ]);
            let found = raw.call(version, &request);
            assert_eq!(found.coordinators.len(), 2);
            assert!(found.coordinators.iter().all(|c| c.error_code == expected));
        }
    }
    let cluster = raw.call(1, &DescribeClusterRequest::default().with_endpoint_type(1));
    assert_eq!((cluster.error_code, cluster.brokers.len()), (0, 1));
    let id = env.sql().value("SELECT cluster_id FROM kafka.cluster()");
    assert_eq!(*cluster.cluster_id, *id);
    let controllers = raw.call(1, &DescribeClusterRequest::default().with_endpoint_type(2));
    assert_eq!(controllers.error_code, code::MISMATCHED_ENDPOINT_TYPE);
    let transactional = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("tx"))));
    let refused = raw.call(4, &transactional);
    assert_eq!(
        (refused.error_code, *refused.producer_id),
        (code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, -1)
    );
}
