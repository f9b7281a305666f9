//! How the leader's assignment reaches the members.

use super::*;

#[test]
fn a_follower_waits_for_the_leader() {
    let mut table = Table::completing(&[new("a"), new("b")], START);
    let reply = table.group.sync(sync("b", 1), START).unwrap();
    let until = START + REBALANCE;
    assert_eq!(reply, SyncReply::Parked { until });
    table.assign(1, START + 1);
    assert_eq!(table.at(), (State::Stable, 1));
    // Also when the answer was lost.
    for _ in 0..2 {
        assert_eq!(table.synced("b", 1, START + 2), b"b");
    }
    // The leader's second sync is none.
    let again = Sync {
        assignments: vec![("b".to_owned(), b"other".to_vec())],
        ..sync("a", 1)
    };
    table.group.sync(again, START + 3).unwrap();
    assert_eq!(table.synced("b", 1, START + 3), b"b");
}

#[test]
fn a_member_that_the_leader_leaves_out_gets_nothing() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START);
    table.joined(known("b"), START);
    let assigned = Sync {
        assignments: vec![
            ("a".to_owned(), b"all".to_vec()),
            ("nobody".to_owned(), b"some".to_vec()),
        ],
        ..sync("a", 2)
    };
    table.group.sync(assigned, START).unwrap();
    assert_eq!(table.synced("a", 2, START), b"all");
    assert!(table.synced("b", 2, START).is_empty());
    assert_eq!(table.ids(), ["a", "b"]);
}

#[test]
fn a_sync_is_for_the_generation_and_protocol_of_the_group() {
    let mut table = Table::completing(&[new("a")], START);
    let in_order = [
        (sync("nobody", 0), code::UNKNOWN_MEMBER_ID),
        (
            Sync {
                protocol_type: Some("connect".to_owned()),
                ..sync("a", 0)
            },
            code::ILLEGAL_GENERATION,
        ),
        (sync("a", 2), code::ILLEGAL_GENERATION),
        (
            Sync {
                protocol_type: Some("connect".to_owned()),
                ..sync("a", 1)
            },
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            Sync {
                protocol_name: Some("sticky".to_owned()),
                ..sync("a", 1)
            },
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
    ];
    for (sync, expected) in in_order {
        assert_eq!(table.sync_code(sync.clone(), START), expected, "{sync:?}");
    }
    let right = Sync {
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..sync("a", 1)
    };
    table.group.sync(right, START).unwrap();
}

#[test]
fn a_sync_during_a_rebalance_is_told_to_join() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START);
    let code = table.sync_code(sync("b", 1), START);
    assert_eq!(code, code::REBALANCE_IN_PROGRESS);
    let code = table.sync_code(sync("b", 2), START);
    assert_eq!(code, code::ILLEGAL_GENERATION);
}

#[test]
fn a_leader_that_does_not_sync_in_time_is_dropped() {
    let mut table = Table::completing(&[new("a"), new("b"), new("c")], START);
    table.group.sync(sync("b", 1), START).unwrap();
    table.heartbeat("a", 1, START + REBALANCE - 1);
    table.group.advance(START + REBALANCE - 1);
    assert_eq!(table.at(), (State::CompletingRebalance, 1));
    let code = table.sync_code(sync("b", 1), START + REBALANCE);
    assert_eq!(code, code::REBALANCE_IN_PROGRESS);
    assert_eq!(table.ids(), ["b"]);
    assert_eq!(table.joined(known("b"), START + REBALANCE).leader, "b");
}

/// Only the group's becoming stable was timed: whoever missed it kept its share for good.
#[test]
fn a_follower_that_does_not_sync_in_time_is_dropped_from_a_stable_group() {
    let mut table = Table::completing(&[new("a"), new("b")], START);
    table.assign(1, START);
    assert_eq!(table.at(), (State::Stable, 1));
    assert_eq!(table.heartbeat("b", 1, START + REBALANCE - 1), 0);
    table.group.advance(START + REBALANCE);
    assert_eq!(table.ids(), ["a"]);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
}

#[test]
fn a_group_whose_members_have_synced_has_no_deadline_but_their_sessions() {
    let table = Table::stable(&[new("a"), new("b")]);
    assert_eq!(table.group.next_deadline(), Some(START + SESSION));
}

#[test]
fn an_assignment_that_nobody_gave_is_not_kept() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START);
    table.joined(known("b"), START);
    assert_eq!(table.at(), (State::CompletingRebalance, 2));
    table.parked(new("c"), START);
    for member in table.group.members.values() {
        assert!(member.assignment.is_empty());
    }
}
