//! Aborted transactions: what readers at `read_committed` skip.
use std::collections::BTreeMap;

use super::sql::{self, param};
use super::topic::Topic;

/// An aborted transaction in one partition.
#[derive(Clone, Copy)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Where its abort marker is.
    pub(crate) last_offset: i64,
}

/// The aborted transactions that have records from `from` on and below `end`, which must
/// not lie behind the last stable offset, in the order of their ends.
pub(crate) fn between(
    topic: &Topic,
    partition: i32,
    from: i64,
    end: i64,
) -> Vec<AbortedTransaction> {
    // Behind a marker whose last stable offset is not below the end none can follow.
    sql::query(
        "WITH stop AS (
             SELECT last_offset FROM kafka_log.aborted_transactions
             WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
               AND last_offset OPERATOR(pg_catalog.>=) $3 AND last_stable_offset OPERATOR(pg_catalog.>=) $4
             ORDER BY topic_number, partition, last_offset LIMIT 1)
         SELECT producer_id, first_offset, last_offset FROM kafka_log.aborted_transactions
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND last_offset OPERATOR(pg_catalog.>=) $3 AND first_offset OPERATOR(pg_catalog.<) $4
           AND last_offset OPERATOR(pg_catalog.<=)
               COALESCE((SELECT stop.last_offset FROM stop), 9223372036854775807)
         ORDER BY last_offset",
        &[
            param(topic.number),
            param(partition),
            param(from),
            param(end),
        ],
        |row| AbortedTransaction {
            producer_id: row.required(1),
            first_offset: row.required(2),
            last_offset: row.required(3),
        },
    )
}

pub(super) fn insert(
    topic: &Topic,
    partition: i32,
    aborted: AbortedTransaction,
    last_stable_offset: i64,
) {
    sql::execute(
        "INSERT INTO kafka_log.aborted_transactions
             (topic_number, partition, last_offset, producer_id, first_offset, last_stable_offset)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            param(topic.number),
            param(partition),
            param(aborted.last_offset),
            param(aborted.producer_id),
            param(aborted.first_offset),
            param(last_stable_offset),
        ],
    );
}

/// Aborted transactions by producer and end.
#[derive(Default)]
pub(crate) struct Aborted(BTreeMap<(i64, i64), i64>);

impl FromIterator<AbortedTransaction> for Aborted {
    fn from_iter<I: IntoIterator<Item = AbortedTransaction>>(transactions: I) -> Self {
        let entry = |t: AbortedTransaction| ((t.producer_id, t.last_offset), t.first_offset);
        Self(transactions.into_iter().map(entry).collect())
    }
}

impl Aborted {
    /// Whether a producer's transactional batch belongs to one of them.
    pub(crate) fn contains(&self, producer_id: i64, base_offset: i64) -> bool {
        let mut later = self.0.range((producer_id, base_offset)..);
        later
            .next()
            .is_some_and(|((id, _), first)| *id == producer_id && *first <= base_offset)
    }
}
