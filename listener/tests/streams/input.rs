//! The records whose words are counted.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::LIMIT;
use crate::app::PARTITIONS;

const RECORDS: usize = 200_000;
const WORDS: u64 = 2000;

/// Of one or two words each, some of which are frequent and some rare; the same each time.
pub(crate) fn lines() -> Vec<String> {
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut line = || {
        let words = 1 + below(2);
        let words = (0..words).map(|_| {
            let most = 1 + below(WORDS);
            format!("word{}", below(most))
        });
        words.collect::<Vec<_>>().join(" ")
    };
    (0..RECORDS).map(|_| line()).collect()
}

pub(crate) fn count_words(lines: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in lines.iter().flat_map(|line| line.split(' ')) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

/// To each partition in turn.
pub(crate) fn send(address: &str, topic: &str, lines: &[String]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    for (line, partition) in lines.iter().zip((0..PARTITIONS).cycle()) {
        let mut record = BaseRecord::<(), str>::to(topic)
            .partition(partition)
            .payload(line);
        while let Err((_, refused)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = refused;
        }
    }
    producer.flush(LIMIT).unwrap();
}
