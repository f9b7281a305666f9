//! A consumer group becomes classic again.

use super::*;

/// Classic members `a` and `b` at epoch 6, and `c`, which speaks the consumer protocol and
/// is static: instance `i`.
fn mixed() -> Scene {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    let request = Heartbeat {
        instance_id: Some("i".to_owned()),
        ..consumer_join("c")
    };
    scene.consumer_beat(&request).unwrap();
    scene.settle("a", &[]);
    scene.settle("b", &[]);
    let beat = Heartbeat {
        member_epoch: 6,
        ..request
    };
    scene.consumer_beat(&beat).unwrap();
    assert_eq!(scene.group.state_name(), "Stable");
    scene
}

/// The group is classic, and its members are asked to join.
fn assert_rebalances(scene: &mut Scene, generation: i32) {
    let group = scene.classic_group();
    assert_eq!(group.state, State::PreparingRebalance);
    assert_eq!(group.generation_id, generation);
    assert_eq!(group.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(group.protocol_name.as_deref(), Some("range"));
    let phases: Vec<_> = group.members.values().map(|member| member.phase).collect();
    assert_eq!(phases, [Phase::Waiting, Phase::Waiting]);
    for id in ["a", "b"] {
        assert_eq!(scene.beat(id, generation), code::REBALANCE_IN_PROGRESS);
    }
}

#[test]
fn when_the_last_consumer_leaves_the_rest_rebalances() {
    let mut scene = mixed();
    let held = scene.consumer_group().members["a"].assigned.clone();
    let leave = Heartbeat {
        instance_id: Some("i".to_owned()),
        ..consumer_leave("c")
    };
    assert_eq!(scene.consumer_beat(&leave).unwrap().member_epoch, -1);
    // Generation 6 goes on to its end: nobody is thrown out.
    assert_rebalances(&mut scene, 6);
    assert_eq!(scene.commit("a", 6, 0), 0);
    let assigned = classic::assigned(&scene.classic_group().members["a"].assignment).unwrap();
    let expected: Vec<_> = held[&T1].keys().map(|n| ("t1".to_owned(), *n)).collect();
    assert_eq!(assigned, expected);

    // An ordinary round of the classic protocol follows.
    assert!(matches!(
        scene.join(classic_join("b")),
        Ok(JoinReply::Parked { .. })
    ));
    let leader = scene.joined(classic_join("a"));
    assert_eq!((leader.generation_id, leader.leader.as_str()), (7, "a"));
    assert_eq!(leader.members.len(), 2);
    let share = |id: &str, numbers: &[i32]| (id.to_owned(), assignment(&t1(numbers)));
    let led = Sync {
        assignments: vec![share("a", &[0, 1]), share("b", &[2, 3])],
        ..sync("a", 7)
    };
    scene.sync(led).unwrap();
    assert_eq!(scene.joined(classic_join("b")).generation_id, 7);
    assert_eq!(scene.synced("b", 7), t1(&[2, 3]));
}

#[test]
fn when_the_last_consumer_is_fenced_or_put_out_the_rest_rebalances() {
    let mut scene = mixed();
    assert_eq!(scene.leave("", Some("i")), Ok("c".to_owned()));
    assert_rebalances(&mut scene, 6);

    let mut scene = mixed();
    // The consumer's session is longer than that of the others, which are alive.
    for _ in 0..2 {
        scene.now += SESSION - 1;
        scene.beat("a", 6);
        scene.beat("b", 6);
    }
    assert_rebalances(&mut scene, 6);
    let late = Heartbeat {
        member_epoch: 6,
        instance_id: Some("i".to_owned()),
        ..consumer_join("c")
    };
    let answer = code_of(scene.consumer_beat(&late));
    assert_eq!(answer, code::GROUP_ID_NOT_FOUND);
}

#[test]
fn members_that_are_not_so_far_have_to_join_anew() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    scene.consumer_beat(&consumer_leave("c")).unwrap();
    let group = scene.classic_group();
    assert_eq!(
        (group.state, group.generation_id),
        (State::PreparingRebalance, 6)
    );
    assert_eq!(scene.beat("a", 5), code::ILLEGAL_GENERATION);
    assert!(matches!(
        scene.join(classic_join("a")),
        Ok(JoinReply::Parked { .. })
    ));
    assert_eq!(scene.joined(classic_join("b")).generation_id, 7);
}

