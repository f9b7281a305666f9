//! Error numbers, and whether a client retries, are Kafka's.

use std::collections::HashMap;

use kafka_core::KafkaError;
use kafka_core::KafkaError as E;

/// Name to number and whether it is retriable.
fn kafkas() -> HashMap<&'static str, (i16, bool)> {
    include_str!("golden/java_error_codes.txt")
        .lines()
        .map(|line| {
            let tokens: Vec<_> = line.split(' ').collect();
            let code = tokens[1].parse().unwrap();
            (tokens[0], (code, tokens[2] == "true"))
        })
        .collect()
}

#[test]
fn every_constant_has_kafkas_number_and_none_is_missing() {
    let ours: HashMap<_, _> = include_str!("../../src/error/code.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const "))
        .filter_map(|line| line.strip_suffix(';')?.split_once(": i16 = "))
        .map(|(name, number)| (name, number.parse::<i16>().unwrap()))
        .collect();
    let kafkas: HashMap<_, _> = kafkas()
        .into_iter()
        .map(|(n, (code, _))| (n, code))
        .collect();
    assert_eq!(ours, kafkas);
}

fn examples() -> Vec<(&'static str, KafkaError)> {
    let reason = || "because".to_owned();
    let topic = || "orders".to_owned();
    let transactional_id = || "t".to_owned();
    let group = || "billing".to_owned();
    let member = || "m-1".to_owned();
    #[rustfmt::skip]
    let examples = vec![
        ("CORRUPT_MESSAGE", E::CorruptMessage { reason: reason() }),
        ("MESSAGE_TOO_LARGE", E::MessageTooLarge { size: 2, limit: 1 }),
        ("MESSAGE_TOO_LARGE", E::InflatedTooLarge { limit: 1 }),
        ("UNKNOWN_TOPIC_OR_PARTITION", E::UnknownTopicOrPartition { topic: topic(), partition: Some(3) }),
        ("UNKNOWN_TOPIC_ID", E::UnknownTopicId { topic_id: [0xab; 16] }),
        ("INVALID_TOPIC_EXCEPTION", E::InvalidTopic { topic: topic(), reason: reason() }),
        ("TOPIC_ALREADY_EXISTS", E::TopicAlreadyExists { topic: topic() }),
        ("INVALID_PARTITIONS", E::InvalidPartitions { partitions: 0, reason: reason() }),
        ("INVALID_CONFIG", E::InvalidConfig { name: "a".to_owned(), reason: reason() }),
        ("INVALID_REQUEST", E::InvalidRequest { reason: reason() }),
        ("OFFSET_OUT_OF_RANGE", E::OffsetOutOfRange { topic: topic(), partition: 0, offset: 9, log_start_offset: 0, high_watermark: 5 }),
        ("INVALID_REQUIRED_ACKS", E::InvalidRequiredAcks { acks: 2 }),
        ("UNSUPPORTED_COMPRESSION_TYPE", E::UnsupportedCompressionType { codec: 5 }),
        ("UNSUPPORTED_FOR_MESSAGE_FORMAT", E::UnsupportedForMessageFormat { magic: 1 }),
        ("INVALID_RECORD", E::InvalidRecord { reason: reason() }),
        ("INVALID_TIMESTAMP", E::InvalidTimestamp { reason: reason() }),
        ("OUT_OF_ORDER_SEQUENCE_NUMBER", E::OutOfOrderSequence { producer_id: 1, expected: 2, found: 3 }),
        ("INVALID_PRODUCER_EPOCH", E::InvalidProducerEpoch { producer_id: 1, current: 2, found: 1 }),
        ("INVALID_TXN_STATE", E::InvalidTxnState { reason: reason() }),
        ("INVALID_PRODUCER_ID_MAPPING", E::InvalidProducerIdMapping { transactional_id: transactional_id(), producer_id: 1 }),
        ("INVALID_TRANSACTION_TIMEOUT", E::InvalidTransactionTimeout { timeout_ms: 0, max: 900_000 }),
        ("PRODUCER_FENCED", E::ProducerFenced { transactional_id: transactional_id(), current: 2, found: 1 }),
        ("TRANSACTION_COORDINATOR_FENCED", E::TransactionCoordinatorFenced { producer_id: 1, current: 2, found: 1 }),
        ("TRANSACTIONAL_ID_NOT_FOUND", E::TransactionalIdNotFound { transactional_id: transactional_id() }),
        ("TRANSACTION_ABORTABLE", E::TransactionAbortable { transactional_id: transactional_id(), reason: reason() }),
        ("OPERATION_NOT_ATTEMPTED", E::OperationNotAttempted),
        ("UNSTABLE_OFFSET_COMMIT", E::UnstableOffsetCommit { group_id: group(), topic: topic(), partition: 0 }),
        ("OFFSET_METADATA_TOO_LARGE", E::OffsetMetadataTooLarge { size: 5000, limit: 4096 }),
        ("ILLEGAL_GENERATION", E::IllegalGeneration { group_id: group(), current: 3, found: 2 }),
        ("INCONSISTENT_GROUP_PROTOCOL", E::InconsistentGroupProtocol { group_id: group(), reason: reason() }),
        ("INVALID_GROUP_ID", E::InvalidGroupId { reason: reason() }),
        ("UNKNOWN_MEMBER_ID", E::UnknownMemberId { group_id: group(), member_id: member() }),
        ("INVALID_SESSION_TIMEOUT", E::InvalidSessionTimeout { session_timeout_ms: 1, min: 6000, max: 1_800_000 }),
        ("REBALANCE_IN_PROGRESS", E::RebalanceInProgress { group_id: group() }),
        ("NON_EMPTY_GROUP", E::NonEmptyGroup { group_id: group() }),
        ("GROUP_ID_NOT_FOUND", E::GroupIdNotFound { group_id: group() }),
        ("GROUP_ID_NOT_FOUND", E::CannotUpgradeGroup { group_id: group(), reason: reason() }),
        ("MEMBER_ID_REQUIRED", E::MemberIdRequired { member_id: member() }),
        ("GROUP_MAX_SIZE_REACHED", E::GroupMaxSizeReached { group_id: group(), limit: 2 }),
        ("FENCED_INSTANCE_ID", E::FencedInstanceId { group_id: group(), group_instance_id: "i".to_owned(), member_id: member() }),
        ("GROUP_SUBSCRIBED_TO_TOPIC", E::GroupSubscribedToTopic { group_id: group(), topic: topic() }),
        ("FENCED_MEMBER_EPOCH", E::FencedMemberEpoch { group_id: group(), member_id: member(), current: 3, found: 4 }),
        ("STALE_MEMBER_EPOCH", E::StaleMemberEpoch { group_id: group(), member_id: member(), current: 3, found: 2 }),
        ("UNRELEASED_INSTANCE_ID", E::UnreleasedInstanceId { group_id: group(), group_instance_id: "i".to_owned(), member_id: member() }),
        ("UNSUPPORTED_ASSIGNOR", E::UnsupportedAssignor { assignor: "best".to_owned() }),
        ("INVALID_REGULAR_EXPRESSION", E::InvalidRegularExpression { reason: reason() }),
    ];
    examples
}

