//! A classic group becomes a consumer group.

use std::collections::BTreeSet;

use kafka_core::group::consumer::{ClassicFields, MemberState, state};

use super::*;

#[test]
fn members_stay_with_what_they_have() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    let before = classic_member(&[]);
    let reply = scene.consumer_beat(&consumer_join("c")).unwrap();
    // Nothing is free yet.
    assert_eq!(reply.member_epoch, 6);
    assert_eq!(reply.assignment, Some(Partitions::new()));
    let group = scene.consumer_group();
    assert_eq!((group.epoch, group.assignment_epoch), (6, 6));
    for (id, numbers) in [("a", [0, 1]), ("b", [2, 3])] {
        let member = &group.members[id];
        let held: Vec<_> = member.assigned[&T1].clone().into_iter().collect();
        assert_eq!(held, numbers.map(|number| (number, 5)));
        assert_eq!((member.epoch, member.previous_epoch), (5, 5));
        assert_eq!(member.state, MemberState::Stable);
        assert_eq!(member.subscribed_topics, BTreeSet::from(["t1".to_owned()]));
        assert_eq!(member.rebalance_timeout_ms, before.rebalance_timeout_ms);
        let classic = ClassicFields {
            session_timeout_ms: before.session_timeout_ms,
            protocols: before.protocols.clone(),
            rejoin_deadline: None,
        };
        assert_eq!(member.classic, Some(classic));
    }
    assert_eq!(group.members["c"].classic, None);
    assert!(scene.group.is_subscribed("t1"));
}

/// Eager members own nothing when they join, so they have their share at once.
#[test]
fn eager_members_are_rebalanced_by_classic_calls() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    // Until it joins again a member goes on as it was.
    assert_eq!(scene.beat("a", 5), code::REBALANCE_IN_PROGRESS);
    assert_eq!(
        code_of(scene.sync(sync("a", 5))),
        code::REBALANCE_IN_PROGRESS
    );
    assert_eq!(scene.commit("a", 5, 0), 0);
    assert_eq!(scene.commit("a", 4, 0), code::ILLEGAL_GENERATION);

    let joined = scene.joined(classic_join("a"));
    let expected = Joined {
        member_id: "a".to_owned(),
        generation_id: 6,
        protocol_type: "consumer".to_owned(),
        protocol_name: "range".to_owned(),
        leader: String::new(),
        members: Vec::new(),
        skip_assignment: false,
    };
    assert_eq!(joined, expected);
    let first = scene.synced("a", 6)["t1"].clone();
    assert_eq!(scene.beat("a", 6), 0);
    let (generation, second) = scene.settle("b", &[]);
    assert_eq!(generation, 6);
    let third = scene.full_beat("c", 6, &[]).assignment.unwrap();
    let third: Vec<i32> = third[&T1].iter().copied().collect();
    let mut all = [first, second, third].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    assert_eq!(state(scene.consumer_group()).name(), "Stable");
}

