//! How rebalances begin and how their joining phase ends.

use super::*;

#[test]
fn the_first_rebalance_waits_for_the_delay() {
    let mut table = Table::new();
    assert_eq!(table.parked(new("a"), 0), DELAY);
    assert_eq!(table.parked(known("a"), DELAY - 1), DELAY);
    let joined = table.joined(known("a"), DELAY);
    assert_eq!(joined.generation_id, 1);
    assert_eq!(joined.leader, "a");
    assert_eq!(joined.protocol_name, "range");
    assert_eq!(joined.members[0].metadata, b"range");
}

#[test]
fn each_new_member_prolongs_the_delay_from_its_joining_on() {
    let mut table = Table::new();
    table.parked(new("a"), 0);
    assert_eq!(table.parked(new("b"), 2_000), 2_000 + DELAY);
    table.parked(known("a"), 4_000);
    table.group.advance(2_000 + DELAY - 1);
    assert_eq!(table.at(), (State::PreparingRebalance, 0));
    table.group.advance(2_000 + DELAY);
    assert_eq!(table.at(), (State::CompletingRebalance, 1));
}

#[test]
fn the_delay_is_prolonged_up_to_the_rebalance_timeout() {
    let mut table = Table::new();
    for (id, now) in [("a", 0), ("b", 2_500), ("c", 5_000), ("d", 7_500)] {
        table.parked(new(id), now);
    }
    assert_eq!(table.group.deadline, Some(REBALANCE));
    table.group.advance(REBALANCE);
    assert_eq!(table.at(), (State::CompletingRebalance, 1));
    assert_eq!(table.ids().len(), 4);
}

#[test]
fn without_a_delay_the_first_member_is_answered_at_once() {
    let mut table = Table::new();
    table.config.initial_rebalance_delay_ms = 0;
    assert_eq!(table.joined(new("a"), 0).generation_id, 1);
}

#[test]
fn a_new_member_is_told_its_id_first() {
    let mut table = Table::new();
    let join = Join {
        require_member_id: true,
        ..new("a")
    };
    let reply = table.join(join, 0).unwrap();
    let member_id = "a".to_owned();
    assert_eq!(reply, JoinReply::MemberIdRequired { member_id });
    assert_eq!(table.at(), (State::Empty, 0));
    assert_eq!(table.group.joined_members().count(), 0);
    assert_eq!(table.heartbeat("a", 0, 1), code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.sync_code(sync("a", 0), 1), code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.commit("a", 0, 1), code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.parked(known("a"), 1_000), 1_000 + DELAY);
}

#[test]
fn an_id_that_nobody_joins_with_is_forgotten() {
    let mut table = Table::stable(&[new("a")]);
    let join = Join {
        require_member_id: true,
        session_timeout_ms: 1_000,
        ..new("b")
    };
    table.join(join, START).unwrap();
    assert_eq!(table.at(), (State::Stable, 1));
    let unknown = table.join_code(known("b"), START + 1_000);
    assert_eq!(unknown, code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.at(), (State::Stable, 1));
    assert_eq!(table.ids(), ["a"]);
}

#[test]
fn a_rebalance_waits_for_the_owner_of_an_id_until_its_time_is_up() {
    let mut table = Table::stable(&[new("a")]);
    let join = Join {
        require_member_id: true,
        ..new("b")
    };
    table.join(join, START).unwrap();
    table.parked(known("a"), START);
    table.group.advance(START + REBALANCE - 1);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    let joined = table.joined(known("a"), START + REBALANCE);
    assert_eq!(joined.members.len(), 1);
    // The id is still good.
    table.parked(known("b"), START + REBALANCE);
}

#[test]
fn a_static_member_needs_no_id() {
    let mut table = Table::new();
    let join = Join {
        require_member_id: true,
        ..with_instance("i", new("a"))
    };
    table.parked(join, 0);
}

