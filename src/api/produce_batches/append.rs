//! Appends what has passed the door: partition after partition, so that each is locked once
//! and its rows are written together; within each in the order of the call.
use std::collections::{BTreeMap, BTreeSet};

use kafka_core::batch::Summary;
use kafka_core::builder::{BatchBuilder, ProducerFields};
use kafka_core::codec::Codec;
use kafka_core::error::KafkaError;
use kafka_core::producer::{SequenceVerdict, check_first_sequence, check_sequence};
use kafka_core::record::HeaderRef;
use kafka_core::txn::{self, Producer, Version};

use super::{Accepted, AcceptedBatch, BY_KEY, MAX_INFLATED_BYTES, Writer};
use crate::store::log::Appender;
use crate::store::pending;
use crate::store::producer::{self, ProducerKey};
use crate::store::txn::Locked;

/// What an element's append came to.
pub(super) struct Appended {
    pub(super) base_offset: i64,
    pub(super) log_append_time: Option<i64>,
    pub(super) log_start_offset: i64,
}

/// The elements in their order.
pub(super) fn append(
    accepted: &[Result<Accepted<'_>, KafkaError>],
) -> Vec<Result<Appended, KafkaError>> {
    let mut round = Round {
        transactions: lock_transactions(accepted),
        producers: lock_producers(accepted),
        turn: Turn(None),
    };
    let mut by_partition: Vec<_> = accepted.iter().enumerate().collect();
    by_partition.sort_by_key(|(_, accepted)| accepted.as_ref().ok().map(Accepted::partition));
    let mut appended: Vec<_> = by_partition
        .into_iter()
        .map(|(i, accepted)| {
            let accepted = accepted.as_ref().map_err(Clone::clone);
            (i, accepted.and_then(|accepted| round.append(accepted)))
        })
        .collect();
    round.finish();
    appended.sort_unstable_by_key(|(i, _)| *i);
    appended.into_iter().map(|(_, appended)| appended).collect()
}

/// What the elements of a call share.
struct Round<'a> {
    transactions: BTreeMap<String, Locked>,
    producers: BTreeMap<ProducerKey, LockedProducer>,
    turn: Turn<'a>,
}

/// The partition that is being appended to.
struct Turn<'a>(Option<Appender<'a>>);

impl<'a> Turn<'a> {
    /// For an element, behind those of its partition that came before.
    fn of(&mut self, accepted: &'a Accepted<'_>) -> &mut Appender<'a> {
        let is_over = |appender: &Appender<'_>| {
            appender.partition() != accepted.partition() || appender.is_full()
        };
        if self.0.as_ref().is_some_and(is_over) {
            self.end();
        }
        let begin = || Appender::begin(&accepted.topic, &accepted.log, accepted.partition);
        self.0.get_or_insert_with(begin)
    }

    fn end(&mut self) {
        if let Some(appender) = self.0.take() {
            appender.finish();
        }
    }
}

