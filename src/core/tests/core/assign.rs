//! The assignors against Kafka's own, against what they promise, and against a naive
//! reading of balance.

mod properties;

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::assign::{
    Assignments, Assignor, Subscription, assign, assign_bytes, subscription_bytes,
};
use kafka_core::consumer_protocol::{ConsumerAssignment, ConsumerSubscription, TopicPartitions};

use crate::consumer_protocol::{names, topic_partitions};

type Topics = BTreeMap<String, i32>;
/// A partition: topic and number.
type Partition = (String, i32);

const STICKY: [Assignor; 2] = [Assignor::Sticky, Assignor::CooperativeSticky];

/// A round of a group as Kafka's assignor answered it.
struct Case {
    assignor: Assignor,
    topics: Topics,
    members: Vec<Subscription>,
    assigned: Assignments,
}

fn golden() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("golden/java_assignments.txt").lines() {
        let tokens: Vec<_> = line.split(' ').collect();
        if tokens[0] == "case" {
            cases.push(Case {
                assignor: tokens[1].parse().unwrap(),
                topics: Topics::new(),
                members: Vec::new(),
                assigned: Assignments::new(),
            });
            continue;
        }
        let case = cases.last_mut().unwrap();
        let name = tokens[1].to_owned();
        match tokens[0] {
            "topic" => {
                case.topics.insert(name, tokens[2].parse().unwrap());
            }
            "member" => case.members.push(Subscription {
                group_instance_id: names(tokens[2]).pop(),
                generation: tokens[3].parse().unwrap(),
                owned: topic_partitions(tokens[5]),
                ..member(&name, tokens[4])
            }),
            _ => {
                case.assigned.insert(name, topic_partitions(tokens[2]));
            }
        }
    }
    assert_eq!(cases.len(), 134);
    cases
}

fn member(id: &str, topics: &str) -> Subscription {
    Subscription {
        member_id: id.to_owned(),
        group_instance_id: None,
        topics: names(topics),
        owned: TopicPartitions::new(),
        generation: -1,
        rack_id: None,
    }
}

fn topics(counts: &[(&str, i32)]) -> Topics {
    let counts = counts.iter();
    counts.map(|&(name, n)| (name.to_owned(), n)).collect()
}

fn flat(partitions: &TopicPartitions) -> impl Iterator<Item = Partition> {
    let topics = partitions.iter();
    topics.flat_map(|(topic, all)| all.iter().map(|&partition| (topic.clone(), partition)))
}

/// Who has each partition, after a look that nobody has what somebody else has too.
fn holders(assigned: &Assignments) -> BTreeMap<Partition, String> {
    let mut holders = BTreeMap::new();
    for (member, partitions) in assigned {
        for partition in flat(partitions) {
            let other = holders.insert(partition, member.clone());
            assert_eq!(other, None, "assigned twice: {assigned:?}");
        }
    }
    holders
}

/// The partitions that exist and somebody subscribes to.
fn subscribed(members: &[Subscription], topics: &Topics) -> BTreeSet<Partition> {
    let wanted = |topic: &str| members.iter().any(|m| m.topics.iter().any(|t| t == topic));
    let topics = topics.iter().filter(|(topic, _)| wanted(topic));
    topics
        .flat_map(|(topic, &n)| (0..n).map(move |p| (topic.clone(), p)))
        .collect()
}

/// Every member has an entry, and what is assigned exists, once, and is subscribed to.
fn check_sound(members: &[Subscription], topics: &Topics, assigned: &Assignments) {
    assert!(
        assigned.keys().eq(members
            .iter()
            .map(|m| &m.member_id)
            .collect::<BTreeSet<_>>())
    );
    for member in members {
        let partitions = &assigned[&member.member_id];
        assert!(partitions.keys().all(|topic| member.topics.contains(topic)));
    }
    let existing = subscribed(members, topics);
    assert!(holders(assigned).keys().all(|p| existing.contains(p)));
}