#[test]
fn every_error_has_kafkas_number_and_is_retried_as_in_kafka() {
    let kafkas = kafkas();
    for (name, error) in examples() {
        assert_eq!((error.code(), error.retriable()), kafkas[name], "{name}");
    }
}

#[test]
fn messages_are_lower_case_without_a_full_stop_and_hints_are_sentences() {
    for (name, error) in examples() {
        let message = error.to_string();
        assert!(message.starts_with(|c: char| c.is_lowercase()), "{name}");
        assert!(!message.ends_with('.'), "{name}");
        for sentence in [error.hint().map(str::to_owned), error.detail()]
            .into_iter()
            .flatten()
        {
            assert!(sentence.starts_with(|c: char| c.is_uppercase()), "{name}");
            assert!(sentence.ends_with('.'), "{name}");
        }
    }
}

#[test]
fn messages_name_what_was_asked_for() {
    let unknown = KafkaError::UnknownTopicOrPartition {
        topic: "orders".to_owned(),
        partition: Some(3),
    };
    assert_eq!(
        unknown.to_string(),
        "unknown topic or partition: \"orders\", partition 3"
    );
    let id = KafkaError::UnknownTopicId {
        topic_id: *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef",
    };
    assert_eq!(
        id.to_string(),
        "unknown topic id 01234567-89ab-cdef-0123-456789abcdef"
    );
}
