//! `kafka.produce_batches` and `kafka.produce_batches_packed`: record batches as clients send
//! them, appended at once, with an error code for each partition. In one value they are not
//! copied once more into an array.
mod append;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::rc::Rc;

use kafka_core::batch::{self, Batch, Limits, Summary};
use kafka_core::codec::Codec;
use kafka_core::error::KafkaError;
use kafka_core::txn::Version;
use pgrx::Uuid;
use pgrx::prelude::*;

use super::Fault;
use append::{Appended, append};

use crate::raise::ok;
use crate::store::log::{LockMode, LogTable, NewBatch};
use crate::store::pending;
use crate::store::server;
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::varlena::keep_freed_memory;

/// Partition number that asks for each record to be routed by its key.
const BY_KEY: i32 = -1;
/// What one batch may inflate to where the server has to look inside.
pub(super) const MAX_INFLATED_BYTES: usize = 256 * 1024 * 1024;

type Row = (i32, i16, Option<String>, i64, i64, i64, i32);

/// An element of the call whose batches have passed the door.
struct Accepted<'a> {
    topic: Rc<Topic>,
    log: Rc<LogTable>,
    partition: i32,
    batches: Vec<AcceptedBatch<'a>>,
    /// Milliseconds since the epoch, where the topic stamps it.
    log_append_time: Option<i64>,
    /// Of a transactional batch.
    writer: Option<Writer>,
}

/// In whose name a transactional batch is written.
#[derive(Clone)]
struct Writer {
    transactional_id: String,
    version: Version,
}

struct AcceptedBatch<'a> {
    batch: Batch<'a>,
    summary: Summary,
    /// What will be stored: the client's bytes, or the same records in the topic's codec.
    new: NewBatch<'a>,
}

impl Accepted<'_> {
    /// By the numbers of topic and partition.
    fn partition(&self) -> (i32, i32) {
        (self.topic.number, self.partition)
    }
}

/// The topics that a call has opened, each once.
#[derive(Default)]
struct OpenTopics(BTreeMap<TopicRef, Result<(Rc<Topic>, Rc<LogTable>), KafkaError>>);

impl OpenTopics {
    fn open(&mut self, topic: TopicRef) -> Result<(Rc<Topic>, Rc<LogTable>), KafkaError> {
        self.0
            .entry(topic)
            .or_insert_with_key(|topic| {
                topic::open(topic, LockMode::Write).map(|(topic, log)| (topic, Rc::new(log)))
            })
            .clone()
    }
}

/// The arguments but for the batches themselves.
struct Call {
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    acks: Option<i16>,
    transactional_ids: Option<Vec<Option<String>>>,
    transaction_versions: Option<Vec<Option<i16>>>,
}

#[pg_extern(sql = false)]
fn produce_batches(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    batches: Option<pgrx::Array<'_, &[u8]>>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    acks: Option<i16>,
    transactional_ids: Option<Vec<Option<String>>>,
    transaction_versions: Option<Vec<Option<i16>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(base_offset, i64),
        name!(log_append_time, i64),
        name!(log_start_offset, i64),
        name!(partition, i32),
    ),
> {
    let batches = ok(super::required("batches", batches));
    let batches: Vec<Option<&[u8]>> = batches.iter().collect();
    let call = Call {
        topics,
        partitions,
        topic_ids,
        acks,
        transactional_ids,
        transaction_versions,
    };
    TableIterator::new(call.run(c"kafka.produce_batches()", &batches))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn produce_batches_packed(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    lengths: Option<Vec<Option<i32>>>,
    batches: Option<&[u8]>,
    topic_ids: Option<Vec<Option<Uuid>>>,
    acks: Option<i16>,
    transactional_ids: Option<Vec<Option<String>>>,
    transaction_versions: Option<Vec<Option<i16>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(base_offset, i64),
        name!(log_append_time, i64),
        name!(log_start_offset, i64),
        name!(partition, i32),
    ),
> {
    let lengths = ok(super::elements("lengths", lengths));
    let batches = ok(super::required("batches", batches));
    let batches = ok(unpack(&lengths, batches));
    let call = Call {
        topics,
        partitions,
        topic_ids,
        acks,
        transactional_ids,
        transaction_versions,
    };
    TableIterator::new(call.run(c"kafka.produce_batches_packed()", &batches))
}

/// Cuts `batches` into pieces of these lengths.
fn unpack<'a>(lengths: &[i32], batches: &'a [u8]) -> Result<Vec<Option<&'a [u8]>>, KafkaError> {
    let total = batches.len();
    let mut rest = batches;
    let pieces = lengths.iter().map(|&length| {
        let (piece, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = behind;
        Some(Some(piece))
    });
    let pieces: Option<Vec<_>> = pieces.collect();
    match pieces {
        Some(pieces) if rest.is_empty() => Ok(pieces),
        _ => Err(KafkaError::InvalidRequest {
            reason: format!("lengths must add up to the {total} bytes of batches, none negative"),
        }),
    }
}

