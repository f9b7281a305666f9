//! What the assignors promise, for any group.

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::assign::{Assignor, Subscription, assign};
use kafka_core::consumer_protocol::TopicPartitions;
use proptest::prelude::*;

use super::{
    STICKY, Topics, check_balanced, check_sound, check_total, flat, holders, load, member, moved,
    owners, settle, subscribed,
};
use crate::consumer_protocol::names;

const TOPICS: [&str; 5] = ["a", "b", "c", "d", "gone"];

fn any_topics() -> impl Strategy<Value = Topics> {
    proptest::collection::vec(0..9, 4).prop_map(|counts| {
        let counts = TOPICS.into_iter().zip(counts);
        counts.map(|(name, n)| (name.to_owned(), n)).collect()
    })
}

fn any_owned() -> impl Strategy<Value = TopicPartitions> {
    let topic = proptest::sample::select(&TOPICS[..]).prop_map(str::to_owned);
    proptest::collection::btree_map(topic, proptest::collection::vec(-1..10, 0..6), 0..4)
}

/// Members with any subscriptions and any claims.
fn any_members() -> impl Strategy<Value = Vec<Subscription>> {
    let topics = proptest::sample::subsequence(&TOPICS[..], 0..=5);
    let instance = proptest::option::of(Just(()));
    let fields = (topics, instance, any_owned(), -1..4);
    proptest::collection::vec(fields, 1..9).prop_map(|members| {
        let members = members.into_iter().enumerate();
        members
            .map(|(i, (topics, instance, owned, generation))| Subscription {
                group_instance_id: instance.map(|()| format!("i{}", 9 - i)),
                topics: topics.into_iter().map(str::to_owned).collect(),
                owned,
                generation,
                ..member(&format!("m{i}"), "-")
            })
            .collect()
    })
}

