//! What several tests share.

use kafka_core::{Batch, BatchBuilder, Codec, HeaderRef, KafkaError, Limits, ProducerFields};

pub(crate) const LIMITS: Limits = Limits {
    max_message_bytes: 1_048_588,
};
/// More than any batch of these tests inflates to.
pub(crate) const INFLATED: usize = 16 << 20;

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub(crate) fn parse(bytes: &[u8]) -> Batch<'_> {
    let (batch, rest) = Batch::parse(bytes).unwrap();
    assert!(rest.is_empty());
    batch
}

pub(crate) fn read(batch: &Batch<'_>, max_inflated: usize) -> Result<Vec<Owned>, KafkaError> {
    let mut records = batch.records(max_inflated)?;
    let mut all = Vec::new();
    while let Some(record) = records.next_record() {
        let record = record?;
        all.push(Owned {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
    Ok(all)
}

pub(crate) fn append(builder: &mut BatchBuilder, record: &Owned) {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(key, value)| HeaderRef {
            key,
            value: value.as_deref(),
        })
        .collect();
    builder.append(
        record.timestamp,
        record.key.as_deref(),
        record.value.as_deref(),
        &headers,
    );
}

pub(crate) fn build(records: &[Owned], codec: Codec, producer: ProducerFields) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in records {
        append(&mut builder, record);
    }
    builder.build(codec, producer)
}

/// A valid batch of three small records.
pub(crate) fn small_batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for i in 0..3 {
        builder.append(1000 + i, Some(b"key"), Some(b"value"), &[]);
    }
    builder.build(Codec::None, ProducerFields::default())
}

/// Overwrites bytes of a batch and makes its checksum right again.
pub(crate) fn patch(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = parse(bytes).computed_crc();
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The bytes of a token of the golden files: `x` and hexadecimal digits, or `null`.
pub(crate) fn unhex(token: &str) -> Option<Vec<u8>> {
    if token == "null" {
        return None;
    }
    let digits = token.strip_prefix('x').unwrap();
    Some(
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect(),
    )
}

/// Bytes that compress well, made the same way by the program that made the golden files.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| b'a' + (i * 7 % 26) as u8).collect()
}

/// Bytes that do not compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
