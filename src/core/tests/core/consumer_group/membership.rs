//! Joining, leaving, fencing, static members, sessions.

use kafka_core::code;
use kafka_core::group::consumer::{
    Assignor, GroupState, Heartbeat, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, is_quiet, next_deadline,
    state, tick,
};

use super::{NOW, Scene, T1, join, owning, partitions, stay};

fn static_join(member_id: &str, instance_id: &str) -> Heartbeat {
    Heartbeat {
        instance_id: Some(instance_id.to_owned()),
        ..join(member_id)
    }
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut scene = Scene::new([3, 0]);
    assert_eq!(state(&scene.group), GroupState::Empty);
    let reply = scene.accept(&join("a"));
    assert_eq!(reply.member_id, "a");
    assert_eq!(reply.member_epoch, 1);
    assert_eq!(reply.heartbeat_interval_ms, 5_000);
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0, 1, 2])])));
    assert_eq!(state(&scene.group), GroupState::Stable);
}

#[test]
fn a_member_without_an_id_is_given_one_in_version_0_only() {
    let mut scene = Scene::new([3, 0]);
    let given = Heartbeat {
        new_member_id: Some("given".to_owned()),
        ..join("")
    };
    assert_eq!(scene.accept(&given).member_id, "given");
    assert_eq!(scene.refuse(&join("")), code::INVALID_REQUEST);
    let later = Heartbeat {
        new_member_id: Some("given".to_owned()),
        ..stay("", 1)
    };
    assert_eq!(scene.refuse(&later), code::INVALID_REQUEST);
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let mut scene = Scene::new([3, 0]);
    scene.accept(&join("a"));
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (
            Heartbeat {
                rebalance_timeout_ms: None,
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (
            Heartbeat {
                owned: None,
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (
            Heartbeat {
                owned: Some(partitions(&[(T1, &[0])])),
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (
            Heartbeat {
                subscribed_topics: None,
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (
            Heartbeat {
                instance_id: text(""),
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (
            Heartbeat {
                rack_id: text(" "),
                ..join("b")
            },
            code::INVALID_REQUEST,
        ),
        (stay("a", -3), code::INVALID_REQUEST),
        (stay("a", i32::MIN), code::INVALID_REQUEST),
        (stay("a", LEAVE_STATIC_EPOCH), code::INVALID_REQUEST),
        (
            Heartbeat {
                server_assignor: text("sticky"),
                ..join("b")
            },
            code::UNSUPPORTED_ASSIGNOR,
        ),
        (
            Heartbeat {
                subscribed_regex: text("a(b"),
                ..join("b")
            },
            code::INVALID_REGULAR_EXPRESSION,
        ),
        (stay("b", 1), code::UNKNOWN_MEMBER_ID),
        (stay("b", LEAVE_EPOCH), code::UNKNOWN_MEMBER_ID),
    ];
    for (request, expected) in cases {
        assert_eq!(scene.refuse(&request), expected, "{request:?}");
    }
    let mut nobody = Scene::new([3, 0]);
    assert_eq!(nobody.refuse(&stay("a", 1)), code::GROUP_ID_NOT_FOUND);
    assert_eq!(
        nobody.refuse(&stay("a", LEAVE_EPOCH)),
        code::GROUP_ID_NOT_FOUND
    );
    nobody.group.group_id.clear();
    assert_eq!(nobody.refuse(&join("a")), code::INVALID_REQUEST);
}

#[test]
fn a_full_group_takes_nobody_but_its_own() {
    let mut scene = Scene::new([3, 0]);
    scene.config.max_size = 2;
    scene.accept(&join("a"));
    scene.accept(&static_join("b", "i"));
    assert_eq!(scene.refuse(&join("c")), code::GROUP_MAX_SIZE_REACHED);
    scene.accept(&join("a"));
    let away = Heartbeat {
        instance_id: Some("i".to_owned()),
        ..stay("b", LEAVE_STATIC_EPOCH)
    };
    scene.accept(&away);
    scene.accept(&static_join("c", "i"));
    assert_eq!(scene.group.members.len(), 2);
}

#[test]
fn leaving_frees_the_partitions_for_the_next_heartbeats() {
    let mut scene = Scene::new([4, 0]);
    scene.accept(&join("a"));
    scene.accept(&join("b"));
    let reply = scene.accept(&stay("a", LEAVE_EPOCH));
    assert_eq!((reply.member_epoch, reply.assignment), (LEAVE_EPOCH, None));
    assert_eq!(state(&scene.group), GroupState::Assigning);
    let reply = scene.accept(&stay("b", 2));
    assert_eq!(reply.member_epoch, 3);
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0, 1, 2, 3])])));
    assert_eq!(scene.refuse(&stay("a", 1)), code::UNKNOWN_MEMBER_ID);

    scene.accept(&stay("b", LEAVE_EPOCH));
    assert_eq!(state(&scene.group), GroupState::Empty);
    assert_eq!(scene.group.epoch, 4);
    assert_eq!(scene.accept(&join("c")).member_epoch, 5);
}

#[test]
fn epochs_other_than_the_last_two_are_fenced() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    scene.accept(&stay("a", 1));
    scene.topics = super::topics([4, 0]);
    assert_eq!(scene.accept(&stay("a", 1)).member_epoch, 2);

    assert_eq!(scene.refuse(&stay("a", 3)), code::FENCED_MEMBER_EPOCH);
    // The previous epoch needs the owned partitions, and none that were not given.
    assert_eq!(scene.refuse(&stay("a", 1)), code::FENCED_MEMBER_EPOCH);
    let foreign = owning("a", 1, partitions(&[(T1, &[0, 9])]));
    assert_eq!(scene.refuse(&foreign), code::FENCED_MEMBER_EPOCH);
    let lost_answer = owning("a", 1, partitions(&[(T1, &[0, 1])]));
    assert_eq!(scene.accept(&lost_answer).member_epoch, 2);
    // Joining again is always possible, and is told everything.
    let reply = scene.accept(&join("a"));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0, 1, 2, 3])])));
}

