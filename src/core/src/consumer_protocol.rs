//! The bytes that members of a classic consumer group exchange through the coordinator:
//! what each subscribes to, what each is assigned, and the user data of the sticky
//! assignors (protocol type `consumer`, versions 0 to 3: KIP-429, KIP-792, KIP-881).
//!
//! A newer version is read as version 3, as Kafka's clients do: fields are only ever
//! appended, so bytes after the known ones are skipped.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;

use crate::error::KafkaError;
use crate::wire::Reader;

/// The protocol type under which consumers join a classic group.
pub const PROTOCOL_TYPE: &str = "consumer";
/// The newest version of both messages.
pub const MAX_VERSION: i16 = 3;
/// The generation of a member that has none yet.
pub const NO_GENERATION: i32 = -1;

/// Partitions by topic.
pub type TopicPartitions = BTreeMap<String, Vec<i32>>;

/// What a member brings to a group (`ConsumerProtocolSubscription`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSubscription<'a> {
    /// From 0 to [`MAX_VERSION`]: what the member can read, and what is written.
    pub version: i16,
    pub topics: Vec<String>,
    pub user_data: Option<&'a [u8]>,
    /// From version 1.
    pub owned_partitions: TopicPartitions,
    /// From version 2; [`NO_GENERATION`] where it is not known.
    pub generation_id: i32,
    /// From version 3; an empty one is none.
    pub rack_id: Option<String>,
}

impl<'a> ConsumerSubscription<'a> {
    /// # Errors
    /// [`KafkaError::InvalidRequest`] when `bytes` are no subscription.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, KafkaError> {
        Self::read(&mut Reader(bytes)).ok_or_else(|| malformed("subscription"))
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let version = read_version(reader)?;
        Some(Self {
            version,
            topics: read_strings(reader)?,
            user_data: read_nullable_bytes(reader)?,
            owned_partitions: if version >= 1 {
                read_topic_partitions(reader)?
            } else {
                TopicPartitions::new()
            },
            generation_id: if version >= 2 {
                reader.i32()?
            } else {
                NO_GENERATION
            },
            rack_id: if version >= 3 {
                read_nullable_string(reader)?.filter(|rack| !rack.is_empty())
            } else {
                None
            },
        })
    }

    /// The bytes of the version that the subscription names; what it does not have is
    /// left out.
    pub fn encode(&self) -> Vec<u8> {
        let version = known_version(self.version);
        let mut out = Vec::new();
        put_i16(&mut out, version);
        put_len(&mut out, self.topics.len());
        for topic in &self.topics {
            put_string(&mut out, topic);
        }
        put_bytes(&mut out, self.user_data);
        if version >= 1 {
            put_topic_partitions(&mut out, &self.owned_partitions);
        }
        if version >= 2 {
            put_i32(&mut out, self.generation_id);
        }
        if version >= 3 {
            match &self.rack_id {
                Some(rack) => put_string(&mut out, rack),
                None => put_i16(&mut out, -1),
            }
        }
        out
    }
}

/// What the leader of a group gives a member (`ConsumerProtocolAssignment`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerAssignment<'a> {
    /// From 0 to [`MAX_VERSION`].
    pub version: i16,
    pub assigned_partitions: TopicPartitions,
    pub user_data: Option<&'a [u8]>,
}

impl<'a> ConsumerAssignment<'a> {
    /// # Errors
    /// [`KafkaError::InvalidRequest`] when `bytes` are no assignment. A coordinator that
    /// has nothing for a member sends no bytes at all, which is for the caller to see.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, KafkaError> {
        Self::read(&mut Reader(bytes)).ok_or_else(|| malformed("assignment"))
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            version: read_version(reader)?,
            assigned_partitions: read_topic_partitions(reader)?,
            user_data: read_nullable_bytes(reader)?,
        })
    }

    /// All versions look alike but for their number.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_i16(&mut out, known_version(self.version));
        put_topic_partitions(&mut out, &self.assigned_partitions);
        put_bytes(&mut out, self.user_data);
        out
    }
}

/// What the `sticky` assignor remembers in a member's user data (KIP-54): the protocol
/// is eager, so that the member owns nothing any more when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyUserData {
    pub previous_assignment: TopicPartitions,
    /// Version 0 has none.
    pub generation: Option<i32>,
}

