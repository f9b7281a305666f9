//! The last stable offset: where readers at `read_committed` stop, because a transaction of a
//! producer that has records there is still open.
//!
//! Open transactions are read with a snapshot taken after the watermarks were fixed. What a
//! transaction has written below the high watermark was committed by then, together with
//! the note of where it begins, so that snapshot shows the note, or the transaction ended.
use std::ptr;

use pgrx::pg_sys;

use super::log::Watermarks;
use super::topic::{self, Topic};

/// Columns of `kafka_log.producers`, by attribute number.
const TOPIC_NUMBER: i16 = 1;
const PARTITION: i16 = 2;
const PRODUCER_ID: i32 = 3;
const TXN_FIRST_OFFSET: i32 = 8;

/// The first offset that readers at `read_committed` cannot read yet.
pub(crate) fn last_stable_offset(topic: &Topic, partition: i32, watermarks: &Watermarks) -> i64 {
    without(topic, partition, watermarks, None)
}

/// The same as if this producer's transaction were over.
pub(super) fn without(
    topic: &Topic,
    partition: i32,
    watermarks: &Watermarks,
    producer_id: Option<i64>,
) -> i64 {
    first_open_offset(topic.number, partition, producer_id)
        .map_or(watermarks.high_watermark, |first| {
            first.min(watermarks.high_watermark)
        })
        .max(watermarks.log_start_offset)
}

/// Where the first open transaction of the partition begins, by the index that has only
/// those; this producer's does not count.
fn first_open_offset(topic_number: i32, partition: i32, without: Option<i64>) -> Option<i64> {
    let lock = pg_sys::AccessShareLock as i32;
    // SAFETY: catalogue tables of the extension, opened and closed here; the snapshot is
    // registered while it is used. An ERROR leaves the rest to the resource owner.
    unsafe {
        let table = pg_sys::table_open(topic::catalog_relation("producers"), lock);
        let index =
            pg_sys::index_open(topic::catalog_relation("producers_open_transactions"), lock);
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let mut keys: [pg_sys::ScanKeyData; 2] = std::mem::zeroed();
        for (key, (column, value)) in keys
            .iter_mut()
            .zip([(TOPIC_NUMBER, topic_number), (PARTITION, partition)])
        {
            pg_sys::ScanKeyInit(
                ptr::from_mut(key),
                column,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_INT4EQ),
                pg_sys::Datum::from(value),
            );
        }
        let scan = pg_sys::systable_beginscan_ordered(table, index, snapshot, 2, keys.as_mut_ptr());
        let column = |tuple: pg_sys::HeapTuple, column: i32| {
            let mut null = false;
            let desc = (*table).rd_att;
            pg_sys::heap_getattr(tuple, column, desc, &mut null).value() as i64
        };
        let mut found = None;
        while found.is_none() {
            let tuple =
                pg_sys::systable_getnext_ordered(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            if without != Some(column(tuple, PRODUCER_ID)) {
                found = Some(column(tuple, TXN_FIRST_OFFSET));
            }
        }
        pg_sys::systable_endscan_ordered(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::index_close(index, lock);
        pg_sys::table_close(table, lock);
        found
    }
}
