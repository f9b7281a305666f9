//! Who may commit and fetch offsets.

use kafka_core::code;
use kafka_core::group::consumer::{
    ClassicFields, is_subscribed, validate_offset_commit, validate_offset_fetch,
};

use super::{Scene, T1, T2, join, owning, partitions, stay, topics};

#[test]
fn commits_need_an_epoch_since_which_the_partition_was_held() {
    let mut scene = Scene::new([2, 0]);
    validate_offset_commit(&scene.group, "", -1, &T1, 0).unwrap();
    scene.accept(&join("a"));
    scene.topics = topics([3, 0]);
    scene.accept(&stay("a", 1));
    // `a` has partitions 0 and 1 since epoch 1, and 2 since epoch 2.
    let commit = |member_id: &str, epoch, topic, partition| {
        validate_offset_commit(&scene.group, member_id, epoch, topic, partition)
            .map_err(|error| error.code())
    };
    assert_eq!(commit("a", 2, &T1, 2), Ok(()));
    assert_eq!(commit("a", 1, &T1, 0), Ok(()));
    assert_eq!(commit("a", 1, &T1, 2), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(commit("a", 0, &T1, 0), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(commit("a", 3, &T1, 0), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(commit("a", 1, &T2, 0), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(commit("a", -1, &T1, 0), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(commit("", -1, &T1, 0), Err(code::UNKNOWN_MEMBER_ID));
    assert_eq!(commit("b", 2, &T1, 0), Err(code::UNKNOWN_MEMBER_ID));
}

#[test]
fn what_is_yet_to_be_revoked_can_be_committed() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    scene.accept(&join("b"));
    scene.accept(&owning("a", 1, partitions(&[(T1, &[0, 1])])));
    assert!(!scene.group.members["a"].pending_revocation.is_empty());
    validate_offset_commit(&scene.group, "a", 1, &T1, 1).unwrap();
    scene.accept(&owning("a", 1, partitions(&[(T1, &[0])])));
    let error = validate_offset_commit(&scene.group, "a", 1, &T1, 1).unwrap_err();
    assert_eq!(error.code(), code::STALE_MEMBER_EPOCH);
}

#[test]
fn fetches_need_the_current_epoch_or_no_member_at_all() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    let fetch = |member_id, epoch| {
        validate_offset_fetch(&scene.group, member_id, epoch).map_err(|error| error.code())
    };
    assert_eq!(fetch(None, -1), Ok(()));
    assert_eq!(fetch(Some("a"), 1), Ok(()));
    assert_eq!(fetch(Some("a"), 0), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(fetch(Some("a"), -1), Err(code::STALE_MEMBER_EPOCH));
    assert_eq!(fetch(Some("b"), 1), Err(code::UNKNOWN_MEMBER_ID));
    assert_eq!(fetch(None, 0), Err(code::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_member_of_the_classic_protocol_is_told_so_in_its_own_words() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    let member = scene.group.members.get_mut("a").unwrap();
    member.classic = Some(ClassicFields::default());
    let error = validate_offset_fetch(&scene.group, Some("a"), 7).unwrap_err();
    assert_eq!(error.code(), code::ILLEGAL_GENERATION);
    let error = validate_offset_commit(&scene.group, "a", 7, &T1, 0).unwrap_err();
    assert_eq!(error.code(), code::ILLEGAL_GENERATION);
}

#[test]
fn subscribed_topics_are_known_by_name_and_expression() {
    let mut scene = Scene::new([2, 2]);
    scene.accept(&join("a"));
    scene.accept(&kafka_core::group::consumer::Heartbeat {
        subscribed_topics: None,
        subscribed_regex: Some("log[.].*".to_owned()),
        ..join("b")
    });
    for (topic, expected) in [
        ("t1", true),
        ("t2", false),
        ("log.x", true),
        ("xlog.x", false),
    ] {
        assert_eq!(is_subscribed(&scene.group, topic), expected, "{topic}");
    }
}