#[test]
fn joins_are_refused_in_kafkas_order() {
    let mut table = Table::stable(&[new("a")]);
    table.config.max_size = 1;
    let everything_wrong = |session_timeout_ms| Join {
        session_timeout_ms,
        protocol_type: "connect".to_owned(),
        ..known("nobody")
    };
    let join = everything_wrong(999);
    assert_eq!(table.join_code(join, START), code::INVALID_SESSION_TIMEOUT);
    let join = everything_wrong(60_001);
    assert_eq!(table.join_code(join, START), code::INVALID_SESSION_TIMEOUT);
    let join = everything_wrong(1_000);
    let full = table.join_code(join, START);
    assert_eq!(full, code::GROUP_MAX_SIZE_REACHED);
    table.config.max_size = 2;
    let join = everything_wrong(60_000);
    let inconsistent = table.join_code(join, START);
    assert_eq!(inconsistent, code::INCONSISTENT_GROUP_PROTOCOL);
    let unknown = table.join_code(known("nobody"), START);
    assert_eq!(unknown, code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.at(), (State::Stable, 1));
}

#[test]
fn a_member_needs_a_protocol_that_all_others_have() {
    let mut table = Table::new();
    for join in [
        with_protocols(&[], new("a")),
        Join {
            protocol_type: String::new(),
            ..new("a")
        },
    ] {
        let inconsistent = table.join_code(join, 0);
        assert_eq!(inconsistent, code::INCONSISTENT_GROUP_PROTOCOL);
    }
    table.parked(with_protocols(&["range", "sticky"], new("a")), 0);
    table.parked(with_protocols(&["sticky", "uniform"], new("b")), 0);
    let inconsistent = table.join_code(with_protocols(&["range", "uniform"], new("c")), 0);
    assert_eq!(inconsistent, code::INCONSISTENT_GROUP_PROTOCOL);
    table.parked(with_protocols(&["range", "sticky"], new("c")), 0);
}

#[test]
fn the_protocol_that_most_members_prefer_is_taken() {
    let table = Table::completing(
        &[
            with_protocols(&["range", "sticky"], new("a")),
            with_protocols(&["uniform", "sticky", "range"], new("b")),
            with_protocols(&["sticky", "range"], new("c")),
        ],
        START,
    );
    assert_eq!(table.group.protocol_name.as_deref(), Some("sticky"));
    let member = &table.group.members["b"];
    assert_eq!(table.group.member_metadata(member), b"sticky");
}

#[test]
fn a_follower_that_joins_unchanged_is_answered_at_once() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    let joined = table.joined(known("b"), START + 20_000);
    assert_eq!((joined.generation_id, joined.leader.as_str()), (1, "a"));
    assert!(joined.members.is_empty());
    assert_eq!(table.at(), (State::Stable, 1));
    // It was a sign of life.
    table.group.advance(START + SESSION);
    assert_eq!(table.ids(), ["b"]);
}

#[test]
fn a_leader_that_joins_again_rebalances() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(known("a"), START);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.joined(known("b"), START).generation_id, 2);
    assert_eq!(table.joined(known("a"), START).members.len(), 2);
}

#[test]
fn a_member_with_other_metadata_rebalances() {
    let changed = |id: &str| with_protocols(&["range", "sticky"], known(id));
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(changed("b"), START);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    let mut table = Table::completing(&[new("a"), new("b")], START);
    table.parked(changed("b"), START);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
}

