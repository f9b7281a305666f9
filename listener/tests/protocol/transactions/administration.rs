//! Looking at producers and transactions, and ending those that hang.

use kafka_core::code;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};

use super::{NEW, OLD, Producer, transactional_id};
use crate::common::{Env, Raw, name};
use crate::groups::words;
use crate::requests::{frame_of, transactions};

fn describe(raw: &mut Raw, ids: &[&str]) -> Vec<TransactionState> {
    let ids = ids.iter().map(|id| transactional_id(id)).collect();
    let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
    raw.call(0, &request).transaction_states
}

#[test]
fn transactions_are_described() {
    let env = Env::shared();
    env.create_topic("txn-described", 3);
    let mut raw = env.raw();
    let mut producer = Producer::new(&mut raw, OLD, "txn-described");
    let partitions = [("txn-described", 2), ("txn-described", 0)];
    let ids = ["txn-described", "no-such-id", "", "a\0b", "txn-described"];
    let found = describe(&mut raw, &ids);
    let told: Vec<_> = found
        .iter()
        .map(|s| (&**s.transactional_id, s.error_code))
        .collect();
    let missing = code::TRANSACTIONAL_ID_NOT_FOUND;
    let codes = [
        code::NONE,
        missing,
        code::INVALID_REQUEST,
        missing,
        code::NONE,
    ];
    assert_eq!(told, ids.into_iter().zip(codes).collect::<Vec<_>>());
    assert_eq!(&*found[0].transaction_state, "Empty");
    assert_eq!(
        (*found[0].producer_id, found[0].producer_epoch),
        (producer.producer_id, 0)
    );
    assert_eq!(found[0].transaction_timeout_ms, 60_000);
    assert_eq!(
        (found[0].transaction_start_time_ms, found[0].topics.len()),
        (-1, 0)
    );

    assert_eq!(producer.add(&mut raw, 3, &partitions), [0, 0]);
    let found = &describe(&mut raw, &["txn-described"])[0];
    assert_eq!(&*found.transaction_state, "Ongoing");
    assert!(found.transaction_start_time_ms > 1_700_000_000_000);
    assert_eq!(found.topics.len(), 1);
    assert_eq!(&**found.topics[0].topic, "txn-described");
    let mut numbers = found.topics[0].partitions.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 2]);
    producer.end(&mut raw, true);
    let found = &describe(&mut raw, &["txn-described"])[0];
    assert_eq!(
        (&*found.transaction_state, found.topics.len()),
        ("CompleteCommit", 0)
    );
    assert!(describe(&mut raw, &[]).is_empty());
}

fn list(raw: &mut Raw, version: i16, request: &ListTransactionsRequest) -> Vec<(String, String)> {
    let response = raw.call(version, request);
    assert_eq!(response.error_code, code::NONE);
    listed(&response)
}

/// Those of the test, with their states.
fn listed(response: &ListTransactionsResponse) -> Vec<(String, String)> {
    let states = response.transaction_states.iter();
    let states = states.map(|s| {
        (
            s.transactional_id.to_string(),
            s.transaction_state.to_string(),
        )
    });
    let mut states: Vec<_> = states.filter(|(id, _)| id.starts_with("listed-")).collect();
    states.sort();
    states
}

