//! Keys go where Java's default partitioner sends them.

use kafka_core::murmur2_partition;
use kafka_core::partitioner::murmur2;

use crate::support::unhex;

#[test]
fn hashes_are_javas() {
    let vectors: [(&[u8], i32); 6] = [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (
            b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        (b"abc", 479_470_107),
    ];
    for (key, hash) in vectors {
        assert_eq!(murmur2(key) as i32, hash);
    }
}

#[test]
fn partitions_are_javas() {
    for line in include_str!("golden/java_partitions.txt").lines() {
        let tokens: Vec<_> = line.split(' ').collect();
        let key = unhex(tokens[0]).unwrap();
        let partitions = tokens[1].parse().unwrap();
        let expected: i32 = tokens[2].parse().unwrap();
        assert_eq!(murmur2_partition(&key, partitions), expected, "{line}");
    }
}

#[test]
fn without_partitions_the_answer_is_zero() {
    for partitions in [0, -1, i32::MIN] {
        assert_eq!(murmur2_partition(b"key", partitions), 0);
    }
}
