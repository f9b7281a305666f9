//! Producers and their transactions. These calls answer with Kafka's `error_code` instead
//! of raising it: what they find timed out is aborted for good.
mod inspect;

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_core::error::KafkaError;
use kafka_core::marker::Outcome;
use kafka_core::txn::{self, Ended, Producer, TopicPartition, Transaction, Version};
use pgrx::prelude::*;

use super::Fault;
use super::group::{Member, check_group_id};
use super::offset;
use crate::guc;
use crate::raise::ok;
use crate::store::log::LockMode;
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::txn::{Marker, step};
use crate::store::{producer, server};

#[pg_extern(sql = false)]
fn init_producer_id(
    transactional_id: Option<&str>,
    transaction_timeout_ms: Option<i32>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
) -> TableIterator<
    'static,
    (
        name!(producer_id, i64),
        name!(producer_epoch, i16),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.init_producer_id()");
    let Some(transactional_id) = transactional_id else {
        return TableIterator::once((producer::next_producer_id(), 0, 0, None));
    };
    let timeout_ms = ok(super::required(
        "transaction_timeout_ms",
        transaction_timeout_ms,
    ));
    let going_on = going_on(producer_id, producer_epoch);
    let given = going_on.and_then(|going_on| {
        check_transactional_id(transactional_id)?;
        check_timeout(timeout_ms)?;
        init(transactional_id, timeout_ms, going_on)
    });
    TableIterator::once(match given {
        Ok(producer) => (producer.id, producer.epoch, 0, None),
        Err(error) => {
            let fault = Fault::from(&error);
            (-1, -1, fault.code, fault.message)
        }
    })
}

/// What a producer has that goes on after an error; both or neither (-1 is none).
fn going_on(id: Option<i64>, epoch: Option<i16>) -> Result<Option<Producer>, KafkaError> {
    match (
        id.filter(|id| *id != -1),
        epoch.filter(|epoch| *epoch != -1),
    ) {
        (None, None) => Ok(None),
        (Some(id), Some(epoch)) => Ok(Some(Producer { id, epoch })),
        _ => Err(KafkaError::InvalidRequest {
            reason: "producer_id and producer_epoch go together".to_owned(),
        }),
    }
}

fn check_transactional_id(transactional_id: &str) -> Result<(), KafkaError> {
    if transactional_id.is_empty() {
        return Err(KafkaError::InvalidRequest {
            reason: "the transactional id must not be empty".to_owned(),
        });
    }
    Ok(())
}

fn check_timeout(timeout_ms: i32) -> Result<(), KafkaError> {
    let max = guc::transaction_max_timeout_ms();
    if (1..=max).contains(&timeout_ms) {
        return Ok(());
    }
    Err(KafkaError::InvalidTransactionTimeout { timeout_ms, max })
}

fn init(
    transactional_id: &str,
    timeout_ms: i32,
    going_on: Option<Producer>,
) -> Result<Producer, KafkaError> {
    step(transactional_id, |stored, now| {
        let transaction = stored.get_or_insert_with(|| {
            Transaction::new(
                transactional_id,
                producer::next_producer_id(),
                timeout_ms,
                now,
            )
        });
        let (ended, result) =
            transaction.init(timeout_ms, going_on, producer::next_producer_id, now);
        (ended, result.map(|()| current(transaction)))
    })
}

fn current(transaction: &Transaction) -> Producer {
    Producer {
        id: transaction.producer_id,
        epoch: transaction.producer_epoch,
    }
}

/// A step of a transactional id that is known.
fn known<T>(
    transactional_id: &str,
    producer: Producer,
    work: impl FnOnce(&mut Transaction, i64) -> Result<(Option<Ended>, T), KafkaError>,
) -> Result<T, KafkaError> {
    check_transactional_id(transactional_id)?;
    step(transactional_id, |stored, now| match stored {
        None => (None, Err(txn::mapping(transactional_id, producer))),
        Some(transaction) => match work(transaction, now) {
            Ok((ended, result)) => (ended, Ok(result)),
            Err(error) => (None, Err(error)),
        },
    })
}

/// The producer that a call names.
fn producer_of(id: Option<i64>, epoch: Option<i16>) -> Producer {
    Producer {
        id: ok(super::required("producer_id", id)),
        epoch: ok(super::required("producer_epoch", epoch)),
    }
}

