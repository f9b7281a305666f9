//! `kafka.fetch` and `kafka.records`: records as rows.
use std::ops::ControlFlow;

use kafka_core::batch::Batch;
use kafka_core::error::KafkaError;
use kafka_core::record::Record;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::produce_batches::MAX_INFLATED_BYTES;
use super::visible::Visible;
use crate::raise::ok;
use crate::store::log::{self, LockMode, Watermarks};
use crate::store::record_rows::RecordRows;
use crate::store::stable;
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::wake::{self, Slot};
use crate::store::{server, wait_duration};

/// Which records a reader sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    ReadCommitted,
    ReadUncommitted,
}

impl Isolation {
    pub(super) fn parse(text: &str) -> Result<Self, KafkaError> {
        match text {
            "read_committed" => Ok(Self::ReadCommitted),
            "read_uncommitted" => Ok(Self::ReadUncommitted),
            other => Err(KafkaError::InvalidRequest {
                reason: format!("isolation is read_committed or read_uncommitted, not \"{other}\""),
            }),
        }
    }

    /// The first offset that such a reader cannot read yet.
    pub(super) fn end(self, topic: &Topic, partition: i32, watermarks: &Watermarks) -> i64 {
        match self {
            Self::ReadCommitted => stable::last_stable_offset(topic, partition, watermarks),
            Self::ReadUncommitted => watermarks.high_watermark,
        }
    }
}

/// How much one call returns at most.
pub(super) struct Budget {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn fetch(
    topic: &str,
    partition: i32,
    offset: i64,
    max_records: i32,
    max_bytes: i32,
    max_wait_ms: i32,
    isolation: &str,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    let isolation = ok(Isolation::parse(isolation));
    let wanted = TopicRef::Name(topic.to_owned());
    let budget = Budget {
        records: max_records.max(0) as usize,
        bytes: max_bytes.max(0) as usize,
    };
    let mut rows = RecordRows::new(fcinfo);
    let first = ok(topic::find(&wanted));
    wake::wait(
        std::iter::once(Slot::partition(first.number, partition)),
        wait_duration(max_wait_ms),
        None,
        || {
            let found = ok(fetch_now(
                &wanted,
                partition,
                offset,
                &budget,
                isolation,
                |record| rows.put([], timestamp(record.timestamp), record),
            ));
            (found.records > 0).then_some(())
        },
    );
}

/// What was found from an offset on.
pub(super) struct Found {
    pub(super) records: usize,
    /// Of keys and values.
    pub(super) bytes: usize,
    /// Where to go on: behind the records, and behind what there is to pass over.
    pub(super) next_offset: i64,
}

/// Gives the records from `offset` on to `take`, within the budget.
pub(super) fn fetch_now(
    wanted: &TopicRef,
    partition: i32,
    offset: i64,
    budget: &Budget,
    isolation: Isolation,
    mut take: impl FnMut(Record<'_>),
) -> Result<Found, KafkaError> {
    let (topic, log) = topic::open(wanted, LockMode::Read)?;
    topic.check_partition(partition)?;
    let watermarks = log::watermarks(&topic, &log, partition);
    check_offset(&topic, partition, offset, &watermarks)?;
    let mut visible = Visible::new(&topic, partition, &watermarks, isolation);
    let mut found = Found {
        records: 0,
        bytes: 0,
        next_offset: offset,
    };
    let (mut stopped, mut fault) = (false, None);
    log::for_each_batch(&log, partition, offset, visible.end, |row| {
        let read = super::read_batch(&topic.name, partition, row, |data| {
            each_record(data, &mut visible, |record| {
                if record.offset < offset {
                    return ControlFlow::Continue(());
                }
                let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                let full = found.records >= budget.records || found.bytes + size > budget.bytes;
                // The first record is returned however large it is, so that a reader gets on.
                if full && !(found.records == 0 && budget.records > 0) {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                found.records += 1;
                found.bytes += size;
                found.next_offset = record.offset + 1;
                take(record);
                ControlFlow::Continue(())
            })
        });
        read.unwrap_or_else(|error| {
            stopped = true;
            fault = Some(error);
            ControlFlow::Break(())
        })
    });
    if !stopped {
        found.next_offset = visible.end.max(offset);
    }
    // A damaged batch is an error for whoever asks for it, not for those who read up to it.
    match fault {
        Some(error) if found.records == 0 => Err(error),
        _ => Ok(found),
    }
}

/// An offset that was never reached or is already deleted is an error, as in Kafka.
pub(super) fn check_offset(
    topic: &Topic,
    partition: i32,
    offset: i64,
    watermarks: &Watermarks,
) -> Result<(), KafkaError> {
    if (watermarks.log_start_offset..=watermarks.end_offset).contains(&offset) {
        return Ok(());
    }
    Err(KafkaError::OffsetOutOfRange {
        topic: topic.name.clone(),
        partition,
        offset,
        log_start_offset: watermarks.log_start_offset,
        high_watermark: watermarks.high_watermark,
    })
}

fn each_record(
    data: &[u8],
    visible: &mut Visible,
    mut visit: impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, KafkaError> {
    let (batch, _) = Batch::parse(data)?;
    if visible.hides(&batch) {
        return Ok(ControlFlow::Continue(()));
    }
    let mut records = batch.records(MAX_INFLATED_BYTES)?;
    while let Some(record) = records.next_record() {
        if visit(record?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// None for a record without a timestamp (-1) or one that PostgreSQL cannot hold.
pub(super) fn timestamp(ms: i64) -> Option<TimestampWithTimeZone> {
    if ms < 0 {
        return None;
    }
    TimestampWithTimeZone::try_from(server::ms_to_micros(ms)?).ok()
}

#[pg_extern(sql = false)]
fn records(topic: &str, isolation: &str, fcinfo: pg_sys::FunctionCallInfo) {
    let isolation = ok(Isolation::parse(isolation));
    let mut rows = RecordRows::new(fcinfo);
    ok(read_all(
        &TopicRef::Name(topic.to_owned()),
        isolation,
        &mut rows,
    ));
}

/// Reads a whole topic up to the watermarks of the moment it begins.
fn read_all(
    wanted: &TopicRef,
    isolation: Isolation,
    rows: &mut RecordRows,
) -> Result<(), KafkaError> {
    let (topic, log) = topic::open(wanted, LockMode::Read)?;
    let visible: Vec<(Visible, i64)> = (0..topic.partitions)
        .map(|partition| {
            let watermarks = log::watermarks(&topic, &log, partition);
            let visible = Visible::new(&topic, partition, &watermarks, isolation);
            (visible, watermarks.log_start_offset)
        })
        .collect();
    for (mut visible, from) in visible {
        let (partition, end) = (visible.partition, visible.end);
        let number = pg_sys::Datum::from(partition);
        let mut fault = Ok(());
        log::for_each_batch(&log, partition, from, end, |row| {
            let read = super::read_batch(&topic.name, partition, row, |data| {
                each_record(data, &mut visible, |record| {
                    if record.offset >= from {
                        rows.put([number], timestamp(record.timestamp), record);
                    }
                    ControlFlow::Continue(())
                })
            });
            read.unwrap_or_else(|error| {
                fault = Err(error);
                ControlFlow::Break(())
            })
        });
        fault?;
    }
    Ok(())
}
