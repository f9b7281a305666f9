//! Offsets of groups.

use kafka_core::code;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

use crate::common::{Env, Raw, name};
use crate::groups::{group, words};

/// Commits partition by partition (topic, partition, offset, metadata).
fn commit(
    raw: &mut Raw,
    version: i16,
    group_id: &str,
    commits: &[(&str, i32, i64, Option<&str>)],
) -> Vec<i16> {
    let topics = commits.iter().map(|(topic, partition, offset, metadata)| {
        let mut partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(metadata.map(words));
        if version >= 6 {
            partition.committed_leader_epoch = 1;
        }
        OffsetCommitRequestTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![partition])
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group(group_id))
        .with_topics(topics.collect());
    let response = raw.call(version, &request);
    let topics = response.topics.into_iter();
    topics.map(|topic| topic.partitions[0].error_code).collect()
}

/// Offset and metadata, by topic and partition.
type Offsets = Vec<(String, i32, i64, String)>;

/// `None`: all that was committed.
fn fetch(raw: &mut Raw, version: i16, group_id: &str, asked: Option<&[(&str, i32)]>) -> Offsets {
    if version >= 8 {
        return fetch_groups(raw, version, &[group_id], asked).remove(0);
    }
    let topics = asked.map(|asked| {
        let topics = asked.iter().map(|(topic, partition)| {
            OffsetFetchRequestTopic::default()
                .with_name(name(topic))
                .with_partition_indexes(vec![*partition])
        });
        topics.collect()
    });
    let request = OffsetFetchRequest::default()
        .with_group_id(group(group_id))
        .with_topics(topics);
    let response = raw.call(version, &request);
    assert_eq!(response.error_code, code::NONE);
    let topics = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| {
            assert_eq!(p.error_code, code::NONE);
            let metadata = p.metadata.as_ref().unwrap().to_string();
            (
                topic.name.to_string(),
                p.partition_index,
                p.committed_offset,
                metadata,
            )
        })
    });
    topics.collect()
}

fn fetch_groups(
    raw: &mut Raw,
    version: i16,
    group_ids: &[&str],
    asked: Option<&[(&str, i32)]>,
) -> Vec<Offsets> {
    let groups = group_ids.iter().map(|group_id| {
        let topics = asked.map(|asked| {
            let topics = asked.iter().map(|(topic, partition)| {
                OffsetFetchRequestTopics::default()
                    .with_name(name(topic))
                    .with_partition_indexes(vec![*partition])
            });
            topics.collect()
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(group(group_id))
            .with_topics(topics)
    });
    let request = OffsetFetchRequest::default()
        .with_groups(groups.collect())
        .with_require_stable(true);
    let response = raw.call(version, &request);
    let groups = response.groups.iter().zip(group_ids).map(|(found, asked)| {
        assert_eq!((found.error_code, &**found.group_id), (code::NONE, *asked));
        let topics = found.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                assert_eq!(p.error_code, code::NONE);
                let metadata = p.metadata.as_ref().unwrap().to_string();
                (
                    topic.name.to_string(),
                    p.partition_index,
                    p.committed_offset,
                    metadata,
                )
            })
        });
        topics.collect()
    });
    groups.collect()
}

fn found(topic: &str, partition: i32, offset: i64, metadata: &str) -> (String, i32, i64, String) {
    (topic.to_owned(), partition, offset, metadata.to_owned())
}

#[test]
fn offsets_are_committed_and_fetched_in_every_version() {
    let env = Env::shared();
    env.create_topic("committed", 2);
    let mut raw = env.raw();
    for version in 2..=9 {
        let offset = i64::from(version) * 10;
        let commits = [
            ("committed", 0, offset, Some("größe\n")),
            ("committed", 1, offset + 1, None),
            ("committed", 2, 0, None),
            ("no-such-topic", 0, 0, None),
            ("n\0t a topic", 0, 0, None),
        ];
        let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(
            commit(&mut raw, version, "commits", &commits),
            [0, 0, unknown, unknown, unknown]
        );
        let first = found("committed", 0, offset, "größe\n");
        // Null comes back as empty.
        let second = found("committed", 1, offset + 1, "");
        for version in 1..=9 {
            let asked = [("committed", 1), ("committed", 0), ("no-such-topic", 7)];
            assert_eq!(
                fetch(&mut raw, version, "commits", Some(&asked)),
                [
                    second.clone(),
                    first.clone(),
                    found("no-such-topic", 7, -1, "")
                ]
            );
            if version >= 2 {
                let mut all = fetch(&mut raw, version, "commits", None);
                all.sort();
                assert_eq!(all, [first.clone(), second.clone()]);
            }
        }
    }
    let other = fetch(&mut raw, 7, "no-such-group", Some(&[("committed", 0)]));
    assert_eq!(other, [found("committed", 0, -1, "")]);
    assert_eq!(fetch(&mut raw, 7, "no-such-group", None), []);
}

