//! The request of `WriteTxnMarkers` in version 2, which names the transaction version of
//! each marker (KIP-1228). kafka-protocol decodes version 1 only, and its response has the
//! same form in both.

use bytes::Bytes;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{ProducerId, TopicName, WriteTxnMarkersRequest};

use super::Malformed;
use super::reader::Reader;

/// The request without its markers' transaction versions.
pub fn decode(body: &Bytes) -> Result<WriteTxnMarkersRequest, Malformed> {
    let mut reader = Reader::new(body);
    let request = WriteTxnMarkersRequest::default().with_markers(reader.array("markers", marker)?);
    reader.end_struct()?;
    Ok(request)
}

fn marker(reader: &mut Reader<'_>) -> Result<WritableTxnMarker, Malformed> {
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(reader.cursor.i64("producer_id")?))
        .with_producer_epoch(reader.cursor.i16("producer_epoch")?)
        .with_transaction_result(reader.cursor.boolean("transaction_result")?)
        .with_topics(reader.array("topics", topic)?)
        .with_coordinator_epoch(reader.cursor.i32("coordinator_epoch")?);
    reader.cursor.take("transaction_version", 1)?;
    reader.end_struct()?;
    Ok(marker)
}

fn topic(reader: &mut Reader<'_>) -> Result<WritableTxnMarkerTopic, Malformed> {
    let topic = WritableTxnMarkerTopic::default()
        .with_name(TopicName(reader.string("name")?))
        .with_partition_indexes(reader.int32s("partition_indexes")?);
    reader.end_struct()?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::protocol::StrBytes;

    // As Kafka's own classes (4.3.1) write it in version 2.
    const MARKERS: &str = "03\
        0000001122334455000701\
        03056772c3b603000000010000000200\
        0274010000000003\
        0200\
        000000000000000500000001ffffffff000000";

    fn unhex(digits: &str) -> Bytes {
        let digits = digits.as_bytes().chunks(2);
        let bytes = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        });
        bytes.collect()
    }

    fn topic(name: &'static str, partitions: &[i32]) -> WritableTxnMarkerTopic {
        WritableTxnMarkerTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_partition_indexes(partitions.to_vec())
    }

    #[test]
    fn markers_are_what_java_wrote() {
        let first = WritableTxnMarker::default()
            .with_producer_id(ProducerId(0x11_2233_4455))
            .with_producer_epoch(7)
            .with_transaction_result(true)
            .with_topics(vec![topic("gr\u{f6}", &[1, 2]), topic("t", &[])])
            .with_coordinator_epoch(3);
        let second = WritableTxnMarker::default()
            .with_producer_id(ProducerId(5))
            .with_coordinator_epoch(-1);
        let expected = WriteTxnMarkersRequest::default().with_markers(vec![first, second]);
        assert_eq!(decode(&unhex(MARKERS)), Ok(expected));
    }

    #[test]
    fn truncated_markers_are_refused() {
        let whole = unhex(MARKERS);
        for length in 0..whole.len() {
            assert!(decode(&whole.slice(..length)).is_err(), "{length}");
        }
        let huge = decode(&unhex("ffffffff0f00"));
        assert!(matches!(huge, Err(Malformed::Short { .. })), "{huge:?}");
        assert_eq!(
            decode(&unhex("00")),
            Err(Malformed::Null { what: "markers" })
        );
    }
}
