//! `kafka.fetch_batches`: stored batches, unchanged, of several partitions at once.
mod packed;

use std::ops::ControlFlow;

use kafka_core::batch::is_transactional_data;
use kafka_core::error::KafkaError;
use pgrx::Uuid;
use pgrx::prelude::*;

use super::Fault;
use super::fetch::{Isolation, check_offset};
use crate::raise::ok;
use crate::store::aborted::{self, AbortedTransaction};
use crate::store::log::{self, LockMode, Watermarks};
use crate::store::stable;
use crate::store::topic;
use crate::store::varlena::Bytea;

type Row = (
    i32,
    i16,
    Option<String>,
    i64,
    i64,
    i64,
    Bytea,
    Vec<i64>,
    Vec<i64>,
);

/// The most that one call returns, whatever it is asked for: a value of PostgreSQL holds 1 GB.
const MAX_RESPONSE_BYTES: usize = 256 * 1024 * 1024;

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn fetch_batches(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    offsets: Option<Vec<Option<i64>>>,
    partition_max_bytes: Option<Vec<Option<i32>>>,
    max_bytes: Option<i32>,
    min_bytes: Option<i32>,
    isolation: Option<&str>,
    topic_ids: Option<Vec<Option<Uuid>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(high_watermark, i64),
        name!(last_stable_offset, i64),
        name!(log_start_offset, i64),
        name!(records, Bytea),
        name!(aborted_producer_ids, Vec<i64>),
        name!(aborted_first_offsets, Vec<i64>),
    ),
> {
    let call = ok(Call::new(
        topics,
        partitions,
        offsets,
        partition_max_bytes,
        max_bytes,
        min_bytes,
        isolation,
        topic_ids,
    ));
    let mut budget = Budget::default();
    let mut read: Vec<_> = (0..call.len())
        .map(|i| {
            let mut records = Bytea::with_capacity(0);
            let found = call.read(i, &mut budget, &mut records);
            (records, found)
        })
        .collect();
    if budget.used < call.min_bytes {
        for (records, _) in &mut read {
            records.clear();
        }
    }
    let rows = (1..).zip(read).map(|(idx, (records, found))| match found {
        Ok(found) => found.row(idx, records),
        Err(error) => {
            let fault = Fault::from(&error);
            let none = Vec::new;
            let (code, message) = (fault.code, fault.message);
            (idx, code, message, -1, -1, -1, records, none(), none())
        }
    });
    TableIterator::new(rows.collect::<Vec<Row>>())
}

/// The arguments, checked.
struct Call {
    topics: Vec<Option<String>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    /// Bytes of each partition.
    limits: Vec<usize>,
    /// Bytes in all.
    limit: usize,
    min_bytes: usize,
    isolation: Isolation,
}

/// Bytes that the call has taken. While there are none, a batch goes out even if it is
/// larger than the limits, so that a reader gets on.
#[derive(Default)]
struct Budget {
    used: usize,
}

/// What is told of a partition beside its records.
struct Found {
    watermarks: Watermarks,
    last_stable_offset: i64,
    /// Transactions with records among those returned, for readers at `read_committed`.
    aborted: Vec<AbortedTransaction>,
    /// Behind the last batch returned; without one, the offset asked for.
    next_offset: i64,
}

impl Call {
    #[allow(clippy::too_many_arguments)]
    fn new(
        topics: Option<Vec<Option<String>>>,
        partitions: Option<Vec<Option<i32>>>,
        offsets: Option<Vec<Option<i64>>>,
        partition_max_bytes: Option<Vec<Option<i32>>>,
        max_bytes: Option<i32>,
        min_bytes: Option<i32>,
        isolation: Option<&str>,
        topic_ids: Option<Vec<Option<Uuid>>>,
    ) -> Result<Self, KafkaError> {
        let isolation = super::required("isolation", isolation).and_then(Isolation::parse)?;
        let topics = super::required("topics", topics)?;
        let partitions = super::elements("partitions", partitions)?;
        let offsets = super::elements("offsets", offsets)?;
        let limits = partition_max_bytes
            .map(|limits| super::elements("partition_max_bytes", Some(limits)))
            .transpose()?;
        let max_bytes = super::required("max_bytes", max_bytes)?;
        let limits = limits.unwrap_or_else(|| vec![max_bytes; topics.len()]);
        super::check_lengths(&[
            ("topics", topics.len()),
            ("partitions", partitions.len()),
            ("offsets", offsets.len()),
            ("partition_max_bytes", limits.len()),
            (
                "topic_ids",
                topic_ids.as_ref().map_or(topics.len(), Vec::len),
            ),
        ])?;
        Ok(Self {
            topics,
            topic_ids,
            partitions,
            offsets,
            limits: limits
                .into_iter()
                .map(|limit| limit.max(0) as usize)
                .collect(),
            limit: (max_bytes.max(0) as usize).min(MAX_RESPONSE_BYTES),
            min_bytes: min_bytes.unwrap_or(0).max(0) as usize,
            isolation,
        })
    }

    fn len(&self) -> usize {
        self.topics.len()
    }

    /// Adds the batches of element `i` to `records`; none where it is at fault.
    fn read(
        &self,
        i: usize,
        budget: &mut Budget,
        records: &mut Bytea,
    ) -> Result<Found, KafkaError> {
        let wanted = super::topic_ref(Some(&self.topics), self.topic_ids.as_deref(), i)?;
        let (partition, offset) = (self.partitions[i], self.offsets[i]);
        let (topic, log) = topic::open(&wanted, LockMode::Read)?;
        topic.check_partition(partition)?;
        let watermarks = log::watermarks(&topic, &log, partition);
        check_offset(&topic, partition, offset, &watermarks)?;
        let last_stable_offset = stable::last_stable_offset(&topic, partition, &watermarks);
        let end = match self.isolation {
            Isolation::ReadCommitted => last_stable_offset,
            Isolation::ReadUncommitted => watermarks.high_watermark,
        };
        let mut left = self.limits[i].min(self.limit.saturating_sub(budget.used));
        let (mut next_offset, mut transactional_end) = (offset, None);
        log::for_each_batch(&log, partition, offset, end, |batch| {
            let size = batch.size_bytes();
            if size > left && budget.used > 0 {
                return ControlFlow::Break(());
            }
            next_offset = batch.last_offset() + 1;
            let start = records.len();
            batch.push_to(records);
            if is_transactional_data(&records.payload_mut()[start..]) {
                transactional_end = Some(next_offset);
            }
            budget.used += size;
            left = left.saturating_sub(size);
            ControlFlow::Continue(())
        });
        let aborted = match (self.isolation, transactional_end) {
            (Isolation::ReadCommitted, Some(end)) => {
                aborted::between(&topic, partition, offset, end)
            }
            _ => Vec::new(),
        };
        Ok(Found {
            watermarks,
            last_stable_offset,
            aborted,
            next_offset,
        })
    }
}

impl Found {
    fn row(self, idx: i32, records: Bytea) -> Row {
        let aborted = self.aborted.into_iter();
        let (producer_ids, first_offsets) =
            aborted.map(|t| (t.producer_id, t.first_offset)).unzip();
        (
            idx,
            0,
            None,
            self.watermarks.high_watermark,
            self.last_stable_offset,
            self.watermarks.log_start_offset,
            records,
            producer_ids,
            first_offsets,
        )
    }
}
