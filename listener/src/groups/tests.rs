//! The register of parked members, without a database: calls are begun and ended here.

use super::*;

fn groups() -> Arc<Groups> {
    Arc::new(Groups::default())
}

fn is_woken(parking: &Parking) -> bool {
    parking.notify.notified().now_or_never().is_some()
}

fn watched(call: &[WatchedGroup]) -> Vec<(&str, i64)> {
    let mut watched: Vec<_> = call.iter().map(|g| (&*g.group_id, g.version)).collect();
    watched.sort_unstable();
    watched
}

fn index(call: &[WatchedGroup], group_id: &str) -> usize {
    call.iter().position(|g| &*g.group_id == group_id).unwrap()
}

#[test]
fn what_moves_in_the_database_wakes_its_group_only() {
    let groups = groups();
    assert!(groups.begin_call().is_empty());
    let (a, b) = (groups.park("a", 5), groups.park("b", 7));
    let call = groups.begin_call();
    assert_eq!(watched(&call), [("a", 5), ("b", 7)]);
    groups.end_call(&call, &[(index(&call, "b"), 8)]);
    assert!(is_woken(&b) && !is_woken(&a));
    b.park(8);
    assert!(!is_woken(&b));
    assert_eq!(watched(&groups.begin_call()), [("a", 5), ("b", 8)]);
    drop((a, b));
    assert!(groups.begin_call().is_empty(), "nobody waits");
}

#[test]
fn an_answer_wakes_those_who_know_less() {
    let groups = groups();
    let (first, second) = (groups.park("g", 1), groups.park("g", 2));
    assert!(is_woken(&first) && !is_woken(&second));
    first.park(2);
    groups.moved("g", 2);
    assert!(!is_woken(&first) && !is_woken(&second), "known already");
    groups.moved("g", 3);
    assert!(is_woken(&first) && is_woken(&second));
    // The next call is told what is known, so that it does not end at once.
    assert_eq!(watched(&groups.begin_call()), [("g", 3)]);
}

#[test]
fn a_late_answer_asks_once_more() {
    let groups = groups();
    let first = groups.park("g", 7);
    let late = groups.park("g", 6);
    assert!(is_woken(&late) && !is_woken(&first));
    // It says the same again: then the group is another one by now.
    late.park(6);
    assert!(!is_woken(&late));
    assert_eq!(watched(&groups.begin_call()), [("g", 6)]);
}

#[test]
fn being_woken_for_what_an_answer_told_does_not_ask_again() {
    let groups = groups();
    let parking = groups.park("g", 1);
    groups.moved("g", 2);
    // The answer that was under way meanwhile has it already.
    parking.park(2);
    assert!(!is_woken(&parking));
}

#[test]
fn a_new_group_interrupts_the_running_call() {
    let groups = groups();
    let first = groups.park("a", 1);
    let call = groups.begin_call();
    first.park(2);
    assert_eq!(groups.call(), Call::Running, "the call has its group");
    let second = groups.park("b", 1);
    assert_eq!(groups.call(), Call::Stale);
    groups.end_call(&call, &[]);
    assert_eq!(watched(&groups.begin_call()), [("a", 2), ("b", 1)]);
    // The call would wait for a version that the new group may not reach.
    first.park(1);
    first.park(1);
    assert_eq!(groups.call(), Call::Stale);
    drop((first, second));
}

#[test]
fn a_group_that_is_gone_wakes_and_is_left_alone() {
    let groups = groups();
    let (gone, other) = (groups.park("gone", 5), groups.park("other", 1));
    let call = groups.begin_call();
    groups.end_call(&call, &[(index(&call, "gone"), -1)]);
    assert!(is_woken(&gone) && !is_woken(&other));
    assert_eq!(watched(&groups.begin_call()), [("other", 1)]);
    // It has been made again: its versions begin anew, and are believed.
    gone.park(1);
    assert!(!is_woken(&gone));
    groups.end_call(&[], &[]);
    assert_eq!(watched(&groups.begin_call()), [("gone", 1), ("other", 1)]);
}

#[test]
fn without_a_waiting_session_all_ask_for_themselves() {
    let groups = groups();
    let (first, second) = (groups.park("a", 1), groups.park("b", 1));
    groups.begin_call();
    groups.distrust();
    assert!(is_woken(&first) && is_woken(&second));
}
