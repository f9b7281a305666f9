//! One member's way to its target.

use kafka_core::group::consumer::{
    Assigned, ConsumerGroup, GroupState, Heartbeat, Member, MemberState, state, tick,
};
use kafka_core::group::{Partitions, TopicId};

use super::{NOW, Scene, T1, T2, join, owning, partitions, stay};

/// Partitions 0 to 3 of `t1` are bits 0 to 3, those of `t2` bits 4 to 7.
fn place(bit: i32) -> (TopicId, i32) {
    (if bit < 4 { T1 } else { T2 }, bit % 4)
}

fn from_bits(bits: &str) -> Partitions {
    let bits: i32 = bits.parse().unwrap();
    let mut all = Partitions::new();
    for (topic, partition) in (0..8).filter(|bit| bits >> bit & 1 == 1).map(place) {
        all.entry(topic).or_default().insert(partition);
    }
    all
}

fn with_epochs(list: &str) -> Assigned {
    let mut all = Assigned::new();
    for entry in list.split(',').filter(|entry| *entry != "-") {
        let (bit, epoch) = entry.split_once('@').unwrap();
        let (topic, partition) = place(bit.parse().unwrap());
        let epochs = all.entry(topic).or_default();
        epochs.insert(partition, epoch.parse().unwrap());
    }
    all
}

fn held(bits: &str) -> Assigned {
    from_bits(bits)
        .into_iter()
        .map(|(topic, numbers)| (topic, numbers.into_iter().map(|n| (n, 1)).collect()))
        .collect()
}

/// A group at the table's target epoch, of the member `a` and of one that holds the rest.
fn group_of(member: Member, target_epoch: i32, held_by_other: &str) -> ConsumerGroup {
    let other = Member {
        member_id: "b".to_owned(),
        epoch: target_epoch,
        assigned: held(held_by_other),
        heartbeat_at: NOW,
        ..Member::default()
    };
    let mut group = ConsumerGroup::new("g");
    group.members = [member, other]
        .map(|member| (member.member_id.clone(), member))
        .into();
    // The table's topics are no news to the group.
    let scene = Scene::new([4, 4]);
    let mut looked = group.clone();
    tick(&mut looked, &scene.topics, &scene.config, NOW);
    group.metadata_hash = looked.metadata_hash;
    group.epoch = target_epoch;
    group.assignment_epoch = target_epoch;
    group
}

/// Each line of the table: a member's state, epoch, assigned partitions and those to be
/// revoked; its target and the target's epoch; what another member holds; what the client
/// reports; its topics. Then what Kafka's `CurrentAssignmentBuilder` makes of it: state,
/// epoch, previous epoch, assigned partitions, those to be revoked.
#[test]
fn transitions_are_kafkas() {
    let mut lines = 0;
    for line in include_str!("../golden/java_reconciliations.txt").lines() {
        lines += 1;
        let tokens: Vec<_> = line.split(' ').collect();
        let epoch: i32 = tokens[1].parse().unwrap();
        let template = join("a");
        let member = Member {
            member_id: "a".to_owned(),
            client_id: template.client_id,
            client_host: template.client_host,
            epoch,
            previous_epoch: epoch - 1,
            state: MemberState::parse(tokens[0]).unwrap(),
            rebalance_timeout_ms: 60_000,
            subscribed_topics: tokens[8].split(',').map(ToOwned::to_owned).collect(),
            assigned: with_epochs(tokens[2]),
            pending_revocation: with_epochs(tokens[3]),
            target: from_bits(tokens[4]),
            heartbeat_at: NOW,
            ..Member::default()
        };
        let mut scene = Scene::new([4, 4]);
        scene.group = group_of(member.clone(), tokens[5].parse().unwrap(), tokens[6]);
        let request = Heartbeat {
            owned: (tokens[7] != "-").then(|| from_bits(tokens[7])),
            ..stay("a", epoch)
        };
        let reply = scene.accept(&request);

        let after = &scene.group.members["a"];
        assert_eq!(after.state.name(), tokens[9], "{line}");
        assert_eq!(after.epoch, tokens[10].parse().unwrap(), "{line}");
        assert_eq!(after.previous_epoch, tokens[11].parse().unwrap(), "{line}");
        assert_eq!(after.assigned, with_epochs(tokens[12]), "{line}");
        assert_eq!(after.pending_revocation, with_epochs(tokens[13]), "{line}");
        assert_eq!(reply.member_epoch, after.epoch, "{line}");
        assert_eq!(
            reply.assignment.is_some(),
            after.assigned != member.assigned,
            "{line}"
        );
        let revokes = after.state == MemberState::UnrevokedPartitions;
        let changed = *after != member;
        assert_eq!(
            after.revoke_deadline,
            (revokes && changed).then_some(NOW + 60_000),
            "{line}"
        );
    }
    assert_eq!(lines, 800);
}

#[test]
fn a_partition_changes_hands_only_when_it_was_given_up() {
    let mut scene = Scene::new([2, 0]);
    scene.accept(&join("a"));
    let both = partitions(&[(T1, &[0, 1])]);
    let first = partitions(&[(T1, &[0])]);
    let second = partitions(&[(T1, &[1])]);

    let reply = scene.accept(&join("b"));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(reply.assignment, Some(partitions(&[])));
    assert_eq!(state(&scene.group), GroupState::Reconciling);
    // `a` stays at its epoch as long as it does not say that it has given up 1.
    for request in [
        owning("a", 1, both.clone()),
        stay("a", 1),
        owning("a", 1, both),
    ] {
        assert_eq!(scene.accept(&request).member_epoch, 1);
        assert_eq!(scene.accept(&stay("b", 2)).assignment, None);
    }
    let reply = scene.accept(&owning("a", 1, first.clone()));
    assert_eq!((reply.member_epoch, reply.assignment), (2, None));
    let reply = scene.accept(&stay("b", 2));
    assert_eq!((reply.member_epoch, reply.assignment), (2, Some(second)));
    assert_eq!(state(&scene.group), GroupState::Stable);
    assert_eq!(scene.accept(&stay("a", 2)).assignment, None);
    // A full request is always answered in full.
    let full = Heartbeat {
        member_epoch: 2,
        owned: Some(first.clone()),
        ..join("a")
    };
    assert_eq!(scene.accept(&full).assignment, Some(first));
}