#[pg_extern(sql = false)]
fn add_partitions_to_txn(
    transactional_id: Option<&str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    verify_only: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.add_partitions_to_txn()");
    let transactional_id = ok(super::required("transactional_id", transactional_id));
    let producer = producer_of(producer_id, producer_epoch);
    let found = find_partitions(topics, partitions);
    let added = if verify_only.unwrap_or(false) {
        verify_partitions(transactional_id, producer, &found)
    } else {
        add_partitions(transactional_id, producer, &found)
    };
    // What concerns the transaction is told for each partition that is there.
    let results = found.into_iter().zip(added);
    TableIterator::new(super::verdicts(
        results.map(|(found, added)| found.and(added)),
    ))
}

fn find_partitions(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
) -> Vec<Result<TopicPartition, KafkaError>> {
    let topics = ok(super::elements("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    ok(super::check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
    ]));
    let find = |(name, partition): (String, i32)| {
        let topic = find_topic(&name, partition)?;
        Ok((topic.number, partition))
    };
    topics.into_iter().zip(partitions).map(find).collect()
}

fn find_topic(name: &str, partition: i32) -> Result<Rc<Topic>, KafkaError> {
    let topic = topic::find(&TopicRef::Name(name.to_owned()))?;
    topic.check_partition(partition)?;
    Ok(topic)
}

/// All or none.
fn add_partitions(
    transactional_id: &str,
    producer: Producer,
    found: &[Result<TopicPartition, KafkaError>],
) -> Vec<Result<(), KafkaError>> {
    let result = if found.iter().any(Result::is_err) {
        Err(KafkaError::OperationNotAttempted)
    } else {
        known(transactional_id, producer, |transaction, now| {
            let partitions = found.iter().flatten().copied();
            transaction.add_partitions(producer, partitions, Version::V1, now)?;
            Ok((None, ()))
        })
    };
    vec![result; found.len()]
}

fn verify_partitions(
    transactional_id: &str,
    producer: Producer,
    found: &[Result<TopicPartition, KafkaError>],
) -> Vec<Result<(), KafkaError>> {
    let verified = known(transactional_id, producer, |transaction, _| {
        let verify = |found: &Result<TopicPartition, KafkaError>| {
            transaction.verify_partition(producer, found.clone()?)
        };
        Ok((None, found.iter().map(verify).collect()))
    });
    verified.unwrap_or_else(|error| vec![Err(error); found.len()])
}

#[pg_extern(sql = false)]
fn add_offsets_to_txn(
    transactional_id: Option<&str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    group_id: Option<&str>,
) -> TableIterator<'static, (name!(error_code, i16), name!(error_message, Option<String>))> {
    server::require_writable(c"kafka.add_offsets_to_txn()");
    let transactional_id = ok(super::required("transactional_id", transactional_id));
    let producer = producer_of(producer_id, producer_epoch);
    let group_id = ok(super::required("group_id", group_id));
    let added = check_group_id(group_id).and_then(|()| {
        known(transactional_id, producer, |transaction, now| {
            transaction.add_group(producer, group_id, Version::V1, now)?;
            Ok((None, ()))
        })
    });
    let fault = Fault::of(&added);
    TableIterator::once((fault.code, fault.message))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn txn_offset_commit(
    transactional_id: Option<&str>,
    group_id: Option<&str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    offsets: Option<Vec<Option<i64>>>,
    leader_epochs: Option<Vec<Option<i32>>>,
    metadata: Option<Vec<Option<String>>>,
    member_id: Option<&str>,
    generation_id: Option<i32>,
    group_instance_id: Option<&str>,
    transaction_version: Option<i16>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.txn_offset_commit()");
    let transactional_id = ok(super::required("transactional_id", transactional_id));
    let group_id = ok(super::required("group_id", group_id));
    let producer = producer_of(producer_id, producer_epoch);
    let version = version(transaction_version);
    let wanted = offset::wanted(topics, None, partitions, offsets, leader_epochs, metadata);
    let member = Member::new(member_id, group_instance_id, generation_id);
    let allowed = check_group_id(group_id).and_then(|()| {
        known(transactional_id, producer, |transaction, now| {
            transaction.commit_offsets(producer, group_id, version, now)?;
            Ok((None, ()))
        })
    });
    let results = match allowed {
        Ok(()) => offset::commit(group_id, &member, &wanted, Some(producer.id)),
        Err(error) => vec![Err(error); wanted.len()],
    };
    TableIterator::new(super::verdicts(results))
}

