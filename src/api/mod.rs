//! The SQL face: Datums in, one call of `store`, rows out. No SQL text, no Kafka rules.
//! The declarations, with defaults and comments, are in `sql/30_functions.sql`.
// pgrx hands arguments over by value, and a row type is written out where it is declared.
#![allow(clippy::needless_pass_by_value, clippy::type_complexity)]

mod cluster;
mod fetch;
mod fetch_batches;
mod group;
mod header;
mod list_offsets;
mod maintain;
mod offset;
mod partition;
mod poll;
mod produce;
mod produce_batches;
mod topic;
mod txn;
mod visible;
mod wait;

use kafka_core::error::KafkaError;
use pgrx::Uuid;

use crate::store::stored::StoredBatch;
use crate::store::topic::TopicRef;

/// What an array call says of the fault of one of its elements.
#[derive(Default)]
struct Fault {
    code: i16,
    message: Option<String>,
}

impl From<&KafkaError> for Fault {
    fn from(error: &KafkaError) -> Self {
        Self {
            code: error.code(),
            message: Some(error.to_string()),
        }
    }
}

impl Fault {
    /// None of a result that is well.
    fn of<T>(result: &Result<T, KafkaError>) -> Self {
        result.as_ref().err().map(Self::from).unwrap_or_default()
    }
}

/// What an array call answers whose elements only succeed or fail: idx from 1.
type Verdict = (i32, i16, Option<String>);

fn verdicts(results: impl IntoIterator<Item = Result<(), KafkaError>>) -> Vec<Verdict> {
    (1..)
        .zip(results)
        .map(|(idx, result)| {
            let fault = Fault::of(&result);
            (idx, fault.code, fault.message)
        })
        .collect()
}

/// An argument that SQL allows to be null and the function does not.
fn required<T>(name: &str, argument: Option<T>) -> Result<T, KafkaError> {
    argument.ok_or_else(|| KafkaError::InvalidRequest {
        reason: format!("{name} must not be null"),
    })
}

/// An array argument that must not be null, nor any of its elements.
fn elements<T>(name: &str, array: Option<Vec<Option<T>>>) -> Result<Vec<T>, KafkaError> {
    required(name, array)?
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| KafkaError::InvalidRequest {
            reason: format!("{name} must not contain nulls"),
        })
}

/// Arrays that describe the elements of one call must be equally long.
fn check_lengths(lengths: &[(&str, usize)]) -> Result<(), KafkaError> {
    let Some(&(first, expected)) = lengths.first() else {
        return Ok(());
    };
    match lengths.iter().find(|(_, length)| *length != expected) {
        None => Ok(()),
        Some((name, length)) => Err(KafkaError::InvalidRequest {
            reason: format!("{name} has {length} elements where {first} has {expected}"),
        }),
    }
}

/// Element `index` of a call's topics: by id where there is one, else by name.
fn topic_ref(
    topics: Option<&[Option<String>]>,
    topic_ids: Option<&[Option<Uuid>]>,
    index: usize,
) -> Result<TopicRef, KafkaError> {
    let id = topic_ids.and_then(|ids| ids.get(index).copied().flatten());
    if let Some(id) = id {
        return Ok(TopicRef::Id(*id.as_bytes()));
    }
    topics
        .and_then(|names| names.get(index).cloned().flatten())
        .map(TopicRef::Name)
        .ok_or_else(|| KafkaError::InvalidRequest {
            reason: "a topic needs a name or an id".to_owned(),
        })
}

/// Reads a stored batch; a fault says which one it is.
fn read_batch<T>(
    topic: &str,
    partition: i32,
    batch: &mut StoredBatch<'_>,
    read: impl FnOnce(&[u8]) -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    batch
        .with_data(read)
        .map_err(|fault| KafkaError::UnreadableBatch {
            topic: topic.to_owned(),
            partition,
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            reason: match fault {
                KafkaError::CorruptMessage { reason } => reason,
                other => other.to_string(),
            },
        })
}
