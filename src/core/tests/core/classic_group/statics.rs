//! Members that keep their place while they are restarted (KIP-345, KIP-814).

use super::*;

/// Leader `a` as instance `i`, follower `b` as instance `j`, stable.
fn two() -> Table {
    Table::stable(&[with_instance("i", new("a")), with_instance("j", new("b"))])
}

fn without_skipping(join: Join) -> Join {
    Join {
        supports_skipping_assignment: false,
        ..join
    }
}

#[test]
fn a_follower_that_was_restarted_takes_its_old_place() {
    for skipping in [true, false] {
        let mut table = two();
        let join = Join {
            supports_skipping_assignment: skipping,
            ..with_instance("j", new("c"))
        };
        let joined = table.joined(join, START);
        assert_eq!((joined.generation_id, joined.leader.as_str()), (1, "a"));
        assert!(joined.members.is_empty());
        assert!(!joined.skip_assignment);
        assert_eq!(table.at(), (State::Stable, 1));
        assert_eq!(table.ids(), ["a", "c"]);
        assert_eq!(table.synced("c", 1, START), b"b");
    }
}

#[test]
fn a_leader_that_was_restarted_is_told_to_skip_the_assignment() {
    let mut table = two();
    let joined = table.joined(with_instance("i", new("c")), START);
    assert_eq!(joined.leader, "c");
    assert!(joined.skip_assignment);
    let ids: Vec<_> = joined
        .members
        .iter()
        .map(|m| m.member_id.as_str())
        .collect();
    assert_eq!(ids, ["b", "c"]);
    assert_eq!(table.synced("c", 1, START), b"a");
    assert_eq!(table.synced("b", 1, START), b"b");
}

#[test]
fn an_older_leader_that_was_restarted_is_told_that_its_former_self_leads() {
    let mut table = two();
    let joined = table.joined(without_skipping(with_instance("i", new("c"))), START);
    assert_eq!(joined.leader, "a");
    assert!(joined.members.is_empty());
    assert!(!joined.skip_assignment);
    assert_eq!(table.synced("c", 1, START), b"a");
    assert!(table.group.is_leader("c"));
}

#[test]
fn a_restart_that_changes_the_elected_protocol_rebalances() {
    let both = |join| with_protocols(&["range", "sticky"], join);
    let mut table = Table::stable(&[both(with_instance("i", new("a"))), both(new("b"))]);
    let other = with_protocols(&["sticky"], with_instance("i", new("c")));
    table.parked(other.clone(), START);
    table.joined(both(known("b")), START);
    let again = Join {
        member_id: "c".to_owned(),
        ..other
    };
    let joined = table.joined(again, START);
    assert_eq!(joined.generation_id, 2);
    assert_eq!(joined.protocol_name, "sticky");
}

#[test]
fn a_restart_before_the_assignment_is_there_rebalances() {
    let joins = [with_instance("i", new("a")), new("b")];
    let mut table = Table::completing(&joins, START);
    table.parked(with_instance("i", new("c")), START);
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.joined(known("b"), START).leader, "c");
}

#[test]
fn a_restart_during_a_rebalance_joins_it() {
    let mut table = Table::stable(&[with_instance("i", new("a")), new("b")]);
    table.parked(with_instance("i", known("a")), START);
    table.parked(with_instance("i", new("c")), START);
    let fenced = table.join_code(with_instance("i", known("a")), START);
    assert_eq!(fenced, code::FENCED_INSTANCE_ID);
    assert_eq!(table.joined(known("b"), START).generation_id, 2);
    assert_eq!(table.ids(), ["b", "c"]);
}

#[test]
fn a_restart_does_not_prolong_the_initial_delay() {
    let mut table = Table::new();
    table.parked(with_instance("i", new("a")), 0);
    assert_eq!(table.parked(with_instance("i", new("b")), 1_000), DELAY);
}

#[test]
fn the_former_self_is_fenced() {
    let mut table = two();
    table.joined(with_instance("j", new("c")), START);
    let fenced = code::FENCED_INSTANCE_ID;
    let before = table.group.clone();
    let join = with_instance("j", known("b"));
    assert_eq!(table.join_code(join, START), fenced);
    let beat = table.group.heartbeat("b", Some("j"), 1, START);
    assert_eq!(code_of(beat), fenced);
    let sync = Sync {
        group_instance_id: Some("j".to_owned()),
        ..sync("b", 1)
    };
    assert_eq!(table.sync_code(sync, START), fenced);
    let commit = table.group.check_commit("b", Some("j"), 1, START);
    assert_eq!(code_of(commit), fenced);
    assert_eq!(table.leave("b", Some("j"), START), Err(fenced));
    // Whoever hides the instance id is just not known.
    assert_eq!(table.heartbeat("b", 1, START), code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.group, before);
}

#[test]
fn an_instance_id_that_nobody_has_is_unknown() {
    let mut table = Table::stable(&[new("a")]);
    let beat = table.group.heartbeat("a", Some("i"), 1, START);
    assert_eq!(code_of(beat), code::UNKNOWN_MEMBER_ID);
    let join = with_instance("i", known("a"));
    assert_eq!(table.join_code(join, START), code::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_member_is_removed_by_its_instance_id_alone() {
    let mut table = two();
    let unknown = Err(code::UNKNOWN_MEMBER_ID);
    assert_eq!(table.leave("", Some("k"), START), unknown);
    assert_eq!(table.leave("", None, START), unknown);
    assert_eq!(table.at(), (State::Stable, 1));
    assert_eq!(table.leave("", Some("j"), START), Ok("b".to_owned()));
    assert_eq!(table.at(), (State::PreparingRebalance, 1));
    assert_eq!(table.ids(), ["a"]);
}

#[test]
fn a_static_member_leaves_with_both_ids() {
    let mut table = two();
    assert_eq!(table.leave("b", Some("j"), START), Ok("b".to_owned()));
    assert_eq!(table.leave("a", None, START), Ok("a".to_owned()));
    assert_eq!(table.at(), (State::Empty, 2));
}

#[test]
fn a_static_member_that_does_not_come_back_leaves_when_its_session_ends() {
    let mut table = two();
    let end = START + SESSION;
    assert_eq!(table.heartbeat("a", 1, end - 1), 0);
    table.joined(with_instance("j", new("c")), end - 1);
    table.group.advance(end);
    assert_eq!(table.ids(), ["a", "c"]);
    table.group.advance(end + SESSION - 2);
    assert_eq!(table.at(), (State::Stable, 1));
    table.group.advance(end + SESSION - 1);
    assert_eq!(table.at(), (State::Empty, 2));
}