impl Call {
    fn run(self, function: &'static CStr, batches: &[Option<&[u8]>]) -> Vec<Row> {
        server::require_writable(function);
        keep_freed_memory();
        let topics = ok(super::required("topics", self.topics));
        let partitions = ok(super::elements("partitions", self.partitions));
        let acks = self.acks.unwrap_or(-1);
        let count = |length: Option<usize>| length.unwrap_or(topics.len());
        let writers = (&self.transactional_ids, &self.transaction_versions);
        ok(super::check_lengths(&[
            ("topics", topics.len()),
            ("partitions", partitions.len()),
            ("batches", batches.len()),
            ("topic_ids", count(self.topic_ids.as_ref().map(Vec::len))),
            ("transactional_ids", count(writers.0.as_ref().map(Vec::len))),
            (
                "transaction_versions",
                count(writers.1.as_ref().map(Vec::len)),
            ),
        ]));
        let writer = |i: usize| -> Result<Option<Writer>, KafkaError> {
            let id = writers.0.as_ref().and_then(|ids| ids[i].clone());
            let version = writers.1.as_ref().and_then(|versions| versions[i]);
            let version = version.map_or(Ok(Version::V1), Version::try_from)?;
            Ok(id.map(|transactional_id| Writer {
                transactional_id,
                version,
            }))
        };
        let mut open = OpenTopics::default();
        let accepted: Vec<Result<Accepted<'_>, KafkaError>> = (0..topics.len())
            .map(|i| {
                if !matches!(acks, -1..=1) {
                    return Err(KafkaError::InvalidRequiredAcks { acks });
                }
                let (topic, log) = open.open(super::topic_ref(
                    Some(&topics),
                    self.topic_ids.as_deref(),
                    i,
                )?)?;
                accept(topic, log, partitions[i], batches[i], writer(i)?)
            })
            .collect();
        let appended = append(&accepted);
        let rows = appended.into_iter().zip(&partitions).enumerate();
        rows.map(|(i, (appended, &partition))| row(i, partition, appended))
            .collect()
    }
}

fn row(index: usize, partition: i32, appended: Result<Appended, KafkaError>) -> Row {
    let idx = index as i32 + 1;
    match appended {
        Ok(a) => (
            idx,
            0,
            None,
            a.base_offset,
            a.log_append_time.unwrap_or(-1),
            a.log_start_offset,
            partition,
        ),
        Err(error) => {
            let fault = Fault::from(&error);
            (idx, fault.code, fault.message, -1, -1, -1, partition)
        }
    }
}

/// Everything that can be judged before anything is locked or written.
fn accept(
    topic: Rc<Topic>,
    log: Rc<LogTable>,
    partition: i32,
    bytes: Option<&[u8]>,
    writer: Option<Writer>,
) -> Result<Accepted<'_>, KafkaError> {
    if partition != BY_KEY {
        topic.check_partition(partition)?;
    }
    let limits = Limits {
        max_message_bytes: topic.max_message_bytes() as usize,
    };
    let log_append_time = pending::log_append_time(&topic);
    let mut batches = Vec::new();
    for batch in batch::split_batches(bytes.unwrap_or_default()) {
        let batch = batch?;
        let summary = batch.accept(limits)?;
        // As Kafka's broker does: what is damaged inside would stop every reader later.
        batch.verify_records(MAX_INFLATED_BYTES)?;
        if summary.transactional && writer.is_none() {
            return Err(KafkaError::InvalidRequest {
                reason: "a batch of a transaction needs its transactional id".to_owned(),
            });
        }
        if partition == BY_KEY && summary.producer_id >= 0 {
            return Err(KafkaError::InvalidRequest {
                reason: "records routed by key cannot carry a producer id: their sequence numbers count for one partition".to_owned(),
            });
        }
        let new = NewBatch::new(
            stored_form(&topic, &batch, summary.codec)?,
            summary.last_offset_delta,
            summary.max_timestamp,
            log_append_time,
        );
        batches.push(AcceptedBatch {
            batch,
            summary,
            new,
        });
    }
    if batches.is_empty() {
        return Err(KafkaError::InvalidRecord {
            reason: "there is no record batch".to_owned(),
        });
    }
    if batches.len() > 1 && batches.iter().any(|b| b.summary.producer_id >= 0) {
        return Err(KafkaError::InvalidRecord {
            reason: "batches that carry a producer id come one at a time".to_owned(),
        });
    }
    let transactional = batches.iter().any(|b| b.summary.transactional);
    Ok(Accepted {
        topic,
        log,
        partition,
        batches,
        log_append_time,
        writer: writer.filter(|_| transactional),
    })
}

fn stored_form<'a>(
    topic: &Topic,
    batch: &Batch<'a>,
    codec: Codec,
) -> Result<Cow<'a, [u8]>, KafkaError> {
    let wanted = topic.stored_codec(codec);
    if wanted == codec {
        return Ok(Cow::Borrowed(batch.bytes()));
    }
    batch::recompress(batch, wanted, MAX_INFLATED_BYTES).map(Cow::Owned)
}