#[test]
fn a_static_member_that_is_away_keeps_its_partitions_for_its_successor() {
    let mut scene = Scene::new([4, 0]);
    scene.accept(&static_join("a", "i"));
    scene.accept(&join("b"));
    scene.accept(&owning("a", 1, partitions(&[(T1, &[0, 1])])));
    let reply = scene.accept(&stay("b", 2));
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[2, 3])])));

    let static_stay = |member_id: &str, epoch| Heartbeat {
        instance_id: Some("i".to_owned()),
        ..stay(member_id, epoch)
    };
    assert_eq!(
        scene.refuse(&static_join("c", "i")),
        code::UNRELEASED_INSTANCE_ID
    );
    let reply = scene.accept(&static_stay("a", LEAVE_STATIC_EPOCH));
    assert_eq!(reply.member_epoch, LEAVE_STATIC_EPOCH);
    assert_eq!(scene.group.epoch, 2);
    assert_eq!(
        scene.refuse(&static_stay("a", 2)),
        code::FENCED_MEMBER_EPOCH
    );
    assert_eq!(state(&scene.group), GroupState::Reconciling);

    let reply = scene.accept(&static_join("c", "i"));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0, 1])])));
    assert_eq!(state(&scene.group), GroupState::Stable);
    assert_eq!(scene.refuse(&static_stay("a", 2)), code::FENCED_INSTANCE_ID);
    assert_eq!(
        scene.refuse(&static_stay("a", LEAVE_EPOCH)),
        code::FENCED_INSTANCE_ID
    );
    let other = Heartbeat {
        instance_id: Some("j".to_owned()),
        ..stay("c", 2)
    };
    assert_eq!(scene.refuse(&other), code::UNKNOWN_MEMBER_ID);
    // The id of another member cannot be taken over together with an instance id.
    scene.accept(&static_stay("c", LEAVE_STATIC_EPOCH));
    assert_eq!(scene.refuse(&static_join("b", "i")), code::INVALID_REQUEST);
}

#[test]
fn nobody_else_gets_the_partitions_of_a_static_member_that_is_away() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&static_join("a", "i"));
    scene.accept(&Heartbeat {
        instance_id: Some("i".to_owned()),
        ..stay("a", LEAVE_STATIC_EPOCH)
    });
    // Half of it is to be `b`'s, but the one who has it cannot give it up.
    assert_eq!(scene.accept(&join("b")).assignment, Some(partitions(&[])));
    assert_eq!(scene.accept(&stay("b", 2)).assignment, None);
    let reply = scene.accept(&static_join("c", "i"));
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0])])));
    let reply = scene.accept(&stay("b", 2));
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[1])])));
}

#[test]
fn a_static_member_whose_first_answer_was_lost_joins_again() {
    let mut scene = Scene::new([2, 0]);
    let first = scene.accept(&static_join("a", "i"));
    assert_eq!(scene.accept(&static_join("a", "i")), first);
}

#[test]
fn sessions_end() {
    let mut scene = Scene::new([4, 0]);
    scene.accept(&join("a"));
    scene.now = NOW + 1_000;
    scene.accept(&join("b"));
    assert_eq!(
        next_deadline(&scene.group, &scene.config),
        Some(NOW + 45_000)
    );
    let mut tick_at = |now| tick(&mut scene.group, &scene.topics, &scene.config, now);
    assert!(!tick_at(NOW + 44_999));
    assert!(tick_at(NOW + 45_000));
    assert!(!tick_at(NOW + 45_000));
    assert_eq!(scene.group.members.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(state(&scene.group), GroupState::Assigning);
    scene.now = NOW + 45_500;
    assert_eq!(scene.refuse(&stay("a", 1)), code::UNKNOWN_MEMBER_ID);
    let reply = scene.accept(&stay("b", 2));
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0, 1, 2, 3])])));
    assert!(tick(
        &mut scene.group,
        &scene.topics,
        &scene.config,
        NOW + 100_000
    ));
    assert_eq!(next_deadline(&scene.group, &scene.config), None);
    assert!(!tick(
        &mut scene.group,
        &scene.topics,
        &scene.config,
        i64::MAX
    ));
}