fn check_total(members: &[Subscription], topics: &Topics, assigned: &Assignments) {
    check_sound(members, topics, assigned);
    assert!(
        holders(assigned)
            .into_keys()
            .eq(subscribed(members, topics))
    );
}

fn load(assigned: &Assignments, member: &str) -> usize {
    flat(&assigned[member]).count()
}

/// No member could take a partition from another that has two or more more.
fn check_balanced(members: &[Subscription], assigned: &Assignments) {
    for ((topic, partition), holder) in holders(assigned) {
        for taker in members.iter().filter(|m| m.topics.contains(&topic)) {
            assert!(
                load(assigned, &holder) < load(assigned, &taker.member_id) + 2,
                "{} could take {topic}-{partition} from {holder}: {assigned:?}",
                taker.member_id
            );
        }
    }
}

/// The sum of the differences of all pairs of members: Kafka's measure of imbalance.
fn imbalance(assigned: &Assignments) -> usize {
    let loads: Vec<_> = assigned
        .keys()
        .map(|member| load(assigned, member))
        .collect();
    let differences = loads
        .iter()
        .flat_map(|a| loads.iter().map(|b| a.abs_diff(*b)));
    differences.sum::<usize>() / 2
}

/// Who owns a partition: of those that claim it, the one with the highest generation, if
/// only one has that.
fn owners(members: &[Subscription]) -> BTreeMap<Partition, String> {
    let mut claims: BTreeMap<Partition, BTreeSet<(i32, &str)>> = BTreeMap::new();
    for member in members {
        for partition in flat(&member.owned) {
            let claim = (member.generation, member.member_id.as_str());
            claims.entry(partition).or_default().insert(claim);
        }
    }
    let mut owners = BTreeMap::new();
    for (partition, claims) in claims {
        let &(highest, owner) = claims.last().unwrap();
        if claims
            .iter()
            .filter(|(generation, _)| *generation == highest)
            .count()
            == 1
        {
            owners.insert(partition, owner.to_owned());
        }
    }
    owners
}

/// How many partitions their owners lose although they still subscribe to them.
fn moved(members: &[Subscription], topics: &Topics, assigned: &Assignments) -> usize {
    let existing = subscribed(members, topics);
    let holders = holders(assigned);
    let wants = |owner: &str, topic: &String| {
        let mut members = members.iter().filter(|m| m.member_id == owner);
        members.any(|m| m.topics.contains(topic))
    };
    owners(members)
        .into_iter()
        .filter(|(partition, owner)| existing.contains(partition) && wants(owner, &partition.0))
        .filter(|(partition, owner)| holders.get(partition) != Some(owner))
        .count()
}

fn equal_subscriptions(members: &[Subscription]) -> bool {
    let sets = members
        .iter()
        .map(|m| m.topics.iter().collect::<BTreeSet<_>>());
    sets.collect::<BTreeSet<_>>().len() == 1
}

/// Every member owns what it was assigned.
fn settle(members: &mut [Subscription], assigned: &Assignments, generation: i32) {
    for member in members {
        member.owned = assigned[&member.member_id].clone();
        member.generation = generation;
    }
}

#[test]
fn names_are_kafkas() {
    for (assignor, name) in
        Assignor::ALL
            .into_iter()
            .zip(["range", "roundrobin", "sticky", "cooperative-sticky"])
    {
        assert_eq!(assignor.to_string(), name);
        assert_eq!(name.parse(), Ok(assignor));
    }
    assert!("uniform".parse::<Assignor>().is_err());
}

