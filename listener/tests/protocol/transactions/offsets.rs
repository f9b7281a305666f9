//! Offsets that are committed in transactions.

use kafka_core::code;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{OffsetFetchRequest, ProducerId, TxnOffsetCommitRequest};

use super::{NEW, OLD, Producer, Versions, transactional_id};
use crate::common::{Env, Raw, name};
use crate::groups::{group, words};
use crate::requests::{frame_of, topic_ids};

fn commit_request(
    producer: &Producer,
    version: i16,
    group_id: &str,
    commits: &[(&str, i32, i64)],
) -> TxnOffsetCommitRequest {
    let topics = commits.iter().map(|(topic, partition, offset)| {
        let mut partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(words("größe")));
        if version >= 2 {
            partition.committed_leader_epoch = 1;
        }
        TxnOffsetCommitRequestTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![partition])
    });
    TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id(&producer.transactional_id))
        .with_group_id(group(group_id))
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.epoch)
        .with_topics(topics.collect())
}

fn call(raw: &mut Raw, version: i16, request: &TxnOffsetCommitRequest) -> Vec<i16> {
    let response = raw.call(version, request);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|p| p.error_code).collect()
}

pub(super) fn commit(
    producer: &Producer,
    raw: &mut Raw,
    version: i16,
    group_id: &str,
    commits: &[(&str, i32, i64)],
) -> Vec<i16> {
    let request = commit_request(producer, version, group_id, commits);
    call(raw, version, &request)
}

/// Error code and offset of partition 0 in versions 7 to 9, which have to say the same.
fn offset(raw: &mut Raw, group_id: &str, topic: &str, require_stable: bool) -> (i16, i64) {
    let asked = OffsetFetchRequestTopic::default()
        .with_name(name(topic))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group(group_id))
        .with_topics(Some(vec![asked]))
        .with_require_stable(require_stable);
    let response = raw.call(7, &request);
    assert_eq!(response.error_code, code::NONE);
    let found = &response.topics[0].partitions[0];
    let told = (found.error_code, found.committed_offset);
    if found.committed_offset < 0 {
        assert_eq!(found.committed_leader_epoch, -1);
        assert_eq!(found.metadata.as_deref(), Some(""));
    }
    let asked = OffsetFetchRequestTopics::default()
        .with_name(name(topic))
        .with_partition_indexes(vec![0]);
    for topics in [Some(vec![asked]), None] {
        let every = topics.is_none();
        let of_group = OffsetFetchRequestGroup::default()
            .with_group_id(group(group_id))
            .with_topics(topics);
        let request = OffsetFetchRequest::default()
            .with_groups(vec![of_group])
            .with_require_stable(require_stable);
        for version in 8..=9 {
            let response = raw.call(version, &request);
            let mut partitions = response.groups[0].topics.iter().flat_map(|t| &t.partitions);
            match partitions.next() {
                Some(found) => assert_eq!((found.error_code, found.committed_offset), told),
                // Among all there are those that have been committed.
                None => assert!(every && told.1 == -1),
            }
        }
    }
    told
}

fn commit_and_abort(env: &Env, topic: &str, versions: Versions) {
    env.create_topic(topic, 1);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, versions, topic);
    let group_id = topic;
    let send = |producer: &Producer, raw: &mut Raw, offset| {
        if !versions.is_new() {
            let added = producer.add_offsets(raw, versions.add_offsets, group_id);
            assert_eq!(added, code::NONE);
        }
        let commits = [(topic, 0, offset), ("no-such-topic", 0, 1), (topic, 1, 1)];
        let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(
            commit(producer, raw, versions.commit, group_id, &commits),
            [code::NONE, unknown, unknown]
        );
    };
    let unstable = (code::UNSTABLE_OFFSET_COMMIT, -1);
    send(&producer, &mut raw, 5);
    assert_eq!(offset(&mut raw, group_id, topic, true), unstable);
    assert_eq!(offset(&mut raw, group_id, topic, false), (0, -1));
    producer.end(&mut raw, true);
    assert_eq!(offset(&mut raw, group_id, topic, true), (0, 5));
    send(&producer, &mut raw, 9);
    // The later of two is it.
    send(&producer, &mut raw, 8);
    assert_eq!(offset(&mut raw, group_id, topic, true), unstable);
    assert_eq!(offset(&mut raw, group_id, topic, false), (0, 5));
    producer.end(&mut raw, false);
    assert_eq!(offset(&mut raw, group_id, topic, true), (0, 5));
    let metadata = env.sql().value(&format!(
        "SELECT metadata FROM kafka.consumer_offsets WHERE group_id = '{group_id}'"
    ));
    assert_eq!(metadata, "größe");
}

