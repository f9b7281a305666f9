//! Fetch's response, versions 4 to 18, linked together instead of encoded: the header
//! parts are written here, the record bytes are only referred to. kafka-protocol's
//! encoder would copy them, and they are nearly all of what a listener sends.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::db::TopicRef;

use super::reply::{LINK_BYTES, Reply};

const FLEXIBLE: i16 = 12;

#[derive(Debug, Clone, Default)]
pub struct FetchResponse {
    pub error_code: i16,
    pub session_id: i32,
    pub topics: Vec<TopicResponse>,
}

#[derive(Debug, Clone)]
pub struct TopicResponse {
    /// By name up to version 12, by id since.
    pub topic: Arc<TopicRef>,
    pub partitions: Vec<PartitionResponse>,
}

#[derive(Debug, Clone)]
pub struct PartitionResponse {
    pub partition: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    /// Sent since version 5.
    pub log_start_offset: i64,
    /// `None` for `read_uncommitted`; (producer id, first offset) each.
    pub aborted_transactions: Option<Vec<(i64, i64)>>,
    /// Stored batches, one after another.
    pub records: Bytes,
}

impl FetchResponse {
    pub fn encode(self, version: i16, correlation_id: i32) -> Reply {
        let flexible = version >= FLEXIBLE;
        let mut link = Link {
            chunks: Vec::new(),
            open: BytesMut::with_capacity(LINK_BYTES),
            flexible,
        };
        link.open.put_i32(0); // throttle_time_ms
        if version >= 7 {
            link.open.put_i16(self.error_code);
            link.open.put_i32(self.session_id);
        }
        link.length(self.topics.len());
        for topic in self.topics {
            link.topic(topic, version);
        }
        link.end_struct();
        Reply::from_chunks(link.finish(), correlation_id, flexible)
    }
}

struct Link {
    chunks: Vec<Bytes>,
    open: BytesMut,
    flexible: bool,
}

impl Link {
    fn topic(&mut self, topic: TopicResponse, version: i16) {
        match &*topic.topic {
            TopicRef::Name(name) => self.string(name),
            TopicRef::Id(id) => self.open.put_slice(id.as_bytes()),
        }
        self.length(topic.partitions.len());
        for partition in topic.partitions {
            self.partition(partition, version);
        }
        self.end_struct();
    }

    fn partition(&mut self, partition: PartitionResponse, version: i16) {
        self.open.put_i32(partition.partition);
        self.open.put_i16(partition.error_code);
        self.open.put_i64(partition.high_watermark);
        self.open.put_i64(partition.last_stable_offset);
        if version >= 5 {
            self.open.put_i64(partition.log_start_offset);
        }
        match partition.aborted_transactions {
            None if self.flexible => self.open.put_u8(0),
            None => self.open.put_i32(-1),
            Some(aborted) => {
                self.length(aborted.len());
                for (producer_id, first_offset) in aborted {
                    self.open.put_i64(producer_id);
                    self.open.put_i64(first_offset);
                    self.end_struct();
                }
            }
        }
        if version >= 11 {
            self.open.put_i32(-1); // preferred_read_replica
        }
        self.length(partition.records.len());
        self.link(partition.records);
        self.end_struct();
    }

    /// Of an array or of bytes: both are written the same way.
    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if self.flexible {
            self.unsigned_varint(length.saturating_add(1));
        } else {
            self.open.put_u32(length);
        }
    }

    fn string(&mut self, string: &str) {
        if self.flexible {
            self.length(string.len());
        } else {
            // A request's topic name came with such a length itself.
            self.open
                .put_u16(u16::try_from(string.len()).unwrap_or(u16::MAX));
        }
        self.open.put_slice(string.as_bytes());
    }

    fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.open.put_u8((value as u8) | 0x80);
            value >>= 7;
        }
        self.open.put_u8(value as u8);
    }

    /// No tagged fields: none of Fetch's says anything where there is one broker.
    fn end_struct(&mut self) {
        if self.flexible {
            self.open.put_u8(0);
        }
    }

    fn link(&mut self, records: Bytes) {
        if records.len() <= LINK_BYTES {
            self.open.put_slice(&records);
        } else {
            self.chunks.push(self.open.split().freeze());
            self.chunks.push(records);
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.chunks.push(self.open.freeze());
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;
    use kafka_protocol::messages::fetch_response as wire;
    use kafka_protocol::protocol::{Decodable, StrBytes};
    use uuid::Uuid;

    fn example(version: i16, records: usize) -> FetchResponse {
        let partition = |partition, records: usize, aborted| PartitionResponse {
            partition,
            error_code: 0,
            high_watermark: 1000,
            last_stable_offset: 900,
            log_start_offset: 3,
            aborted_transactions: aborted,
            records: vec![7; records].into(),
        };
        FetchResponse {
            error_code: 0,
            session_id: 0,
            topics: vec![
                TopicResponse {
                    topic: Arc::new(if version >= 13 {
                        TopicRef::Id(Uuid::from_u128(77))
                    } else {
                        TopicRef::Name("t".repeat(200))
                    }),
                    partitions: vec![
                        partition(0, records, None),
                        partition(1, 0, Some(vec![])),
                        partition(2, records, Some(vec![(5, 6), (7, 8)])),
                    ],
                },
                TopicResponse {
                    topic: Arc::new(if version >= 13 {
                        TopicRef::Id(Uuid::nil())
                    } else {
                        TopicRef::Name(String::new())
                    }),
                    partitions: Vec::new(),
                },
            ],
        }
    }

    /// Every version decodes to what was put in, with nothing left over.
    #[test]
    fn agrees_with_kafka_protocol() {
        for version in 4..=18 {
            for records in [0, 10, LINK_BYTES, LINK_BYTES + 1, 100_000] {
                let mut reply = example(version, records).encode(version, 5);
                let mut bytes = reply.copy_to_bytes(reply.remaining());
                assert_eq!(bytes.get_u32() as usize, bytes.remaining());
                assert_eq!(bytes.get_i32(), 5);
                if version >= FLEXIBLE {
                    assert_eq!(bytes.get_u8(), 0);
                }
                let decoded = wire::FetchResponse::decode(&mut bytes, version).unwrap();
                assert!(!bytes.has_remaining());
                assert_eq!(decoded.responses.len(), 2);
                let topic = &decoded.responses[0];
                if version >= 13 {
                    assert_eq!(topic.topic_id, Uuid::from_u128(77));
                } else {
                    assert_eq!(*topic.topic, StrBytes::from_string("t".repeat(200)));
                }
                assert_eq!(topic.partitions.len(), 3);
                let last = &topic.partitions[2];
                assert_eq!((last.partition_index, last.high_watermark), (2, 1000));
                assert_eq!(last.records.as_ref().unwrap().len(), records);
                assert_eq!(last.aborted_transactions.as_ref().unwrap().len(), 2);
                assert_eq!(topic.partitions[0].aborted_transactions, None);
                assert_eq!(topic.partitions[1].aborted_transactions, Some(vec![]));
            }
        }
    }
}