fn version(transaction_version: Option<i16>) -> Version {
    transaction_version.map_or(Version::V1, |number| ok(Version::try_from(number)))
}

fn outcome(committed: bool) -> Outcome {
    if committed {
        Outcome::Commit
    } else {
        Outcome::Abort
    }
}

#[pg_extern(sql = false)]
fn end_txn(
    transactional_id: Option<&str>,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    committed: Option<bool>,
    transaction_version: Option<i16>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(producer_id, i64),
        name!(producer_epoch, i16),
    ),
> {
    server::require_writable(c"kafka.end_txn()");
    let transactional_id = ok(super::required("transactional_id", transactional_id));
    let producer = producer_of(producer_id, producer_epoch);
    let outcome = outcome(ok(super::required("committed", committed)));
    let version = version(transaction_version);
    let ended = known(transactional_id, producer, |transaction, now| {
        let new_id = producer::next_producer_id;
        let ended = transaction.end(producer, outcome, version, new_id, now)?;
        Ok((ended, current(transaction)))
    });
    TableIterator::once(match ended {
        Ok(producer) => (0, None, producer.id, producer.epoch),
        Err(error) => {
            let fault = Fault::from(&error);
            (fault.code, fault.message, -1, -1)
        }
    })
}

#[pg_extern(sql = false)]
fn abort_transaction(transactional_id: &str) -> bool {
    server::require_writable(c"kafka.abort_transaction()");
    let was_open = step(transactional_id, |stored, now| match stored {
        None => (
            None,
            Err(KafkaError::TransactionalIdNotFound {
                transactional_id: transactional_id.to_owned(),
            }),
        ),
        Some(transaction) => {
            let ended = transaction.abort(producer::next_producer_id, now);
            let was_open = ended.is_some();
            (ended, Ok(was_open))
        }
    });
    ok(was_open)
}

#[pg_extern(sql = false)]
fn write_txn_markers(
    producer_ids: Option<Vec<Option<i64>>>,
    producer_epochs: Option<Vec<Option<i16>>>,
    committed: Option<Vec<Option<bool>>>,
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    coordinator_epochs: Option<Vec<Option<i32>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    server::require_writable(c"kafka.write_txn_markers()");
    let producer_ids = ok(super::elements("producer_ids", producer_ids));
    let producer_epochs = ok(super::elements("producer_epochs", producer_epochs));
    let committed = ok(super::elements("committed", committed));
    let topics = ok(super::elements("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    let count = producer_ids.len();
    let coordinator_epochs = coordinator_epochs.map_or_else(
        || vec![server::leader_epoch(); count],
        |epochs| ok(super::elements("coordinator_epochs", Some(epochs))),
    );
    ok(super::check_lengths(&[
        ("producer_ids", count),
        ("producer_epochs", producer_epochs.len()),
        ("committed", committed.len()),
        ("topics", topics.len()),
        ("partitions", partitions.len()),
        ("coordinator_epochs", coordinator_epochs.len()),
    ]));
    let written = (0..count).map(|i| {
        let producer = Producer {
            id: producer_ids[i],
            epoch: producer_epochs[i],
        };
        let outcome = outcome(committed[i]);
        write_marker(
            &topics[i],
            partitions[i],
            producer,
            outcome,
            coordinator_epochs[i],
        )
    });
    TableIterator::new(super::verdicts(written))
}

fn write_marker(
    name: &str,
    partition: i32,
    producer: Producer,
    outcome: Outcome,
    coordinator_epoch: i32,
) -> Result<(), KafkaError> {
    let (topic, log) = topic::open(&TopicRef::Name(name.to_owned()), LockMode::Write)?;
    topic.check_partition(partition)?;
    let marker = Marker {
        outcome,
        epoch: producer.epoch,
        coordinator_epoch,
    };
    marker.write(&topic, &log, partition, producer.id)
}

/// Partitions by the topics' names, as far as they still exist.
fn named(partitions: &BTreeSet<TopicPartition>) -> (Vec<String>, Vec<i32>) {
    partitions
        .iter()
        .filter_map(|(number, partition)| {
            let topic = topic::find(&topic::numbered(*number)?).ok()?;
            Some((topic.name.clone(), *partition))
        })
        .unzip()
}
