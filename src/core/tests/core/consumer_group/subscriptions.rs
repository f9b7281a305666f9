//! What raises the group epoch, and regular expressions.

use kafka_core::KafkaError;
use kafka_core::group::Topic;
use kafka_core::group::consumer::{GroupState, Heartbeat, state, tick};

use super::{Scene, T1, T2, join, partitions, stay, topics};

fn by_regex(member_id: &str, regex: &str) -> Heartbeat {
    Heartbeat {
        subscribed_topics: None,
        subscribed_regex: Some(regex.to_owned()),
        ..join(member_id)
    }
}

#[test]
fn changed_subscriptions_raise_the_epoch_and_others_do_not() {
    let mut scene = Scene::new([2, 2]);
    let names = |names: &[&str], epoch| Heartbeat {
        subscribed_topics: Some(names.iter().map(|&n| n.to_owned()).collect()),
        ..stay("a", epoch)
    };
    scene.accept(&join("a"));
    scene.accept(&names(&["t1", "t1"], 1));
    assert_eq!(scene.group.epoch, 1);
    scene.accept(&Heartbeat {
        rack_id: Some("r".to_owned()),
        rebalance_timeout_ms: Some(1),
        server_assignor: Some("range".to_owned()),
        ..stay("a", 1)
    });
    assert_eq!(scene.group.epoch, 1);
    let reply = scene.accept(&names(&["t2", "t1"], 1));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(
        reply.assignment,
        Some(partitions(&[(T1, &[0, 1]), (T2, &[0, 1])]))
    );
    scene.accept(&names(&["t1", "t2"], 2));
    assert_eq!(scene.group.epoch, 2);
    assert_eq!(scene.accept(&stay("a", 2)).assignment, None);
}

#[test]
fn a_member_that_subscribes_to_nothing_disturbs_nobody() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    let reply = scene.accept(&Heartbeat {
        subscribed_topics: Some(vec![]),
        ..join("b")
    });
    assert_eq!(reply.member_epoch, 1);
    assert_eq!(reply.assignment, Some(partitions(&[])));
    assert_eq!(state(&scene.group), GroupState::Stable);
}

#[test]
fn topics_that_appear_grow_and_go_are_noticed() {
    let mut scene = Scene::new([2, 0]);
    scene.topics.clear();
    assert_eq!(scene.accept(&join("a")).assignment, Some(partitions(&[])));
    let mut epoch = 1;
    for (now_there, expected) in [
        (topics([2, 0]), partitions(&[(T1, &[0, 1])])),
        (topics([3, 0]), partitions(&[(T1, &[0, 1, 2])])),
        // Only `t1` counts.
        (topics([3, 7]), partitions(&[(T1, &[0, 1, 2])])),
    ] {
        scene.topics = now_there;
        let changed = tick(&mut scene.group, &scene.topics, &scene.config, scene.now);
        let reply = scene.accept(&stay("a", epoch));
        assert_eq!(changed, reply.member_epoch > epoch);
        assert_eq!(changed, reply.assignment.is_some());
        epoch = reply.member_epoch;
        assert_eq!(
            scene
                .accept(&Heartbeat {
                    owned: Some(expected.clone()),
                    member_epoch: epoch,
                    ..join("a")
                })
                .assignment,
            Some(expected)
        );
    }
    // Deleted and made again: other partitions, whatever their numbers.
    let t3 = [3; 16];
    scene.topics.insert(
        "t1".to_owned(),
        Topic {
            id: t3,
            partitions: 1,
        },
    );
    let reply = scene.accept(&super::owning("a", epoch, partitions(&[(T1, &[0, 1, 2])])));
    assert_eq!(reply.assignment, Some(partitions(&[])));
    let reply = scene.accept(&super::owning("a", epoch, partitions(&[])));
    assert_eq!(reply.assignment, Some(partitions(&[(t3, &[0])])));
}

#[test]
fn expressions_and_names_add_up() {
    let mut scene = Scene::new([1, 1]);
    let reply = scene.accept(&by_regex("a", "t[2-9]"));
    assert_eq!(reply.assignment, Some(partitions(&[(T2, &[0])])));
    let both = Heartbeat {
        subscribed_topics: Some(vec!["t1".to_owned()]),
        ..stay("a", 1)
    };
    let reply = scene.accept(&both);
    assert_eq!(
        reply.assignment,
        Some(partitions(&[(T1, &[0]), (T2, &[0])]))
    );
    let names_only = Heartbeat {
        subscribed_regex: Some(String::new()),
        owned: Some(partitions(&[(T1, &[0])])),
        ..stay("a", 2)
    };
    let reply = scene.accept(&names_only);
    assert_eq!(reply.member_epoch, 3);
    assert_eq!(reply.assignment, Some(partitions(&[(T1, &[0])])));
    assert_eq!(scene.group.members["a"].subscribed_regex, None);
}

/// Expressions that are taken otherwise than in Kafka, and how. None of them helps to
/// name topics: braces that are no repetition are refused, so are octal numbers,
/// repetitions of repetitions are accepted.
#[rustfmt::skip]
const DIFFERENT: [(&str, &str); 9] = [
    ("{", "invalid"), ("t{", "invalid"), ("t{,2}", "invalid"),
    ("\\141", "invalid"), ("\\0", "invalid"),
    ("t{1001}", "none"), ("t**", "none"), ("t++", "none"), ("t*+", "none"),
];

/// Each line of the table: an expression, a topic, and what RE2/J 1.8 says, which Kafka
/// resolves subscriptions with.
#[test]
fn expressions_match_as_kafkas() {
    let mut lines = 0;
    for line in include_str!("../golden/java_regexes.txt").lines() {
        lines += 1;
        let tokens: Vec<_> = line.split(' ').collect();
        let mut scene = Scene::new([1, 0]);
        let topic = Topic {
            id: T1,
            partitions: 1,
        };
        scene.topics = [(tokens[1].to_owned(), topic)].into();
        let answer = match scene.send(&by_regex("a", tokens[0])) {
            Ok(reply) if reply.assignment == Some(partitions(&[(T1, &[0])])) => "match",
            Ok(_) => "none",
            Err(KafkaError::InvalidRegularExpression { .. }) => "invalid",
            Err(error) => panic!("{error}"),
        };
        let differs = DIFFERENT.contains(&(tokens[0], answer));
        assert_eq!(answer != tokens[2], differs, "{line}: {answer}");
    }
    assert_eq!(lines, 708);
}

#[test]
fn expressions_are_bounded() {
    let mut scene = Scene::new([1, 1]);
    for regex in [
        "(".repeat(100_000),
        format!("{}{}", "(".repeat(5_000), ")".repeat(5_000)),
        "a{1000}{1000}".to_owned(),
        "((((a{100}){100}){100}){100})".to_owned(),
        r"\pL{1000}{1000}".to_owned(),
        "x".repeat(70_000),
        "a)|(b".to_owned(),
        "\\".to_owned(),
    ] {
        let error = scene.send(&by_regex("a", &regex)).unwrap_err();
        assert!(matches!(error, KafkaError::InvalidRegularExpression { .. }));
    }
    // As many characters as a topic name can have.
    let reply = scene.accept(&by_regex("a", r"[\w.-]{1,249}"));
    assert_eq!(reply.assignment.unwrap().len(), 2);
}