#[test]
fn offsets_hold_when_their_transaction_commits_in_every_version() {
    let env = Env::shared();
    for version in 0..=4 {
        let versions = Versions {
            add_offsets: version,
            commit: version,
            ..OLD
        };
        commit_and_abort(&env, &format!("txn-offsets-{version}"), versions);
    }
    commit_and_abort(&env, "txn-offsets-5", NEW);
}

#[test]
fn unstable_offsets_are_told_by_topic_id() {
    let env = Env::shared();
    env.create_topic("txn-by-id", 1);
    let mut raw = env.raw();
    let producer = Producer::new(&mut raw, NEW, "txn-by-id");
    commit(&producer, &mut raw, 5, "txn-by-id", &[("txn-by-id", 0, 3)]);
    let id = "SELECT topic_id FROM kafka.topics WHERE topic = 'txn-by-id'";
    let id = env.sql().value(id).parse().unwrap();
    for (require_stable, told) in [(true, code::UNSTABLE_OFFSET_COMMIT), (false, code::NONE)] {
        let topic = OffsetFetchRequestTopics::default().with_partition_indexes(vec![0]);
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group("txn-by-id"))
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default()
            .with_groups(vec![asked])
            .with_require_stable(require_stable);
        let body = topic_ids::encode_fetch(&request, &[id]);
        raw.send_frame(&frame_of(9, 10, true, 6, &body));
        let (_, response) = raw.receive_response::<OffsetFetchRequest>(10);
        let found = &response.groups[0].topics[0].partitions[0];
        assert_eq!((found.error_code, found.committed_offset), (told, -1));
    }
}

#[test]
fn a_group_is_part_of_the_transaction_or_becomes_it() {
    let env = Env::shared();
    env.create_topic("txn-group", 1);
    let mut raw = env.raw();
    let old = Producer::new(&mut raw, OLD, "txn-group");
    let commits = [("txn-group", 0, 1)];
    for version in 0..=4 {
        let told = commit(&old, &mut raw, version, "txn-group", &commits);
        let expected = if version < 4 {
            code::INVALID_TXN_STATE
        } else {
            code::TRANSACTION_ABORTABLE
        };
        assert_eq!(told, [expected], "{version}");
    }
    let told = commit(&old, &mut raw, 5, "txn-group", &commits);
    assert_eq!(told, [code::NONE]);
}

#[test]
fn members_that_have_lost_their_place_commit_nothing() {
    let env = Env::shared();
    env.create_topic("txn-members", 1);
    let mut raw = env.raw();
    let producer = Producer::new(&mut raw, NEW, "txn-members");
    let commits = [("txn-members", 0, 1)];
    let request = |group_id: &str, member_id: &str, generation| {
        commit_request(&producer, 5, group_id, &commits)
            .with_member_id(words(member_id))
            .with_generation_id(generation)
    };
    let joined = env
        .sql()
        .value("SELECT member_id FROM kafka.join_group('txn-members', ARRAY['txn-members'])");
    let generation = "SELECT generation_id FROM kafka.groups WHERE group_id = 'txn-members'";
    let generation: i32 = env.sql().value(generation).parse().unwrap();
    let mut told = |member_id: &str, generation| {
        call(&mut raw, 5, &request("txn-members", member_id, generation))[0]
    };
    assert_eq!(told("stranger", generation), code::UNKNOWN_MEMBER_ID);
    assert_eq!(told("stra\0nger", generation), code::UNKNOWN_MEMBER_ID);
    let other = told(&joined, generation + 1);
    assert_eq!(other, code::ILLEGAL_GENERATION);
    let mut raw = env.raw();
    let told = call(&mut raw, 5, &request("txn-nobody", "m", 1));
    assert!(matches!(
        told[..],
        [code::ILLEGAL_GENERATION | code::UNKNOWN_MEMBER_ID]
    ));
    for bad in ["", "g\0"] {
        let told = call(&mut raw, 5, &request(bad, "", -1));
        assert_eq!(told, [code::INVALID_GROUP_ID]);
    }
    let mut damaged = request("txn-members", "", -1);
    damaged.topics[0].partitions[0].committed_metadata = Some(words("a\0"));
    assert_eq!(call(&mut raw, 5, &damaged), [code::INVALID_REQUEST]);
    damaged.topics[0].partitions[0].committed_metadata = Some(words(&"x".repeat(5000)));
    let told = call(&mut raw, 5, &damaged);
    assert_eq!(told, [code::OFFSET_METADATA_TOO_LARGE]);
    damaged.topics.clear();
    assert!(call(&mut raw, 5, &damaged).is_empty());
}
