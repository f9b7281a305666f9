//! Rules for topics: names, numbers of partitions, configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::codec::Codec;
use crate::error::KafkaError;

/// The longest topic name in bytes.
pub const MAX_NAME_LEN: usize = 249;
/// The most partitions of a topic.
pub const MAX_PARTITIONS: i32 = 10_000;

/// Kafka's rules for topic names (Java: `Topic.validate`).
///
/// # Errors
/// [`KafkaError::InvalidTopic`].
pub fn validate_topic_name(name: &str) -> Result<(), KafkaError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name == "." || name == ".." {
        format!("it is {name:?}")
    } else if name.len() > MAX_NAME_LEN {
        format!("it is longer than {MAX_NAME_LEN} characters")
    } else if !name.bytes().all(legal) {
        "it has characters other than ASCII letters, digits, \".\", \"_\" and \"-\"".to_owned()
    } else {
        return Ok(());
    };
    Err(KafkaError::InvalidTopic {
        topic: name.to_owned(),
        reason,
    })
}

/// # Errors
/// [`KafkaError::InvalidPartitions`] outside 1 to [`MAX_PARTITIONS`].
pub fn validate_partitions(partitions: i32) -> Result<(), KafkaError> {
    let reason = if partitions < 1 {
        "a topic has at least 1".to_owned()
    } else if partitions > MAX_PARTITIONS {
        format!("a topic has at most {MAX_PARTITIONS}")
    } else {
        return Ok(());
    };
    Err(KafkaError::InvalidPartitions { partitions, reason })
}

/// How the log stores what it is given (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer compressed it.
    Producer,
    Codec(Codec),
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Producer => f.write_str("producer"),
            Self::Codec(Codec::None) => f.write_str("uncompressed"),
            Self::Codec(codec) => codec.fmt(f),
        }
    }
}

impl FromStr for CompressionType {
    type Err = KafkaError;

    /// Kafka's names; `none` and `uncompressed` mean the same.
    fn from_str(name: &str) -> Result<Self, KafkaError> {
        match name {
            "producer" => Ok(Self::Producer),
            "uncompressed" => Ok(Self::Codec(Codec::None)),
            name => name.parse().map(Self::Codec),
        }
    }
}

/// Whose clock a record's timestamp comes from (`message.timestamp.type`, KIP-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        })
    }
}

/// A topic's configuration, as far as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicConfig {
    pub compression_type: Option<CompressionType>,
    /// `max.message.bytes`, in bytes.
    pub max_message_bytes: Option<i32>,
    pub message_timestamp_type: TimestampType,
    /// Everything that is set, by name, with the values trimmed.
    pub entries: BTreeMap<String, String>,
}

/// What values a configuration takes.
enum Kind {
    Int(i64, i64),
    Long(i64),
    /// A number from 0 to 1.
    Ratio,
    Bool,
    /// `true` would need something that is not here.
    OnlyFalse,
    OneOf(&'static [&'static str]),
    /// A list, perhaps empty, of these.
    AnyOf(&'static [&'static str]),
    /// -1, or a number in the range.
    IntOrMinusOne(i64, i64),
    /// `*` or a list of `partition:broker`.
    Replicas,
}

const INT_MAX: i64 = i32::MAX as i64;

const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// The names and values of Kafka 4.3.
#[rustfmt::skip]
const CONFIGS: &[(&str, Kind)] = &[
    ("cleanup.policy", Kind::AnyOf(&["compact", "delete"])),
    ("compression.gzip.level", Kind::IntOrMinusOne(1, 9)),
    ("compression.lz4.level", Kind::Int(1, 17)),
    ("compression.type", Kind::OneOf(COMPRESSION_TYPES)),
    ("compression.zstd.level", Kind::Int(-131_072, 22)),
    ("delete.retention.ms", Kind::Long(0)),
    ("file.delete.delay.ms", Kind::Long(0)),
    ("flush.messages", Kind::Long(1)),
    ("flush.ms", Kind::Long(0)),
    ("follower.replication.throttled.replicas", Kind::Replicas),
    ("index.interval.bytes", Kind::Int(0, INT_MAX)),
    ("leader.replication.throttled.replicas", Kind::Replicas),
    ("local.retention.bytes", Kind::Long(-2)),
    ("local.retention.ms", Kind::Long(-2)),
    ("max.compaction.lag.ms", Kind::Long(1)),
    ("max.message.bytes", Kind::Int(0, INT_MAX)),
    ("message.timestamp.after.max.ms", Kind::Long(0)),
    ("message.timestamp.before.max.ms", Kind::Long(0)),
    ("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"])),
    ("min.cleanable.dirty.ratio", Kind::Ratio),
    ("min.compaction.lag.ms", Kind::Long(0)),
    ("min.insync.replicas", Kind::Int(1, INT_MAX)),
    ("preallocate", Kind::Bool),
    ("remote.log.copy.disable", Kind::Bool),
    ("remote.log.delete.on.disable", Kind::Bool),
    ("remote.storage.enable", Kind::OnlyFalse),
    ("retention.bytes", Kind::Long(i64::MIN)),
    ("retention.ms", Kind::Long(-1)),
    ("segment.bytes", Kind::Int(1_048_576, INT_MAX)),
    ("segment.index.bytes", Kind::Int(4, INT_MAX)),
    ("segment.jitter.ms", Kind::Long(0)),
    ("segment.ms", Kind::Long(1)),
    ("unclean.leader.election.enable", Kind::Bool),
];

