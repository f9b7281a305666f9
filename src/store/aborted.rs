//! Aborted transactions: what readers at `read_committed` skip.
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use pgrx::IntoDatum;

use super::rows::{Index, Key, Name, Table};
use super::topic::Topic;

/// `kafka_log.aborted_transactions`
type Rows = Table<6>;

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
    let keys = [
        Key::int4(topic.number),
        Key::int4(partition),
        Key::int8_at_least(from),
    ];
    let mut found = Vec::new();
    Rows::read(Name::AbortedTransactions).scan(Index::PrimaryKey, &keys, |row| {
        let aborted = AbortedTransaction {
            last_offset: row.required(3),
            producer_id: row.required(4),
            first_offset: row.required(5),
        };
        if aborted.first_offset < end {
            found.push(aborted);
        }
        // Behind a marker whose last stable offset is not below the end none can follow.
        if row.required::<i64>(6) < end {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    found
}

pub(super) fn insert(
    topic: &Topic,
    partition: i32,
    aborted: AbortedTransaction,
    last_stable_offset: i64,
) {
    Rows::write(Name::AbortedTransactions).insert(&[
        topic.number.into_datum(),
        partition.into_datum(),
        aborted.last_offset.into_datum(),
        aborted.producer_id.into_datum(),
        aborted.first_offset.into_datum(),
        last_stable_offset.into_datum(),
    ]);
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