impl StickyUserData {
    /// The user data carries no version: what cannot be read as version 1 is read as 0.
    ///
    /// # Errors
    /// [`KafkaError::InvalidRequest`] when it is neither.
    pub fn decode(bytes: &[u8]) -> Result<Self, KafkaError> {
        let mut reader = Reader(bytes);
        let previous_assignment =
            read_topic_partitions(&mut reader).ok_or_else(|| malformed("sticky user data"))?;
        Ok(Self {
            previous_assignment,
            generation: reader.i32(),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_topic_partitions(&mut out, &self.previous_assignment);
        if let Some(generation) = self.generation {
            put_i32(&mut out, generation);
        }
        out
    }
}

/// The generation in the user data of `cooperative-sticky`, for subscriptions older than
/// version 2.
///
/// # Errors
/// [`KafkaError::InvalidRequest`] when the bytes are fewer than four.
pub fn decode_cooperative_user_data(bytes: &[u8]) -> Result<i32, KafkaError> {
    let generation = Reader(bytes).i32();
    generation.ok_or_else(|| malformed("cooperative-sticky user data"))
}

/// The user data of `cooperative-sticky`.
pub fn encode_cooperative_user_data(generation: i32) -> [u8; 4] {
    generation.to_be_bytes()
}

fn malformed(what: &str) -> KafkaError {
    KafkaError::InvalidRequest {
        reason: format!("malformed {what} of the consumer protocol"),
    }
}

fn known_version(version: i16) -> i16 {
    version.clamp(0, MAX_VERSION)
}

fn read_version(reader: &mut Reader) -> Option<i16> {
    let version = reader.i16()?;
    (version >= 0).then(|| known_version(version))
}

/// The length of an array whose elements take at least `min_size` bytes each: refused
/// when the rest of the bytes cannot hold it, before anything is allocated.
fn read_len(reader: &mut Reader, min_size: usize) -> Option<usize> {
    let len = usize::try_from(reader.i32()?).ok()?;
    (len <= reader.0.len().checked_div(min_size)?).then_some(len)
}

fn read_string(reader: &mut Reader) -> Option<String> {
    let len = usize::try_from(reader.i16()?).ok()?;
    std::str::from_utf8(reader.bytes(len)?)
        .ok()
        .map(str::to_owned)
}

#[expect(clippy::option_option, reason = "outer: bytes ran out; inner: null")]
fn read_nullable_string(reader: &mut Reader) -> Option<Option<String>> {
    let mut ahead = *reader;
    if ahead.i16()? < 0 {
        *reader = ahead;
        return Some(None);
    }
    read_string(reader).map(Some)
}

#[expect(clippy::option_option, reason = "outer: bytes ran out; inner: null")]
fn read_nullable_bytes<'a>(reader: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(reader.i32()?) {
        Ok(len) => reader.bytes(len).map(Some),
        Err(_) => Some(None),
    }
}

fn read_strings(reader: &mut Reader) -> Option<Vec<String>> {
    let len = read_len(reader, size_of::<i16>())?;
    (0..len).map(|_| read_string(reader)).collect()
}

/// A topic that comes twice counts once, with the partitions of both.
fn read_topic_partitions(reader: &mut Reader) -> Option<TopicPartitions> {
    let mut topics = TopicPartitions::new();
    for _ in 0..read_len(reader, size_of::<i16>().checked_add(size_of::<i32>())?)? {
        let topic = read_string(reader)?;
        let len = read_len(reader, size_of::<i32>())?;
        let partitions = topics.entry(topic).or_default();
        for _ in 0..len {
            partitions.push(reader.i32()?);
        }
    }
    Some(topics)
}

fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_i32(out, i32::try_from(len).unwrap_or(i32::MAX));
}

/// Names are far shorter than what a string can hold; a longer one is cut.
fn put_string(out: &mut Vec<u8>, value: &str) {
    let end = value.floor_char_boundary(i16::MAX as usize);
    let bytes = value.get(..end).unwrap_or_default().as_bytes();
    put_i16(out, bytes.len() as i16);
    out.extend_from_slice(bytes);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        None => put_i32(out, -1),
    }
}

fn put_topic_partitions(out: &mut Vec<u8>, topics: &TopicPartitions) {
    put_len(out, topics.len());
    for (topic, partitions) in topics {
        put_string(out, topic);
        put_len(out, partitions.len());
        for &partition in partitions {
            put_i32(out, partition);
        }
    }
}
