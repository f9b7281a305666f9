//! Frames against a listener with a real server behind it.

#[path = "../common/apache_kafka.rs"]
mod apache_kafka;
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "only Apache Kafka is installed")]
#[path = "../clients/install.rs"]
mod install;
#[path = "../common/requests.rs"]
mod requests;
#[path = "../clients/run.rs"]
mod run;

mod fetch;
mod fetch_sessions;
mod frames;
mod groups;
mod offsets;
mod produce;
mod read_ahead;
mod topics;
mod transactions;
