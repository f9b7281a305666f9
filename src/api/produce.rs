//! `kafka.produce` and `kafka.flush`: records from SQL, in the caller's transaction.
use std::rc::Rc;

use kafka_core::error::KafkaError;
use pgrx::AnyArray;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::raise::ok;
use crate::store::header::Headers;
use crate::store::pending::{self, NewRecord};
use crate::store::server;
use crate::store::topic::{self, Topic};

#[pg_extern(sql = false)]
fn produce(
    topic: Option<&str>,
    value: Option<&[u8]>,
    key: Option<&[u8]>,
    headers: Option<AnyArray>,
    partition: Option<i32>,
    timestamp: Option<TimestampWithTimeZone>,
) -> i32 {
    ok(buffer(topic, value, key, headers, partition, timestamp))
}

/// The same for text, which Kafka's clients expect as UTF-8.
#[pg_extern(sql = false)]
fn produce_text(
    topic: Option<&str>,
    value: Option<&[u8]>,
    key: Option<&[u8]>,
    headers: Option<AnyArray>,
    partition: Option<i32>,
    timestamp: Option<TimestampWithTimeZone>,
) -> i32 {
    let value = value.map(server::to_utf8);
    let key = key.map(server::to_utf8);
    ok(buffer(
        topic,
        value.as_deref(),
        key.as_deref(),
        headers,
        partition,
        timestamp,
    ))
}

fn buffer(
    topic: Option<&str>,
    value: Option<&[u8]>,
    key: Option<&[u8]>,
    headers: Option<AnyArray>,
    partition: Option<i32>,
    timestamp: Option<TimestampWithTimeZone>,
) -> Result<i32, KafkaError> {
    server::require_writable(c"kafka.produce()");
    let topic = lock_or_create(super::required("topic", topic)?)?;
    let headers = Headers::read(headers)?;
    let timestamp = timestamp.map_or(Ok(server::now_ms()), record_timestamp)?;
    let record = NewRecord {
        timestamp,
        key,
        value,
        headers: &headers.as_refs(),
    };
    pending::produce(&topic, partition, &record)
}

/// Kafka's timestamps are milliseconds since the epoch and not negative.
fn record_timestamp(at: TimestampWithTimeZone) -> Result<i64, KafkaError> {
    let invalid = |reason: &str| KafkaError::InvalidTimestamp {
        reason: reason.to_owned(),
    };
    if at.is_infinity() || at.is_neg_infinity() {
        return Err(invalid("it is infinite"));
    }
    let ms = server::micros_to_ms(at.into_inner());
    if ms < 0 {
        Err(invalid("it is before 1970"))
    } else {
        Ok(ms)
    }
}

/// Locks the topic for writing; creates it where that is allowed.
fn lock_or_create(name: &str) -> Result<Rc<Topic>, KafkaError> {
    match topic::lock_for_write(name) {
        Err(KafkaError::UnknownTopicOrPartition { .. }) if crate::guc::auto_create_topics() => {
            super::topic::auto_create(name)?;
            topic::lock_for_write(name)
        }
        other => other,
    }
}

#[pg_extern(sql = false)]
fn flush() -> TableIterator<
    'static,
    (
        name!(topic, String),
        name!(partition, i32),
        name!(base_offset, i64),
        name!(record_count, i32),
    ),
> {
    server::require_writable(c"kafka.flush()");
    let flushed = pending::flush();
    TableIterator::new(
        flushed
            .into_iter()
            .map(|f| (f.topic, f.partition, f.base_offset, f.record_count)),
    )
}
