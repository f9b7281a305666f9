//! The requests of `OffsetCommit` and `OffsetFetch` in version 10, which name topics by id
//! (KIP-848). kafka-protocol encodes their responses, but decodes requests up to version 9
//! only; version 10 is read into the same structs, with the ids beside them.

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};
use uuid::Uuid;

use super::Malformed;
use super::reader::Reader;

/// The request without names, and each topic's id in the request's order.
pub fn decode_commit(body: &Bytes) -> Result<(OffsetCommitRequest, Vec<Uuid>), Malformed> {
    let mut reader = Reader::new(body);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(reader.string("group_id")?))
        .with_generation_id_or_member_epoch(reader.cursor.i32("generation_id_or_member_epoch")?)
        .with_member_id(reader.string("member_id")?)
        .with_group_instance_id(reader.nullable_string("group_instance_id")?);
    let topics = reader.array("topics", commit_topic)?;
    reader.end_struct()?;
    let (topics, topic_ids) = topics.into_iter().unzip();
    Ok((request.with_topics(topics), topic_ids))
}

/// The same; topics of all groups one after another.
pub fn decode_fetch(body: &Bytes) -> Result<(OffsetFetchRequest, Vec<Uuid>), Malformed> {
    let mut reader = Reader::new(body);
    let groups = reader.array("groups", fetch_group)?;
    let require_stable = reader.cursor.boolean("require_stable")?;
    reader.end_struct()?;
    let (groups, topic_ids): (_, Vec<Vec<Uuid>>) = groups.into_iter().unzip();
    let request = OffsetFetchRequest::default()
        .with_groups(groups)
        .with_require_stable(require_stable);
    Ok((request, topic_ids.concat()))
}

fn commit_topic(reader: &mut Reader<'_>) -> Result<(OffsetCommitRequestTopic, Uuid), Malformed> {
    let topic_id = reader.cursor.uuid("topic_id")?;
    let topic = OffsetCommitRequestTopic::default()
        .with_partitions(reader.array("partitions", commit_partition)?);
    reader.end_struct()?;
    Ok((topic, topic_id))
}

fn commit_partition(reader: &mut Reader<'_>) -> Result<OffsetCommitRequestPartition, Malformed> {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(reader.cursor.i32("partition_index")?)
        .with_committed_offset(reader.cursor.i64("committed_offset")?)
        .with_committed_leader_epoch(reader.cursor.i32("committed_leader_epoch")?)
        .with_committed_metadata(reader.nullable_string("committed_metadata")?);
    reader.end_struct()?;
    Ok(partition)
}

fn fetch_group(reader: &mut Reader<'_>) -> Result<(OffsetFetchRequestGroup, Vec<Uuid>), Malformed> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(reader.string("group_id")?))
        .with_member_id(reader.nullable_string("member_id")?)
        .with_member_epoch(reader.cursor.i32("member_epoch")?);
    let topics = reader.nullable_array("topics", fetch_topic)?;
    reader.end_struct()?;
    let (topics, topic_ids): (Option<Vec<_>>, Option<Vec<_>>) =
        topics.map(|topics| topics.into_iter().unzip()).unzip();
    Ok((group.with_topics(topics), topic_ids.unwrap_or_default()))
}

