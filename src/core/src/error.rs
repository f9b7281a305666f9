//! Kafka's error codes, and one error with a variant per cause.
//!
//! [`KafkaError::code`] is the number a client sees on the wire and, as `KFnnn`, the
//! SQLSTATE a SQL session sees.

use std::fmt::Write as _;

/// Kafka's error numbers (protocol guide, section "Error Codes").
pub mod code {
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    pub const NONE: i16 = 0;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const INVALID_FETCH_SIZE: i16 = 4;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub const REQUEST_TIMED_OUT: i16 = 7;
    pub const BROKER_NOT_AVAILABLE: i16 = 8;
    pub const REPLICA_NOT_AVAILABLE: i16 = 9;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const STALE_CONTROLLER_EPOCH: i16 = 11;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const NETWORK_EXCEPTION: i16 = 13;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const INVALID_TOPIC_EXCEPTION: i16 = 17;
    pub const RECORD_LIST_TOO_LARGE: i16 = 18;
    pub const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const INVALID_COMMIT_OFFSET_SIZE: i16 = 28;
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
    pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    pub const INVALID_TIMESTAMP: i16 = 32;
    pub const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    pub const ILLEGAL_SASL_STATE: i16 = 34;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    pub const INVALID_CONFIG: i16 = 40;
    pub const NOT_CONTROLLER: i16 = 41;
    pub const INVALID_REQUEST: i16 = 42;
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
    pub const POLICY_VIOLATION: i16 = 44;
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const INVALID_TXN_STATE: i16 = 48;
    pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    pub const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
    pub const CONCURRENT_TRANSACTIONS: i16 = 51;
    pub const TRANSACTION_COORDINATOR_FENCED: i16 = 52;
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
    pub const SECURITY_DISABLED: i16 = 54;
    pub const OPERATION_NOT_ATTEMPTED: i16 = 55;
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    pub const LOG_DIR_NOT_FOUND: i16 = 57;
    pub const SASL_AUTHENTICATION_FAILED: i16 = 58;
    pub const UNKNOWN_PRODUCER_ID: i16 = 59;
    pub const REASSIGNMENT_IN_PROGRESS: i16 = 60;
    pub const DELEGATION_TOKEN_AUTH_DISABLED: i16 = 61;
    pub const DELEGATION_TOKEN_NOT_FOUND: i16 = 62;
    pub const DELEGATION_TOKEN_OWNER_MISMATCH: i16 = 63;
    pub const DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: i16 = 64;
    pub const DELEGATION_TOKEN_AUTHORIZATION_FAILED: i16 = 65;
    pub const DELEGATION_TOKEN_EXPIRED: i16 = 66;
    pub const INVALID_PRINCIPAL_TYPE: i16 = 67;
    pub const NON_EMPTY_GROUP: i16 = 68;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    pub const LISTENER_NOT_FOUND: i16 = 72;
    pub const TOPIC_DELETION_DISABLED: i16 = 73;
    pub const FENCED_LEADER_EPOCH: i16 = 74;
    pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub const STALE_BROKER_EPOCH: i16 = 77;
    pub const OFFSET_NOT_AVAILABLE: i16 = 78;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const PREFERRED_LEADER_NOT_AVAILABLE: i16 = 80;
    pub const GROUP_MAX_SIZE_REACHED: i16 = 81;
    pub const FENCED_INSTANCE_ID: i16 = 82;
    pub const ELIGIBLE_LEADERS_NOT_AVAILABLE: i16 = 83;
    pub const ELECTION_NOT_NEEDED: i16 = 84;
    pub const NO_REASSIGNMENT_IN_PROGRESS: i16 = 85;
    pub const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
    pub const INVALID_RECORD: i16 = 87;
    pub const UNSTABLE_OFFSET_COMMIT: i16 = 88;
    pub const THROTTLING_QUOTA_EXCEEDED: i16 = 89;
    pub const PRODUCER_FENCED: i16 = 90;
    pub const RESOURCE_NOT_FOUND: i16 = 91;
    pub const DUPLICATE_RESOURCE: i16 = 92;
    pub const UNACCEPTABLE_CREDENTIAL: i16 = 93;
    pub const INCONSISTENT_VOTER_SET: i16 = 94;
    pub const INVALID_UPDATE_VERSION: i16 = 95;
    pub const FEATURE_UPDATE_FAILED: i16 = 96;
    pub const PRINCIPAL_DESERIALIZATION_FAILURE: i16 = 97;
    pub const SNAPSHOT_NOT_FOUND: i16 = 98;
    pub const POSITION_OUT_OF_RANGE: i16 = 99;
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    pub const DUPLICATE_BROKER_REGISTRATION: i16 = 101;
    pub const BROKER_ID_NOT_REGISTERED: i16 = 102;
    pub const INCONSISTENT_TOPIC_ID: i16 = 103;
    pub const INCONSISTENT_CLUSTER_ID: i16 = 104;
    pub const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
    pub const FETCH_SESSION_TOPIC_ID_ERROR: i16 = 106;
    pub const INELIGIBLE_REPLICA: i16 = 107;
    pub const NEW_LEADER_ELECTED: i16 = 108;
    pub const OFFSET_MOVED_TO_TIERED_STORAGE: i16 = 109;
    pub const FENCED_MEMBER_EPOCH: i16 = 110;
    pub const UNRELEASED_INSTANCE_ID: i16 = 111;
    pub const UNSUPPORTED_ASSIGNOR: i16 = 112;
    pub const STALE_MEMBER_EPOCH: i16 = 113;
    pub const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
    pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
    pub const UNKNOWN_CONTROLLER_ID: i16 = 116;
    pub const UNKNOWN_SUBSCRIPTION_ID: i16 = 117;
    pub const TELEMETRY_TOO_LARGE: i16 = 118;
    pub const INVALID_REGISTRATION: i16 = 119;
    pub const TRANSACTION_ABORTABLE: i16 = 120;
    pub const INVALID_RECORD_STATE: i16 = 121;
    pub const SHARE_SESSION_NOT_FOUND: i16 = 122;
    pub const INVALID_SHARE_SESSION_EPOCH: i16 = 123;
    pub const FENCED_STATE_EPOCH: i16 = 124;
    pub const INVALID_VOTER_KEY: i16 = 125;
    pub const DUPLICATE_VOTER: i16 = 126;
    pub const VOTER_NOT_FOUND: i16 = 127;
    pub const INVALID_REGULAR_EXPRESSION: i16 = 128;
    pub const REBOOTSTRAP_REQUIRED: i16 = 129;
    pub const STREAMS_INVALID_TOPOLOGY: i16 = 130;
    pub const STREAMS_INVALID_TOPOLOGY_EPOCH: i16 = 131;
    pub const STREAMS_TOPOLOGY_FENCED: i16 = 132;
    pub const SHARE_SESSION_LIMIT_REACHED: i16 = 133;
}