/// Locks the transactional ids that the call has batches of, in one order.
fn lock_transactions(accepted: &[Result<Accepted<'_>, KafkaError>]) -> BTreeMap<String, Locked> {
    let writers = accepted.iter().flatten().flat_map(|a| &a.writer);
    let ids: BTreeSet<&String> = writers.map(|writer| &writer.transactional_id).collect();
    ids.into_iter()
        .map(|id| (id.clone(), Locked::lock(id)))
        .collect()
}

struct LockedProducer {
    locked: producer::Locked,
    changed: bool,
}

/// Locks the rows of all producers that the call has batches of, in one order.
fn lock_producers(
    accepted: &[Result<Accepted<'_>, KafkaError>],
) -> BTreeMap<ProducerKey, LockedProducer> {
    let mut keys: Vec<ProducerKey> = accepted
        .iter()
        .flatten()
        .flat_map(|a| a.batches.iter().filter_map(|b| producer_key(a, &b.summary)))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let locked = producer::lock(&keys)
        .into_iter()
        .map(|locked| LockedProducer {
            locked,
            changed: false,
        });
    keys.into_iter().zip(locked).collect()
}

fn producer_key(accepted: &Accepted<'_>, summary: &Summary) -> Option<ProducerKey> {
    (summary.producer_id >= 0).then_some(ProducerKey {
        topic_number: accepted.topic.number,
        partition: accepted.partition,
        producer_id: summary.producer_id,
    })
}

impl<'a> Round<'a> {
    /// Appends one element's batches, or finds that they are there already.
    fn append(&mut self, accepted: &'a Accepted<'_>) -> Result<Appended, KafkaError> {
        let topic = &accepted.topic;
        let (base_offset, log_start_offset) = if accepted.partition == BY_KEY {
            self.turn.end();
            (append_by_key(accepted)?, -1)
        } else {
            let base_offset = self.append_in_order(accepted)?;
            (base_offset, topic.log_start_offset(accepted.partition))
        };
        Ok(Appended {
            base_offset,
            log_append_time: accepted.log_append_time,
            log_start_offset,
        })
    }

    fn append_in_order(&mut self, accepted: &'a Accepted<'_>) -> Result<i64, KafkaError> {
        let summary = &accepted.batches[0].summary;
        let producer = producer_key(accepted, summary).and_then(|key| self.producers.get_mut(&key));
        if let Some(producer) = &producer {
            let verdict = check_sequence(
                producer.locked.state.as_ref(),
                summary.producer_id,
                summary.producer_epoch,
                summary.base_sequence,
                summary.record_count,
            )?;
            if let SequenceVerdict::Duplicate(past) = verdict {
                return Ok(past.base_offset);
            }
            if let Some(state) = &producer.locked.state {
                state.check_transactional(summary.transactional)?;
            }
        }
        if let Some(writer) = &accepted.writer {
            let state = producer
                .as_ref()
                .and_then(|producer| producer.locked.state.as_ref());
            if writer.version == Version::V2 {
                check_first_sequence(state, summary.producer_id, summary.base_sequence)?;
            }
            check_transaction(accepted, writer, &mut self.transactions)?;
        }
        let appender = self.turn.of(accepted);
        let base_offset = appender.next_offset();
        for batch in &accepted.batches {
            appender.append(&batch.new);
        }
        if let Some(producer) = producer {
            let state = producer.locked.state.get_or_insert_default();
            state.record_append(
                summary.producer_epoch,
                summary.base_sequence,
                summary.record_count,
                base_offset,
                summary.max_timestamp,
            );
            if summary.transactional {
                state.record_transactional(base_offset);
            }
            producer.changed = true;
        }
        Ok(base_offset)
    }

    fn finish(mut self) {
        self.turn.end();
        let changed = self.producers.into_values().filter(|p| p.changed);
        producer::save(changed.map(|producer| producer.locked));
        for locked in self.transactions.into_values() {
            locked.save();
        }
    }
}

/// Whether the batch may be written in the transaction, which may begin with it.
fn check_transaction(
    accepted: &Accepted<'_>,
    writer: &Writer,
    transactions: &mut BTreeMap<String, Locked>,
) -> Result<(), KafkaError> {
    let summary = &accepted.batches[0].summary;
    let producer = Producer {
        id: summary.producer_id,
        epoch: summary.producer_epoch,
    };
    let Some(Locked {
        transaction: Some(transaction),
        now,
        ..
    }) = transactions.get_mut(&writer.transactional_id)
    else {
        return Err(txn::mapping(&writer.transactional_id, producer));
    };
    let partition = (accepted.topic.number, accepted.partition);
    transaction.produce(producer, partition, writer.version, *now)
}

/// Rebuilds the batches by the partition of each record's key, as the Java client would
/// have sent them. Nothing is appended unless every record could be read.
fn append_by_key(accepted: &Accepted<'_>) -> Result<i64, KafkaError> {
    let topic = &accepted.topic;
    let mut routed: BTreeMap<(i32, usize), (Codec, BatchBuilder)> = BTreeMap::new();
    for (number, AcceptedBatch { batch, summary, .. }) in accepted.batches.iter().enumerate() {
        let keyless = (summary.base_timestamp.unsigned_abs() % topic.partitions as u64) as i32;
        let mut records = batch.records(MAX_INFLATED_BYTES)?;
        while let Some(record) = records.next_record() {
            let record = record?;
            let partition = record.key.map_or(keyless, |key| {
                kafka_core::partitioner::murmur2_partition(key, topic.partitions)
            });
            let headers: Vec<_> = record
                .headers
                .map(|(key, value)| HeaderRef { key, value })
                .collect();
            let (_, builder) = routed
                .entry((partition, number))
                .or_insert_with(|| (summary.codec, BatchBuilder::new()));
            builder.append(record.timestamp, record.key, record.value, &headers);
        }
    }
    let mut first = -1;
    for ((partition, _), (codec, builder)) in routed {
        let built = builder.build(topic.stored_codec(codec), ProducerFields::default());
        let offset = pending::append_built(topic, &accepted.log, partition, &built);
        if first < 0 {
            first = offset;
        }
    }
    Ok(first)
}
