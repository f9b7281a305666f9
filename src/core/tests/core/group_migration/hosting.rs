//! Classic members in a group that the server assigns.

use kafka_core::group::consumer::{MemberState, state};

use super::*;

/// A consumer group of one member, `c`, at epoch 1 with all of `t1`.
fn served() -> Scene {
    let mut scene = Scene::new(Group::Classic(classic::Group::new("g")));
    let reply = scene.consumer_beat(&consumer_join("c")).unwrap();
    assert_eq!(reply.assignment, Some(t1_ids(&[0, 1, 2, 3])));
    scene
}

/// `c` gives up what it is to, and is then at this epoch.
fn give_up(scene: &mut Scene, epoch: i32) {
    let kept = scene.full_beat("c", 1, &[0, 1, 2, 3]).assignment.unwrap();
    let kept: Vec<i32> = kept[&T1].iter().copied().collect();
    assert_eq!(scene.full_beat("c", 1, &kept).member_epoch, epoch);
}

#[test]
fn a_new_classic_consumer_gets_its_share_as_others_give_it_up() {
    let mut scene = served();
    let asked = scene.join(Join {
        require_member_id: true,
        ..classic_join("")
    });
    let given = JoinReply::MemberIdRequired {
        member_id: "new".to_owned(),
    };
    assert_eq!(asked.unwrap(), given);
    assert_eq!(scene.consumer_group().members.len(), 1);

    let joined = scene.joined(classic_join("new"));
    assert_eq!(joined.generation_id, 2);
    assert_eq!(scene.synced("new", 2), t1(&[]));
    // There is nothing to join for until others have given something up.
    assert_eq!(scene.beat("new", 2), 0);
    give_up(&mut scene, 2);
    assert_eq!(scene.beat("new", 2), code::REBALANCE_IN_PROGRESS);
    assert_eq!(scene.joined(classic_join("new")).generation_id, 2);
    assert_eq!(scene.synced("new", 2)["t1"].len(), 2);
    assert_eq!(scene.beat("new", 2), 0);
    assert_eq!(state(scene.consumer_group()).name(), "Stable");
}

#[test]
fn joins_that_do_not_fit_are_refused() {
    type Change = fn(&mut Join);
    let refused: [(&str, Change, i16); 6] = [
        (
            "another protocol type",
            |join| join.protocol_type = "connect".to_owned(),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "no protocol",
            |join| join.protocols.clear(),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "no protocol that all classic members have",
            |join| join.protocols = protocols(&["sticky"], &t1(&[])),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "unreadable metadata",
            |join| join.protocols[0].1.clear(),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            "a session timeout out of bounds",
            |join| join.session_timeout_ms = 60_001,
            code::INVALID_SESSION_TIMEOUT,
        ),
        (
            "an instance without a member",
            |join| join.group_instance_id = Some("i".to_owned()),
            code::UNKNOWN_MEMBER_ID,
        ),
    ];
    for (what, change, expected) in refused {
        let mut scene = served();
        scene.joined(classic_join("a"));
        let before = scene.group.clone();
        let mut join = classic_join("b");
        change(&mut join);
        assert_eq!(code_of(scene.join(join)), expected, "{what}");
        assert_eq!(scene.group, before, "{what}");
    }
    let mut scene = served();
    scene.max_size = 1;
    let full = scene.join(classic_join("b"));
    assert_eq!(code_of(full), code::GROUP_MAX_SIZE_REACHED);
}

#[test]
fn requests_are_those_of_a_classic_member_at_its_epoch() {
    let mut scene = served();
    scene.joined(classic_join("a"));
    for (id, generation, expected) in [
        ("a", 1, code::ILLEGAL_GENERATION),
        ("a", 3, code::ILLEGAL_GENERATION),
        ("c", 1, code::UNKNOWN_MEMBER_ID),
        ("nobody", 2, code::UNKNOWN_MEMBER_ID),
    ] {
        assert_eq!(scene.beat(id, generation), expected, "{id} {generation}");
        let answer = scene.sync(sync(id, generation));
        assert_eq!(code_of(answer), expected, "{id} {generation}");
    }
    for (protocol_type, protocol_name) in [("connect", "range"), ("consumer", "roundrobin")] {
        let answer = scene.sync(Sync {
            protocol_type: Some(protocol_type.to_owned()),
            protocol_name: Some(protocol_name.to_owned()),
            ..sync("a", 2)
        });
        assert_eq!(code_of(answer), code::INCONSISTENT_GROUP_PROTOCOL);
    }
    assert_eq!(scene.commit("a", 1, 0), code::ILLEGAL_GENERATION);
    assert_eq!(scene.commit("a", 2, 0), 0);
}

#[test]
fn assignments_come_in_a_version_that_the_member_can_read() {
    for version in 0..=3 {
        let mut scene = Scene::new(Group::Classic(classic_group(&[("a", &[0, 1])])));
        scene.consumer_beat(&consumer_join("c")).unwrap();
        let metadata = subscription(version, &t1(&[])).encode();
        scene.joined(Join {
            protocols: vec![("range".to_owned(), metadata)],
            ..classic_join("a")
        });
        let SyncReply::Synced { assignment } = scene.sync(sync("a", 6)).unwrap() else {
            panic!("parked");
        };
        assert_eq!(assignment[..2], version.to_be_bytes());
        let assignment = ConsumerAssignment::decode(&assignment).unwrap();
        assert_eq!(assignment.assigned_partitions, t1(&[0, 1]));
    }
}

