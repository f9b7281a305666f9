//! Topic names, numbers of partitions and configuration.

use kafka_core::topic::{MAX_PARTITIONS, topic_config_names};
use kafka_core::{
    Codec, CompressionType, KafkaError, TimestampType, code, parse_topic_config,
    validate_partitions, validate_topic_name,
};

#[test]
fn names_follow_kafkas_rules() {
    let longest = "x".repeat(249);
    for name in [
        "a",
        "orders",
        "a.b_c-D9",
        "...",
        "-",
        "__consumer_offsets",
        &longest,
    ] {
        validate_topic_name(name).unwrap();
    }
    let too_long = "x".repeat(250);
    let bad = [
        "", ".", "..", "a b", "a/b", "ü", "a\0", "a\n", "a:b", &too_long,
    ];
    for name in bad {
        let error = validate_topic_name(name).unwrap_err();
        assert_eq!(error.code(), code::INVALID_TOPIC_EXCEPTION, "{name:?}");
        assert!(error.to_string().len() < 200);
    }
}

#[test]
fn partitions_are_limited_at_once() {
    validate_partitions(1).unwrap();
    validate_partitions(MAX_PARTITIONS).unwrap();
    for partitions in [i32::MIN, -1, 0, MAX_PARTITIONS + 1, i32::MAX] {
        let error = validate_partitions(partitions).unwrap_err();
        assert_eq!(error.code(), code::INVALID_PARTITIONS, "{partitions}");
    }
    let message = validate_partitions(i32::MAX).unwrap_err().to_string();
    assert!(message.contains("at most 10000"), "{message}");
}

/// Each line of the table: name, value, and whether Kafka's `LogConfig` takes it.
#[test]
fn configuration_values_are_kafkas() {
    let mut lines = 0;
    for line in include_str!("golden/java_topic_configs.txt").lines() {
        let tokens: Vec<_> = line.split('|').collect();
        let answer = parse_topic_config(&[(tokens[0], Some(tokens[1]))]);
        assert_eq!(answer.is_ok(), tokens[2] == "ok", "{line}");
        lines += 1;
    }
    assert_eq!(lines, 568);
    for name in topic_config_names() {
        let known = format!("\n{name}|");
        let table = include_str!("golden/java_topic_configs.txt");
        let only_here = name == "remote.storage.enable";
        assert!(only_here || format!("\n{table}").contains(&known), "{name}");
    }
}

#[test]
fn configuration_is_read_and_kept() {
    let config = parse_topic_config(&[
        ("compression.type", Some("zstd")),
        ("max.message.bytes", Some(" 1000 ")),
        ("message.timestamp.type", Some("LogAppendTime")),
        ("retention.ms", Some("86400000")),
        ("cleanup.policy", Some("compact, delete")),
    ])
    .unwrap();
    assert_eq!(
        config.compression_type,
        Some(CompressionType::Codec(Codec::Zstd))
    );
    assert_eq!(config.max_message_bytes, Some(1000));
    assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.entries["retention.ms"], "86400000");
    assert_eq!(config.entries["max.message.bytes"], "1000");
    assert_eq!(config.entries.len(), 5);
}

#[test]
fn without_configuration_the_servers_settings_count() {
    let config = parse_topic_config(&[]).unwrap();
    assert_eq!(config.compression_type, None);
    assert_eq!(config.max_message_bytes, None);
    assert_eq!(config.message_timestamp_type, TimestampType::CreateTime);
}

#[test]
fn configuration_that_cannot_be_is_refused_by_name() {
    let refused: [&[(&str, Option<&str>)]; 4] = [
        &[("no.such.config", Some("1"))],
        &[("retention.ms", None)],
        &[("remote.storage.enable", Some("true"))],
        &[
            ("min.compaction.lag.ms", Some("10")),
            ("max.compaction.lag.ms", Some("5")),
        ],
    ];
    for entries in refused {
        match parse_topic_config(entries).unwrap_err() {
            KafkaError::InvalidConfig { name, .. } => assert_eq!(name, entries[0].0),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn compression_types_have_kafkas_names() {
    for name in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        assert_eq!(name.parse::<CompressionType>().unwrap().to_string(), name);
    }
    assert_eq!(
        "none".parse::<CompressionType>().unwrap(),
        CompressionType::Codec(Codec::None)
    );
    assert!("lzma".parse::<CompressionType>().is_err());
}
