//! What is asked of producers and their transactions, and what is answered.

use super::groups::Commit;

/// Who makes a call about a transaction.
#[derive(Debug, Clone, Copy)]
pub struct TransactionalProducer<'a> {
    pub transactional_id: &'a str,
    pub producer_id: i64,
    pub producer_epoch: i16,
}

/// An id for an idempotent producer, or with a transactional id the next epoch.
#[derive(Debug, Clone, Copy)]
pub struct InitProducerIdCall<'a> {
    pub transactional_id: Option<&'a str>,
    pub transaction_timeout_ms: i32,
    /// Id and epoch of a producer that goes on after an error.
    pub current: Option<(i64, i16)>,
}

/// The producer's id and epoch from now on, -1 with an error.
#[derive(Debug, Clone, Copy)]
pub struct ProducerAnswer {
    pub error_code: i16,
    pub producer_id: i64,
    pub producer_epoch: i16,
}

/// An error code for each partition.
#[derive(Debug, Clone, Copy)]
pub struct AddPartitionsCall<'a> {
    pub producer: TransactionalProducer<'a>,
    pub partitions: &'a [(&'a str, i32)],
    pub verify_only: bool,
}

/// Answered by an error code.
#[derive(Debug, Clone, Copy)]
pub struct AddOffsetsCall<'a> {
    pub producer: TransactionalProducer<'a>,
    pub group_id: &'a str,
}

/// Commits as a member, or as nobody with generation -1. An error code for each.
#[derive(Debug, Clone)]
pub struct TxnOffsetCommitCall<'a> {
    pub producer: TransactionalProducer<'a>,
    pub group_id: &'a str,
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub generation_id: i32,
    pub transaction_version: i16,
    pub commits: Vec<Commit<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub struct EndTxnCall<'a> {
    pub producer: TransactionalProducer<'a>,
    pub committed: bool,
    pub transaction_version: i16,
}

/// A marker for one partition.
#[derive(Debug, Clone, Copy)]
pub struct Marker<'a> {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
    pub coordinator_epoch: i32,
    pub topic: &'a str,
    pub partition: i32,
}

/// An error code for each.
#[derive(Debug, Clone, Copy)]
pub struct WriteMarkers<'a>(pub &'a [Marker<'a>]);

#[derive(Debug, Clone, Copy)]
pub struct DescribeProducers<'a>(pub &'a [(&'a str, i32)]);

#[derive(Debug, Clone, Default)]
pub struct PartitionProducers {
    pub error_code: i16,
    pub error_message: Option<String>,
    pub producers: Vec<ActiveProducer>,
}

/// Numbers are -1 where there is nothing to tell.
#[derive(Debug, Clone, Copy)]
pub struct ActiveProducer {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub last_sequence: i32,
    pub last_timestamp: i64,
    pub coordinator_epoch: i32,
    pub txn_first_offset: i64,
}

#[derive(Debug, Clone, Copy)]
pub struct DescribeTransactions<'a>(pub &'a [&'a str]);

#[derive(Debug, Clone, Default)]
pub struct TransactionDescription {
    pub error_code: i16,
    pub state: String,
    pub timeout_ms: i32,
    pub started_at: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub partitions: Vec<(String, i32)>,
}

/// Empty or none: all.
#[derive(Debug, Clone, Copy)]
pub struct ListTransactions<'a> {
    pub states: &'a [&'a str],
    pub producer_ids: &'a [i64],
    pub min_duration_ms: Option<i64>,
    pub transactional_id_pattern: Option<&'a str>,
}

#[derive(Debug, Clone)]
pub struct ListedTransaction {
    pub transactional_id: String,
    pub producer_id: i64,
    pub state: String,
}