#[test]
fn a_member_that_is_told_to_join_has_its_rebalance_timeout_to_do_so() {
    let mut scene = served();
    scene.settle("a", &[]);
    scene.consumer_beat(&consumer_join("d")).unwrap();
    let told_at = scene.now;
    assert_eq!(scene.beat("a", 2), code::REBALANCE_IN_PROGRESS);
    // Telling it again changes nothing.
    scene.now = told_at + REBALANCE - 1;
    assert_eq!(scene.beat("a", 2), code::REBALANCE_IN_PROGRESS);
    let mut in_time = Scene {
        group: scene.group.clone(),
        topics: scene.topics.clone(),
        ..scene
    };
    assert_eq!(in_time.joined(classic_join("a")).generation_id, 3);
    scene.now = told_at + REBALANCE;
    assert_eq!(scene.beat("a", 2), code::UNKNOWN_MEMBER_ID);
    let ids: Vec<&String> = scene.consumer_group().members.keys().collect();
    assert_eq!(ids, ["c", "d"]);
}

#[test]
fn a_member_that_joins_has_its_rebalance_timeout_to_sync() {
    for (syncs, expected) in [(true, 0), (false, code::UNKNOWN_MEMBER_ID)] {
        let mut scene = served();
        scene.joined(classic_join("a"));
        if syncs {
            scene.synced("a", 2);
        }
        scene.now += REBALANCE;
        assert_eq!(scene.beat("a", 2), expected);
    }
}

#[test]
fn sessions_last_as_long_as_the_member_said() {
    let mut scene = served();
    scene.joined(Join {
        session_timeout_ms: 20_000,
        ..classic_join("a")
    });
    scene.synced("a", 2);
    scene.now += 19_999;
    assert_eq!(scene.beat("a", 2), 0);
    scene.now += 19_999;
    assert_eq!(scene.beat("a", 2), 0);
    scene.now += 20_000;
    assert_eq!(scene.beat("a", 2), code::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_leaves_is_gone_and_others_get_its_partitions() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    scene.settle("a", &[]);
    assert_eq!(scene.leave("b", None), Ok("b".to_owned()));
    assert_eq!(scene.leave("b", None), Err(code::UNKNOWN_MEMBER_ID));
    assert_eq!(scene.leave("", None), Err(code::UNKNOWN_MEMBER_ID));
    assert_eq!(scene.beat("a", 6), code::REBALANCE_IN_PROGRESS);
    let (generation, mut all) = scene.settle("a", &[]);
    assert_eq!(generation, 7);
    let rest = scene.full_beat("c", 6, &[]).assignment.unwrap();
    all.extend(&rest[&T1]);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let instance = |join: Join| Join {
        group_instance_id: Some("i".to_owned()),
        ..join
    };
    let mut scene = served();
    scene.joined(instance(Join {
        new_member_id: "a".to_owned(),
        ..classic_join("")
    }));
    give_up(&mut scene, 2);
    scene.joined(instance(classic_join("a")));
    let had = scene.consumer_group().members["a"].target.clone();
    let joined = scene.joined(instance(Join {
        new_member_id: "a2".to_owned(),
        ..classic_join("")
    }));
    // Nobody else is disturbed.
    assert_eq!(joined.generation_id, 2);
    assert_eq!(scene.consumer_group().members["a2"].target, had);
    let numbers: Vec<i32> = had[&T1].iter().copied().collect();
    let sync_of = |id: &str| Sync {
        group_instance_id: Some("i".to_owned()),
        ..sync(id, 2)
    };
    let synced = scene.sync(sync_of("a2")).unwrap();
    let SyncReply::Synced { assignment } = synced else {
        panic!("parked");
    };
    let assignment = ConsumerAssignment::decode(&assignment).unwrap();
    assert_eq!(assignment.assigned_partitions, t1(&numbers));
    // Its former self is fenced.
    let fenced = code_of(scene.sync(sync_of("a")));
    assert_eq!(fenced, code::FENCED_INSTANCE_ID);
    let fenced = scene.join(instance(classic_join("a")));
    assert_eq!(code_of(fenced), code::FENCED_INSTANCE_ID);
    assert_eq!(scene.leave("", Some("i")), Ok("a2".to_owned()));
}

#[test]
fn a_classic_member_may_go_over_to_the_consumer_protocol() {
    let mut scene = Scene::classic(&[("a", &[0, 1]), ("b", &[2, 3])]);
    // Its first heartbeat upgrades the group and takes its own place in it.
    let reply = scene.consumer_beat(&consumer_join("a")).unwrap();
    assert_eq!(reply.member_epoch, 6);
    let group = scene.consumer_group();
    assert_eq!(group.members["a"].classic, None);
    assert!(group.members["b"].classic.is_some());
    assert_eq!(scene.beat("a", 6), code::UNKNOWN_MEMBER_ID);

    // In the middle of giving something up it does so by the other protocol.
    let mut scene = Scene::classic(&[("a", &[0, 1, 2, 3])]);
    scene.consumer_beat(&consumer_join("c")).unwrap();
    scene.joined(owning_join("a", &[0, 1, 2, 3]));
    let reply = scene.full_beat("a", 5, &[0, 1, 2, 3]);
    assert_eq!(reply.member_epoch, 5);
    let member = &scene.consumer_group().members["a"];
    assert_eq!(member.state, MemberState::UnrevokedPartitions);
    assert_eq!(member.revoke_deadline, Some(NOW + REBALANCE));
}

/// After the server was down nobody could join, sync or send a heartbeat.
#[test]
fn timers_are_given_anew() {
    let mut scene = served();
    scene.joined(classic_join("a"));
    let Group::Consumer(group) = &mut scene.group else {
        panic!("classic");
    };
    scene.now += 100_000;
    for member in group.members.values_mut() {
        member.outlive_restart(scene.now);
    }
    scene.now += REBALANCE - 1;
    scene.synced("a", 2);
}
