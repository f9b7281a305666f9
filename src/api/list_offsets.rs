//! `kafka.list_offsets`: where a partition begins and ends, and which offset a time has.
use std::ops::ControlFlow;

use kafka_core::batch::Batch;
use kafka_core::error::KafkaError;
use kafka_core::offsets::timestamps;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::Fault;
use super::fetch::{Isolation, timestamp};
use super::produce_batches::MAX_INFLATED_BYTES;
use crate::raise::ok;
use crate::store::log::{self, LockMode, LogTable, Watermarks};
use crate::store::server;
use crate::store::topic::{self, Topic, TopicRef};

/// Where a query of offsets ended: -1 and -1 where nothing matches.
#[derive(Clone, Copy)]
struct Found {
    offset: i64,
    timestamp: i64,
}

const NOTHING: Found = Found {
    offset: -1,
    timestamp: -1,
};

#[pg_extern(sql = false)]
fn list_offsets(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    at: Option<Vec<Option<i64>>>,
    isolation: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(offset, i64),
        name!(timestamp, i64),
        name!(leader_epoch, i32),
    ),
> {
    let isolation = ok(super::required("isolation", isolation).and_then(Isolation::parse));
    let topics = ok(super::required("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    let at = ok(super::elements("timestamps", at));
    ok(super::check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
        ("timestamps", at.len()),
    ]));
    let rows: Vec<_> = (0..topics.len())
        .map(|i| {
            let idx = i as i32 + 1;
            let found = super::topic_ref(Some(&topics), None, i)
                .and_then(|topic| list(&topic, partitions[i], at[i], isolation));
            match found {
                Ok(found) => (
                    idx,
                    0,
                    None,
                    found.offset,
                    found.timestamp,
                    server::leader_epoch(),
                ),
                Err(error) => {
                    let fault = Fault::from(&error);
                    (idx, fault.code, fault.message, -1, -1, -1)
                }
            }
        })
        .collect();
    TableIterator::new(rows)
}

type OffsetRow = (Option<i64>, Option<TimestampWithTimeZone>);