/// What Kafka refuses, one variant per cause. `Display` is the message: lower case, no
/// trailing dot; [`detail`](Self::detail) carries the ids, [`hint`](Self::hint) the remedy.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum KafkaError {
    #[error("corrupt record batch: {reason}")]
    CorruptMessage { reason: String },

    /// A stored batch that can no longer be read: its log table was damaged or written by hand.
    #[error("unreadable record batch: {reason}")]
    UnreadableBatch {
        topic: String,
        partition: i32,
        base_offset: i64,
        last_offset: i64,
        reason: String,
    },
    /// A batch of `size` bytes where at most `limit` are accepted.
    #[error("record batch of {size} bytes is larger than the limit of {limit} bytes")]
    MessageTooLarge { size: usize, limit: usize },
    /// A compressed batch that inflates past `limit` bytes; its full size is unknown.
    #[error("compressed record batch inflates to more than {limit} bytes")]
    InflatedTooLarge { limit: usize },
    #[error("unknown topic or partition: {:?}{}", shortened(.topic), partition_suffix(*.partition))]
    UnknownTopicOrPartition {
        topic: String,
        partition: Option<i32>,
    },
    #[error("unknown topic id {}", uuid(.topic_id))]
    UnknownTopicId { topic_id: [u8; 16] },
    #[error("invalid topic name: {reason}")]
    InvalidTopic { topic: String, reason: String },
    #[error("topic {:?} already exists", shortened(.topic))]
    TopicAlreadyExists { topic: String },
    #[error("invalid number of partitions {partitions}: {reason}")]
    InvalidPartitions { partitions: i32, reason: String },
    #[error("invalid replication factor {replication_factor}")]
    InvalidReplicationFactor { replication_factor: i16 },
    #[error("invalid replica assignment: {reason}")]
    InvalidReplicaAssignment { reason: String },
    #[error("invalid value for topic configuration {name:?}: {reason}")]
    InvalidConfig { name: String, reason: String },
    #[error("invalid request: {reason}")]
    InvalidRequest { reason: String },
    #[error("offset {offset} is out of range")]
    OffsetOutOfRange {
        topic: String,
        partition: i32,
        offset: i64,
        log_start_offset: i64,
        high_watermark: i64,
    },
    #[error("invalid required acks {acks}")]
    InvalidRequiredAcks { acks: i16 },
    /// `codec` is the number in the low three bits of a batch's attributes.
    #[error("unsupported compression type {codec}")]
    UnsupportedCompressionType { codec: u8 },
    #[error("unsupported record format: magic {magic}")]
    UnsupportedForMessageFormat { magic: i8 },
    #[error("invalid record: {reason}")]
    InvalidRecord { reason: String },
    #[error("invalid timestamp: {reason}")]
    InvalidTimestamp { reason: String },
    #[error("out of order sequence number: expected {expected}, found {found}")]
    OutOfOrderSequence {
        producer_id: i64,
        expected: i32,
        found: i32,
    },
    #[error("duplicate sequence number {found}")]
    DuplicateSequence { producer_id: i64, found: i32 },
    #[error("producer epoch {found} is older than the current epoch {current}")]
    InvalidProducerEpoch {
        producer_id: i64,
        current: i16,
        found: i16,
    },
    #[error("unknown producer id {producer_id}")]
    UnknownProducerId { producer_id: i64 },
    #[error("invalid transaction state: {reason}")]
    InvalidTxnState { reason: String },
    #[error("policy violation: {reason}")]
    PolicyViolation { reason: String },
    /// Writes and newest reads belong to the primary server.
    #[error("this server is not the leader")]
    NotLeaderOrFollower { topic: String, partition: i32 },
}

