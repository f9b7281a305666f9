//! The program's results, as its consumers see them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::LIMIT;
use crate::app::{App, PARTITIONS};
use crate::counts::Counts;

/// A reader of what the program commits, as it goes on.
pub(crate) struct Follower {
    consumer: BaseConsumer,
    counts: Counts,
}

impl Follower {
    pub(crate) fn start(address: &str, topic: &str) -> Self {
        Follower {
            consumer: consumer(address, topic, "read_committed"),
            counts: Counts::default(),
        }
    }

    pub(crate) fn read_until(&mut self, records: u64, app: &mut App) {
        let until = Instant::now() + LIMIT;
        while self.counts.records < records {
            app.must_run();
            let seen = self.counts.records;
            assert!(Instant::now() < until, "only {seen} of {records} counts");
            // librdkafka recovers from errors by itself.
            if let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(100)) {
                add(&mut self.counts, &message);
            }
        }
    }
}

/// All of it, from the beginning.
pub(crate) fn committed(address: &str, topic: &str) -> Counts {
    let mut counts = Counts::default();
    read_all(address, topic, "read_committed", |message| {
        add(&mut counts, message);
    });
    counts
}

/// With the records of transactions that were aborted.
pub(crate) fn count_uncommitted(address: &str, topic: &str) -> u64 {
    let mut count = 0;
    read_all(address, topic, "read_uncommitted", |_| count += 1);
    count
}

/// Below the first offsets.
pub(crate) fn count_deleted(address: &str, topic: &str) -> i64 {
    let consumer = consumer(address, topic, "read_uncommitted");
    let first = |partition| consumer.fetch_watermarks(topic, partition, LIMIT);
    let first = (0..PARTITIONS).map(|partition| first(partition).unwrap().0);
    first.sum()
}

fn add(counts: &mut Counts, message: &BorrowedMessage<'_>) {
    let word = std::str::from_utf8(message.key().unwrap()).unwrap();
    let count = u64::from_be_bytes(message.payload().unwrap().try_into().unwrap());
    if let Err(why) = counts.add(message.partition(), word, count) {
        let place = (message.partition(), message.offset());
        panic!("{why}, at {place:?}");
    }
}

fn read_all(
    address: &str,
    topic: &str,
    isolation: &str,
    mut each: impl FnMut(&BorrowedMessage<'_>),
) {
    let consumer = consumer(address, topic, isolation);
    let mut ends = BTreeSet::new();
    let until = Instant::now() + LIMIT;
    while ends.len() < PARTITIONS as usize {
        assert!(Instant::now() < until, "no end of {topic}, {isolation}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => each(&message),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ends.insert(partition);
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Of each partition from its beginning.
fn consumer(address: &str, topic: &str, isolation: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}