/// The names of all configurations that a topic can have.
pub fn topic_config_names() -> impl Iterator<Item = &'static str> {
    CONFIGS.iter().map(|(name, _)| *name)
}

/// Reads a topic's configuration: names and values as in Kafka 4.3. What has no effect
/// here is checked and kept all the same. Of a name given twice the last value counts.
///
/// # Errors
/// [`KafkaError::InvalidConfig`] for an unknown name, a value that its type does not
/// allow, no value, or values that contradict each other.
pub fn parse_topic_config(entries: &[(&str, Option<&str>)]) -> Result<TopicConfig, KafkaError> {
    let mut config = TopicConfig::default();
    for &(name, value) in entries {
        let invalid = |reason: String| KafkaError::InvalidConfig {
            name: name.to_owned(),
            reason,
        };
        let (_, kind) = CONFIGS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| invalid("no such topic configuration".to_owned()))?;
        let value = value
            .ok_or_else(|| invalid("a value is missing".to_owned()))?
            .trim();
        kind.check(value).map_err(invalid)?;
        match name {
            "compression.type" => config.compression_type = Some(value.parse()?),
            "max.message.bytes" => config.max_message_bytes = value.parse().ok(),
            "message.timestamp.type" => {
                config.message_timestamp_type = if value == "LogAppendTime" {
                    TimestampType::LogAppendTime
                } else {
                    TimestampType::CreateTime
                };
            }
            _ => {}
        }
        config.entries.insert(name.to_owned(), value.to_owned());
    }
    check_compaction_lags(&config)?;
    Ok(config)
}

fn check_compaction_lags(config: &TopicConfig) -> Result<(), KafkaError> {
    const MIN: &str = "min.compaction.lag.ms";
    const MAX: &str = "max.compaction.lag.ms";
    let number = |name: &str| config.entries.get(name)?.parse::<i64>().ok();
    match (number(MIN), number(MAX)) {
        (Some(min), Some(max)) if min > max => Err(KafkaError::InvalidConfig {
            name: MIN.to_owned(),
            reason: format!("{min} is greater than {MAX}, which is {max}"),
        }),
        _ => Ok(()),
    }
}

impl Kind {
    fn check(&self, value: &str) -> Result<(), String> {
        let accepted = match *self {
            Self::Int(min, max) => in_range(value, min, max),
            Self::Long(min) => in_range(value, min, i64::MAX),
            Self::IntOrMinusOne(min, max) => value == "-1" || in_range(value, min, max),
            Self::Ratio => value.parse::<f64>().is_ok_and(|v| (0.0..=1.0).contains(&v)),
            Self::Bool => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::OnlyFalse => value.eq_ignore_ascii_case("false"),
            Self::OneOf(allowed) => allowed.contains(&value),
            Self::AnyOf(allowed) => {
                value.is_empty() || value.split(',').all(|v| allowed.contains(&v.trim()))
            }
            Self::Replicas => value.is_empty() || value == "*" || value.split(',').all(is_replica),
        };
        if accepted {
            Ok(())
        } else {
            Err(format!("{value:?} is not {}", self.expectation()))
        }
    }

    fn expectation(&self) -> String {
        match *self {
            Self::Int(min, max) => format!("a whole number from {min} to {max}"),
            Self::Long(i64::MIN) => "a whole number".to_owned(),
            Self::Long(min) => format!("a whole number of at least {min}"),
            Self::IntOrMinusOne(min, max) => format!("-1 or a whole number from {min} to {max}"),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::OnlyFalse => "false: there is no tiered storage".to_owned(),
            Self::OneOf(allowed) => format!("one of {}", allowed.join(", ")),
            Self::AnyOf(allowed) => format!("a list of {}", allowed.join(", ")),
            Self::Replicas => "* or a list of partition:broker".to_owned(),
        }
    }
}

fn in_range(value: &str, min: i64, max: i64) -> bool {
    value.parse().is_ok_and(|v: i64| (min..=max).contains(&v))
}

fn is_replica(text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    text.trim()
        .split_once(':')
        .is_some_and(|(partition, broker)| number(partition) && number(broker))
}
