//! The last stable offset: where readers at `read_committed` stop, because a transaction of a
//! producer that has records there is still open.
//!
//! Open transactions are read with a snapshot taken after the watermarks were fixed. What a
//! transaction has written below the high watermark was committed by then, together with
//! the note of where it begins, so that snapshot shows the note, or the transaction ended.
use super::log::Watermarks;
use super::producer;
use super::topic::Topic;

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
    producer::first_open_offset(topic.number, partition, producer_id)
        .map_or(watermarks.high_watermark, |first| {
            first.min(watermarks.high_watermark)
        })
        .max(watermarks.log_start_offset)
}
