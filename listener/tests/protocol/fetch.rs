//! Fetch and `ListOffsets`.

use std::time::{Duration, Instant};

use kafka_core::code;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, FetchRequest, ListOffsetsRequest, MetadataRequest, TopicName,
};
use uuid::Uuid;

use crate::common::{Env, Raw, batch, name, produce_request};

/// A fetch of one partition, with everything there is to set.
pub(crate) struct FetchOne {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) max_wait_ms: i32,
    pub(crate) min_bytes: i32,
    pub(crate) partition_max_bytes: i32,
    pub(crate) isolation: i8,
    pub(crate) leader_epoch: i32,
    pub(crate) session: (i32, i32),
}

impl FetchOne {
    pub(crate) fn new(topic: &'static str, offset: i64) -> Self {
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

    pub(crate) fn request(&self) -> FetchRequest {
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

    pub(crate) fn ask(&self, raw: &mut Raw) -> PartitionData {
        let mut response = raw.call(12, &self.request());
        assert_eq!(response.error_code, code::NONE);
        response.responses.remove(0).partitions.remove(0)
    }
}

pub(crate) fn records(found: &PartitionData) -> &[u8] {
    found.records.as_deref().unwrap_or_default()
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