/// One partition, with a fault raised. `at` as in Kafka: -1 latest, -2 earliest, -3 the
/// record with the largest timestamp, otherwise milliseconds since the epoch.
#[pg_extern(sql = false)]
fn list_offset(
    topic: &str,
    partition: i32,
    at: i64,
) -> TableIterator<
    'static,
    (
        name!(offset, Option<i64>),
        name!(timestamp, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::once(row(ok(list(
        &TopicRef::Name(topic.to_owned()),
        partition,
        at,
        Isolation::ReadUncommitted,
    ))))
}

/// The same for a time.
#[pg_extern(sql = false)]
fn list_offset_at(
    topic: &str,
    partition: i32,
    at: TimestampWithTimeZone,
) -> TableIterator<
    'static,
    (
        name!(offset, Option<i64>),
        name!(timestamp, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::once(at_time(topic, partition, at))
}

/// The same for earliest, latest and `max_timestamp`; any other text is a time.
#[pg_extern(sql = false)]
fn list_offset_text(
    topic: &str,
    partition: i32,
    at: &str,
) -> TableIterator<
    'static,
    (
        name!(offset, Option<i64>),
        name!(timestamp, Option<TimestampWithTimeZone>),
    ),
> {
    let special = match at {
        "earliest" => timestamps::EARLIEST,
        "latest" => timestamps::LATEST,
        "max_timestamp" => timestamps::MAX_TIMESTAMP,
        time => {
            return TableIterator::once(at_time(topic, partition, server::parse_timestamptz(time)));
        }
    };
    TableIterator::once(row(ok(list(
        &TopicRef::Name(topic.to_owned()),
        partition,
        special,
        Isolation::ReadUncommitted,
    ))))
}

/// Records have times from 1970 on; nothing is at or after infinity.
fn at_time(topic: &str, partition: i32, at: TimestampWithTimeZone) -> OffsetRow {
    let wanted = TopicRef::Name(topic.to_owned());
    let ms = if at.is_infinity() {
        i64::MAX
    } else if at.is_neg_infinity() {
        0
    } else {
        server::micros_to_ms_up(at.into_inner()).max(0)
    };
    row(ok(list(&wanted, partition, ms, Isolation::ReadUncommitted)))
}

fn row(found: Found) -> OffsetRow {
    (
        (found.offset >= 0).then_some(found.offset),
        timestamp(found.timestamp),
    )
}

/// A record that the reader does not see yet is none; as in Kafka, the one with the largest
/// timestamp is looked for among all.
fn list(
    wanted: &TopicRef,
    partition: i32,
    at: i64,
    isolation: Isolation,
) -> Result<Found, KafkaError> {
    let (topic, log) = topic::open(wanted, LockMode::Read)?;
    topic.check_partition(partition)?;
    let watermarks = log::watermarks(&topic, &log, partition);
    let end = isolation.end(&topic, partition, &watermarks);
    let found = match at {
        timestamps::LATEST => {
            return Ok(Found {
                offset: end,
                ..NOTHING
            });
        }
        timestamps::EARLIEST | timestamps::EARLIEST_LOCAL => {
            return Ok(Found {
                offset: watermarks.log_start_offset,
                ..NOTHING
            });
        }
        timestamps::LATEST_TIERED => Ok(NOTHING),
        timestamps::MAX_TIMESTAMP => latest_record(&topic, &log, partition, &watermarks),
        at if at >= 0 => first_at(&topic, &log, partition, &watermarks, at),
        other => Err(KafkaError::InvalidRequest {
            reason: format!("{other} is neither a time nor one of the special timestamps -1 to -5"),
        }),
    }?;
    Ok(if found.offset < end { found } else { NOTHING })
}

/// The first record with the largest timestamp. The running maximum names it, unless it comes
/// from a batch that was rolled back: then the batches are compared one by one.
fn latest_record(
    topic: &Topic,
    log: &LogTable,
    partition: i32,
    watermarks: &Watermarks,
) -> Result<Found, KafkaError> {
    let running_max = log::running_max_timestamp(log, partition, watermarks.high_watermark);
    let Some(running_max) = running_max.filter(|at| *at >= 0) else {
        return Ok(NOTHING);
    };
    let found = first_at(topic, log, partition, watermarks, running_max)?;
    if found.offset >= 0 {
        return Ok(found);
    }
    let mut largest = -1;
    log::for_each_batch(
        log,
        partition,
        watermarks.log_start_offset,
        watermarks.high_watermark,
        |row| {
            largest = largest.max(row.max_timestamp());
            ControlFlow::Continue(())
        },
    );
    if largest < 0 {
        Ok(NOTHING)
    } else {
        first_at(topic, log, partition, watermarks, largest)
    }
}

/// The first readable record with a timestamp of at least `at`.
fn first_at(
    topic: &Topic,
    log: &LogTable,
    partition: i32,
    watermarks: &Watermarks,
    at: i64,
) -> Result<Found, KafkaError> {
    let from = first_offset_to_look_at(log, partition, watermarks, at);
    let mut found = Ok(NOTHING);
    log::for_each_batch(log, partition, from, watermarks.high_watermark, |row| {
        if row.max_timestamp() < at {
            return ControlFlow::Continue(());
        }
        found = super::read_batch(&topic.name, partition, row, |data| {
            first_record_at(data, at, watermarks.log_start_offset)
        });
        match found {
            Ok(Found { offset: -1, .. }) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    found
}

/// Binary search by the running maximum: no batch before the returned offset can match.
fn first_offset_to_look_at(
    log: &LogTable,
    partition: i32,
    watermarks: &Watermarks,
    at: i64,
) -> i64 {
    let (mut low, mut high) = (watermarks.log_start_offset, watermarks.high_watermark);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut probe = None;
        log::for_each_batch(log, partition, middle, high, |row| {
            probe = Some((
                row.base_offset(),
                row.last_offset(),
                row.running_max_timestamp(),
            ));
            ControlFlow::Break(())
        });
        match probe {
            Some((_, last_offset, running_max)) if running_max < at => low = last_offset + 1,
            Some((base_offset, ..)) => high = base_offset.clamp(low, middle),
            None => high = middle,
        }
    }
    low
}

fn first_record_at(data: &[u8], at: i64, log_start_offset: i64) -> Result<Found, KafkaError> {
    let (batch, _) = Batch::parse(data)?;
    let mut records = batch.records(MAX_INFLATED_BYTES)?;
    while let Some(record) = records.next_record() {
        let record = record?;
        if record.timestamp >= at && record.offset >= log_start_offset {
            return Ok(Found {
                offset: record.offset,
                timestamp: record.timestamp,
            });
        }
    }
    Ok(NOTHING)
}