#[test]
fn groups_do_not_share_offsets() {
    let env = Env::shared();
    env.create_topic("shared", 1);
    let mut raw = env.raw();
    let groups = ["gr\u{f6}", "gr\u{fc}", "gr??"];
    for (group_id, offset) in groups.iter().zip(1..) {
        let commits = [("shared", 0, offset, None)];
        assert_eq!(commit(&mut raw, 9, group_id, &commits), [code::NONE]);
    }
    let all = fetch_groups(&mut raw, 9, &groups, Some(&[("shared", 0)]));
    let expected: Vec<_> = (1..=3)
        .map(|offset| vec![found("shared", 0, offset, "")])
        .collect();
    assert_eq!(all, expected);
}

#[test]
fn who_is_no_member_may_not_commit_as_one() {
    let env = Env::shared();
    env.create_topic("member", 1);
    let mut raw = env.raw();
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(name("member"))
        .with_partitions(vec![partition]);
    let request = |group_id: &str, member_id: &str| {
        OffsetCommitRequest::default()
            .with_group_id(group(group_id))
            .with_member_id(words(member_id))
            .with_generation_id_or_member_epoch(1)
            .with_topics(vec![topic.clone()])
    };
    let mut code_of = |group_id: &str, member_id: &str| {
        let response = raw.call(8, &request(group_id, member_id));
        response.topics[0].partitions[0].error_code
    };
    // Either has a client join again.
    assert!(matches!(
        code_of("no-such-group", "m"),
        code::ILLEGAL_GENERATION | code::UNKNOWN_MEMBER_ID
    ));
    assert_eq!(code_of("no-such-group", "m\0"), code::UNKNOWN_MEMBER_ID);
    assert_eq!(code_of("a\0b", "m"), code::INVALID_GROUP_ID);
}

#[test]
fn an_impossible_group_is_told_where_the_version_has_room_for_it() {
    let env = Env::shared();
    let mut raw = env.raw();
    let topic = OffsetFetchRequestTopic::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0, 1]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group("a\0b"))
        .with_topics(Some(vec![topic]));
    let old = raw.call(1, &request);
    let codes = old.topics[0].partitions.iter().map(|p| p.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [code::INVALID_GROUP_ID; 2]);
    let new = raw.call(5, &request);
    assert_eq!(
        (new.error_code, new.topics.len()),
        (code::INVALID_GROUP_ID, 0)
    );
}

#[test]
fn offsets_are_deleted() {
    let env = Env::shared();
    env.create_topic("forgotten", 2);
    let mut raw = env.raw();
    let commits = [("forgotten", 0, 5, None), ("forgotten", 1, 6, None)];
    assert_eq!(commit(&mut raw, 8, "forgetful", &commits), [0, 0]);
    let request = |group_id: &str, topic: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(1);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![partition]);
        OffsetDeleteRequest::default()
            .with_group_id(group(group_id))
            .with_topics(vec![topic])
    };
    let deleted = raw.call(0, &request("forgetful", "forgotten"));
    assert_eq!(deleted.error_code, code::NONE);
    assert_eq!(deleted.topics[0].partitions[0].error_code, code::NONE);
    let left = fetch(&mut raw, 7, "forgetful", None);
    assert_eq!(left, [found("forgotten", 0, 5, "")]);
    let unknown = raw.call(0, &request("forgetful", "no-such-topic"));
    assert_eq!(
        unknown.topics[0].partitions[0].error_code,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    let unknown = raw.call(0, &request("no-such-group", "forgotten"));
    assert_eq!(unknown.error_code, code::GROUP_ID_NOT_FOUND);
    let empty = raw.call(0, &request("", "forgotten"));
    assert_eq!(empty.error_code, code::INVALID_GROUP_ID);
}
