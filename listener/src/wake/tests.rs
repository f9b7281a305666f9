//! The register of parked fetches, without a database: calls are begun and ended here.

use super::*;

fn wake() -> Arc<Wake> {
    Arc::new(Wake::default())
}

fn subject(partition: i32) -> Subject {
    Subject {
        topic: Arc::from("t"),
        topic_id: None,
        partition,
    }
}

fn found(high_watermark: i64) -> Fetched {
    Fetched {
        error_code: 0,
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        next_offset: high_watermark,
        aborted: Vec::new(),
        records: bytes::Bytes::new(),
    }
}

fn parked(wake: &Arc<Wake>, partition: i32, high_watermark: i64) -> Parking {
    let parking = wake.subscribe(vec![subject(partition)]);
    parking.park(&[found(high_watermark)], &[0]);
    parking
}

fn is_woken(parking: &Parking) -> bool {
    futures_util::FutureExt::now_or_never(parking.woken()).is_some()
}

fn watched(call: &[WatchedPartition]) -> Vec<(i32, i64)> {
    let mut watched: Vec<_> = call
        .iter()
        .map(|p| (p.partition, p.high_watermark))
        .collect();
    watched.sort_unstable();
    watched
}

#[test]
fn what_is_parked_is_watched_and_woken() {
    let wake = wake();
    assert!(wake.begin_call().is_empty());
    let (first, second) = (parked(&wake, 0, 5), parked(&wake, 1, 7));
    let call = wake.begin_call();
    assert_eq!(watched(&call), [(0, 5), (1, 7)]);
    let moved = call.iter().position(|p| p.partition == 1).unwrap();
    wake.end_call(&call, &[(moved, 8)]);
    assert!(is_woken(&second) && !is_woken(&first));
    drop((first, second));
    assert!(wake.begin_call().is_empty(), "nobody is parked");
}

#[test]
fn a_partition_stays_watched_between_two_fetches() {
    let wake = wake();
    let other = parked(&wake, 0, 0);
    drop(parked(&wake, 1, 5));
    let call = wake.begin_call();
    assert_eq!(watched(&call), [(0, 0), (1, 5)]);
    // Parked again while it is watched: no reason to interrupt.
    let again = parked(&wake, 1, 5);
    assert!(wake.lock().call == Call::Running);
    drop(again);
    // It moves while nobody waits for it: left out, or it would end each call at once.
    let moved = call.iter().position(|p| p.partition == 1).unwrap();
    wake.end_call(&call, &[(moved, 6)]);
    assert_eq!(watched(&wake.begin_call()), [(0, 0)]);
    let again = parked(&wake, 1, 6);
    assert!(
        wake.lock().call == Call::Stale,
        "the running call misses it"
    );
    wake.end_call(&[], &[]);
    assert_eq!(watched(&wake.begin_call()), [(0, 0), (1, 6)]);
    drop((other, again));
}

#[test]
fn what_is_appended_here_wakes_at_once() {
    let wake = wake();
    let early = wake.subscribe(vec![subject(0)]);
    wake.appended(&TopicRef::Name("t".into()), Some(0));
    early.park(&[found(0)], &[0]);
    assert!(is_woken(&early), "appended between its look and its wait");
    let (first, second) = (parked(&wake, 0, 0), parked(&wake, 1, 0));
    let id = Uuid::from_u128(1);
    wake.appended(&TopicRef::Id(id), Some(1));
    assert!(!is_woken(&second), "the id's name is not known");
    wake.learn_name(id, "t");
    wake.appended(&TopicRef::Id(id), Some(1));
    assert!(is_woken(&second) && !is_woken(&first));
    wake.appended(&TopicRef::Name("t".into()), None);
    assert!(is_woken(&first) && is_woken(&second), "routed by key");
}

#[test]
fn tails_are_remembered_until_they_move() {
    let wake = wake();
    let tails = |offset: i64| {
        let parking = wake.subscribe(vec![subject(0)]);
        parking
            .known_tails(std::iter::once(offset), false)
            .is_some()
    };
    assert!(!tails(5));
    let parking = parked(&wake, 0, 5);
    assert!(tails(5) && !tails(4) && !tails(6));
    wake.appended(&TopicRef::Name("t".into()), Some(0));
    assert!(!tails(5) && is_woken(&parking));
    parking.park(&[found(6)], &[0]);
    assert!(tails(6));
    let call = wake.begin_call();
    wake.end_call(&call, &[(0, 7)]);
    assert!(!tails(6) && !tails(7) && is_woken(&parking));
    parking.park(&[found(7)], &[0]);
    wake.distrust();
    assert!(!tails(7));
    let by_id = Subject {
        topic_id: Some(Uuid::from_u128(1)),
        ..subject(0)
    };
    parking.park(&[found(7)], &[0]);
    let by_id = wake.subscribe(vec![by_id]);
    assert!(
        by_id.known_tails(std::iter::once(7), false).is_none(),
        "not asked for by id yet"
    );
}

