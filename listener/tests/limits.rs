//! Limits: connections, idleness, memory.

mod common;

use std::time::{Duration, Instant};

use common::{Env, batch, name, produce_request};
use kafka_core::code;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};

#[test]
fn connections_are_limited_and_idle_ones_closed() {
    let env = Env::own("", &["--max-connections", "3", "--idle-timeout", "1"]);
    // The connections that ended just before no longer count.
    let settle = || std::thread::sleep(Duration::from_millis(200));
    settle();
    let mut served: Vec<_> = (0..3).map(|_| env.raw()).collect();
    for raw in &mut served {
        raw.call(9, &MetadataRequest::default());
    }
    let mut fourth = env.raw();
    assert!(fourth.receive().is_none());
    let started = Instant::now();
    for raw in &mut served {
        assert!(raw.receive().is_none());
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    settle();
    env.raw().call(9, &MetadataRequest::default());
}

#[test]
fn a_waiting_fetch_is_not_idle() {
    let env = Env::own("", &["--idle-timeout", "1"]);
    env.create_topic("waiting", 1);
    let mut raw = env.raw();
    let response = raw.call(12, &fetch("waiting", 0, 2500));
    assert_eq!(response.responses[0].partitions[0].error_code, code::NONE);
}

fn fetch(topic: &str, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(i32::MAX);
    let topic = FetchTopic::default()
        .with_topic(name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(i32::MAX)
        .with_topics(vec![topic])
}

#[test]
fn memory_is_shared_out() {
    const SIZE: usize = 900_000;
    let flags = ["--memory-limit", "4MiB", "--max-request-bytes", "1MiB"];
    let env = Env::own("", &flags);
    env.create_topic("memory", 1);
    // Ten times what may be held at once: the requests take turns.
    let value = "x".repeat(SIZE);
    let mut connections: Vec<_> = (0..20).map(|_| env.raw()).collect();
    let senders: Vec<_> = connections
        .iter()
        .map(|raw| {
            let mut stream = raw.stream.try_clone().unwrap();
            let request = produce_request("memory", -1, &[(0, batch(&[&value]))]);
            let frame = common::encode(9, 1, &request);
            std::thread::spawn(move || {
                use std::io::Write;
                let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
                stream.write_all(&length).unwrap();
                stream.write_all(&frame).unwrap();
            })
        })
        .collect();
    for raw in &mut connections {
        let (_, response) = raw.receive_response::<ProduceRequest>(9);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, code::NONE);
    }
    for sender in senders {
        sender.join().unwrap();
    }
    // Twenty fetches of everything get smaller answers than they allow, and all get one.
    for raw in &mut connections {
        raw.send(12, &fetch("memory", 0, 0));
    }
    for raw in &mut connections {
        let (_, response) = raw.receive_response::<FetchRequest>(12);
        let records = response.responses[0].partitions[0]
            .records
            .as_ref()
            .unwrap();
        assert!(
            (SIZE..3 * SIZE).contains(&records.len()),
            "{}",
            records.len()
        );
    }
    let mut raw = env.raw();
    let large = "x".repeat(1 << 20);
    raw.send(9, &produce_request("memory", -1, &[(0, batch(&[&large]))]));
    assert!(raw.receive().is_none(), "larger than --max-request-bytes");
}
