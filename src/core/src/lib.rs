//! Kafka's rules as pure functions: bytes and values in, values out.
//!
//! No I/O, no clock, no randomness: whoever calls brings the time and the bytes. Every
//! function that reads foreign bytes returns in time and memory bounded by those bytes
//! and the limit it is given, and never panics.
#![forbid(unsafe_code)]

pub mod assign;
pub mod batch;
pub mod buffer;
pub mod builder;
pub mod codec;
pub mod consumer_protocol;
pub mod error;
pub mod group;
pub mod marker;
pub mod offsets;
pub mod partitioner;
pub mod pattern;
pub mod producer;
pub mod record;
pub mod topic;
pub mod txn;

mod wire;

pub use batch::{Batch, Limits, Summary, recompress, split_batches, stamp};
pub use buffer::ProduceBuffer;
pub use builder::{BatchBuilder, Mark, ProducerFields};
pub use codec::Codec;
pub use error::{KafkaError, code};
pub use partitioner::murmur2_partition;
pub use producer::{
    PastBatch, ProducerState, SequenceVerdict, check_first_sequence, check_sequence,
};
pub use record::{HeaderRef, Headers, Record, Records, record_size_upper_bound};
pub use topic::{
    CompressionType, TimestampType, TopicConfig, parse_topic_config, validate_partitions,
    validate_topic_name,
};
