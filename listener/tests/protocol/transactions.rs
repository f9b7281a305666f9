//! Transactional producers: what they ask, in each version, and who sees what of it.

mod administration;
mod faults;
mod fencing;
mod offsets;
mod records;

use kafka_core::Codec;
use kafka_core::builder::{BatchBuilder, ProducerFields};
use kafka_core::code;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    ProduceRequest, ProducerId, TransactionalId,
};

use crate::common::{Raw, idempotent_batch, name, partition_responses, produce_request};
use crate::groups::{group, words};

/// Versions of the requests of one client.
#[derive(Debug, Clone, Copy)]
struct Versions {
    init: i16,
    add_partitions: i16,
    add_offsets: i16,
    produce: i16,
    commit: i16,
    end: i16,
}

/// Before a transaction had an epoch of its own.
const OLDEST: Versions = Versions {
    init: 0,
    add_partitions: 0,
    add_offsets: 0,
    produce: 3,
    commit: 0,
    end: 0,
};
const OLD: Versions = Versions {
    init: 4,
    add_partitions: 3,
    add_offsets: 3,
    produce: 11,
    commit: 4,
    end: 4,
};
/// Partitions and groups become part of the transaction by what is sent to them.
const NEW: Versions = Versions {
    init: 5,
    add_partitions: 3,
    add_offsets: 4,
    produce: 12,
    commit: 5,
    end: 5,
};

impl Versions {
    fn is_new(&self) -> bool {
        self.end >= 5
    }
}

/// A producer, as far as its requests name it.
#[derive(Debug, Clone)]
struct Producer {
    transactional_id: String,
    producer_id: i64,
    epoch: i16,
    versions: Versions,
}

fn transactional_id(id: &str) -> TransactionalId {
    TransactionalId(words(id))
}

fn init_request(id: &str, current: Option<(i64, i16)>) -> InitProducerIdRequest {
    let (producer_id, epoch) = current.unwrap_or((-1, -1));
    InitProducerIdRequest::default()
        .with_transactional_id(Some(transactional_id(id)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch)
}

/// Error code, producer id, epoch.
fn init(raw: &mut Raw, version: i16, id: &str, current: Option<(i64, i16)>) -> (i16, i64, i16) {
    let answer = raw.call(version, &init_request(id, current));
    (
        answer.error_code,
        *answer.producer_id,
        answer.producer_epoch,
    )
}

fn topics(partitions: &[(&str, i32)]) -> Vec<AddPartitionsToTxnTopic> {
    let topics = partitions.iter().map(|(topic, partition)| {
        AddPartitionsToTxnTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![*partition])
    });
    topics.collect()
}

fn codes(results: &[AddPartitionsToTxnTopicResult]) -> Vec<i16> {
    let partitions = results.iter().flat_map(|topic| &topic.results_by_partition);
    partitions.map(|p| p.partition_error_code).collect()
}

impl Producer {
    fn new(raw: &mut Raw, versions: Versions, id: &str) -> Self {
        let (error_code, producer_id, epoch) = init(raw, versions.init, id, None);
        assert_eq!(error_code, code::NONE);
        Self {
            transactional_id: id.to_owned(),
            producer_id,
            epoch,
            versions,
        }
    }

    fn add_request(&self, partitions: &[(&str, i32)]) -> AddPartitionsToTxnRequest {
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(&self.transactional_id))
            .with_v3_and_below_producer_id(ProducerId(self.producer_id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics(partitions))
    }

    fn add(&self, raw: &mut Raw, version: i16, partitions: &[(&str, i32)]) -> Vec<i16> {
        let answer = raw.call(version, &self.add_request(partitions));
        codes(&answer.results_by_topic_v3_and_below)
    }

    /// Its part of a request of several transactions.
    fn transaction(
        &self,
        partitions: &[(&str, i32)],
        verify_only: bool,
    ) -> AddPartitionsToTxnTransaction {
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(transactional_id(&self.transactional_id))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_verify_only(verify_only)
            .with_topics(topics(partitions))
    }

    fn add_offsets(&self, raw: &mut Raw, version: i16, group_id: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional_id(&self.transactional_id))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_group_id(group(group_id));
        raw.call(version, &request).error_code
    }

    fn fields(&self, base_sequence: i32) -> ProducerFields {
        ProducerFields {
            producer_id: self.producer_id,
            epoch: self.epoch,
            base_sequence,
            transactional: true,
        }
    }

    fn batch(&self, sequence: i32, values: &[&str]) -> Vec<u8> {
        idempotent_batch(values, self.fields(sequence))
    }

    fn produce_request(&self, topic: &str, batches: &[(i32, Vec<u8>)]) -> ProduceRequest {
        produce_request(topic, -1, batches)
            .with_transactional_id(Some(transactional_id(&self.transactional_id)))
    }

    /// By a client of another version than its own.
    fn produce_in(
        &self,
        raw: &mut Raw,
        version: i16,
        topic: &str,
        batches: &[(i32, Vec<u8>)],
    ) -> Vec<PartitionProduceResponse> {
        partition_responses(raw.call(version, &self.produce_request(topic, batches)))
    }

    /// One batch to partition 0, which becomes part of the transaction: its offset.
    fn send(&self, raw: &mut Raw, topic: &str, sequence: i32, values: &[&str]) -> i64 {
        if !self.versions.is_new() {
            let added = self.add(raw, self.versions.add_partitions, &[(topic, 0)]);
            assert_eq!(added, [code::NONE]);
        }
        let batches = [(0, self.batch(sequence, values))];
        let produced = self.produce_in(raw, self.versions.produce, topic, &batches);
        assert_eq!(produced[0].error_code, code::NONE);
        produced[0].base_offset
    }

    fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest::default()
            .with_transactional_id(transactional_id(&self.transactional_id))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_committed(committed)
    }

    /// Error code, producer id, epoch.
    fn end_in(&self, raw: &mut Raw, version: i16, committed: bool) -> (i16, i64, i16) {
        let answer = raw.call(version, &self.end_request(committed));
        (
            answer.error_code,
            *answer.producer_id,
            answer.producer_epoch,
        )
    }

    /// Goes on with what the answer says.
    fn end(&mut self, raw: &mut Raw, committed: bool) {
        let (error_code, producer_id, epoch) = self.end_in(raw, self.versions.end, committed);
        assert_eq!(error_code, code::NONE);
        if self.versions.is_new() {
            assert_eq!((producer_id, epoch), (self.producer_id, self.epoch + 1));
            self.epoch = epoch;
        }
    }
}

/// A compressed batch of many records: its bytes say little of its size.
fn compressed(fields: ProducerFields) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for _ in 0..100 {
        builder.append(1_700_000_000_000, Some(b"k"), Some(b"value"), &[]);
    }
    builder.build(Codec::Lz4, fields)
}
