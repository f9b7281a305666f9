//! Which partition a keyed record belongs to.

/// The partition the Java client's default partitioner picks for `key`: the 31 low bits
/// of murmur2 modulo `partitions`. With fewer than one partition the answer is 0.
pub fn murmur2_partition(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff) as i32;
    positive.checked_rem(partitions.max(1)).unwrap_or(0)
}

/// Murmur2 with the seed of Kafka's clients (Java: `Utils.murmur2`).
pub fn murmur2(key: &[u8]) -> u32 {
    murmur2::murmur2(key, murmur2::KAFKA_SEED)
}