impl KafkaError {
    /// Kafka's number for this error.
    pub fn code(&self) -> i16 {
        match self {
            Self::CorruptMessage { .. } | Self::UnreadableBatch { .. } => code::CORRUPT_MESSAGE,
            Self::MessageTooLarge { .. } | Self::InflatedTooLarge { .. } => code::MESSAGE_TOO_LARGE,
            Self::UnknownTopicOrPartition { .. } => code::UNKNOWN_TOPIC_OR_PARTITION,
            Self::UnknownTopicId { .. } => code::UNKNOWN_TOPIC_ID,
            Self::InvalidTopic { .. } => code::INVALID_TOPIC_EXCEPTION,
            Self::TopicAlreadyExists { .. } => code::TOPIC_ALREADY_EXISTS,
            Self::InvalidPartitions { .. } => code::INVALID_PARTITIONS,
            Self::InvalidReplicationFactor { .. } => code::INVALID_REPLICATION_FACTOR,
            Self::InvalidReplicaAssignment { .. } => code::INVALID_REPLICA_ASSIGNMENT,
            Self::InvalidConfig { .. } => code::INVALID_CONFIG,
            Self::InvalidRequest { .. } => code::INVALID_REQUEST,
            Self::OffsetOutOfRange { .. } => code::OFFSET_OUT_OF_RANGE,
            Self::InvalidRequiredAcks { .. } => code::INVALID_REQUIRED_ACKS,
            Self::UnsupportedCompressionType { .. } => code::UNSUPPORTED_COMPRESSION_TYPE,
            Self::UnsupportedForMessageFormat { .. } => code::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            Self::InvalidRecord { .. } => code::INVALID_RECORD,
            Self::InvalidTimestamp { .. } => code::INVALID_TIMESTAMP,
            Self::OutOfOrderSequence { .. } => code::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::DuplicateSequence { .. } => code::DUPLICATE_SEQUENCE_NUMBER,
            Self::InvalidProducerEpoch { .. } => code::INVALID_PRODUCER_EPOCH,
            Self::UnknownProducerId { .. } => code::UNKNOWN_PRODUCER_ID,
            Self::InvalidTxnState { .. } => code::INVALID_TXN_STATE,
            Self::PolicyViolation { .. } => code::POLICY_VIOLATION,
            Self::NotLeaderOrFollower { .. } => code::NOT_LEADER_OR_FOLLOWER,
        }
    }

