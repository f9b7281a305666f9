//! `kafka.fetch_batches_packed`: the same answer in one value, which is not copied through a
//! result set.
//!
//! Big endian, for each element of the call in order: int16 `error_code`, int64
//! `high_watermark`, int64 `last_stable_offset`, int64 `log_start_offset`, int64 `next_offset`,
//! int32 number of aborted transactions, for each of them int64 `producer_id` and int64
//! `first_offset`, int32 length of the records, the records.
use kafka_core::error::KafkaError;
use pgrx::Uuid;
use pgrx::prelude::*;

use super::{Budget, Call, Found};
use crate::raise::ok;
use crate::store::varlena::{Bytea, keep_freed_memory};

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn fetch_batches_packed(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    offsets: Option<Vec<Option<i64>>>,
    partition_max_bytes: Option<Vec<Option<i32>>>,
    max_bytes: Option<i32>,
    min_bytes: Option<i32>,
    isolation: Option<&str>,
    topic_ids: Option<Vec<Option<Uuid>>>,
) -> Bytea {
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
    keep_freed_memory();
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    crate::send::large_rows_at_once();
    pack(&call)
}

/// Bytes before the records where no transaction was aborted.
const HEAD_LEN: usize = 42;

/// The most that is reserved at first. Untouched it costs nothing, and growing means copying
/// until the memory is so large that the kernel moves it.
const RESERVED_BYTES: usize = 32 * 1024 * 1024;

fn pack(call: &Call) -> Bytea {
    let records = call
        .limits
        .iter()
        .fold(0, |sum: usize, limit| sum.saturating_add(*limit));
    let records = records.min(call.limit).min(RESERVED_BYTES);
    let mut answer = Bytea::with_capacity(call.len() * HEAD_LEN + records);
    let mut budget = Budget::default();
    let mut heads = Vec::with_capacity(call.len());
    for i in 0..call.len() {
        let start = answer.len();
        answer.push(&[0; HEAD_LEN]);
        let found = call.read(i, &mut budget, &mut answer);
        let records_length = answer.len() - start - HEAD_LEN;
        answer.replace(start, HEAD_LEN, &head(found.as_ref(), records_length));
        heads.push(found);
    }
    if budget.used < call.min_bytes {
        answer.clear();
        for (found, offset) in heads.iter_mut().zip(&call.offsets) {
            if let Ok(found) = found {
                found.next_offset = *offset;
            }
            answer.push(&head(found.as_ref(), 0));
        }
    }
    answer
}

/// What goes before the records.
fn head(found: Result<&Found, &KafkaError>, records_length: usize) -> Vec<u8> {
    let (code, offsets, aborted) = match found {
        Ok(found) => {
            let watermarks = &found.watermarks;
            let offsets = [
                watermarks.high_watermark,
                found.last_stable_offset,
                watermarks.log_start_offset,
                found.next_offset,
            ];
            (0, offsets, &*found.aborted)
        }
        Err(error) => (error.code(), [-1; 4], &[][..]),
    };
    let mut head = Vec::with_capacity(HEAD_LEN + 16 * aborted.len());
    head.extend(code.to_be_bytes());
    head.extend(offsets.map(i64::to_be_bytes).concat());
    head.extend((aborted.len() as i32).to_be_bytes());
    for transaction in aborted {
        head.extend(transaction.producer_id.to_be_bytes());
        head.extend(transaction.first_offset.to_be_bytes());
    }
    head.extend((records_length as i32).to_be_bytes());
    head
}
