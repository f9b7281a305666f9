//! Producers that keep several requests under way, each with its sequence number: none may
//! be told that a number is out of order, since nothing here fails. Clients send such a
//! batch again without a word, so that the answers themselves are looked at.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::common::PATIENCE;
use crate::judge::PARTITIONS;
use crate::proxy::Proxy;
use crate::run::run;

const PRODUCERS: i32 = 4;
/// Of each producer.
const RECORDS: i32 = 4000;
/// Records of a transaction, or none.
pub(crate) const TRANSACTIONS: [i32; 2] = [0, 200];

/// What producers have sent to the topic through the proxy.
pub(crate) fn nothing_was_out_of_order(proxy: &Proxy, topic: &str) {
    let traffic = proxy.traffic();
    let errors = traffic.errors.iter();
    let errors: BTreeMap<_, _> = errors.filter(|((api, _), _)| api == "Produce").collect();
    assert!(errors.is_empty(), "{topic}: {errors:?}{traffic}");
    assert!(traffic.most_in_flight > 1, "no pipeline: {topic}{traffic}");
    let mut expected: BTreeMap<i32, Vec<(i32, i32)>> = BTreeMap::new();
    for number in 0..RECORDS {
        let records = (0..PRODUCERS).map(|producer| (producer, number));
        expected
            .entry(number % PARTITIONS)
            .or_default()
            .extend(records);
    }
    let mut found = read(&proxy.address, topic);
    for records in found.values_mut().chain(expected.values_mut()) {
        // Each producer's records keep their order.
        records.sort_by_key(|(producer, _)| *producer);
    }
    assert!(found == expected, "{topic}: lost, doubled or out of order");
}

/// Producer and number of each record that is committed, in each partition's order.
fn read(address: &str, topic: &str) -> BTreeMap<i32, Vec<(i32, i32)>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Offset(0))
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records: BTreeMap<i32, Vec<(i32, i32)>> = BTreeMap::new();
    let mut ended = std::collections::BTreeSet::new();
    let until = Instant::now() + PATIENCE;
    while ended.len() < PARTITIONS as usize {
        assert!(Instant::now() < until, "{topic}: read up to {ended:?}");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(message) => {
                let message = message.unwrap();
                let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
                let mut parts = value.split(' ').map(str::parse);
                let [producer, number] = [(); 2].map(|()| parts.next().unwrap().unwrap());
                let of_partition = records.entry(message.partition()).or_default();
                of_partition.push((producer, number));
            }
        }
    }
    records
}

/// librdkafka keeps one request for each partition under way.
pub(crate) fn rdkafka(bootstrap: &str, topic: &str, transaction: i32) {
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            scope.spawn(move || rdkafka_producer(bootstrap, topic, producer, transaction));
        }
    });
}

fn rdkafka_producer(bootstrap: &str, topic: &str, number: i32, transaction: i32) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("batch.num.messages", "3");
    if transaction > 0 {
        config.set("transactional.id", format!("{topic}-{number}"));
    }
    let producer: ThreadedProducer<_> = config.create().unwrap();
    if transaction > 0 {
        producer.init_transactions(PATIENCE).unwrap();
    }
    for record in 0..RECORDS {
        if transaction > 0 && record % transaction == 0 {
            producer.begin_transaction().unwrap();
        }
        let value = format!("{number} {record} {}", "x".repeat(80));
        let message: BaseRecord<'_, (), str> = BaseRecord::to(topic).payload(&value);
        let sent = producer.send(message.partition(record % PARTITIONS));
        sent.map_err(|(error, _)| error).unwrap();
        if transaction > 0 && (record + 1) % transaction == 0 {
            producer.commit_transaction(PATIENCE).unwrap();
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// A program that succeeds and has no warning to give.
pub(crate) fn program(command: &mut Command, bootstrap: &str, topic: &str, transaction: i32) {
    let numbers = [PRODUCERS, RECORDS, transaction].map(|number| number.to_string());
    let said = run(command.args([bootstrap, topic]).args(numbers), "");
    assert!(said.stderr.is_empty(), "{topic}: {}", said.stderr);
}