/// Cooperative members give up what they are not given again, and then say so.
#[test]
fn cooperative_members_join_until_they_have_given_up_what_others_get() {
    let mut scene = Scene::classic(&[("a", &[0, 1, 2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    let owned = [0, 1, 2, 3];
    // Still at its epoch, but without what it is to give up.
    assert_eq!(scene.joined(owning_join("a", &owned)).generation_id, 5);
    let kept = scene.synced("a", 5)["t1"].clone();
    assert_eq!(kept.len(), 2);
    assert_eq!(scene.beat("a", 5), code::REBALANCE_IN_PROGRESS);
    assert_eq!(
        scene.full_beat("c", 6, &[]).assignment,
        Some(Partitions::new())
    );

    assert_eq!(scene.joined(owning_join("a", &kept)).generation_id, 6);
    assert_eq!(scene.synced("a", 6), t1(&kept));
    assert_eq!(scene.beat("a", 6), 0);
    let given = scene.full_beat("c", 6, &[]).assignment.unwrap();
    let mut all: Vec<i32> = given[&T1].iter().copied().chain(kept).collect();
    all.sort_unstable();
    assert_eq!(all, owned);
}

#[test]
fn a_rebalance_that_is_under_way_ends_in_the_new_group() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    let parked = scene.join(Join {
        protocols: protocols(&["range"], &t1(&[])),
        ..classic_join("b")
    });
    assert!(matches!(parked, Ok(JoinReply::Parked { .. })));
    // An id that was only handed out is no member.
    let asked = scene.join(Join {
        require_member_id: true,
        ..classic_join("")
    });
    assert!(matches!(asked, Ok(JoinReply::MemberIdRequired { .. })));

    scene.consumer_beat(&consumer_join("c")).unwrap();
    let ids: Vec<&String> = scene.consumer_group().members.keys().collect();
    assert_eq!(ids, ["a", "b", "c"]);
    // Who asks again about its join is answered at once, and so is who comes with that id.
    assert_eq!(scene.joined(classic_join("b")).generation_id, 6);
    assert_eq!(scene.joined(classic_join("new")).generation_id, 7);
}

/// A follower whose sync is on its way still has what it is to give up.
#[test]
fn what_a_cooperative_member_was_not_given_again_waits_until_it_says_so() {
    let mut group = classic_group(&[("a", &[0, 1])]);
    group.members.get_mut("a").unwrap().protocols = protocols(&["range"], &t1(&[0, 1, 2]));
    let mut scene = Scene::new(Group::Classic(group));
    let reply = scene.consumer_beat(&consumer_join("c")).unwrap();
    assert_eq!(reply.assignment, Some(t1_ids(&[3])));
    assert_eq!(scene.synced("a", 5), t1(&[0, 1]));
    assert_eq!(scene.beat("a", 5), code::REBALANCE_IN_PROGRESS);
    assert_eq!(scene.settle("a", &[0, 1]), (6, vec![0, 1]));
    let assigned = scene.full_beat("c", 6, &[3]).assignment;
    assert_eq!(assigned, Some(t1_ids(&[2, 3])));
}

#[test]
fn a_partition_that_a_leader_gave_to_two_has_one_owner() {
    let mut scene = Scene::classic(&[("a", &[0, 1, 7]), ("b", &[1, 2])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    let held = |id: &str| {
        let assigned = &scene.consumer_group().members[id].assigned;
        assigned[&T1].keys().copied().collect::<Vec<i32>>()
    };
    // Partition 7 does not exist.
    assert_eq!((held("a"), held("b")), (vec![0, 1], vec![2]));
}

#[test]
fn members_that_never_synced_and_assignors_with_data_of_their_own_are_taken_over() {
    let mut group = classic_group(&[("a", &[])]);
    let member = group.members.get_mut("a").unwrap();
    member.assignment.clear();
    let metadata = ConsumerSubscription {
        user_data: Some(&[1, 2]),
        rack_id: Some("rack".to_owned()),
        ..subscription(3, &t1(&[]))
    };
    member.protocols = vec![("range".to_owned(), metadata.encode())];
    let mut scene = Scene::new(Group::Classic(group));
    let reply = scene.consumer_beat(&consumer_join("c")).unwrap();
    assert_eq!(reply.member_epoch, 6);
    let member = &scene.consumer_group().members["a"];
    assert_eq!(member.rack_id.as_deref(), Some("rack"));
    assert!(member.assigned.is_empty());
}

#[test]
fn what_cannot_be_taken_over_stays_classic() {
    type Change = fn(&mut classic::Group);
    let changes: [(&str, Change); 4] = [
        ("another protocol type", |group| {
            group.protocol_type = Some("connect".to_owned());
        }),
        ("unreadable metadata", |group| {
            let member = group.members.get_mut("a").unwrap();
            member.protocols[0].1 = b"\0".to_vec();
        }),
        ("an unreadable assignment", |group| {
            group.members.get_mut("a").unwrap().assignment = b"\0".to_vec();
        }),
        ("an assignor with data of its own", |group| {
            let assignment = ConsumerAssignment {
                version: 0,
                assigned_partitions: t1(&[0]),
                user_data: Some(&[1]),
            };
            group.members.get_mut("a").unwrap().assignment = assignment.encode();
        }),
    ];
    for (what, change) in changes {
        let mut group = classic_group(&[("a", &[0]), ("b", &[1])]);
        change(&mut group);
        let before = Group::Classic(group);
        let mut scene = Scene::new(before.clone());
        let answer = scene.consumer_beat(&consumer_join("c"));
        assert_eq!(code_of(answer), code::GROUP_ID_NOT_FOUND, "{what}");
        assert_eq!(scene.group, before, "{what}");
    }
}

#[test]
fn a_classic_group_is_one_until_a_consumer_has_joined_it() {
    let refused: [(Heartbeat, i32, i16); 4] = [
        // No member of it yet.
        (
            Heartbeat {
                member_epoch: 5,
                ..consumer_join("c")
            },
            100,
            code::GROUP_ID_NOT_FOUND,
        ),
        (consumer_leave("a"), 100, code::GROUP_ID_NOT_FOUND),
        // Too many, and no room for one more.
        (consumer_join("c"), 1, code::GROUP_ID_NOT_FOUND),
        (consumer_join("c"), 2, code::GROUP_MAX_SIZE_REACHED),
    ];
    for (request, max_size, expected) in refused {
        let mut scene = Scene::classic(&[("a", &[0]), ("b", &[1])]);
        scene.max_size = max_size;
        let before = scene.group.clone();
        assert_eq!(code_of(scene.consumer_beat(&request)), expected);
        assert_eq!(scene.group, before);
    }
}
