//! Signs of life, departures and commits.

use kafka_core::group::classic::{Glance, is_quiet, needs_touch};

use super::*;

#[test]
fn heartbeats_are_answered_by_state() {
    let mut table = Table::new();
    assert_eq!(table.heartbeat("a", 0, 0), code::UNKNOWN_MEMBER_ID);
    table = Table::completing(&[new("a"), new("b")], START);
    assert_eq!(table.heartbeat("a", 1, START), 0);
    assert_eq!(table.heartbeat("nobody", 0, START), code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.heartbeat("a", 0, START), code::ILLEGAL_GENERATION);
    assert_eq!(table.heartbeat("a", 2, START), code::ILLEGAL_GENERATION);
    table.assign(1, START);
    assert_eq!(table.heartbeat("b", 1, START), 0);
    table.parked(known("a"), START);
    let rebalancing = code::REBALANCE_IN_PROGRESS;
    assert_eq!(table.heartbeat("a", 1, START), rebalancing);
    assert_eq!(table.heartbeat("b", 1, START), rebalancing);
    assert_eq!(table.heartbeat("b", 2, START), code::ILLEGAL_GENERATION);
}

#[test]
fn a_heartbeat_keeps_a_member_alive() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    assert_eq!(table.heartbeat("a", 1, START + 20_000), 0);
    table.group.advance(START + SESSION);
    assert_eq!(table.ids(), ["a"]);
    // Also one that tells it to join.
    table.parked(new("c"), START + SESSION);
    table.heartbeat("a", 1, START + 35_000);
    let member = &table.group.members["a"];
    assert_eq!(member.session_end(), START + 35_000 + SESSION);
}

#[test]
fn signs_of_life_that_follow_closely_are_not_noted() {
    let eighth = SESSION / 8;
    let mut table = Table::stable(&[new("a")]);
    let before = table.group.clone();
    assert_eq!(table.heartbeat("a", 1, START + eighth - 1), 0);
    assert_eq!(table.commit("a", 1, START + eighth - 1), 0);
    assert_eq!(table.synced("a", 1, START + eighth - 1), b"a");
    assert_eq!(table.group, before);
    assert_eq!(table.commit("a", 1, START + eighth), 0);
    assert_eq!(table.group.members["a"].heartbeat_at, START + eighth);
    assert!(!needs_touch(START, SESSION as i32, START - 1_000));
}

#[test]
fn sessions_end_in_each_state() {
    // While joins are gathered: the other goes on without it.
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START + SESSION - 1);
    let joined = table.joined(known("a"), START + SESSION);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));

    // While the assignment is awaited: the others join anew.
    let short = |join| Join {
        session_timeout_ms: 1_000,
        ..join
    };
    let mut table = Table::completing(&[new("a")], START);
    table.assign(1, START);
    table.parked(short(new("b")), START);
    table.joined(known("a"), START);
    table.group.advance(START + 999);
    assert_eq!(table.at(), (State::CompletingRebalance, 2));
    table.group.advance(START + 1_000);
    assert_eq!(table.at(), (State::PreparingRebalance, 2));
    assert_eq!(table.ids(), ["a"]);

    // In a stable group likewise.
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.heartbeat("b", 1, START + SESSION - 1);
    table.group.advance(START + SESSION);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.ids(), ["b"]);
    // And when the last one is gone the group is empty.
    table.group.advance(START + 2 * SESSION);
    assert_eq!(table.at(), (State::Empty, 2));
    assert_eq!(table.group.next_deadline(), None);
    assert_eq!(table.group.leader, None);
    assert_eq!(table.group.protocol_name, None);
}

#[test]
fn a_member_that_waits_must_ask_again_within_its_session() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    let short = |join| Join {
        session_timeout_ms: 6_000,
        ..join
    };
    assert_eq!(table.parked(short(new("c")), START), START + 2_000);
    assert_eq!(
        table.parked(short(known("c")), START + 2_000),
        START + 4_000
    );
    let unknown = table.join_code(short(known("c")), START + 8_000);
    assert_eq!(unknown, code::UNKNOWN_MEMBER_ID);
}