#[test]
fn a_reader_of_what_is_committed_waits_at_the_last_stable_offset() {
    let wake = wake();
    let behind = Fetched {
        last_stable_offset: 3,
        ..found(5)
    };
    let parking = wake.subscribe(vec![subject(0)]);
    parking.park(std::slice::from_ref(&behind), &[0]);
    let at = |offset: i64, committed| {
        let tails = parking.known_tails(std::iter::once(offset), committed)?;
        Some((tails[0].high_watermark, tails[0].last_stable_offset))
    };
    assert_eq!(at(3, true), Some((5, 3)));
    assert_eq!(at(5, false), Some((5, 3)));
    assert_eq!((at(5, true), at(3, false)), (None, None));
    // It is woken by what lies behind the high watermark, not by what it must not see.
    let call = wake.begin_call();
    assert_eq!(watched(&call), [(0, 5)]);
    assert!(!is_woken(&parking));
    wake.end_call(&call, &[(0, 6)]);
    assert!(is_woken(&parking));
    assert_eq!((at(3, true), at(5, false)), (None, None));
    // More of the transaction: it waits again, for what comes after.
    let more = Fetched {
        high_watermark: 6,
        ..behind
    };
    parking.park(&[more], &[0]);
    assert!(!is_woken(&parking));
    assert_eq!(watched(&wake.begin_call()), [(0, 6)]);
}

#[test]
fn a_topic_made_again_does_not_keep_its_fetches_spinning() {
    let wake = wake();
    let old = parked(&wake, 0, 1000);
    let call = wake.begin_call();
    let new = parked(&wake, 0, 0);
    // One look more, since somebody seemed to know more; then it is believed.
    assert!(is_woken(&new));
    new.park(&[found(0)], &[0]);
    assert!(!is_woken(&new));
    assert!(
        wake.lock().call == Call::Stale,
        "the call waits for the old watermark"
    );
    wake.end_call(&call, &[]);
    assert_eq!(watched(&wake.begin_call()), [(0, 0)]);
    drop(old);
}

#[test]
fn a_partition_that_is_gone_wakes_and_is_left_alone() {
    let wake = wake();
    let parking = parked(&wake, 0, 5);
    let call = wake.begin_call();
    wake.end_call(&call, &[(0, -1)]);
    assert!(is_woken(&parking));
    drop(parking);
    let other = parked(&wake, 1, 0);
    let gone = |call: &[WatchedPartition]| call.iter().any(|p| p.partition == 0);
    let call = wake.begin_call();
    if gone(&call) {
        let index = call.iter().position(|p| p.partition == 0).unwrap();
        wake.end_call(&call, &[(index, -1)]);
    }
    assert!(!gone(&wake.begin_call()));
    drop(other);
}

#[test]
fn who_is_woken_learns_what_has_moved() {
    let wake = wake();
    let woken = |parking: &Parking| {
        let moved = futures_util::FutureExt::now_or_never(parking.woken());
        moved.map(|mut moved| {
            moved.sort_unstable();
            moved
        })
    };
    let tail_of = |partition, offset| {
        let parking = wake.subscribe(vec![subject(partition)]);
        let tails = parking.known_tails(std::iter::once(offset), false);
        tails.is_some()
    };
    let topic = TopicRef::Name("t".into());
    let parking = wake.subscribe((0..4).map(subject).collect());
    // Appended while it asks: whatever it has found is no tail.
    wake.appended(&topic, Some(2));
    let all = [5, 5, 5, 5].map(found);
    parking.park(&all, &[0, 1, 2, 3]);
    assert_eq!(woken(&parking), Some(vec![2]));
    assert!(tail_of(1, 5) && !tail_of(2, 5));
    parking.park(&all, &[2]);
    assert!(tail_of(2, 5));
    assert_eq!(woken(&parking), None);
    // Two at once, one of them twice.
    let call = wake.begin_call();
    let third = call.iter().position(|p| p.partition == 3).unwrap();
    wake.appended(&topic, Some(0));
    wake.end_call(&call, &[(third, 6)]);
    wake.appended(&topic, Some(0));
    assert_eq!(woken(&parking), Some(vec![0, 3]));
    // It has looked before that, and looks again.
    parking.park(&all, &[0, 3]);
    assert_eq!(woken(&parking), Some(vec![3]));
    assert!(tail_of(0, 5) && !tail_of(3, 5));
}