#[test]
fn revocation_has_a_deadline() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&Heartbeat {
        rebalance_timeout_ms: Some(10_000),
        ..join("a")
    });
    scene.accept(&join("b"));
    scene.now = NOW + 2_000;
    let reply = scene.accept(&owning("a", 1, partitions(&[(T1, &[0, 1])])));
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0])])));
    assert_eq!(
        next_deadline(&scene.group, &scene.config),
        Some(NOW + 12_000)
    );
    // Heartbeats alone do not help, nor does the same report again.
    scene.now = NOW + 11_000;
    scene.accept(&owning("a", 1, partitions(&[(T1, &[0, 1])])));
    let mut late = scene.group.clone();
    assert!(tick(&mut late, &scene.topics, &scene.config, NOW + 12_000));
    assert!(!late.members.contains_key("a"));

    for member in scene.group.members.values_mut() {
        member.outlive_restart(NOW + 50_000);
    }
    assert_eq!(
        next_deadline(&scene.group, &scene.config),
        Some(NOW + 60_000)
    );
    scene.accept(&owning("a", 1, partitions(&[(T1, &[0])])));
    assert_eq!(scene.group.members["a"].revoke_deadline, None);
    assert_eq!(scene.group.members["a"].epoch, 2);
}

#[test]
fn most_votes_decide_on_the_assignor() {
    let mut scene = Scene::new([4, 4]);
    let voting = |member_id: &str, assignor: &str| Heartbeat {
        server_assignor: Some(assignor.to_owned()),
        subscribed_topics: Some(vec!["t1".to_owned(), "t2".to_owned()]),
        ..join(member_id)
    };
    scene.accept(&voting("a", "range"));
    scene.accept(&voting("b", "range"));
    // Range gives the same partitions of both topics.
    let target = |scene: &Scene, id: &str| scene.group.members[id].target.clone();
    let range = partitions(&[(T1, &[0, 1]), (super::T2, &[0, 1])]);
    assert_eq!(target(&scene, "a"), range);
    scene.config.default_assignor = Assignor::Range;
    scene.accept(&voting("c", "uniform"));
    assert_eq!(
        target(&scene, "a"),
        partitions(&[(T1, &[0, 1]), (super::T2, &[0, 1])])
    );
    scene.accept(&voting("d", "uniform"));
    scene.accept(&voting("e", "uniform"));
    let sizes: Vec<usize> = scene
        .group
        .members
        .values()
        .map(|member| {
            member
                .target
                .values()
                .map(std::collections::BTreeSet::len)
                .sum()
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 8);
    assert!(sizes.iter().all(|size| [1, 2].contains(size)), "{sizes:?}");
}

#[test]
fn quiet_heartbeats_are_told_apart() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&static_join("a", "i"));
    let member = &scene.group.members["a"];
    let epoch = scene.group.epoch;
    let all = partitions(&[(T1, &[0, 1])]);
    let quiet = [
        stay("a", 1),
        owning("a", 1, all.clone()),
        Heartbeat {
            instance_id: Some("i".to_owned()),
            ..stay("a", 1)
        },
        Heartbeat {
            subscribed_topics: Some(vec!["t1".to_owned(); 2]),
            ..stay("a", 1)
        },
        Heartbeat {
            subscribed_regex: Some(String::new()),
            ..stay("a", 1)
        },
        Heartbeat {
            rebalance_timeout_ms: Some(60_000),
            ..stay("a", 1)
        },
    ];
    for request in quiet {
        assert!(is_quiet(member, epoch, &request), "{request:?}");
    }
    let loud = [
        join("a"),
        stay("a", 2),
        stay("a", LEAVE_EPOCH),
        stay("b", 1),
        owning("a", 1, partitions(&[(T1, &[0])])),
        owning("a", 1, partitions(&[(T1, &[0, 1, 2])])),
        owning("a", 1, partitions(&[])),
        Heartbeat {
            instance_id: Some("j".to_owned()),
            ..stay("a", 1)
        },
        Heartbeat {
            rack_id: Some("r".to_owned()),
            ..stay("a", 1)
        },
        Heartbeat {
            server_assignor: Some("range".to_owned()),
            ..stay("a", 1)
        },
        Heartbeat {
            subscribed_topics: Some(vec![]),
            ..stay("a", 1)
        },
        Heartbeat {
            subscribed_regex: Some("t.".to_owned()),
            ..stay("a", 1)
        },
        Heartbeat {
            client_host: "/10.0.0.2".to_owned(),
            ..stay("a", 1)
        },
        Heartbeat {
            member_epoch: 1,
            owned: Some(all),
            ..join("a")
        },
    ];
    for request in loud {
        assert!(!is_quiet(member, epoch, &request), "{request:?}");
    }
    assert!(!is_quiet(member, epoch + 1, &stay("a", 1)));
}
