//! Kafka's error codes, and one error with a variant per cause.
//!
//! [`KafkaError::code`] is the number a client sees on the wire and, as `KFnnn`, the
//! SQLSTATE a SQL session sees.

pub mod code;

use std::fmt::Write as _;

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
    #[error("producer epoch {found} is older than the current epoch {current}")]
    InvalidProducerEpoch {
        producer_id: i64,
        current: i16,
        found: i16,
    },
    #[error("invalid transaction state: {reason}")]
    InvalidTxnState { reason: String },
    /// Another producer id belongs to this transactional id.
    #[error("transactional id {:?} has not the producer id {producer_id}", shortened(.transactional_id))]
    InvalidProducerIdMapping {
        transactional_id: String,
        producer_id: i64,
    },
    #[error("transaction timeout of {timeout_ms} ms is outside 1 to {max} ms")]
    InvalidTransactionTimeout { timeout_ms: i32, max: i32 },
    /// A newer producer with the same transactional id has taken over, or its transaction
    /// timed out.
    #[error("producer epoch {found} is fenced, the current one is {current}")]
    ProducerFenced {
        transactional_id: String,
        current: i16,
        found: i16,
    },
    #[error("coordinator epoch {found} is older than the last marker's, {current}")]
    TransactionCoordinatorFenced {
        producer_id: i64,
        current: i32,
        found: i32,
    },
    #[error("unknown transactional id {:?}", shortened(.transactional_id))]
    TransactionalIdNotFound { transactional_id: String },
    /// The transaction cannot take this part in; it can be aborted and begun anew (KIP-890).
    #[error("{reason}")]
    TransactionAbortable {
        transactional_id: String,
        reason: String,
    },
    /// Another partition of the same call was refused.
    #[error("not attempted")]
    OperationNotAttempted,
    /// An open transaction is about to commit the offset (KIP-447).
    #[error("an open transaction is about to commit the offset")]
    UnstableOffsetCommit {
        group_id: String,
        topic: String,
        partition: i32,
    },
    #[error("offset metadata of {size} bytes is larger than the limit of {limit} bytes")]
    OffsetMetadataTooLarge { size: usize, limit: usize },
    #[error("group {:?} is at generation {current}, not {found}", shortened(.group_id))]
    IllegalGeneration {
        group_id: String,
        current: i32,
        found: i32,
    },
    #[error("inconsistent group protocol: {reason}")]
    InconsistentGroupProtocol { group_id: String, reason: String },
    #[error("invalid group id: {reason}")]
    InvalidGroupId { reason: String },
    #[error("group {:?} has no such member", shortened(.group_id))]
    UnknownMemberId { group_id: String, member_id: String },
    #[error("session timeout of {session_timeout_ms} ms is outside {min} to {max} ms")]
    InvalidSessionTimeout {
        session_timeout_ms: i32,
        min: i32,
        max: i32,
    },
    #[error("group {:?} is rebalancing", shortened(.group_id))]
    RebalanceInProgress { group_id: String },
    #[error("group {:?} has members", shortened(.group_id))]
    NonEmptyGroup { group_id: String },
    #[error("unknown group {:?}", shortened(.group_id))]
    GroupIdNotFound { group_id: String },
    /// The members of a classic group cannot be taken over into a consumer group (KIP-848).
    #[error("group {:?} cannot become a consumer group: {reason}", shortened(.group_id))]
    CannotUpgradeGroup { group_id: String, reason: String },
    /// The first answer to a member without an id (KIP-394).
    #[error("join again as member {member_id:?}")]
    MemberIdRequired { member_id: String },
    #[error("group {:?} has no room for more than {limit} members", shortened(.group_id))]
    GroupMaxSizeReached { group_id: String, limit: i32 },
    /// Another member has taken over this group instance id (KIP-345).
    #[error("group instance {:?} is another member by now", shortened(.group_instance_id))]
    FencedInstanceId {
        group_id: String,
        group_instance_id: String,
        member_id: String,
    },
    #[error("group {:?} is subscribed to topic {:?}", shortened(.group_id), shortened(.topic))]
    GroupSubscribedToTopic { group_id: String, topic: String },
    /// The coordinator has another idea of the member's epoch (KIP-848): it has to rejoin.
    #[error("member epoch {found} is fenced, the current one is {current}")]
    FencedMemberEpoch {
        group_id: String,
        member_id: String,
        current: i32,
        found: i32,
    },
    /// The member has not yet learned of its newer epoch (KIP-848).
    #[error("member epoch {found} is stale, the current one is {current}")]
    StaleMemberEpoch {
        group_id: String,
        member_id: String,
        current: i32,
        found: i32,
    },
    #[error("group instance {:?} is still in use by member {:?}", shortened(.group_instance_id), shortened(.member_id))]
    UnreleasedInstanceId {
        group_id: String,
        group_instance_id: String,
        member_id: String,
    },
    #[error("unsupported assignor {:?}", shortened(.assignor))]
    UnsupportedAssignor { assignor: String },
    #[error("invalid regular expression: {reason}")]
    InvalidRegularExpression { reason: String },
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
            Self::InvalidConfig { .. } => code::INVALID_CONFIG,
            Self::InvalidRequest { .. } => code::INVALID_REQUEST,
            Self::OffsetOutOfRange { .. } => code::OFFSET_OUT_OF_RANGE,
            Self::InvalidRequiredAcks { .. } => code::INVALID_REQUIRED_ACKS,
            Self::UnsupportedCompressionType { .. } => code::UNSUPPORTED_COMPRESSION_TYPE,
            Self::UnsupportedForMessageFormat { .. } => code::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            Self::InvalidRecord { .. } => code::INVALID_RECORD,
            Self::InvalidTimestamp { .. } => code::INVALID_TIMESTAMP,
            Self::OutOfOrderSequence { .. } => code::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::InvalidProducerEpoch { .. } => code::INVALID_PRODUCER_EPOCH,
            Self::InvalidTxnState { .. } => code::INVALID_TXN_STATE,
            Self::InvalidProducerIdMapping { .. } => code::INVALID_PRODUCER_ID_MAPPING,
            Self::InvalidTransactionTimeout { .. } => code::INVALID_TRANSACTION_TIMEOUT,
            Self::ProducerFenced { .. } => code::PRODUCER_FENCED,
            Self::TransactionCoordinatorFenced { .. } => code::TRANSACTION_COORDINATOR_FENCED,
            Self::TransactionalIdNotFound { .. } => code::TRANSACTIONAL_ID_NOT_FOUND,
            Self::TransactionAbortable { .. } => code::TRANSACTION_ABORTABLE,
            Self::OperationNotAttempted => code::OPERATION_NOT_ATTEMPTED,
            Self::UnstableOffsetCommit { .. } => code::UNSTABLE_OFFSET_COMMIT,
            Self::OffsetMetadataTooLarge { .. } => code::OFFSET_METADATA_TOO_LARGE,
            Self::IllegalGeneration { .. } => code::ILLEGAL_GENERATION,
            Self::InconsistentGroupProtocol { .. } => code::INCONSISTENT_GROUP_PROTOCOL,
            Self::InvalidGroupId { .. } => code::INVALID_GROUP_ID,
            Self::UnknownMemberId { .. } => code::UNKNOWN_MEMBER_ID,
            Self::InvalidSessionTimeout { .. } => code::INVALID_SESSION_TIMEOUT,
            Self::RebalanceInProgress { .. } => code::REBALANCE_IN_PROGRESS,
            Self::NonEmptyGroup { .. } => code::NON_EMPTY_GROUP,
            Self::GroupIdNotFound { .. } | Self::CannotUpgradeGroup { .. } => {
                code::GROUP_ID_NOT_FOUND
            }
            Self::MemberIdRequired { .. } => code::MEMBER_ID_REQUIRED,
            Self::GroupMaxSizeReached { .. } => code::GROUP_MAX_SIZE_REACHED,
            Self::FencedInstanceId { .. } => code::FENCED_INSTANCE_ID,
            Self::GroupSubscribedToTopic { .. } => code::GROUP_SUBSCRIBED_TO_TOPIC,
            Self::FencedMemberEpoch { .. } => code::FENCED_MEMBER_EPOCH,
            Self::StaleMemberEpoch { .. } => code::STALE_MEMBER_EPOCH,
            Self::UnreleasedInstanceId { .. } => code::UNRELEASED_INSTANCE_ID,
            Self::UnsupportedAssignor { .. } => code::UNSUPPORTED_ASSIGNOR,
            Self::InvalidRegularExpression { .. } => code::INVALID_REGULAR_EXPRESSION,
        }
    }

    /// Whether Kafka's clients retry after this code (subclasses of Java's
    /// `RetriableException`).
    pub fn retriable(&self) -> bool {
        match self {
            Self::CorruptMessage { .. }
            | Self::UnknownTopicOrPartition { .. }
            | Self::UnknownTopicId { .. }
            | Self::UnstableOffsetCommit { .. } => true,
            Self::UnreadableBatch { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::InvalidTopic { .. }
            | Self::TopicAlreadyExists { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::InvalidRequiredAcks { .. }
            | Self::UnsupportedCompressionType { .. }
            | Self::UnsupportedForMessageFormat { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::OutOfOrderSequence { .. }
            | Self::InvalidProducerEpoch { .. }
            | Self::InvalidTxnState { .. }
            | Self::InvalidProducerIdMapping { .. }
            | Self::InvalidTransactionTimeout { .. }
            | Self::ProducerFenced { .. }
            | Self::TransactionCoordinatorFenced { .. }
            | Self::TransactionalIdNotFound { .. }
            | Self::TransactionAbortable { .. }
            | Self::OperationNotAttempted
            | Self::OffsetMetadataTooLarge { .. }
            | Self::IllegalGeneration { .. }
            | Self::InconsistentGroupProtocol { .. }
            | Self::InvalidGroupId { .. }
            | Self::UnknownMemberId { .. }
            | Self::InvalidSessionTimeout { .. }
            | Self::RebalanceInProgress { .. }
            | Self::NonEmptyGroup { .. }
            | Self::GroupIdNotFound { .. }
            | Self::CannotUpgradeGroup { .. }
            | Self::MemberIdRequired { .. }
            | Self::GroupMaxSizeReached { .. }
            | Self::FencedInstanceId { .. }
            | Self::GroupSubscribedToTopic { .. }
            | Self::FencedMemberEpoch { .. }
            | Self::StaleMemberEpoch { .. }
            | Self::UnreleasedInstanceId { .. }
            | Self::UnsupportedAssignor { .. }
            | Self::InvalidRegularExpression { .. } => false,
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
            Self::InvalidProducerEpoch { .. } | Self::ProducerFenced { .. } => {
                "Another instance of this producer took over, or its transaction timed out: start a new producer."
            }
            Self::InvalidProducerIdMapping { .. } => {
                "The transactional id expired or has another producer: call kafka.init_producer_id."
            }
            Self::InvalidTransactionTimeout { .. } => {
                "Use another timeout, or raise pg_kafka.transaction_max_timeout."
            }
            Self::TransactionCoordinatorFenced { .. } => {
                "Use the coordinator epoch that kafka.describe_producers shows."
            }
            Self::TransactionalIdNotFound { .. } => {
                "See the transactional ids in view kafka.transactions."
            }
            Self::TransactionAbortable { .. } => "Abort the transaction and begin it again.",
            Self::OperationNotAttempted => "Mend or leave out what was refused, and call again.",
            Self::UnstableOffsetCommit { .. } => {
                "Ask again when the transaction has ended, or without require_stable."
            }
            Self::OffsetMetadataTooLarge { .. } => {
                "Commit shorter metadata, or raise pg_kafka.offset_metadata_max_bytes."
            }
            Self::IllegalGeneration { .. } | Self::RebalanceInProgress { .. } => {
                "Join the group again to take part in its next generation."
            }
            Self::InconsistentGroupProtocol { .. } => {
                "Join with a protocol type and a protocol that all members of the group have."
            }
            Self::UnknownMemberId { member_id, .. } if member_id.is_empty() => {
                "Name a member and its generation, or stop the group's members first."
            }
            Self::UnknownMemberId { .. } => {
                "The member left or its session timed out: join again without a member id."
            }
            Self::InvalidSessionTimeout { .. } => {
                "Use another session timeout, or change pg_kafka.group_min_session_timeout or pg_kafka.group_max_session_timeout."
            }
            Self::NonEmptyGroup { .. } => "Stop the group's members first.",
            Self::GroupIdNotFound { .. } => "See the groups in view kafka.groups.",
            Self::CannotUpgradeGroup { .. } => {
                "Stop the group's members first, or go on with the classic protocol."
            }
            Self::MemberIdRequired { .. } => "Join again with this member id.",
            Self::GroupMaxSizeReached { .. } => {
                "Stop other members, or raise pg_kafka.group_max_size."
            }
            Self::FencedInstanceId { .. } => {
                "Two members use the same group instance id: give each its own."
            }
            Self::GroupSubscribedToTopic { .. } => {
                "Stop the members that are subscribed to the topic first."
            }
            Self::FencedMemberEpoch { .. } => "Join again with member epoch 0.",
            Self::StaleMemberEpoch { .. } => "Send a heartbeat to learn the current member epoch.",
            Self::UnreleasedInstanceId { .. } => {
                "Stop the other member, or wait until its session times out."
            }
            Self::UnsupportedAssignor { .. } => "Use uniform or range.",
            Self::TopicAlreadyExists { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::InvalidTxnState { .. }
            | Self::InvalidGroupId { .. }
            | Self::InvalidRegularExpression { .. } => return None,
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
            | Self::InvalidProducerEpoch { producer_id, .. }
            | Self::TransactionCoordinatorFenced { producer_id, .. } => {
                format!("Producer id {producer_id}.")
            }
            Self::ProducerFenced {
                transactional_id, ..
            }
            | Self::TransactionAbortable {
                transactional_id, ..
            } => {
                format!("Transactional id {:?}.", shortened(transactional_id))
            }
            Self::UnstableOffsetCommit {
                group_id,
                topic,
                partition,
            } => format!(
                "Group {:?}, topic {topic:?}, partition {partition}.",
                shortened(group_id)
            ),
            Self::InconsistentGroupProtocol { group_id, .. }
            | Self::UnreleasedInstanceId { group_id, .. } => {
                format!("Group {:?}.", shortened(group_id))
            }
            Self::UnknownMemberId { member_id, .. } => {
                format!("Member {:?}.", shortened(member_id))
            }
            Self::FencedInstanceId {
                group_id,
                member_id,
                ..
            }
            | Self::FencedMemberEpoch {
                group_id,
                member_id,
                ..
            }
            | Self::StaleMemberEpoch {
                group_id,
                member_id,
                ..
            } => format!(
                "Group {:?}, member {:?}.",
                shortened(group_id),
                shortened(member_id)
            ),
            Self::CorruptMessage { .. }
            | Self::MessageTooLarge { .. }
            | Self::InflatedTooLarge { .. }
            | Self::UnknownTopicOrPartition { .. }
            | Self::UnknownTopicId { .. }
            | Self::TopicAlreadyExists { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidConfig { .. }
            | Self::InvalidRequest { .. }
            | Self::InvalidRequiredAcks { .. }
            | Self::UnsupportedCompressionType { .. }
            | Self::UnsupportedForMessageFormat { .. }
            | Self::InvalidRecord { .. }
            | Self::InvalidTimestamp { .. }
            | Self::InvalidTxnState { .. }
            | Self::InvalidProducerIdMapping { .. }
            | Self::InvalidTransactionTimeout { .. }
            | Self::TransactionalIdNotFound { .. }
            | Self::OperationNotAttempted
            | Self::OffsetMetadataTooLarge { .. }
            | Self::IllegalGeneration { .. }
            | Self::InvalidGroupId { .. }
            | Self::InvalidSessionTimeout { .. }
            | Self::RebalanceInProgress { .. }
            | Self::NonEmptyGroup { .. }
            | Self::GroupIdNotFound { .. }
            | Self::CannotUpgradeGroup { .. }
            | Self::MemberIdRequired { .. }
            | Self::GroupMaxSizeReached { .. }
            | Self::GroupSubscribedToTopic { .. }
            | Self::UnsupportedAssignor { .. }
            | Self::InvalidRegularExpression { .. } => return None,
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