/// Members that all subscribe to the same and own what they were assigned.
fn settled_members(assignor: Assignor, count: usize, topics: &Topics) -> Vec<Subscription> {
    let mut members: Vec<_> = (0..count)
        .map(|i| member(&format!("m{i}"), "a,b,c,d"))
        .collect();
    let assigned = assign(assignor, &members, topics);
    settle(&mut members, &assigned, 1);
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn assignments_are_total_and_disjoint(members in any_members(), topics in any_topics()) {
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky] {
            check_total(&members, &topics, &assign(assignor, &members, &topics));
        }
        let assigned = assign(Assignor::CooperativeSticky, &members, &topics);
        check_sound(&members, &topics, &assigned);
    }

    #[test]
    fn equal_subscriptions_are_assigned_evenly(
        mut members in any_members(),
        topics in any_topics(),
    ) {
        for member in &mut members {
            member.topics = names("d,b,a,c");
        }
        for assignor in [Assignor::RoundRobin, Assignor::Sticky] {
            let assigned = assign(assignor, &members, &topics);
            let loads: Vec<_> = assigned.keys().map(|m| load(&assigned, m)).collect();
            let most = loads.iter().max().unwrap_or(&0);
            let fewest = loads.iter().min().unwrap_or(&0);
            prop_assert!(most - fewest <= 1, "{:?}", assigned);
        }
        let assigned = assign(Assignor::Range, &members, &topics);
        for topic in topics.keys() {
            let share = |m: &TopicPartitions| m.get(topic).map_or(0, Vec::len);
            let shares: BTreeSet<_> = assigned.values().map(share).collect();
            prop_assert!(shares.is_empty() || shares.last().unwrap() - shares.first().unwrap() <= 1);
        }
    }

    #[test]
    fn sticky_is_balanced_whatever_the_subscriptions(
        members in any_members(),
        topics in any_topics(),
    ) {
        check_balanced(&members, &assign(Assignor::Sticky, &members, &topics));
    }

    #[test]
    fn sticky_gives_nobody_another_partition_of_a_topic_for_one_it_had(
        members in any_members(),
        topics in any_topics(),
    ) {
        let owners = owners(&members);
        let holders = holders(&assign(Assignor::Sticky, &members, &topics));
        let lost: BTreeSet<_> = holders
            .iter()
            .filter_map(|(partition, holder)| {
                let owner = owners.get(partition).filter(|owner| *owner != holder)?;
                Some((owner, &partition.0))
            })
            .collect();
        for (partition, holder) in &holders {
            let is_new = owners.get(partition) != Some(holder);
            prop_assert!(!is_new || !lost.contains(&(holder, &partition.0)));
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(members in any_members(), topics in any_topics()) {
        let reversed: Vec<_> = members.iter().rev().cloned().collect();
        for assignor in Assignor::ALL {
            let assigned = assign(assignor, &members, &topics);
            prop_assert_eq!(assigned, assign(assignor, &reversed, &topics));
        }
    }

    #[test]
    fn the_same_members_keep_what_they_have(
        mut members in any_members(),
        topics in any_topics(),
    ) {
        for assignor in STICKY {
            let assigned = assign(Assignor::Sticky, &members, &topics);
            settle(&mut members, &assigned, 5);
            prop_assert_eq!(assign(assignor, &members, &topics), assigned);
        }
    }

    #[test]
    fn when_one_leaves_the_others_keep_all(
        count in 2..8usize,
        leaver in any::<prop::sample::Index>(),
        topics in any_topics(),
    ) {
        for assignor in STICKY {
            let mut members = settled_members(assignor, count, &topics);
            members.remove(leaver.index(count));
            let assigned = assign(assignor, &members, &topics);
            check_total(&members, &topics, &assigned);
            prop_assert_eq!(moved(&members, &topics, &assigned), 0);
        }
    }

    #[test]
    fn when_one_joins_only_its_share_moves(
        count in 1..8usize,
        id in proptest::sample::select(&["a", "m", "z"][..]),
        topics in any_topics(),
    ) {
        for assignor in STICKY {
            let mut members = settled_members(assignor, count, &topics);
            members.push(member(id, "a,b,c,d"));
            let share = topics.values().sum::<i32>() as usize / (count + 1);
            let assigned = assign(assignor, &members, &topics);
            prop_assert_eq!(moved(&members, &topics, &assigned), share);
            let gets = if assignor == Assignor::Sticky { share } else { 0 };
            prop_assert_eq!(load(&assigned, id), gets);
        }
    }

    /// With equal subscriptions nobody can do better than to fill everyone from what
    /// they own, and let as many as balance allows have one more.
    #[test]
    fn with_equal_subscriptions_no_more_moves_than_balance_needs(
        mut members in any_members(),
        topics in any_topics(),
    ) {
        for member in &mut members {
            member.topics = names("a,b,c,d");
        }
        let existing = subscribed(&members, &topics);
        let mut owned: BTreeMap<_, usize> = BTreeMap::new();
        for (partition, owner) in owners(&members) {
            if existing.contains(&partition) {
                *owned.entry(owner).or_default() += 1;
            }
        }
        let fair = existing.len() / members.len();
        let extra = existing.len() % members.len();
        let kept: usize = owned.values().map(|&n| n.min(fair)).sum();
        let kept = kept + owned.values().filter(|&&n| n > fair).count().min(extra);
        let assigned = assign(Assignor::Sticky, &members, &topics);
        let total: usize = owned.values().sum();
        prop_assert_eq!(moved(&members, &topics, &assigned), total - kept);
    }

    /// Nobody gets what another may still have.
    #[test]
    fn cooperative_gives_nobody_what_another_may_still_have(
        members in any_members(),
        topics in any_topics(),
    ) {
        let owners = owners(&members);
        let assigned = assign(Assignor::CooperativeSticky, &members, &topics);
        for (partition, holder) in holders(&assigned) {
            let claimed = members.iter().any(|m| flat(&m.owned).any(|p| p == partition));
            prop_assert!(!claimed || owners.get(&partition) == Some(&holder));
        }
    }

    /// With equal subscriptions that takes two rounds. With others, what is free in the
    /// second may be given to a member that then has to hand on something else.
    #[test]
    fn cooperative_rounds_end_with_everything_assigned(
        mut members in any_members(),
        topics in any_topics(),
        equal in any::<bool>(),
    ) {
        let assignor = Assignor::CooperativeSticky;
        if equal {
            for member in &mut members {
                member.topics = names("a,b,c,d");
            }
        }
        let all = subscribed(&members, &topics);
        for round in 1.. {
            let assigned = assign(assignor, &members, &topics);
            settle(&mut members, &assigned, round);
            if holders(&assigned).len() == all.len() {
                break;
            }
            let most = if equal { 2 } else { 5 };
            prop_assert!(round < most);
        }
        let last = assign(assignor, &members, &topics);
        check_total(&members, &topics, &last);
        check_balanced(&members, &last);
        prop_assert_eq!(moved(&members, &topics, &last), 0);
    }
}
