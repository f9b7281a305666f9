//! Produce: appends record batches, one per partition.
//!
//! v3 record batches (KIP-98). v5 log start offset. v7 zstd (KIP-110). v8 error message
//! per partition (KIP-467). v9 flexible. v10 current leader, which is always this broker
//! (KIP-951). v11 new error code, v12 transactions without `AddPartitionsToTxn` (KIP-890).
//! v13 topic ids (KIP-516). Partition -1, which Kafka has not, routes each record by its
//! key.

use std::sync::Arc;

use futures_util::future;
use kafka_core::code;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::append::{Ticket, refusal};
use crate::conn::Connection;
use crate::db::{BatchTransaction, Batches, Produced, TopicRef};
use crate::error::{Fault, shorten};
use crate::router::{Answer, Api, Request};
use crate::wire::Reply;
use crate::wire::schema::{Field, INT16, INT32, Kind, UUID, field};

use super::{abortable, check_transactional_id};

const PARTITION: &[Field] = &[field("index", INT32), field("records", Kind::Bytes)];
const TOPIC: &[Field] = &[
    field("name", Kind::String).until(12),
    field("topic_id", UUID).since(13),
    field("partition_data", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("transactional_id", Kind::String),
    field("acks", INT16),
    field("timeout_ms", INT32),
    field("topic_data", Kind::Array(&Kind::Struct(TOPIC))),
];

pub const API: Api = Api {
    key: 0,
    name: "Produce",
    min: 3,
    max: 13,
    // librdkafka up to 2.8 compresses only for brokers that name version 0, which is why
    // Kafka, where 3 is the lowest too, goes on naming it (KAFKA-18659).
    advertised_min: 0,
    codec_max: 13,
    flexible: 9,
    request: REQUEST,
    pipelined: true,
    handler: |connection, request| handle(&connection, request),
};

/// Queues the batches at once, so that requests of a connection keep their order, and
/// returns the wait for their commit.
fn handle(connection: &Connection, request: Request) -> Answer {
    match begin(connection, &request) {
        Ok(pending) => Box::pin(pending.finish(request)),
        Err(fault) => Box::pin(future::ready(Err(fault))),
    }
}

const HEADER_BYTES: usize = 61;
const LENGTH: std::ops::Range<usize> = 8..12;
const MAGIC: usize = 16;
/// The lower of two bytes: codec, kind of timestamp, part of a transaction, control batch.
const ATTRIBUTES: usize = 22;

/// Since this version a partition becomes part of a transaction by what is produced to it.
const ADDS_PARTITIONS: i16 = 12;

/// A request on its way to the log.
struct Pending {
    body: ProduceRequest,
    /// One per partition, in the request's order; `None` for those that are queued.
    refused: Vec<Option<Produced>>,
    ticket: Option<Ticket>,
}

fn begin(connection: &Connection, request: &Request) -> Result<Pending, Fault> {
    let body: ProduceRequest = request.decode()?;
    let version = request.version();
    let whole = refuse_request(&body);
    let transaction = body.transactional_id.as_ref().map(|id| BatchTransaction {
        transactional_id: id.0.clone(),
        version: if version >= ADDS_PARTITIONS { 2 } else { 1 },
    });
    let mut refused = Vec::new();
    let mut batches = Vec::new();
    for topic in &body.topic_data {
        for partition in &topic.partition_data {
            let refusal = whole.clone().or_else(|| refuse_records(partition, version));
            if let (None, Some(records)) = (&refusal, &partition.records) {
                let topic = if version >= 13 {
                    TopicRef::Id(topic.topic_id)
                } else {
                    TopicRef::Name(topic.name.to_string())
                };
                batches.push(Batches {
                    topic,
                    partition: partition.index,
                    records: records.clone(),
                    transaction: transaction
                        .clone()
                        .filter(|_| is_transactional(Some(records))),
                });
            }
            refused.push(refusal);
        }
    }
    let append = &connection.server.append;
    let ticket = (!batches.is_empty())
        .then(|| append.enqueue(&connection.pin, batches, Arc::clone(&request.reserved)));
    Ok(Pending {
        body,
        refused,
        ticket,
    })
}

/// What is wrong with the request as a whole, to be said for each of its partitions.
fn refuse_request(body: &ProduceRequest) -> Option<Produced> {
    let topics = body.topic_data.iter();
    let mut partitions = topics.flat_map(|topic| &topic.partition_data);
    if partitions.any(|partition| is_transactional(partition.records.as_deref())) {
        let refused = |error_code, message: &str| Some(refusal(error_code, Some(message.into())));
        let Some(transactional_id) = &body.transactional_id else {
            return refused(
                code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "a transactional batch without a transactional id",
            );
        };
        let error_code = check_transactional_id(transactional_id);
        if error_code != code::NONE {
            return refused(error_code, "there is no such transactional id");
        }
    }
    if !matches!(body.acks, -1..=1) {
        let message = format!("acks must be -1, 0 or 1, not {}", body.acks);
        return Some(refusal(code::INVALID_REQUIRED_ACKS, Some(message)));
    }
    None
}

/// By the attributes of its first batch.
fn is_transactional(records: Option<&[u8]>) -> bool {
    const TRANSACTIONAL: u8 = 0x10;
    records.is_some_and(|records| {
        records.len() >= HEADER_BYTES
            && records[MAGIC] == 2
            && records[ATTRIBUTES] & TRANSACTIONAL != 0
    })
}

/// What is wrong with a partition's records for this version of the request. What is
/// inside the batch is checked where it is stored.
fn refuse_records(partition: &PartitionProduceData, version: i16) -> Option<Produced> {
    let invalid = |error_code, message: &str| Some(refusal(error_code, Some(message.into())));
    let records = partition.records.as_deref().unwrap_or_default();
    if records.is_empty() {
        return invalid(code::INVALID_RECORD, "there is no record batch");
    }
    if records.len() < HEADER_BYTES || records[MAGIC] != 2 {
        return None;
    }
    let length = records[LENGTH]
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    let batch_bytes = LENGTH.end + length;
    if batch_bytes >= HEADER_BYTES && batch_bytes < records.len() {
        let message = "a request carries exactly one record batch per partition";
        return invalid(code::INVALID_RECORD, message);
    }
    if version < 7 && records[ATTRIBUTES] & 7 == 4 {
        let message = "zstd needs version 7 or newer of the request";
        return invalid(code::UNSUPPORTED_COMPRESSION_TYPE, message);
    }
    None
}

impl Pending {
    async fn finish(self, request: Request) -> Result<Option<Reply>, Fault> {
        let produced = match self.ticket {
            Some(ticket) => ticket.produced().await,
            None => Vec::new(),
        };
        let mut produced = produced.into_iter();
        let mut results = self.refused.into_iter().map(|refused| {
            refused
                .or_else(|| produced.next())
                .unwrap_or_else(|| refusal(code::UNKNOWN_SERVER_ERROR, None))
        });
        if self.body.acks == 0 {
            return match results.find(|result| result.error_code != code::NONE) {
                None => Ok(None),
                Some(result) => Err(Fault::UnacknowledgedProduce {
                    reason: result
                        .error_message
                        .unwrap_or_else(|| format!("error code {}", result.error_code)),
                }),
            };
        }
        let version = request.version();
        let responses = self.body.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter().zip(&mut results);
            TopicProduceResponse::default()
                .with_name(topic.name.clone())
                .with_topic_id(topic.topic_id)
                .with_partition_responses(
                    partitions
                        .map(|(asked, result)| partition_response(asked.index, result, version))
                        .collect(),
                )
        });
        let responses = responses.collect();
        request.reply(&ProduceResponse::default().with_responses(responses))
    }
}