#[test]
fn transactions_are_listed() {
    let env = Env::shared();
    env.create_topic("listed-topic", 1);
    let mut raw = env.raw();
    let empty = Producer::new(&mut raw, NEW, "listed-empty");
    let open = Producer::new(&mut raw, NEW, "listed-open");
    open.send(&mut raw, "listed-topic", 0, &["a"]);
    let pair = |id: &str, state: &str| (id.to_owned(), state.to_owned());
    let empty_pair = pair("listed-empty", "Empty");
    let open_pair = pair("listed-open", "Ongoing");
    let every = ListTransactionsRequest::default();
    let states = |states: &[&str]| {
        let states = states.iter().map(|state| words(state)).collect();
        ListTransactionsRequest::default().with_state_filters(states)
    };
    for version in 0..=2 {
        let both = [empty_pair.clone(), open_pair.clone()];
        assert_eq!(list(&mut raw, version, &every), both);
        let only = list(&mut raw, version, &states(&["Ongoing", "Dead"]));
        assert_eq!(only, std::slice::from_ref(&open_pair));
        let filters = ["nonsense", "Empty", "a\0b", "nonsense"];
        let some = raw.call(version, &states(&filters));
        assert_eq!(listed(&some), std::slice::from_ref(&empty_pair));
        assert_eq!(
            some.unknown_state_filters,
            [words("nonsense"), words("a\0b")]
        );
        // All are unknown: not the same as none.
        let none = raw.call(version, &states(&filters[2..]));
        assert_eq!((none.error_code, none.transaction_states.len()), (0, 0));
        assert_eq!(none.unknown_state_filters.len(), 2);
        let by_id = ListTransactionsRequest::default()
            .with_producer_id_filters(vec![ProducerId(empty.producer_id), ProducerId(-7)]);
        assert_eq!(
            list(&mut raw, version, &by_id),
            std::slice::from_ref(&empty_pair)
        );
    }
    let lasting = |duration| ListTransactionsRequest::default().with_duration_filter(duration);
    assert_eq!(list(&mut raw, 1, &lasting(-1)).len(), 2);
    assert_eq!(list(&mut raw, 1, &lasting(i64::MAX)), []);
    assert!(list(&mut raw, 2, &lasting(0)).contains(&open_pair));
    let like = |pattern: &str| {
        ListTransactionsRequest::default().with_transactional_id_pattern(Some(words(pattern)))
    };
    assert_eq!(list(&mut raw, 2, &like("listed-o.*")), [open_pair]);
    assert_eq!(list(&mut raw, 2, &like("listed-o")), [], "only as a whole");
    assert_eq!(list(&mut raw, 2, &like("")).len(), 2);
    for bad in ["(", "a\0"] {
        let refused = raw.call(2, &like(bad));
        assert_eq!(
            refused.error_code,
            code::INVALID_REGULAR_EXPRESSION,
            "{bad:?}"
        );
    }
}

fn producers(raw: &mut Raw, asked: &[(&str, &[i32])]) -> DescribeProducersResponse {
    let topics = asked.iter().map(|(topic, partitions)| {
        TopicRequest::default()
            .with_name(name(topic))
            .with_partition_indexes(partitions.to_vec())
    });
    raw.call(
        0,
        &DescribeProducersRequest::default().with_topics(topics.collect()),
    )
}

fn marker_for(
    producer: &Producer,
    coordinator_epoch: i32,
    topics: &[(&str, &[i32])],
) -> WritableTxnMarker {
    let topics = topics.iter().map(|(topic, partitions)| {
        WritableTxnMarkerTopic::default()
            .with_name(name(topic))
            .with_partition_indexes(partitions.to_vec())
    });
    WritableTxnMarker::default()
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.epoch)
        .with_transaction_result(false)
        .with_coordinator_epoch(coordinator_epoch)
        .with_topics(topics.collect())
}

fn write(raw: &mut Raw, version: i16, markers: Vec<WritableTxnMarker>) -> WriteTxnMarkersResponse {
    let request = WriteTxnMarkersRequest::default().with_markers(markers);
    if version < 2 {
        return raw.call(version, &request);
    }
    let body = transactions::encode_markers(&request);
    raw.send_frame(&frame_of(27, version, true, 7, &body));
    // The same form as in version 1.
    raw.receive_response::<WriteTxnMarkersRequest>(1).1
}

/// (producer id, topic, partition, error code) of each.
fn written(response: &WriteTxnMarkersResponse) -> Vec<(i64, String, i32, i16)> {
    let mut written = Vec::new();
    for marker in &response.markers {
        for topic in &marker.topics {
            let name = topic.name.to_string();
            let partitions = topic.partitions.iter();
            written.extend(partitions.map(|p| {
                (
                    *marker.producer_id,
                    name.clone(),
                    p.partition_index,
                    p.error_code,
                )
            }));
        }
    }
    written
}

