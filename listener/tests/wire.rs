//! The walker that guards the decoders: it accepts what kafka-protocol encodes, to the
//! last byte, in every API and version, and nothing makes it or the decoders behind it
//! panic or allocate more than a request's bytes justify.

#[path = "common/requests.rs"]
mod requests;

use std::alloc::System;
use std::sync::Arc;

use bytes::Bytes;
use cap::Cap;
use pg_kafka_listener::router::{self, APIS, Route};
use pg_kafka_listener::wire::{Frame, schema};
use proptest::prelude::*;
use requests::{Random, decode, request_body, request_frame};
use tokio::sync::Semaphore;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What a decoded element may take, at most; a request has at most `MAX_ELEMENTS`.
const ELEMENT_BYTES: usize = 300;

fn frame(bytes: Vec<u8>) -> Frame {
    let budget = Arc::new(Semaphore::new(1));
    Frame {
        bytes: Bytes::from(bytes),
        reserved: Arc::new(budget.try_acquire_owned().unwrap()),
    }
}

#[test]
fn schemas_consume_what_kafka_protocol_encodes() {
    for api in APIS {
        for version in api.min..=api.max {
            for seed in 0..60 {
                let body = request_body(api, version, &mut Random::new(seed));
                let flexible = version >= api.flexible;
                let left = schema::check(&body, api.request, version, flexible);
                assert_eq!(left, Ok(0), "{} {version} seed {seed}", api.name);
                // And not one byte less will do.
                for cut in 0..body.len().min(200) {
                    let end = body.len() - 1 - cut;
                    let short = schema::check(&body[..end], api.request, version, flexible);
                    assert!(short.is_err(), "{} {version} cut at {end}", api.name);
                }
            }
        }
    }
}

#[test]
fn whole_requests_are_routed_and_decoded() {
    for api in APIS {
        for version in api.min..=api.max {
            let bytes = request_frame(api, version, 42, &mut Random::new(7));
            let Ok(Route::Handle(request)) = router::route(frame(bytes)) else {
                panic!("{} {version} is not routed", api.name);
            };
            assert_eq!(request.header.correlation_id, 42);
            assert_eq!(request.header.client_id.as_deref(), Some("test"));
            decode(&request).unwrap();
        }
    }
}

#[test]
fn unserved_requests_are_told_apart() {
    let unknown_key = [0x7f, 0xff, 0, 0, 0, 0, 0, 1];
    assert!(router::route(frame(unknown_key.to_vec())).is_err());
    let old_fetch = [0, 1, 0, 3, 0, 0, 0, 1];
    assert!(router::route(frame(old_fetch.to_vec())).is_err());
    for version in [5_i16, 100, i16::MAX, -1] {
        let mut future = vec![0, 18];
        future.extend(version.to_be_bytes());
        future.extend([0, 0, 0, 9]);
        let route = router::route(frame(future));
        assert!(matches!(route, Ok(Route::Answer(_))), "{version}");
    }
}

/// Routes and decodes whatever it is, and returns the bytes allocated at the peak.
fn digest(bytes: Vec<u8>) -> usize {
    let frame = frame(bytes);
    let before = ALLOCATOR.allocated();
    let peak_before = ALLOCATOR.max_allocated();
    if let Ok(Route::Handle(request)) = router::route(frame) {
        let _ = decode(&request);
    }
    let peak = ALLOCATOR.max_allocated();
    // Only a new peak can have come from here; tests of this file run at the same time,
    // so the figure is an upper bound.
    if peak > peak_before { peak - before } else { 0 }
}

fn bound(bytes: usize) -> usize {
    // Elements take at least one byte on the wire. The constant is for other threads.
    bytes.min(schema::MAX_ELEMENTS) * ELEMENT_BYTES + (64 << 20)
}

#[test]
fn declared_counts_of_every_array_are_not_believed() {
    for api in APIS {
        for version in api.min..=api.max {
            let bytes = request_frame(api, version, 1, &mut Random::new(3));
            for position in 8..bytes.len() {
                for hostile in [[0x7f, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x07]] {
                    let mut bytes = bytes.clone();
                    let end = bytes.len().min(position + 4);
                    bytes[position..end].copy_from_slice(&hostile[..end - position]);
                    let length = bytes.len();
                    assert!(digest(bytes) < bound(length));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn random_bytes_do_no_harm(key in 0..70_i16, version in -1..20_i16, tail: Vec<u8>) {
        let mut bytes = key.to_be_bytes().to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(tail);
        let length = bytes.len();
        prop_assert!(digest(bytes) < bound(length));
    }

    #[test]
    fn mutated_requests_do_no_harm(
        api in 0..APIS.len(),
        seed: u64,
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let api = &APIS[api];
        let mut random = Random::new(seed);
        let version = api.min + (random.below((api.max - api.min + 1) as usize) as i16);
        let mut bytes = request_frame(api, version, 1, &mut random);
        for (at, value) in mutations {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let length = bytes.len();
        prop_assert!(digest(bytes) < bound(length));
    }
}
