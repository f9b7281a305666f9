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
use uuid::Uuid;

use crate::common::{Env, Raw, name};
use crate::groups::{group, words};
use crate::requests::{frame_of, topic_ids};

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

/// Commits in version 10, in one request (topic id, partition, offset).
fn commit_by_id(
    raw: &mut Raw,
    request: OffsetCommitRequest,
    commits: &[(Uuid, i32, i64)],
) -> Vec<i16> {
    let topics = commits.iter().map(|(_, partition, offset)| {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(1)
            .with_committed_metadata(Some(words("by id")));
        OffsetCommitRequestTopic::default().with_partitions(vec![partition])
    });
    let ids: Vec<Uuid> = commits.iter().map(|(id, ..)| *id).collect();
    let body = topic_ids::encode_commit(&request.with_topics(topics.collect()), &ids);
    raw.send_frame(&frame_of(8, 10, true, 5, &body));
    let (_, response) = raw.receive_response::<OffsetCommitRequest>(10);
    let told = response.topics.iter().zip(commits).map(|(topic, asked)| {
        let partition = &topic.partitions[0];
        assert_eq!(
            (topic.topic_id, partition.partition_index),
            (asked.0, asked.1)
        );
        partition.error_code
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), commits.len());
    told
}

/// Topic id, partition, offset, error code.
type ById = Vec<(Uuid, i32, i64, i16)>;

/// A group, and topic ids and partitions.
type AskedById<'a> = (&'a str, Option<&'a [(Uuid, i32)]>);

/// Fetches in version 10, all of it where topics are `None`: the error of each group, or
/// what is found.
fn fetch_by_id(raw: &mut Raw, asked: &[AskedById<'_>]) -> Vec<Result<ById, i16>> {
    let groups = asked.iter().map(|(group_id, topics)| {
        let topics = topics.map(|topics| {
            let topics = topics.iter().map(|(_, partition)| {
                OffsetFetchRequestTopics::default().with_partition_indexes(vec![*partition])
            });
            topics.collect()
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(group(group_id))
            .with_topics(topics)
    });
    let request = OffsetFetchRequest::default().with_groups(groups.collect());
    let ids = asked.iter().filter_map(|(_, topics)| *topics);
    let ids: Vec<Uuid> = ids.flatten().map(|(id, _)| *id).collect();
    let body = topic_ids::encode_fetch(&request, &ids);
    raw.send_frame(&frame_of(9, 10, true, 6, &body));
    let (_, response) = raw.receive_response::<OffsetFetchRequest>(10);
    let groups = response.groups.iter().zip(asked).map(|(found, asked)| {
        assert_eq!(&**found.group_id, asked.0);
        if found.error_code != code::NONE {
            return Err(found.error_code);
        }
        let topics = found.topics.iter().flat_map(|topic| {
            let id = topic.topic_id;
            let partitions = topic.partitions.iter();
            partitions.map(move |p| (id, p.partition_index, p.committed_offset, p.error_code))
        });
        Ok(topics.collect())
    });
    groups.collect()
}

fn topic_id(env: &Env, topic: &str) -> Uuid {
    let id = format!("SELECT topic_id FROM kafka.topics WHERE topic = '{topic}'");
    env.sql().value(&id).parse().unwrap()
}

fn nobody(group_id: &str) -> OffsetCommitRequest {
    OffsetCommitRequest::default().with_group_id(group(group_id))
}

#[test]
fn offsets_are_committed_and_fetched_by_topic_id() {
    let env = Env::shared();
    let mut raw = env.raw();
    let ids = ["by-id", "by-id-too"].map(|topic| {
        env.create_topic(topic, 2);
        topic_id(&env, topic)
    });
    let stranger = Uuid::from_u128(5);
    let commits = [
        (ids[0], 1, 11),
        (stranger, 0, 1),
        (ids[1], 0, 20),
        (ids[1], 2, 1),
        (Uuid::nil(), 0, 1),
    ];
    assert_eq!(
        commit_by_id(&mut raw, nobody("ids"), &commits),
        [
            code::NONE,
            code::UNKNOWN_TOPIC_ID,
            code::NONE,
            code::UNKNOWN_TOPIC_OR_PARTITION,
            code::UNKNOWN_TOPIC_ID
        ]
    );
    // Names and ids lead to the same offsets.
    let named = [("by-id", 0, 10, None)];
    assert_eq!(commit(&mut raw, 9, "ids-by-name", &named), [code::NONE]);
    let mut all = fetch(&mut raw, 9, "ids", None);
    all.sort();
    assert_eq!(
        all,
        [
            found("by-id", 1, 11, "by id"),
            found("by-id-too", 0, 20, "by id")
        ]
    );
    let first = [(ids[1], 0), (ids[0], 1), (ids[0], 0), (stranger, 3)];
    let second = [(ids[0], 0), (ids[0], 7)];
    let groups: [AskedById<'_>; 5] = [
        ("ids", Some(&first)),
        ("a\0b", Some(&second)),
        ("ids-by-name", None),
        ("ids-by-name", Some(&second)),
        ("no-such-group", None),
    ];
    assert_eq!(
        fetch_by_id(&mut raw, &groups),
        [
            Ok(vec![
                (ids[1], 0, 20, code::NONE),
                (ids[0], 1, 11, code::NONE),
                (ids[0], 0, -1, code::NONE),
                (stranger, 3, -1, code::UNKNOWN_TOPIC_ID),
            ]),
            Err(code::INVALID_GROUP_ID),
            Ok(vec![(ids[0], 0, 10, code::NONE)]),
            Ok(vec![
                (ids[0], 0, 10, code::NONE),
                (ids[0], 7, -1, code::NONE)
            ]),
            Ok(vec![]),
        ]
    );
}

#[test]
fn a_topic_made_anew_has_nothing_committed_by_its_old_id() {
    let env = Env::shared();
    let mut raw = env.raw();
    env.create_topic("made-anew", 1);
    let old = topic_id(&env, "made-anew");
    let group_id = "anew";
    assert_eq!(
        commit_by_id(&mut raw, nobody(group_id), &[(old, 0, 3)]),
        [0]
    );
    env.sql().run("SELECT kafka.delete_topic('made-anew')");
    env.create_topic("made-anew", 1);
    let new = topic_id(&env, "made-anew");
    let unknown = code::UNKNOWN_TOPIC_ID;
    let commits = [(old, 0, 4), (new, 0, 1)];
    assert_eq!(
        commit_by_id(&mut raw, nobody(group_id), &commits),
        [unknown, 0]
    );
    let asked = [(old, 0), (new, 0)];
    assert_eq!(
        fetch_by_id(&mut raw, &[(group_id, Some(&asked)), (group_id, None)]),
        [
            Ok(vec![(old, 0, -1, unknown), (new, 0, 1, code::NONE)]),
            Ok(vec![(new, 0, 1, code::NONE)]),
        ]
    );
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
    // Each partition is told, whatever its topic is.
    let commits = [(topic_id(&env, "member"), 0, 1), (Uuid::from_u128(5), 0, 1)];
    let told = commit_by_id(&mut raw, request("no-such-group", "m\0"), &commits);
    assert_eq!(told, [code::UNKNOWN_MEMBER_ID; 2]);
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
