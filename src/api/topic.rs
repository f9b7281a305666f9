//! Topics: create, describe, enlarge, delete.
use kafka_core::error::KafkaError;
use kafka_core::topic::{validate_partitions, validate_topic_name};
use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};

use super::Fault;
use crate::raise::ok;
use crate::store::log::{self, LockMode};
use crate::store::server;
use crate::store::topic::{self, TopicRef};

#[pg_extern(sql = false)]
fn create_topic(
    topic: Option<&str>,
    partitions: Option<i32>,
    config: Option<JsonB>,
    validate_only: Option<bool>,
) -> Option<Uuid> {
    server::require_writable(c"kafka.create_topic()");
    let topic = ok(super::required("topic", topic));
    let config = config.map_or_else(|| serde_json::json!({}), |config| config.0);
    ok(create(
        topic,
        partitions,
        config,
        validate_only.unwrap_or(false),
    ))
}

fn create(
    name: &str,
    partitions: Option<i32>,
    config: serde_json::Value,
    validate_only: bool,
) -> Result<Option<Uuid>, KafkaError> {
    validate_topic_name(name)?;
    let partitions = partitions.unwrap_or_else(crate::guc::default_partitions);
    validate_partitions(partitions)?;
    topic::parse_config(&config)?;
    let taken = || KafkaError::TopicAlreadyExists {
        topic: name.to_owned(),
    };
    if validate_only {
        return match topic::find(&TopicRef::Name(name.to_owned())) {
            Ok(_) => Err(taken()),
            Err(_) => Ok(None),
        };
    }
    topic::create(name, partitions, config)
        .map(Some)
        .ok_or_else(taken)
}

/// Creates a topic that was produced to or asked for; somebody else may have been faster.
pub(super) fn auto_create(name: &str) -> Result<(), KafkaError> {
    match create(name, None, serde_json::json!({}), false) {
        Ok(_) | Err(KafkaError::TopicAlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[pg_extern(sql = false)]
fn delete_topic(topic: &str) {
    server::require_writable(c"kafka.delete_topic()");
    // The log table is closed again, its lock kept: nobody can use the topic from here on.
    let (found, _) = ok(topic::open(
        &TopicRef::Name(topic.to_owned()),
        LockMode::Exclusive,
    ));
    topic::delete(&found);
}

/// What stands for the high watermark in `kafka.delete_records`, as in Kafka.
const UP_TO_HIGH_WATERMARK: i64 = -1;

#[pg_extern(sql = false)]
fn delete_records(topic: &str, partition: i32, before_offset: i64) -> i64 {
    server::require_writable(c"kafka.delete_records()");
    ok(truncate(topic, partition, before_offset))
}

fn truncate(topic: &str, partition: i32, before_offset: i64) -> Result<i64, KafkaError> {
    let (topic, log) = topic::open(&TopicRef::Name(topic.to_owned()), LockMode::Write)?;
    topic.check_partition(partition)?;
    let watermarks = log::watermarks(&topic, &log, partition);
    let offset = if before_offset == UP_TO_HIGH_WATERMARK {
        watermarks.high_watermark
    } else {
        before_offset
    };
    if !(0..=watermarks.high_watermark).contains(&offset) {
        return Err(KafkaError::OffsetOutOfRange {
            topic: topic.name.clone(),
            partition,
            offset,
            log_start_offset: watermarks.log_start_offset,
            high_watermark: watermarks.high_watermark,
        });
    }
    if offset > watermarks.log_start_offset {
        topic::delete_records(&topic, partition, offset);
    }
    Ok(offset.max(watermarks.log_start_offset))
}

#[pg_extern(sql = false)]
fn create_partitions(topic: &str, partitions: i32, validate_only: bool) {
    server::require_writable(c"kafka.create_partitions()");
    ok(enlarge(topic, partitions, validate_only));
}

fn enlarge(topic: &str, partitions: i32, validate_only: bool) -> Result<(), KafkaError> {
    let (found, _log) = topic::open(&TopicRef::Name(topic.to_owned()), LockMode::Write)?;
    validate_partitions(partitions)?;
    let too_few = |current: i32| KafkaError::InvalidPartitions {
        partitions,
        reason: format!("the topic has {current} already, and their number can only grow"),
    };
    if partitions <= found.partitions {
        return Err(too_few(found.partitions));
    }
    if validate_only {
        return Ok(());
    }
    topic::set_partitions(&found, partitions).map_err(too_few)
}

type Row = (
    i32,
    Option<String>,
    Option<Uuid>,
    Option<i32>,
    i16,
    Option<String>,
);

#[pg_extern(sql = false)]
fn describe_topics(
    topics: Option<Vec<Option<String>>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    auto_create: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(topic, Option<String>),
        name!(topic_id, Option<Uuid>),
        name!(partitions, Option<i32>),
        name!(error_code, i16),
        name!(error_message, Option<String>),
    ),
> {
    let auto_create = auto_create.unwrap_or(false);
    let count = topics
        .as_ref()
        .map(Vec::len)
        .or(topic_ids.as_ref().map(Vec::len));
    let rows: Vec<Row> = if let Some(count) = count {
        ok(super::check_lengths(&[
            ("topics", topics.as_ref().map_or(count, Vec::len)),
            ("topic_ids", topic_ids.as_ref().map_or(count, Vec::len)),
        ]));
        (0..count)
            .map(|i| {
                describe(
                    i,
                    super::topic_ref(topics.as_deref(), topic_ids.as_deref(), i),
                    auto_create,
                )
            })
            .collect()
    } else {
        topic::all()
            .iter()
            .enumerate()
            .map(|(i, topic)| described(i, topic))
            .collect()
    };
    TableIterator::new(rows)
}

fn describe(index: usize, topic: Result<TopicRef, KafkaError>, auto_create: bool) -> Row {
    let found = topic.and_then(|wanted| {
        // Opening, not only finding: what the cache says is then true at this moment.
        match (topic::open(&wanted, LockMode::Read), &wanted) {
            (Err(KafkaError::UnknownTopicOrPartition { .. }), TopicRef::Name(name)) => {
                validate_topic_name(name)?;
                if !(auto_create && crate::guc::auto_create_topics()) {
                    return Err(KafkaError::UnknownTopicOrPartition {
                        topic: name.clone(),
                        partition: None,
                    });
                }
                server::require_writable(c"kafka.describe_topics(auto_create => true)");
                self::auto_create(name)?;
                topic::open(&wanted, LockMode::Read)
            }
            (other, _) => other,
        }
    });
    match found {
        Ok((topic, _log)) => described(index, &topic),
        Err(error) => {
            let fault = Fault::from(&error);
            (
                index as i32 + 1,
                None,
                None,
                None,
                fault.code,
                fault.message,
            )
        }
    }
}

fn described(index: usize, topic: &topic::Topic) -> Row {
    (
        index as i32 + 1,
        Some(topic.name.clone()),
        Some(topic.id),
        Some(topic.partitions),
        0,
        None,
    )
}
