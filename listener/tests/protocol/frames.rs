//! Versions, order, and frames that are none.

use std::io::Write;
use std::time::Duration;

use bytes::Buf;
use kafka_core::code;
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::{Decodable, StrBytes};
use pg_kafka_listener::router::APIS;

use crate::common::{self, Env, batch, encode, produce_request};
use crate::requests;

#[test]
fn api_versions_from_the_future_is_answered_in_version_0s_form() {
    let env = Env::shared();
    let mut raw = env.raw();
    for version in [5_i16, 17, i16::MAX] {
        let mut frame = encode(4, 9, &ApiVersionsRequest::default());
        frame[2..4].copy_from_slice(&version.to_be_bytes());
        frame.extend(b"fields of a version to come");
        raw.send_frame(&frame);
        let (correlation_id, mut body) = raw.receive().unwrap();
        assert_eq!(correlation_id, 9);
        let response = ApiVersionsResponse::decode(&mut body, 0).unwrap();
        assert!(!body.has_remaining());
        assert_eq!(response.error_code, code::UNSUPPORTED_VERSION);
        let keys = response.api_keys.iter();
        let keys: Vec<_> = keys
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        assert_eq!(keys, [(18, 0, 4)]);
    }
    // The connection is still good.
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test"))
        .with_client_software_version(StrBytes::from_static_str("1.0"));
    for version in 0..=4 {
        let response = raw.call(version, &request_for(version, &request));
        assert_eq!(response.error_code, code::NONE);
        assert!(response.api_keys.len() > 10);
        let supported = response.supported_features.iter();
        let supported = supported.map(|f| (&*f.name, f.min_version, f.max_version));
        let finalized = response.finalized_features.iter();
        let finalized = finalized.map(|f| (&*f.name, f.min_version_level, f.max_version_level));
        let (supported, finalized): (Vec<_>, Vec<_>) = (supported.collect(), finalized.collect());
        // Ranges from 0 only where the client can read them, levels wherever there is room.
        let ranges = [("group.version", 0, 1), ("transaction.version", 0, 2)];
        let levels = [("group.version", 1, 1), ("transaction.version", 2, 2)];
        assert_eq!(supported, if version >= 4 { &ranges[..] } else { &[] });
        assert_eq!(finalized, if version >= 3 { &levels[..] } else { &[] });
        let known = response.finalized_features_epoch >= 0;
        assert_eq!(known, version >= 3);
    }
}

fn request_for(version: i16, request: &ApiVersionsRequest) -> ApiVersionsRequest {
    if version >= 3 {
        request.clone()
    } else {
        ApiVersionsRequest::default()
    }
}

#[test]
fn every_api_answers_in_every_version_it_names() {
    let env = Env::shared();
    for api in APIS {
        for version in api.min..=api.max {
            for seed in 0..8 {
                let mut random = requests::Random::new(seed);
                let frame = requests::request_frame(api, version, 77, &mut random);
                let mut raw = env.raw();
                // A parked fetch would be answered at its deadline only.
                raw.stream.shutdown_after(&frame);
                let answer = raw.receive();
                let correlation_id = answer.map(|(correlation_id, _)| correlation_id);
                assert_eq!(
                    correlation_id,
                    Some(77),
                    "{} {version} seed {seed}",
                    api.name
                );
            }
        }
    }
}

/// Sends a frame and closes the sending side, which ends waits.
trait ShutdownAfter {
    fn shutdown_after(&mut self, frame: &[u8]);
}

impl ShutdownAfter for std::net::TcpStream {
    fn shutdown_after(&mut self, frame: &[u8]) {
        self.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes())
            .unwrap();
        self.write_all(frame).unwrap();
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

#[test]
fn unknown_apis_and_versions_close_their_connection_with_one_line() {
    let env = Env::own("", &[]);
    for (key, version) in [(1_i16, 3_i16), (1, 19), (0, 2), (4, 0), (999, 0)] {
        let mut raw = env.raw();
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff]);
        raw.send_frame(&frame);
        assert!(raw.receive().is_none(), "{key} {version}");
    }
    common::eventually("each is logged", || {
        env.listener.log_lines("unsupported request") == 5
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let env = Env::shared();
    env.create_topic("pipeline", 1);
    let mut raw = env.raw();
    let mut sent = Vec::new();
    for round in 0..20 {
        let value = format!("value {round}");
        let produce = produce_request("pipeline", -1, &[(0, batch(&[&value]))]);
        sent.push((0, raw.send(9, &produce)));
        if round % 3 == 0 {
            sent.push((3, raw.send(9, &MetadataRequest::default())));
        }
    }
    let mut offset = 0;
    for (key, correlation_id) in sent {
        if key == 0 {
            let (answered, response) = raw.receive_response::<ProduceRequest>(9);
            assert_eq!(answered, correlation_id);
            let partition = &response.responses[0].partition_responses[0];
            // Requests of one connection are appended in their order.
            assert_eq!((partition.error_code, partition.base_offset), (0, offset));
            offset += 1;
        } else {
            let (answered, _) = raw.receive_response::<MetadataRequest>(9);
            assert_eq!(answered, correlation_id);
        }
    }
}

#[test]
fn hostile_frames_end_their_connection_and_nothing_else() {
    let mut env = Env::own("", &[]);
    let mut bystander = env.raw();
    env.create_topic("hostile", 1);
    bystander.produce("hostile", -1, &[(0, batch(&["before"]))]);
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("frame of 2^31-1", 0x7fff_ffff_u32.to_be_bytes().to_vec()),
        ("frame of -1", (-1_i32).to_be_bytes().to_vec()),
        ("frame of 0", vec![0; 4]),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (
            "metadata of 2^31-1 topics",
            framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "produce of 2^31-1 topics",
            framed(&[
                0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 9, 0x7f, 0xff, 0xff,
                0xff,
            ]),
        ),
        (
            "compact array of 2^32-2",
            framed(&[
                0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ]),
        ),
        (
            "tagged fields without end",
            framed(&[
                0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ]),
        ),
        (
            "client id longer than the frame",
            framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff]),
        ),
    ];
    let count = hostile.len();
    for (what, bytes) in hostile {
        let mut raw = env.raw();
        raw.stream.write_all(&bytes).unwrap();
        assert!(raw.receive().is_none(), "{what}");
    }
    // Cut off inside a frame.
    let mut raw = env.raw();
    raw.stream.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(raw.receive().is_none());
    // A connection's line may come a moment after its end.
    common::eventually("each is logged", || {
        env.listener.log_lines("malformed") > count
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        env.listener.log_lines("malformed"),
        count + 1,
        "one line each"
    );
    assert!(env.listener.alive());
    let produced = bystander.produce("hostile", -1, &[(0, batch(&["after"]))]);
    assert_eq!(produced[0].base_offset, 1);
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}