fn fetch_topic(reader: &mut Reader<'_>) -> Result<(OffsetFetchRequestTopics, Uuid), Malformed> {
    let topic_id = reader.cursor.uuid("topic_id")?;
    let topic = OffsetFetchRequestTopics::default()
        .with_partition_indexes(reader.int32s("partition_indexes")?);
    reader.end_struct()?;
    Ok((topic, topic_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::offset_commit_response::{
        OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
    };
    use kafka_protocol::messages::{OffsetCommitResponse, OffsetFetchResponse};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    const ONE: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    const TWO: Uuid = Uuid::from_u128(0xffff_ffff_ffff_fffe_0000_0000_0000_0003);

    // As Kafka's own classes (4.3.1) write them in version 10.
    const COMMIT: &str = "056772c3b600000007026d0003\
        0102030405060708090a0b0c0d0e0f1003\
        00000001000000112233445500000003056d65746100\
        000000020000000000000005ffffffff0000\
        00fffffffffffffffe0000000000000003010000";
    const EMPTY_COMMIT: &str = "01ffffffff01077374617469630100";
    const FETCH: &str = "040261026d0000000403\
        0102030405060708090a0b0c0d0e0f1003000000000000000300\
        fffffffffffffffe00000000000000030100\
        00026200ffffffff0000\
        026300ffffffff020102030405060708090a0b0c0d0e0f1002000000090000\
        0100";
    const COMMITTED: &str = "0000000002\
        0102030405060708090a0b0c0d0e0f1002000000020064000000";
    const FETCHED: &str = "0000000003\
        026102\
        0102030405060708090a0b0c0d0e0f1002\
        00000003000000000000000500000001056d657461000000\
        00000000\
        02620100190000";

    fn unhex(digits: &str) -> Bytes {
        let digits = digits.as_bytes().chunks(2);
        let bytes = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        });
        bytes.collect()
    }

    fn words(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn commit_partition(index: i32, offset: i64) -> OffsetCommitRequestPartition {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
    }

    #[test]
    fn a_commit_is_what_java_wrote() {
        let first = commit_partition(1, 0x11_2233_4455)
            .with_committed_leader_epoch(3)
            .with_committed_metadata(Some(words("meta")));
        let second = commit_partition(2, 5).with_committed_metadata(None);
        let topic = OffsetCommitRequestTopic::default();
        let expected = OffsetCommitRequest::default()
            .with_group_id(GroupId(words("gr\u{f6}")))
            .with_generation_id_or_member_epoch(7)
            .with_member_id(words("m"))
            .with_topics(vec![
                topic.clone().with_partitions(vec![first, second]),
                topic,
            ]);
        let decoded = decode_commit(&unhex(COMMIT));
        assert_eq!(decoded, Ok((expected, vec![ONE, TWO])));

        let expected = OffsetCommitRequest::default().with_group_instance_id(Some(words("static")));
        let decoded = decode_commit(&unhex(EMPTY_COMMIT));
        assert_eq!(decoded, Ok((expected, vec![])));
    }

    #[test]
    fn a_fetch_is_what_java_wrote() {
        let topic = |numbers: &[i32]| {
            OffsetFetchRequestTopics::default().with_partition_indexes(numbers.to_vec())
        };
        let group = |group_id| {
            OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(words(group_id)))
                .with_member_id(None)
        };
        let member = group("a")
            .with_member_id(Some(words("m")))
            .with_member_epoch(4)
            .with_topics(Some(vec![topic(&[0, 3]), topic(&[])]));
        let every = group("b").with_topics(None);
        let other = group("c").with_topics(Some(vec![topic(&[9])]));
        let expected = OffsetFetchRequest::default()
            .with_groups(vec![member, every, other])
            .with_require_stable(true);
        let decoded = decode_fetch(&unhex(FETCH));
        assert_eq!(decoded, Ok((expected, vec![ONE, TWO, ONE])));
    }

    #[test]
    fn kafka_protocol_encodes_the_responses_as_java_does() {
        let partition = OffsetCommitResponsePartition::default()
            .with_partition_index(2)
            .with_error_code(100);
        let topic = OffsetCommitResponseTopic::default()
            .with_name(kafka_protocol::messages::TopicName(words("not sent")))
            .with_topic_id(ONE)
            .with_partitions(vec![partition]);
        let response = OffsetCommitResponse::default().with_topics(vec![topic]);
        let mut bytes = Vec::new();
        response.encode(&mut bytes, 10).unwrap();
        assert_eq!(bytes, unhex(COMMITTED));

        let partition = OffsetFetchResponsePartitions::default()
            .with_partition_index(3)
            .with_committed_offset(5)
            .with_committed_leader_epoch(1)
            .with_metadata(Some(words("meta")));
        let topic = OffsetFetchResponseTopics::default()
            .with_topic_id(ONE)
            .with_partitions(vec![partition]);
        let group =
            |group_id| OffsetFetchResponseGroup::default().with_group_id(GroupId(words(group_id)));
        let response = OffsetFetchResponse::default().with_groups(vec![
            group("a").with_topics(vec![topic]),
            group("b").with_error_code(25),
        ]);
        let mut bytes = Vec::new();
        response.encode(&mut bytes, 10).unwrap();
        assert_eq!(bytes, unhex(FETCHED));
    }

    #[test]
    fn truncated_requests_are_refused() {
        for (whole, decode) in [
            (COMMIT, (|b| decode_commit(b).map(drop)) as fn(&Bytes) -> _),
            (FETCH, |b| decode_fetch(b).map(drop)),
        ] {
            let whole = unhex(whole);
            assert_eq!(decode(&whole), Ok(()));
            for length in 0..whole.len() {
                assert!(decode(&whole.slice(..length)).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn declared_lengths_are_not_believed() {
        // A group id, topics, partitions and groups of 2^32-2.
        let huge = "ffffffff0f";
        let topic = "0102030405060708090a0b0c0d0e0f10";
        for commit in [
            format!("{huge}00"),
            format!("01ffffffff0100{huge}00"),
            format!("01ffffffff010002{topic}{huge}00"),
        ] {
            let refused = decode_commit(&unhex(&commit));
            assert!(
                matches!(refused, Err(Malformed::Short { .. })),
                "{refused:?}"
            );
        }
        for fetch in [
            format!("{huge}0261"),
            format!("020261ffffffff00{huge}"),
            format!("02026100ffffffff02{topic}{huge}00"),
        ] {
            let refused = decode_fetch(&unhex(&fetch));
            assert!(
                matches!(refused, Err(Malformed::Short { .. })),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn what_may_not_be_null_is_not() {
        let null = |what| Err(Malformed::Null { what });
        let commit = |digits| decode_commit(&unhex(digits)).map(drop);
        assert_eq!(commit("00"), null("group_id"));
        assert_eq!(commit("01ffffffff00"), null("member_id"));
        assert_eq!(commit("01ffffffff01000000"), null("topics"));
        let fetch = |digits| decode_fetch(&unhex(digits)).map(drop);
        assert_eq!(fetch("000000"), null("groups"));
        assert_eq!(fetch("0200"), null("group_id"));
        let no_text = commit("03c328ffffffff01000100");
        assert!(
            matches!(no_text, Err(Malformed::Body { .. })),
            "{no_text:?}"
        );
    }
}
