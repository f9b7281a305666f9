//! Kafka's rules against tables made by Apache Kafka 4.3.1's own classes, against naive
//! models, and against hostile bytes.

mod accept;
mod assign;
mod buffer;
mod classic_group;
mod codec;
mod consumer_group;
mod consumer_protocol;
mod error;
mod golden;
mod group_migration;
mod hostile;
mod marker;
mod partitioner;
mod producer;
mod roundtrip;
mod support;
mod topic;
mod txn;
