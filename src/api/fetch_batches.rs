//! `kafka.fetch_batches`: stored batches, unchanged, of several partitions at once.
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
use crate::store::topic::{self, TopicRef};
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

/// Bytes that the call may still return.
struct Budget {
    left: usize,
    /// Nothing was returned yet: the first batch goes out even if it is larger.
    empty: bool,
}

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
    let isolation = ok(super::required("isolation", isolation).and_then(Isolation::parse));
    let topics = ok(super::required("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    let offsets = ok(super::elements("offsets", offsets));
    let partition_max_bytes =
        partition_max_bytes.map(|limits| ok(super::elements("partition_max_bytes", Some(limits))));
    let max_bytes = ok(super::required("max_bytes", max_bytes));
    let min_bytes = min_bytes.unwrap_or(0);
    ok(super::check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
        ("offsets", offsets.len()),
        (
            "partition_max_bytes",
            partition_max_bytes.as_ref().map_or(topics.len(), Vec::len),
        ),
        (
            "topic_ids",
            topic_ids.as_ref().map_or(topics.len(), Vec::len),
        ),
    ]));
    let mut budget = Budget {
        left: (max_bytes.max(0) as usize).min(MAX_RESPONSE_BYTES),
        empty: true,
    };
    let mut read: Vec<(Bytea, Result<Bounds, KafkaError>)> = (0..topics.len())
        .map(|i| {
            let limit = partition_max_bytes
                .as_ref()
                .map_or(max_bytes, |limits| limits[i])
                .max(0) as usize;
            let mut records = Bytea::with_capacity(0);
            let bounds =
                super::topic_ref(Some(&topics), topic_ids.as_deref(), i).and_then(|topic| {
                    let wanted = Wanted {
                        topic,
                        partition: partitions[i],
                        offset: offsets[i],
                        limit,
                        isolation,
                    };
                    wanted.read(&mut budget, &mut records)
                });
            (records, bounds)
        })
        .collect();
    let total: usize = read.iter().map(|(records, _)| records.len()).sum();
    if total < min_bytes.max(0) as usize {
        for (records, _) in &mut read {
            *records = Bytea::with_capacity(0);
        }
    }
    let rows: Vec<Row> = read
        .into_iter()
        .enumerate()
        .map(|(i, (records, bounds))| match bounds {
            Ok(bounds) => {
                let aborted = bounds.aborted.into_iter();
                let (producer_ids, first_offsets) =
                    aborted.map(|t| (t.producer_id, t.first_offset)).unzip();
                (
                    i as i32 + 1,
                    0,
                    None,
                    bounds.watermarks.high_watermark,
                    bounds.last_stable_offset,
                    bounds.watermarks.log_start_offset,
                    records,
                    producer_ids,
                    first_offsets,
                )
            }
            Err(error) => {
                let fault = Fault::from(&error);
                (
                    i as i32 + 1,
                    fault.code,
                    fault.message,
                    -1,
                    -1,
                    -1,
                    records,
                    Vec::new(),
                    Vec::new(),
                )
            }
        })
        .collect();
    TableIterator::new(rows)
}

/// What one partition is asked for.
struct Wanted {
    topic: TopicRef,
    partition: i32,
    offset: i64,
    /// Bytes.
    limit: usize,
    isolation: Isolation,
}

/// What is told of a partition beside its records.
struct Bounds {
    watermarks: Watermarks,
    last_stable_offset: i64,
    /// Transactions with records among those returned, for readers at `read_committed`.
    aborted: Vec<AbortedTransaction>,
}

impl Wanted {
    fn read(&self, budget: &mut Budget, records: &mut Bytea) -> Result<Bounds, KafkaError> {
        let (topic, log) = topic::open(&self.topic, LockMode::Read)?;
        topic.check_partition(self.partition)?;
        let watermarks = log::watermarks(&topic, &log, self.partition);
        check_offset(&topic, self.partition, self.offset, &watermarks)?;
        let last_stable_offset = stable::last_stable_offset(&topic, self.partition, &watermarks);
        let end = match self.isolation {
            Isolation::ReadCommitted => last_stable_offset,
            Isolation::ReadUncommitted => watermarks.high_watermark,
        };
        let mut transactional_end = None;
        log::for_each_batch(&log, self.partition, self.offset, end, |batch| {
            let size = batch.size_bytes();
            let fits = size <= budget.left && records.len() + size <= self.limit;
            if !fits && !budget.empty {
                return ControlFlow::Break(());
            }
            let start = records.len();
            batch.push_to(records);
            if is_transactional_data(&records.payload_mut()[start..]) {
                transactional_end = Some(batch.last_offset() + 1);
            }
            budget.empty = false;
            budget.left = budget.left.saturating_sub(size);
            ControlFlow::Continue(())
        });
        let aborted = match (self.isolation, transactional_end) {
            (Isolation::ReadCommitted, Some(end)) => {
                aborted::between(&topic, self.partition, self.offset, end)
            }
            _ => Vec::new(),
        };
        Ok(Bounds {
            watermarks,
            last_stable_offset,
            aborted,
        })
    }
}