fn partition_response(index: i32, result: Produced, version: i16) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(abortable(result.error_code, version, 11))
        .with_base_offset(result.base_offset)
        .with_log_append_time_ms(result.log_append_time)
        .with_log_start_offset(result.log_start_offset);
    if version < 8 {
        return response;
    }
    let message = result.error_message.map(shorten);
    response.with_error_message(message.map(StrBytes::from_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::TransactionalId;
    use kafka_protocol::messages::produce_request::TopicProduceData;

    fn partition(records: Option<&[u8]>) -> PartitionProduceData {
        PartitionProduceData::default().with_records(records.map(bytes::Bytes::copy_from_slice))
    }

    /// A header of batch version 2 that declares `batch_bytes` in all.
    fn batch(batch_bytes: u32, codec: u8) -> Vec<u8> {
        let mut bytes = vec![0; 61];
        bytes[8..12].copy_from_slice(&(batch_bytes - 12).to_be_bytes());
        bytes[16] = 2;
        bytes[22] = codec;
        bytes
    }

    fn judge(records: Option<&[u8]>, version: i16) -> i16 {
        refuse_records(&partition(records), version).map_or(0, |refused| refused.error_code)
    }

    #[test]
    fn records_are_one_batch() {
        assert_eq!(judge(None, 9), code::INVALID_RECORD);
        assert_eq!(judge(Some(&[]), 9), code::INVALID_RECORD);
        let one = batch(61, 0);
        assert_eq!(judge(Some(&one), 9), code::NONE);
        let two = [one.clone(), one].concat();
        assert_eq!(judge(Some(&two), 9), code::INVALID_RECORD);
        // What is damaged is for the store to say.
        assert_eq!(judge(Some(&batch(500, 0)), 9), code::NONE);
        assert_eq!(judge(Some(&batch(20, 0)), 9), code::NONE);
        assert_eq!(judge(Some(&[1, 2, 3]), 9), code::NONE);
    }

    #[test]
    fn a_transactional_batch_needs_a_transactional_id() {
        let refused = |attributes, transactional_id: Option<&'static str>| {
            let partition = partition(Some(&batch(61, attributes)));
            let topic = TopicProduceData::default().with_partition_data(vec![partition]);
            let transactional_id = transactional_id.map(StrBytes::from_static_str);
            let body = ProduceRequest::default()
                .with_acks(-1)
                .with_transactional_id(transactional_id.map(TransactionalId))
                .with_topic_data(vec![topic]);
            refuse_request(&body).map_or(code::NONE, |refused| refused.error_code)
        };
        assert_eq!(refused(0, None), code::NONE);
        assert_eq!(refused(0, Some("tx")), code::NONE);
        assert_eq!(refused(0x10, Some("tx")), code::NONE);
        let missing = code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        assert_eq!(refused(0x10, None), missing);
        assert_eq!(refused(0x14, None), missing);
        assert_eq!(
            refused(0x10, Some("t\0")),
            code::INVALID_PRODUCER_ID_MAPPING
        );
    }

    #[test]
    fn zstd_needs_version_7() {
        let zstd = batch(61, 4);
        assert_eq!(judge(Some(&zstd), 6), code::UNSUPPORTED_COMPRESSION_TYPE);
        assert_eq!(judge(Some(&zstd), 7), code::NONE);
    }
}