#[test]
fn range_and_round_robin_assign_as_java_does() {
    let mut compared = 0;
    for case in golden() {
        if !STICKY.contains(&case.assignor) {
            let assigned = assign(case.assignor, &case.members, &case.topics);
            assert_eq!(
                assigned, case.assigned,
                "{} {:?}",
                case.assignor, case.members
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 30);
}

#[test]
fn a_group_that_starts_with_equal_subscriptions_is_assigned_as_java_does() {
    for case in golden() {
        let starts = case.members.iter().all(|m| m.generation < 0);
        if starts && equal_subscriptions(&case.members) {
            let assigned = assign(case.assignor, &case.members, &case.topics);
            assert_eq!(
                assigned, case.assigned,
                "{} {:?}",
                case.assignor, case.members
            );
        }
    }
}

#[test]
fn sticky_balances_and_moves_no_worse_than_java() {
    for case in golden() {
        if case.assignor != Assignor::Sticky {
            continue;
        }
        let assigned = assign(case.assignor, &case.members, &case.topics);
        check_total(&case.members, &case.topics, &assigned);
        check_balanced(&case.members, &assigned);
        let context = format!(
            "{:?}\nours {assigned:?}\nJava {:?}",
            case.members, case.assigned
        );
        assert!(
            imbalance(&assigned) <= imbalance(&case.assigned),
            "{context}"
        );
        let moves = |assigned| moved(&case.members, &case.topics, assigned);
        assert!(moves(&assigned) <= moves(&case.assigned), "{context}");
    }
}

#[test]
fn cooperative_sticky_takes_and_withholds_no_more_than_java() {
    for case in golden() {
        if case.assignor != Assignor::CooperativeSticky {
            continue;
        }
        let assigned = assign(case.assignor, &case.members, &case.topics);
        check_sound(&case.members, &case.topics, &assigned);
        let context = format!(
            "{:?}\nours {assigned:?}\nJava {:?}",
            case.members, case.assigned
        );
        let given = |assigned| holders(assigned).len();
        assert!(given(&assigned) >= given(&case.assigned), "{context}");
        let moves = |assigned| moved(&case.members, &case.topics, assigned);
        assert!(moves(&assigned) <= moves(&case.assigned), "{context}");
    }
}

#[test]
fn the_owner_with_the_highest_generation_wins() {
    let topics = topics(&[("a", 4)]);
    let claim = |id, owned, generation| Subscription {
        owned: topic_partitions(owned),
        generation,
        ..member(id, "a")
    };
    for assignor in STICKY {
        let members = [claim("m1", "a:0,1", 3), claim("m2", "a:0,1,2", 4)];
        let assigned = assign(assignor, &members, &topics);
        let kept: BTreeSet<_> = flat(&assigned["m2"]).collect();
        let owned: BTreeSet<_> = flat(&members[1].owned).collect();
        assert_eq!(
            kept.intersection(&owned).count(),
            2,
            "{assignor}: {assigned:?}"
        );
        check_balanced(&members, &assigned);
    }
    // Of the same generation neither owns it, and nobody gets it while both may have it.
    let members = [claim("m1", "a:0,1", 4), claim("m2", "a:1,2", 4)];
    let assigned = assign(Assignor::CooperativeSticky, &members, &topics);
    assert_eq!(assigned["m1"], topic_partitions("a:0"));
    assert_eq!(assigned["m2"], topic_partitions("a:2,3"));
}

#[test]
fn claims_on_what_does_not_exist_are_ignored() {
    let owner = Subscription {
        owned: topic_partitions("a:0,0,7,-1,2147483647;gone:0"),
        generation: i32::MIN,
        ..member("m1", "a,a,gone")
    };
    for assignor in Assignor::ALL {
        let members = [owner.clone(), member("m2", "a")];
        let assigned = assign(assignor, &members, &topics(&[("a", 2), ("empty", 0)]));
        assert_eq!(assigned["m1"], topic_partitions("a:0"), "{assignor}");
        assert_eq!(assigned["m2"], topic_partitions("a:1"), "{assignor}");
    }
}

#[test]
fn without_members_or_topics_nothing_is_assigned() {
    for assignor in Assignor::ALL {
        assert!(assign(assignor, &[], &topics(&[("a", 3)])).is_empty());
        let assigned = assign(assignor, &[member("m", "a")], &Topics::new());
        assert_eq!(
            assigned,
            Assignments::from([("m".to_owned(), TopicPartitions::new())])
        );
    }
}

/// Two members of a group that somebody joins, all through bytes.
#[test]
fn bytes_in_bytes_out() {
    let topics = topics(&[("a", 6)]);
    let joined = names("a");
    for assignor in Assignor::ALL {
        let join = |owned, generation| {
            subscription_bytes(assignor, &joined, &topic_partitions(owned), generation)
        };
        let old = ConsumerSubscription {
            version: 1,
            ..ConsumerSubscription::decode(&join("-", -1)).unwrap()
        }
        .encode();
        let (m1, m2) = (join("a:1,3,5", 7), join("a:0,2,4", 7));
        let members = [
            ("m2", None, &m2[..]),
            ("m1", Some("z"), &m1),
            ("m3", None, &old),
        ];
        let assigned = assign_bytes(assignor, &members, &topics).unwrap();
        let read = |at: usize| {
            let bytes = ConsumerAssignment::decode(&assigned[at].1).unwrap();
            (
                assigned[at].0.as_str(),
                bytes.version,
                bytes.assigned_partitions,
            )
        };
        let expected = match assignor {
            Assignor::Range => ["a:2,3", "a:0,1", "a:4,5"],
            Assignor::RoundRobin => ["a:1,4", "a:0,3", "a:2,5"],
            Assignor::Sticky => ["a:0,2", "a:1,3", "a:4,5"],
            Assignor::CooperativeSticky => ["a:0,2", "a:1,3", "-"],
        }
        .map(topic_partitions);
        let [second, first, third] = expected;
        assert_eq!(read(0), ("m2", 3, second), "{assignor}");
        assert_eq!(read(1), ("m1", 3, first), "{assignor}");
        assert_eq!(read(2), ("m3", 1, third), "{assignor}");

        let broken = [("m1", None, &m1[..]), ("m2", None, &m2[..9])];
        assert!(assign_bytes(assignor, &broken, &topics).is_err());
    }
}

/// Members before version 2 carry their generation in the user data.
#[test]
fn old_cooperative_members_have_their_generation_in_the_user_data() {
    let topics = topics(&[("a", 2)]);
    let assignor = Assignor::CooperativeSticky;
    let join = |owned, generation| {
        let bytes = subscription_bytes(assignor, &names("a"), &topic_partitions(owned), generation);
        let newest = ConsumerSubscription::decode(&bytes).unwrap();
        ConsumerSubscription {
            version: 1,
            ..newest
        }
        .encode()
    };
    let (stale, current) = (join("a:0,1", 4), join("a:1", 5));
    let members = [("m1", None, &stale[..]), ("m2", None, &current)];
    let assigned = assign_bytes(assignor, &members, &topics).unwrap();
    let read = |at: usize| {
        ConsumerAssignment::decode(&assigned[at].1)
            .unwrap()
            .assigned_partitions
    };
    assert_eq!([read(0), read(1)], ["a:0", "a:1"].map(topic_partitions));
}

/// User data that is not the sticky assignor's tells it nothing.
#[test]
fn foreign_user_data_is_no_claim() {
    let foreign = ConsumerSubscription {
        version: 3,
        topics: names("a"),
        user_data: Some(b"rack=7"),
        owned_partitions: topic_partitions("a:0,1,2"),
        generation_id: 9,
        rack_id: None,
    }
    .encode();
    let member = [("m1", None, &foreign[..]), ("m2", None, &foreign)];
    let assigned = assign_bytes(Assignor::Sticky, &member, &topics(&[("a", 3)])).unwrap();
    let first = ConsumerAssignment::decode(&assigned[0].1).unwrap();
    assert_eq!(first.assigned_partitions, topic_partitions("a:0,2"));
}
