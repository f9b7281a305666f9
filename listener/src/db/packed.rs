//! The answer of `kafka.fetch_batches_packed`: all partitions in one value, big endian, so
//! that record bytes are sent from where the database's message was received.

use bytes::{Buf, Bytes, TryGetError};

use crate::error::DbError;

use super::queries::{Fetched, unexpected};

/// `count` partitions, and nothing behind them.
pub(super) fn unpack(mut packed: Bytes, count: usize) -> Result<Vec<Fetched>, DbError> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let partition =
            partition(&mut packed).map_err(|_| unexpected("a fetch's answer cut short"))?;
        found.push(partition);
    }
    if packed.has_remaining() {
        return Err(unexpected("a fetch's answer that is too long"));
    }
    Ok(found)
}

fn partition(packed: &mut Bytes) -> Result<Fetched, TryGetError> {
    Ok(Fetched {
        error_code: packed.try_get_i16()?,
        high_watermark: packed.try_get_i64()?,
        last_stable_offset: packed.try_get_i64()?,
        log_start_offset: packed.try_get_i64()?,
        next_offset: packed.try_get_i64()?,
        aborted: aborted(packed)?,
        records: records(packed)?,
    })
}

fn aborted(packed: &mut Bytes) -> Result<Vec<(i64, i64)>, TryGetError> {
    const PAIR_BYTES: usize = 16;
    let count = length(packed, PAIR_BYTES)?;
    let mut aborted = Vec::with_capacity(count);
    for _ in 0..count {
        aborted.push((packed.try_get_i64()?, packed.try_get_i64()?));
    }
    Ok(aborted)
}

fn records(packed: &mut Bytes) -> Result<Bytes, TryGetError> {
    let length = length(packed, 1)?;
    Ok(packed.split_to(length))
}

/// How many elements of this size follow; they are there. Below zero is too many.
fn length(packed: &mut Bytes, element_bytes: usize) -> Result<usize, TryGetError> {
    let declared = packed.try_get_i32()?;
    let length = usize::try_from(declared).unwrap_or(usize::MAX);
    let requested = length.saturating_mul(element_bytes);
    let available = packed.remaining();
    if requested > available {
        return Err(TryGetError {
            requested,
            available,
        });
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{BufMut, BytesMut};

    fn packed(error_code: i16, aborted: &[(i64, i64)], records: &[u8]) -> Vec<u8> {
        let mut packed = BytesMut::new();
        packed.put_i16(error_code);
        for offset in [9, 8, 1, 5] {
            packed.put_i64(offset);
        }
        packed.put_i32(aborted.len() as i32);
        for (producer_id, first_offset) in aborted {
            packed.put_i64(*producer_id);
            packed.put_i64(*first_offset);
        }
        packed.put_i32(records.len() as i32);
        packed.put_slice(records);
        packed.to_vec()
    }

    #[test]
    fn partitions_come_in_order_and_their_records_are_not_copied() {
        let value = [
            packed(3, &[], b""),
            packed(0, &[(7, 2), (8, 3)], b"batches"),
        ]
        .concat();
        let value = Bytes::from(value);
        let found = unpack(value.clone(), 2).unwrap();
        assert_eq!((found[0].error_code, found[0].records.len()), (3, 0));
        let second = &found[1];
        assert_eq!(
            (
                second.high_watermark,
                second.last_stable_offset,
                second.log_start_offset,
                second.next_offset
            ),
            (9, 8, 1, 5)
        );
        assert_eq!(second.aborted, [(7, 2), (8, 3)]);
        assert_eq!(second.records[..], *b"batches");
        assert_eq!(second.records.as_ptr(), value[value.len() - 7..].as_ptr());
    }

    /// Whatever is cut off, changed or added, it is noticed.
    #[test]
    fn a_bad_value_is_an_error() {
        let good = packed(0, &[(7, 2)], b"batches");
        for length in 0..good.len() {
            assert!(
                unpack(Bytes::copy_from_slice(&good[..length]), 1).is_err(),
                "{length}"
            );
        }
        let good = Bytes::from(good);
        assert!(unpack(good.clone(), 1).is_ok());
        assert!(unpack(good.clone(), 0).is_err() && unpack(good.clone(), 2).is_err());
        let counts = [34, good.len() - 11];
        for (count, at) in counts.into_iter().flat_map(|at| [(-1, at), (i32::MAX, at)]) {
            let mut bad = good.to_vec();
            bad[at..at + 4].copy_from_slice(&i32::to_be_bytes(count));
            assert!(unpack(bad.into(), 1).is_err(), "{count} at {at}");
        }
    }
}