    /// Whether Kafka's clients retry after this code (subclasses of Java's
    /// `RetriableException`).
    pub fn retriable(&self) -> bool {
        match self {
            Self::CorruptMessage { .. }
            | Self::UnknownTopicOrPartition { .. }
            | Self::UnknownTopicId { .. }
            | Self::NotLeaderOrFollower { .. } => true,
            Self::UnreadableBatch { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::InvalidTopic { .. }
            | Self::TopicAlreadyExists { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidReplicationFactor { .. }
            | Self::InvalidReplicaAssignment { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::InvalidRequiredAcks { .. }
            | Self::UnsupportedCompressionType { .. }
            | Self::UnsupportedForMessageFormat { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::OutOfOrderSequence { .. }
            | Self::DuplicateSequence { .. }
            | Self::InvalidProducerEpoch { .. }
            | Self::UnknownProducerId { .. }
            | Self::InvalidTxnState { .. }
            | Self::PolicyViolation { .. } => false,
        }
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnreadableBatch { .. } => {
                "Read on from the offset behind the batch, and check the server's storage."
            }
            Self::CorruptMessage { .. } => {
                "Send the batch again; if it fails again, the producer or the network damages it."
            }
            Self::MessageTooLarge { .. } => {
                "Send smaller batches, or raise the topic's max.message.bytes or pg_kafka.message_max_bytes."
            }
            Self::InflatedTooLarge { .. } => "Send smaller batches.",
            Self::UnknownTopicOrPartition { .. } => {
                "Create the topic with kafka.create_topic, or add partitions with kafka.create_partitions."
            }
            Self::UnknownTopicId { .. } => "Refresh the metadata: the topic was deleted.",
            Self::InvalidTopic { .. } => {
                "Use 1 to 249 ASCII letters, digits, dots, underscores and hyphens; not \".\" or \"..\"."
            }
            Self::InvalidPartitions { .. } => {
                "Use a number from 1 to 10000; the partitions of an existing topic can only become more."
            }
            Self::InvalidReplicationFactor { .. } => {
                "Use 1 or -1: PostgreSQL replicates the log as a whole."
            }
            Self::InvalidReplicaAssignment { .. } => {
                "Give a number of partitions instead: PostgreSQL replicates the log as a whole."
            }
            Self::OffsetOutOfRange { .. } => {
                "Read from an offset between the log start offset and the high watermark; kafka.list_offsets shows both."
            }
            Self::InvalidRequiredAcks { .. } => "Use -1 (all), 0 or 1.",
            Self::UnsupportedCompressionType { .. } => "Use none, gzip, snappy, lz4 or zstd.",
            Self::UnsupportedForMessageFormat { .. } => {
                "Use a client that writes record batches of version 2 (Kafka 0.11 or newer)."
            }
            Self::OutOfOrderSequence { .. } => {
                "Batches of this producer were lost or reordered: start a new producer."
            }
            Self::InvalidProducerEpoch { .. } => {
                "Another instance of this producer took over: start a new producer."
            }
            Self::UnknownProducerId { .. } => "Start a new producer.",
            Self::NotLeaderOrFollower { .. } => "Connect to the primary server.",
            Self::TopicAlreadyExists { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::DuplicateSequence { .. }
            | Self::InvalidTxnState { .. }
            | Self::PolicyViolation { .. } => return None,
        })
    }

    /// The ids concerned that the message does not name.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::InvalidTopic { topic, .. } => format!("Topic {:?}.", shortened(topic)),
            Self::OffsetOutOfRange {
                topic,
                partition,
                log_start_offset,
                high_watermark,
                ..
            } => format!(
                "Topic {topic:?}, partition {partition}: log start offset {log_start_offset}, high watermark {high_watermark}."
            ),
            Self::UnreadableBatch {
                topic,
                partition,
                base_offset,
                last_offset,
                ..
            } => {
                format!(
                    "Topic {topic:?}, partition {partition}, offsets {base_offset} to {last_offset}."
                )
            }
            Self::OutOfOrderSequence { producer_id, .. }
            | Self::DuplicateSequence { producer_id, .. }
            | Self::InvalidProducerEpoch { producer_id, .. } => {
                format!("Producer id {producer_id}.")
            }
            Self::NotLeaderOrFollower { topic, partition } => {
                format!("Topic {topic:?}, partition {partition}.")
            }
            Self::CorruptMessage { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::UnknownTopicOrPartition { .. }
            | Self::UnknownTopicId { .. }
            | Self::TopicAlreadyExists { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidReplicationFactor { .. }
            | Self::InvalidReplicaAssignment { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::InvalidRequiredAcks { .. }
            | Self::UnsupportedCompressionType { .. }
            | Self::UnsupportedForMessageFormat { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::UnknownProducerId { .. }
            | Self::InvalidTxnState { .. }
            | Self::PolicyViolation { .. } => return None,
        })
    }

    pub(crate) fn corrupt(reason: impl Into<String>) -> Self {
        Self::CorruptMessage {
            reason: reason.into(),
        }
    }

    pub(crate) fn invalid_record(reason: impl Into<String>) -> Self {
        Self::InvalidRecord {
            reason: reason.into(),
        }
    }
}

fn partition_suffix(partition: Option<i32>) -> String {
    partition.map_or_else(String::new, |p| format!(", partition {p}"))
}

/// A name as long as a message may show it: a hostile name can have any length.
fn shortened(name: &str) -> String {
    const SHOWN: usize = 300;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// The usual text form of a topic id: 8-4-4-4-12 hexadecimal digits.
fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}