#[test]
fn a_join_answer_that_was_lost_is_given_again() {
    let mut table = Table::completing(&[new("a"), new("b")], START);
    for _ in 0..2 {
        let leader = table.joined(known("a"), START);
        assert_eq!((leader.generation_id, leader.members.len()), (1, 2));
        let follower = table.joined(known("b"), START);
        assert_eq!((follower.generation_id, follower.members.len()), (1, 0));
    }
    assert_eq!(table.at(), (State::CompletingRebalance, 1));
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_dropped_and_a_static_one_is_kept() {
    let mut table = Table::stable(&[new("a"), with_instance("i", new("b")), new("c")]);
    table.parked(known("a"), START);
    table.group.advance(START + REBALANCE - 1);
    assert_eq!(table.ids(), ["a", "b", "c"]);
    let joined = table.joined(known("a"), START + REBALANCE);
    assert_eq!(joined.generation_id, 2);
    let ids: Vec<_> = joined
        .members
        .iter()
        .map(|m| m.member_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_leader_that_does_not_join_again_is_replaced() {
    let mut table = Table::stable(&[with_instance("i", new("a")), new("b")]);
    table.parked(new("c"), START);
    table.parked(known("b"), START);
    table.group.advance(START + REBALANCE);
    assert_eq!(table.joined(known("b"), START + REBALANCE).leader, "b");
    assert_eq!(table.ids(), ["a", "b", "c"]);
}

/// The deadline was that of the members that were there before.
#[test]
fn the_rebalance_timeout_of_the_member_that_begins_a_rebalance_counts() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    let patient = |join| Join {
        rebalance_timeout_ms: 25_000,
        ..join
    };
    table.parked(patient(new("c")), START);
    assert_eq!(table.group.deadline, Some(START + 25_000));
    let mut table = Table::stable(&[new("a"), new("b")]);
    table.parked(patient(known("a")), START);
    assert_eq!(table.group.deadline, Some(START + 25_000));
}

/// The phase went on for another rebalance timeout each time, however short that was.
#[test]
fn where_only_static_members_are_left_the_first_that_comes_sets_the_deadline() {
    let mut table = Table::stable(&[
        with_instance("i", new("a")),
        with_instance("j", new("b")),
        new("c"),
    ]);
    table.leave("c", None, START).unwrap();
    table.group.advance(START + REBALANCE);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.group.next_deadline(), Some(START + SESSION));
    let come = START + REBALANCE + 1_000;
    table.parked(with_instance("j", known("b")), come);
    table.group.advance(come + REBALANCE - 1);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    let joined = table.joined(with_instance("j", known("b")), come + REBALANCE);
    assert_eq!((joined.generation_id, joined.leader.as_str()), (2, "b"));
}

/// The group went on naming it.
#[test]
fn a_leader_that_is_dropped_leads_no_more_even_where_nobody_has_come() {
    let mut table = Table::stable(&[new("a"), with_instance("i", new("b")), new("c")]);
    table.leave("c", None, START).unwrap();
    table.group.advance(START + REBALANCE);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.ids(), ["b"]);
    assert!(table.group.is_leader("b"));
}

#[test]
fn a_full_group_takes_no_new_member() {
    let mut table = Table::stable(&[new("a"), with_instance("i", new("b"))]);
    table.config.max_size = 2;
    let full = code::GROUP_MAX_SIZE_REACHED;
    assert_eq!(table.join_code(new("c"), START), full);
    // Those it has may come back, also those that are restarted.
    table.joined(known("b"), START);
    table.joined(with_instance("i", new("d")), START);
    table.parked(known("a"), START);
    assert_eq!(table.joined(known("d"), START).generation_id, 2);
    assert_eq!(table.join_code(new("c"), START), full);
}

/// Ids took the place of members for a whole session timeout, also in an empty group.
#[test]
fn ids_that_are_handed_out_do_not_fill_a_group() {
    let mut table = Table::new();
    table.config.max_size = 1;
    for id in ["a", "b"] {
        let join = Join {
            require_member_id: true,
            ..new(id)
        };
        table.join(join, 0).unwrap();
    }
    table.parked(known("b"), 0);
    // Too late for the other.
    let full = table.join_code(known("a"), 0);
    assert_eq!(full, code::GROUP_MAX_SIZE_REACHED);
    assert_eq!(table.ids(), ["b"]);
}

/// Members were always let in again, so a group never shrank to a lowered limit.
#[test]
fn a_lowered_limit_puts_out_those_that_join_last() {
    let mut table = Table::stable(&[new("a"), new("b"), new("c")]);
    table.config.max_size = 2;
    table.parked(known("a"), START);
    table.parked(known("c"), START);
    table.parked(known("a"), START);
    let full = table.join_code(known("b"), START);
    assert_eq!(full, code::GROUP_MAX_SIZE_REACHED);
    assert_eq!(table.joined(known("a"), START).members.len(), 2);
    assert_eq!(table.ids(), ["a", "c"]);
}

/// Asking only every third of a session, members went without partitions for that much
/// longer than the session of the one that was killed.
#[test]
fn who_waits_for_a_silent_member_asks_when_its_session_ends() {
    let mut table = Table::stable(&[new("a"), new("b")]);
    let end = START + SESSION;
    let later = end - 2_000;
    assert_eq!(table.heartbeat("a", 1, later), code::NONE);
    assert_eq!(table.parked(known("a"), later), end);
    assert_eq!(table.joined(known("a"), end).members.len(), 1);
}
