//! What this transaction has produced from SQL and not appended yet, and the callbacks that
//! append it when the transaction commits or prepares. A long transaction thus never holds
//! the high watermark back, and its records share batches.
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use kafka_core::buffer::ProduceBuffer;
use kafka_core::builder::ProducerFields;
use kafka_core::codec::Codec;
use kafka_core::error::KafkaError;
use kafka_core::record::HeaderRef;
use kafka_core::topic::TimestampType;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::log::{Appender, LockMode, LogTable, NewBatch};
use super::polled;
use super::server;
use super::topic::Topic;
use super::wake;

#[derive(Default)]
struct Pending {
    /// By topic number and partition.
    buffer: ProduceBuffer<(i32, i32)>,
    topics: HashMap<i32, Rc<Topic>>,
    /// The partition that this transaction's keyless records of a topic go to.
    keyless: HashMap<i32, i32>,
}

thread_local! {
    static PENDING: RefCell<Pending> = RefCell::default();
}

/// A record as `kafka.produce` was given it.
pub(crate) struct NewRecord<'a> {
    /// Milliseconds since the epoch.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [HeaderRef<'a>],
}

/// A batch that a flush appended.
pub(crate) struct Flushed {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) base_offset: i64,
    pub(crate) record_count: i32,
}

/// Buffers the record for the end of the transaction; returns its partition. Without a
/// `partition` a record goes where the Java client would send its key.
pub(crate) fn produce(
    topic: &Rc<Topic>,
    partition: Option<i32>,
    record: &NewRecord<'_>,
) -> Result<i32, KafkaError> {
    let limit = topic.max_message_bytes();
    let size = kafka_core::batch::HEADER_LEN
        + kafka_core::record::record_size_upper_bound(record.key, record.value, record.headers);
    if size > limit as usize {
        return Err(KafkaError::MessageTooLarge {
            size,
            limit: limit as usize,
        });
    }
    let buffered = PENDING.with_borrow_mut(|pending| {
        let partition = match (partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => kafka_core::partitioner::murmur2_partition(key, topic.partitions),
            (None, None) => *pending
                .keyless
                .entry(topic.number)
                .or_insert_with(|| server::random_below(topic.partitions as usize) as i32),
        };
        topic.check_partition(partition)?;
        pending
            .topics
            .entry(topic.number)
            .or_insert_with(|| Rc::clone(topic));
        pending.buffer.append(
            // SAFETY: a getter.
            unsafe { pg_sys::GetCurrentSubTransactionId() },
            (topic.number, partition),
            limit as usize,
            record.timestamp,
            record.key,
            record.value,
            record.headers,
        );
        Ok((partition, pending.buffer.buffered_bytes()))
    });
    let (partition, bytes) = buffered?;
    if bytes > crate::guc::produce_buffer_bytes() {
        flush();
    }
    Ok(partition)
}

/// Appends what is buffered.
pub(crate) fn flush() -> Vec<Flushed> {
    if PENDING.with_borrow(|pending| pending.buffer.is_empty()) {
        return Vec::new();
    }
    // SAFETY: a getter.
    let subtransaction = unsafe { pg_sys::GetCurrentSubTransactionId() };
    let (batches, topics) = PENDING
        .with_borrow_mut(|pending| (pending.buffer.take(subtransaction), pending.topics.clone()));
    // A commit has no active snapshot any more, and PostgreSQL 18 asserts one for every
    // insert into a table that has a TOAST table.
    // SAFETY: popped below, or by abort.
    let pushed = unsafe {
        let missing = !pg_sys::ActiveSnapshotSet();
        if missing {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        missing
    };
    let mut flushed = Vec::new();
    for ((number, partition), builders) in batches {
        // The transaction may have dropped the topic after producing to it.
        let Some(topic) = topics.get(&number) else {
            continue;
        };
        let Some(log) = LogTable::open(topic, LockMode::Write) else {
            continue;
        };
        let codec = topic.stored_codec(Codec::None);
        for builder in builders {
            let bytes = builder.build(codec, ProducerFields::default());
            let base_offset = append_built(topic, &log, partition, &bytes);
            flushed.push(Flushed {
                topic: topic.name.clone(),
                partition,
                base_offset,
                record_count: builder.count(),
            });
        }
    }
    if pushed {
        // SAFETY: pushed above.
        unsafe { pg_sys::PopActiveSnapshot() };
    }
    flushed
}

/// Appends one batch that the server itself has built.
pub(crate) fn append_built(topic: &Topic, log: &LogTable, partition: i32, bytes: &[u8]) -> i64 {
    let batch = crate::raise::ok(kafka_core::batch::Batch::parse(bytes)).0;
    let new = NewBatch::new(
        Cow::Borrowed(bytes),
        batch.last_offset_delta(),
        batch.max_timestamp(),
        log_append_time(topic),
    );
    let mut appender = Appender::begin(topic, log, partition);
    let base_offset = appender.next_offset();
    appender.append(&new);
    appender.finish();
    base_offset
}

/// The time to stamp, in milliseconds, where the topic's `message.timestamp.type` is `LogAppendTime`.
pub(crate) fn log_append_time(topic: &Topic) -> Option<i64> {
    (topic.config.message_timestamp_type == TimestampType::LogAppendTime)
        .then(super::server::now_ms)
}

fn forget() {
    super::topic::forget_locks();
    polled::forget();
    PENDING.with_borrow_mut(|pending| {
        pending.buffer.clear();
        pending.topics.clear();
        pending.keyless.clear();
    });
}

pub(super) fn init() {
    // SAFETY: registered once, when the library is loaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_event), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_event), std::ptr::null_mut());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_event(
    event: pg_sys::XactEvent::Type,
    _arg: *mut std::ffi::c_void,
) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT => {
            polled::before_commit();
            flush();
        }
        pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => {
            polled::before_prepare();
            flush();
        }
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            wake::committed();
            forget();
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            wake::forget();
            forget();
        }
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    subtransaction: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    PENDING.with_borrow_mut(|pending| match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
            pending.buffer.commit_subxact(subtransaction, parent);
        }
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            super::topic::forget_locks();
            pending.buffer.abort_subxact(subtransaction);
        }
        _ => {}
    });
}
