//! What can be seen of producers and transactions (KIP-664).
use kafka_core::error::KafkaError;
use kafka_core::pattern::Pattern;
use kafka_core::txn::Transaction;
use pgrx::prelude::*;

use super::{check_transactional_id, find_topic, named};
use crate::api::{Fault, check_lengths, elements};
use crate::raise::ok;
use crate::store::producer::Described;
use crate::store::{producer, server, txn};

type ProducerRow = (
    i32,
    i16,
    Option<String>,
    Option<i64>,
    Option<i16>,
    Option<i32>,
    Option<i64>,
    Option<i32>,
    Option<i64>,
);

#[pg_extern(sql = false)]
fn describe_producers(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(producer_id, Option<i64>),
        name!(producer_epoch, Option<i16>),
        name!(last_sequence, Option<i32>),
        name!(last_timestamp, Option<i64>),
        name!(coordinator_epoch, Option<i32>),
        name!(txn_first_offset, Option<i64>),
    ),
> {
    let topics = ok(elements("topics", topics));
    let partitions = ok(elements("partitions", partitions));
    ok(check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
    ]));
    let rows: Vec<ProducerRow> = (1..)
        .zip(topics.iter().zip(partitions))
        .flat_map(
            |(idx, (name, partition))| match find_topic(name, partition) {
                Ok(topic) => {
                    let producers = producer::all_of(&topic, partition);
                    if producers.is_empty() {
                        vec![no_producer(idx, Fault::default())]
                    } else {
                        producers.iter().map(|p| producer_row(idx, p)).collect()
                    }
                }
                Err(error) => vec![no_producer(idx, Fault::from(&error))],
            },
        )
        .collect();
    TableIterator::new(rows)
}

fn producer_row(idx: i32, described: &Described) -> ProducerRow {
    let Described {
        producer_id,
        state,
        updated_at,
    } = described;
    let last = state.batches.last();
    // Between a marker and the next transaction the marker was last.
    let marked = state.coordinator_epoch >= 0 && state.txn_first_offset.is_none();
    (
        idx,
        0,
        None,
        Some(*producer_id),
        Some(state.epoch),
        Some(last.map_or(-1, |batch| batch.last_sequence)),
        Some(match last {
            Some(batch) if !marked => batch.timestamp,
            _ => server::micros_to_ms((*updated_at).into_inner()),
        }),
        Some(state.coordinator_epoch),
        state.txn_first_offset,
    )
}

fn no_producer(idx: i32, fault: Fault) -> ProducerRow {
    (
        idx,
        fault.code,
        fault.message,
        None,
        None,
        None,
        None,
        None,
        None,
    )
}

type TransactionRow = (
    i32,
    i16,
    Option<String>,
    String,
    Option<String>,
    Option<i32>,
    Option<i64>,
    Option<i64>,
    Option<i16>,
    Option<Vec<String>>,
    Option<Vec<i32>>,
    Option<Vec<String>>,
);

#[pg_extern(sql = false)]
fn describe_transactions(
    transactional_ids: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(transactional_id, String),
        name!(state, Option<String>),
        name!(timeout_ms, Option<i32>),
        name!(started_at, Option<i64>),
        name!(producer_id, Option<i64>),
        name!(producer_epoch, Option<i16>),
        name!(topics, Option<Vec<String>>),
        name!(partitions, Option<Vec<i32>>),
        name!(group_ids, Option<Vec<String>>),
    ),
> {
    let ids = ok(elements("transactional_ids", transactional_ids));
    let rows: Vec<TransactionRow> = (1..)
        .zip(ids)
        .map(|(idx, id)| match find(&id) {
            Ok(transaction) => transaction_row(idx, transaction),
            Err(error) => {
                let fault = Fault::from(&error);
                (
                    idx,
                    fault.code,
                    fault.message,
                    id,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                )
            }
        })
        .collect();
    TableIterator::new(rows)
}

fn find(transactional_id: &str) -> Result<Transaction, KafkaError> {
    check_transactional_id(transactional_id)?;
    txn::read(transactional_id).ok_or_else(|| KafkaError::TransactionalIdNotFound {
        transactional_id: transactional_id.to_owned(),
    })
}

fn transaction_row(idx: i32, transaction: Transaction) -> TransactionRow {
    let (topics, partitions) = named(&transaction.partitions);
    (
        idx,
        0,
        None,
        transaction.transactional_id,
        Some(transaction.state.name().to_owned()),
        Some(transaction.timeout_ms),
        Some(transaction.started_at),
        Some(transaction.producer_id),
        Some(transaction.producer_epoch),
        Some(topics),
        Some(partitions),
        Some(transaction.group_ids.into_iter().collect()),
    )
}

#[pg_extern(sql = false)]
fn list_transactions(
    states: Option<Vec<Option<String>>>,
    producer_ids: Option<Vec<Option<i64>>>,
    min_duration_ms: Option<i64>,
    transactional_id_pattern: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(transactional_id, String),
        name!(producer_id, i64),
        name!(state, String),
    ),
> {
    let states: Vec<String> = states.into_iter().flatten().flatten().collect();
    let producer_ids: Vec<i64> = producer_ids.into_iter().flatten().flatten().collect();
    let pattern = transactional_id_pattern.filter(|pattern| !pattern.is_empty());
    let pattern = pattern.map(|pattern| ok(Pattern::parse(pattern)));
    let now = server::now_ms();
    let wanted = |transaction: &Transaction| {
        // One that never began counts as having begun long ago.
        let duration_ms = now.saturating_sub(transaction.started_at);
        (states.is_empty() || states.iter().any(|state| state == transaction.state.name()))
            && (producer_ids.is_empty() || producer_ids.contains(&transaction.producer_id))
            && min_duration_ms.is_none_or(|min| min < 0 || duration_ms > min)
            && pattern
                .as_ref()
                .is_none_or(|pattern| pattern.matches(&transaction.transactional_id))
    };
    let rows: Vec<_> = txn::all()
        .into_iter()
        .filter(wanted)
        .map(|t| (t.transactional_id, t.producer_id, t.state.name().to_owned()))
        .collect();
    TableIterator::new(rows)
}