/// Producer id, epoch, last sequence, where its transaction begins, and the time of the
/// last batch.
fn active(raw: &mut Raw, topic: &str, partition: i32) -> Vec<(i64, i32, i32, i64, i64)> {
    let found = producers(raw, &[(topic, &[partition])]);
    let found = &found.topics[0].partitions[0];
    assert_eq!(found.error_code, code::NONE);
    let active = found.active_producers.iter().map(|p| {
        (
            *p.producer_id,
            p.producer_epoch,
            p.last_sequence,
            p.current_txn_start_offset,
            p.last_timestamp,
        )
    });
    let mut active: Vec<_> = active.collect();
    active.sort_unstable();
    active
}

fn find_and_end(env: &Env, version: i16, topic: &str) {
    env.create_topic(topic, 2);
    let mut raw = env.raw();
    let hanging = Producer::new(&mut raw, NEW, topic);
    let other = Producer::new(&mut raw, NEW, &format!("{topic} other"));
    hanging.send(&mut raw, topic, 0, &["a"]);
    other.send(&mut raw, topic, 0, &["b", "c"]);
    hanging.send(&mut raw, topic, 1, &["d"]);
    let time = 1_700_000_000_000;
    let open = [
        (hanging.producer_id, 0, 1, 0, time),
        (other.producer_id, 0, 1, 1, time),
    ];
    assert_eq!(active(&mut raw, topic, 0), open);
    assert_eq!(active(&mut raw, topic, 1), []);

    let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
    let ended = write(
        &mut raw,
        version,
        vec![
            marker_for(&hanging, 5, &[(topic, &[0, 7]), ("no-such-topic", &[0])]),
            marker_for(&other, 5, &[(topic, &[])]),
        ],
    );
    assert_eq!(
        written(&ended),
        [
            (hanging.producer_id, topic.into(), 0, code::NONE),
            (hanging.producer_id, topic.into(), 7, unknown),
            (hanging.producer_id, "no-such-topic".into(), 0, unknown),
        ]
    );
    let left = active(&mut raw, topic, 0);
    assert_eq!((left[0].3, left[1].3), (-1, 1));
    assert!(left[0].4 > time, "the marker's own");
    let mut told = |producer: &Producer, coordinator_epoch| {
        let again = marker_for(producer, coordinator_epoch, &[(topic, &[0])]);
        written(&write(&mut raw, version, vec![again]))[0].3
    };
    let fenced = code::TRANSACTION_COORDINATOR_FENCED;
    assert_eq!(told(&hanging, 4), fenced);
    let newer = Producer {
        epoch: 9,
        ..hanging.clone()
    };
    assert_eq!(told(&newer, 5), code::NONE);
    assert_eq!(told(&hanging, 5), code::INVALID_PRODUCER_EPOCH);
    assert!(write(&mut raw, version, Vec::new()).markers.is_empty());
}

#[test]
fn a_transaction_that_hangs_is_found_and_ended() {
    let env = Env::shared();
    find_and_end(&env, 1, "hanging");
    find_and_end(&env, 2, "hanging-too");
}

#[test]
fn each_partition_asked_for_is_told_of() {
    let env = Env::shared();
    env.create_topic("producers", 1);
    let asked: [(&str, &[i32]); 4] = [
        ("producers", &[0, 1, 0]),
        ("no-such-topic", &[3]),
        ("n\0", &[-1]),
        ("producers", &[]),
    ];
    let found = producers(&mut env.raw(), &asked);
    let told = found.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|p| (p.partition_index, p.error_code));
        (&**topic.name, partitions.collect::<Vec<_>>())
    });
    let unknown = code::UNKNOWN_TOPIC_OR_PARTITION;
    let expected = [
        ("producers", vec![(0, 0), (1, unknown), (0, 0)]),
        ("no-such-topic", vec![(3, unknown)]),
        ("n\0", vec![(-1, unknown)]),
        ("producers", vec![]),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let found = producers(&mut env.raw(), &[]);
    assert!(found.topics.is_empty());
}