/// Sessions that ended later than a phase did were ended first, and phases began when
/// somebody asked.
#[test]
fn what_was_due_while_nobody_asked_is_done_as_of_its_time() {
    let mut late = Table::new();
    late.parked(new("a"), 0);
    let mut timely = Table::new();
    timely.parked(new("a"), 0);
    timely.group.advance(DELAY);
    // The session began anew when the joining phase ended, the leader has yet to sync.
    let now = DELAY + REBALANCE - 1;
    late.group.advance(now);
    assert_eq!(late.group, timely.group);
    late.group.advance(DELAY + REBALANCE);
    assert_eq!(late.at(), (State::Empty, 2));

    let short = || Join {
        session_timeout_ms: 4_000,
        ..new("b")
    };
    let mut late = Table::new();
    late.parked(short(), 0);
    assert_eq!(late.heartbeat("b", 1, 4_500), 0);
}

#[test]
fn a_leader_that_leaves_is_replaced() {
    let mut table = Table::stable(&[new("a"), new("b"), new("c")]);
    assert_eq!(table.leave("a", None, START), Ok("a".to_owned()));
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    table.parked(known("c"), START);
    assert_eq!(table.joined(known("b"), START).members.len(), 2);
    assert_eq!(table.joined(known("c"), START).leader, "b");
}

#[test]
fn a_rebalance_goes_on_when_the_member_it_waits_for_leaves() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START);
    table.leave("b", None, START).unwrap();
    assert_eq!(table.joined(known("a"), START).generation_id, 2);
}

#[test]
fn a_group_is_empty_when_the_last_member_has_left() {
    let mut table = Table::stable(&[new("a")]);
    table.leave("a", None, START).unwrap();
    assert_eq!(table.at(), (State::Empty, 2));
    assert_eq!(table.leave("a", None, START), Err(code::UNKNOWN_MEMBER_ID));
    // Its next rebalance is a first one again.
    assert_eq!(table.parked(new("b"), START), START + DELAY);
}

/// With an instance id it was refused.
#[test]
fn an_id_that_was_only_handed_out_can_be_given_back() {
    for instance in [None, Some("i")] {
        let mut table = Table::stable(&[new("a")]);
        let join = Join {
            require_member_id: true,
            ..new("b")
        };
        table.join(join, START).unwrap();
        assert_eq!(table.leave("b", instance, START), Ok("b".to_owned()));
        assert_eq!(table.ids(), ["a"]);
        assert_eq!(table.at(), (State::Stable, 1));
    }
}

#[test]
fn commits_are_judged_by_state() {
    let (unknown, illegal) = (code::UNKNOWN_MEMBER_ID, code::ILLEGAL_GENERATION);
    let rebalancing = code::REBALANCE_IN_PROGRESS;
    let mut empty = Table::new();
    let mut completing = Table::completing(&[new("a"), new("b")], START);
    let mut stable = Table::stable(&[new("a"), new("b")]);
    let mut preparing = Table::stable(&[new("a"), new("b")]);
    preparing.parked(known("a"), START);
    let table = [
        // Member and generation, then empty, completing, stable, preparing.
        ("", -1, [0, unknown, unknown, unknown]),
        ("a", -1, [0, illegal, illegal, illegal]),
        ("nobody", -1, [0, unknown, unknown, unknown]),
        ("nobody", 1, [unknown; 4]),
        ("", 1, [unknown; 4]),
        ("a", 0, [unknown, illegal, illegal, illegal]),
        ("a", 2, [unknown, illegal, illegal, illegal]),
        ("a", 1, [unknown, rebalancing, 0, 0]),
        ("b", 1, [unknown, rebalancing, 0, 0]),
    ];
    for (id, generation, expected) in table {
        let found = [&mut empty, &mut completing, &mut stable, &mut preparing]
            .map(|table| table.commit(id, generation, START));
        assert_eq!(found, expected, "{id:?} {generation}");
    }
}

#[test]
fn only_heartbeats_that_change_nothing_are_quiet() {
    let table = Table::stable(&[new("a")]);
    let Member {
        heartbeat_at,
        session_timeout_ms,
        ..
    } = table.group.members["a"];
    let glance = Glance {
        state: table.group.state,
        generation_id: table.group.generation_id,
        next_deadline: table.group.next_deadline(),
        heartbeat_at,
        session_timeout_ms,
    };
    assert!(is_quiet(&glance, 1, START + SESSION - 1));
    assert!(!is_quiet(&glance, 1, START + SESSION));
    assert!(!is_quiet(&glance, 0, START));
    for (state, quiet) in [
        (State::CompletingRebalance, true),
        (State::PreparingRebalance, false),
        (State::Empty, false),
    ] {
        assert_eq!(is_quiet(&Glance { state, ..glance }, 1, START), quiet);
    }
}
