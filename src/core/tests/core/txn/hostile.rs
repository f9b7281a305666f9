//! Any request in any state, also such as no producer and no server of ours makes.

use kafka_core::{PastBatch, ProducerState, check_first_sequence, check_sequence};
use proptest::prelude::*;

use super::*;

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -1i64..4, 1 => any::<i64>(), 1 => Just(i64::MAX)]
}

fn epoch() -> impl Strategy<Value = i16> {
    prop_oneof![4 => -1i16..4, 2 => i16::MAX - 3..=i16::MAX, 1 => any::<i16>()]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![2 => 0i64..1000, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => any::<i64>()]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V1), Just(Version::V2)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Commit), Just(Outcome::Abort)]
}

fn sender() -> impl Strategy<Value = Producer> {
    (id(), epoch()).prop_map(|(id, epoch)| producer(id, epoch))
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let ids = (id(), epoch(), id(), epoch());
    let rest = (
        any::<i32>(),
        prop::sample::select(&State::ALL[..]),
        version(),
        time(),
        time(),
        prop::collection::btree_set((0i32..2, 0i32..2), 0..3),
    );
    (ids, rest).prop_map(
        |(
            (producer_id, producer_epoch, previous_producer_id, last_producer_epoch),
            (timeout_ms, state, version, started_at, updated_at, partitions),
        )| Transaction {
            producer_id,
            producer_epoch,
            previous_producer_id,
            last_producer_epoch,
            timeout_ms,
            state,
            version,
            started_at,
            updated_at,
            partitions,
            ..Transaction::new("tx", producer_id, timeout_ms, updated_at)
        },
    )
}

#[derive(Debug, Clone)]
enum Request {
    Init(i32, Option<Producer>),
    Add(Producer, (i32, i32), Version),
    AddGroup(Producer, Version),
    Verify(Producer, (i32, i32)),
    Produce(Producer, (i32, i32), Version),
    CommitOffsets(Producer, Version),
    End(Producer, Outcome, Version),
    TimeOut,
    Abort,
}

fn request() -> impl Strategy<Value = Request> {
    let partition = (0i32..3, 0i32..3);
    prop_oneof![
        (any::<i32>(), prop::option::of(sender())).prop_map(|(ms, p)| Request::Init(ms, p)),
        (sender(), partition.clone(), version()).prop_map(|(s, p, v)| Request::Add(s, p, v)),
        (sender(), version()).prop_map(|(s, v)| Request::AddGroup(s, v)),
        (sender(), partition.clone()).prop_map(|(s, p)| Request::Verify(s, p)),
        (sender(), partition, version()).prop_map(|(s, p, v)| Request::Produce(s, p, v)),
        (sender(), version()).prop_map(|(s, v)| Request::CommitOffsets(s, v)),
        (sender(), outcome(), version()).prop_map(|(s, o, v)| Request::End(s, o, v)),
        Just(Request::TimeOut),
        Just(Request::Abort),
    ]
}

/// What ended, and whether the request was accepted.
fn send(t: &mut Transaction, request: &Request, now: i64) -> (Option<Ended>, bool) {
    let id = t.producer_id;
    let next_id = || id.wrapping_add(1);
    let only = |result: Result<(), KafkaError>| (None, result.is_ok());
    match request.clone() {
        Request::Init(timeout_ms, going_on) => {
            let (ended, result) = t.init(timeout_ms, going_on, next_id, now);
            (ended, result.is_ok())
        }
        Request::Add(sender, partition, version) => {
            only(t.add_partitions(sender, [partition], version, now))
        }
        Request::AddGroup(sender, version) => only(t.add_group(sender, "g", version, now)),
        Request::Verify(sender, partition) => only(t.verify_partition(sender, partition)),
        Request::Produce(sender, partition, version) => {
            only(t.produce(sender, partition, version, now))
        }
        Request::CommitOffsets(sender, version) => {
            only(t.commit_offsets(sender, "g", version, now))
        }
        Request::End(sender, outcome, version) => {
            match t.end(sender, outcome, version, next_id, now) {
                Ok(ended) => (ended, true),
                Err(_) => (None, false),
            }
        }
        Request::TimeOut => (t.time_out(next_id, now), true),
        Request::Abort => (t.abort(next_id, now), true),
    }
}

proptest! {
    #[test]
    fn no_request_takes_an_epoch_back(
        mut t in transaction(),
        requests in prop::collection::vec((request(), time()), 1..8),
    ) {
        for (request, now) in &requests {
            let before = t.clone();
            let (ended, accepted) = send(&mut t, request, *now);
            if !accepted && ended.is_none() {
                prop_assert_eq!(&t, &before);
            }
            if t.producer_id == before.producer_id {
                prop_assert!(t.producer_epoch >= before.producer_epoch);
            }
            if let Some(ended) = ended {
                prop_assert_eq!(&ended.partitions, &before.partitions);
                prop_assert_eq!(&ended.group_ids, &before.group_ids);
                prop_assert_eq!(ended.producer.id, before.producer_id);
                prop_assert!(ended.producer.epoch >= before.producer_epoch);
                prop_assert!(t.partitions.is_empty() && t.group_ids.is_empty());
                prop_assert_ne!(t.state, State::Ongoing);
                if t.version == Version::V2 {
                    prop_assert_ne!(current(&t), current(&before));
                }
            }
            let _ = (t.timed_out(*now), t.is_expired(i64::MAX, *now), t.is_expired(0, *now));
        }
    }

    #[test]
    fn no_batch_is_too_strange_for_a_partition(
        first in (epoch(), any::<i32>(), any::<i32>(), prop::option::of(any::<i64>())),
        batches in prop::collection::vec((any::<i32>(), any::<i32>()), 0..7),
        steps in prop::collection::vec((id(), epoch(), any::<i32>(), any::<i32>()), 1..8),
    ) {
        let (epoch, coordinator_epoch, _, txn_first_offset) = first;
        let batches = batches.into_iter().map(|(base_sequence, last_sequence)| PastBatch {
            base_sequence,
            last_sequence,
            base_offset: 0,
            timestamp: i64::MIN,
        });
        let mut state = ProducerState {
            epoch,
            batches: batches.collect(),
            coordinator_epoch,
            txn_first_offset,
        };
        for (id, epoch, base_sequence, count) in steps {
            let verdict = check_sequence(Some(&state), id, epoch, base_sequence, count);
            let _ = check_first_sequence(Some(&state), id, base_sequence);
            let before = state.epoch;
            if id >= 0 && verdict.is_ok() {
                state.record_append(epoch, base_sequence, count, i64::MAX, i64::MAX);
                prop_assert!(state.batches.len() <= 5);
                prop_assert!(state.epoch >= before);
                state.record_transactional(i64::MAX);
            } else if state.check_marker(id, epoch, count).is_ok() {
                state.record_marker(epoch, count);
                prop_assert!(state.epoch >= before);
                prop_assert_eq!(state.txn_first_offset, None);
            }
        }
    }
}