/// What a member has yet to give up it still holds.
#[test]
fn a_group_that_goes_there_and_back_again_forgets_no_partition() {
    let mut scene = Scene::classic(&[("a", &[0, 1, 2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    scene.joined(owning_join("a", &[0, 1, 2, 3]));
    scene.consumer_beat(&consumer_leave("c")).unwrap();
    scene.consumer_beat(&consumer_join("d")).unwrap();
    let held = &scene.consumer_group().members["a"].assigned[&T1];
    assert_eq!(held.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(scene.consumer_group().members["d"].assigned.is_empty());
}

#[test]
fn a_group_with_other_consumers_or_nobody_is_no_classic_one() {
    let mut scene = mixed();
    scene.consumer_beat(&consumer_join("d")).unwrap();
    scene.leave("", Some("i")).unwrap();
    assert_eq!(scene.consumer_group().members.len(), 3);
    // Its member stays away for a while only.
    let mut scene = mixed();
    let away = Heartbeat {
        member_epoch: consumer::LEAVE_STATIC_EPOCH,
        instance_id: Some("i".to_owned()),
        ..consumer_leave("c")
    };
    scene.consumer_beat(&away).unwrap();
    assert_eq!(scene.consumer_group().members.len(), 3);
    // More members than a classic group may have.
    let mut scene = mixed();
    scene.max_size = 1;
    scene.leave("", Some("i")).unwrap();
    assert_eq!(scene.consumer_group().members.len(), 2);

    let mut scene = Scene::new(Group::Classic(classic::Group::new("g")));
    scene.consumer_beat(&consumer_join("c")).unwrap();
    scene.consumer_beat(&consumer_leave("c")).unwrap();
    assert!(scene.consumer_group().members.is_empty());
    assert_eq!(scene.joined(classic_join("")).generation_id, 1);
    assert_eq!(scene.classic_group().members.len(), 1);
}

fn back(topics: &[&str]) -> Join {
    let metadata = ConsumerSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..subscription(3, &t1(&[]))
    };
    Join {
        group_instance_id: Some("i".to_owned()),
        protocols: vec![("range".to_owned(), metadata.encode())],
        ..classic_join("")
    }
}

#[test]
fn a_static_consumer_that_comes_back_classic_disturbs_nobody() {
    let mut scene = mixed();
    let had = scene.consumer_group().members["c"].target.clone();
    let numbers: Vec<i32> = had[&T1].iter().copied().collect();
    let joined = scene.joined(Join {
        supports_skipping_assignment: true,
        ..back(&["t1"])
    });
    assert_eq!(
        (joined.member_id.as_str(), joined.generation_id),
        ("new", 6)
    );
    // The others cannot be told that they lead, and a leader watches the topics (KIP-814).
    assert_eq!(
        (joined.leader.as_str(), joined.skip_assignment),
        ("new", true)
    );
    let group = scene.classic_group();
    assert_eq!(group.state, State::Stable);
    let ids: Vec<&String> = group.members.keys().collect();
    assert_eq!(ids, ["a", "b", "new"]);
    assert_eq!(scene.synced("new", 6), t1(&numbers));
    assert_eq!(scene.beat("a", 6), 0);
    assert_eq!(scene.beat("c", 6), code::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_consumer_that_comes_back_otherwise_begins_a_rebalance() {
    let mut scene = mixed();
    let reply = scene.join(back(&["t1", "t2"])).unwrap();
    assert!(matches!(reply, JoinReply::Parked { .. }));
    assert_eq!(scene.beat("a", 6), code::REBALANCE_IN_PROGRESS);

    // Others have yet to take their part of what it gave up.
    let mut scene = mixed();
    scene.consumer_beat(&consumer_join("d")).unwrap();
    scene.consumer_beat(&consumer_leave("d")).unwrap();
    let reply = scene.join(back(&["t1"])).unwrap();
    assert!(matches!(reply, JoinReply::Parked { .. }));

    // A join that is refused leaves everything as it was.
    let mut scene = mixed();
    let before = scene.group.clone();
    let refused = scene.join(Join {
        session_timeout_ms: 1,
        ..back(&["t1"])
    });
    assert_eq!(code_of(refused), code::INVALID_SESSION_TIMEOUT);
    assert_eq!(scene.group, before);
}
