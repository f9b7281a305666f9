//! Metadata and the administration of topics.

use std::time::{Duration, Instant};

use kafka_core::code;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::common::{Env, Raw, batch, name};

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
fn records_are_deleted_up_to_an_offset() {
    use kafka_protocol::messages::DeleteRecordsRequest;
    use kafka_protocol::messages::delete_records_request::{
        DeleteRecordsPartition, DeleteRecordsTopic,
    };

    let env = Env::shared();
    env.create_topic("shortened", 2);
    let mut raw = env.raw();
    for _ in 0..4 {
        raw.produce("shortened", -1, &[(1, batch(&["a", "b", "c"]))]);
    }
    let mut ask = |version, asked: &[(&str, i32, i64)]| {
        let topics = asked.iter().map(|(topic, partition, offset)| {
            let partition = DeleteRecordsPartition::default()
                .with_partition_index(*partition)
                .with_offset(*offset);
            DeleteRecordsTopic::default()
                .with_name(name(topic))
                .with_partitions(vec![partition])
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(1000);
        let answered = raw.call(version, &request).topics.into_iter();
        let answered = answered
            .zip(asked)
            .map(|(answered, (topic, partition, _))| {
                let found = &answered.partitions[0];
                assert_eq!(
                    (answered.name, found.partition_index),
                    (name(topic), *partition)
                );
                (found.low_watermark, found.error_code)
            });
        answered.collect::<Vec<_>>()
    };
    // In the middle of a batch; what is deleted already stays so.
    assert_eq!(ask(0, &[("shortened", 1, 4)]), [(4, code::NONE)]);
    assert_eq!(ask(1, &[("shortened", 1, 2)]), [(4, code::NONE)]);
    let answers = ask(
        2,
        &[
            ("shortened", 1, 13),
            ("shortened", 1, -2),
            ("shortened", 0, 0),
            ("shortened", 2, 0),
            ("no-such-topic", 0, 0),
            ("\0", 0, 0),
            ("shortened", 1, 7),
        ],
    );
    let expected = [
        (-1, code::OFFSET_OUT_OF_RANGE),
        (-1, code::OFFSET_OUT_OF_RANGE),
        (0, code::NONE),
        (-1, code::UNKNOWN_TOPIC_OR_PARTITION),
        (-1, code::UNKNOWN_TOPIC_OR_PARTITION),
        (-1, code::UNKNOWN_TOPIC_OR_PARTITION),
        (7, code::NONE),
    ];
    assert_eq!(answers, expected);
    let left = "SELECT min(\"offset\"), count(*) FROM kafka.records('shortened')";
    let left = env.sql().rows(left);
    assert_eq!((left[0].get(0), left[0].get(1)), (Some("7"), Some("5")));
    // Up to the high watermark.
    assert_eq!(ask(2, &[("shortened", 1, -1)]), [(12, code::NONE)]);
    assert_eq!(env.stored("shortened"), 0);
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
}
