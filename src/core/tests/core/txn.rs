//! Transactions of producers, judged as Kafka's `TransactionCoordinator` and
//! `TransactionMetadata` do.

mod golden;

use kafka_core::txn::{Producer, Transaction};

pub(crate) fn producer(id: i64, epoch: i16) -> Producer {
    Producer { id, epoch }
}

pub(crate) fn current(transaction: &Transaction) -> Producer {
    producer(transaction.producer_id, transaction.producer_epoch)
}
