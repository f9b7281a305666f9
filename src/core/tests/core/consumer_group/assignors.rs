//! The server-side assignors.

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::group::consumer::{Assignor, Subscriber, assign};
use kafka_core::group::{Partitions, TopicId};
use proptest::prelude::*;

/// One member of a table's line.
struct Row {
    member_id: String,
    instance_id: Option<String>,
    topics: BTreeSet<TopicId>,
    before: Partitions,
    kafkas: Partitions,
}

fn topic_id(number: usize) -> TopicId {
    [number as u8 + 1; 16]
}

fn list(text: &str) -> Partitions {
    let mut all = Partitions::new();
    for entry in text.split(',').filter(|entry| *entry != "-") {
        let (topic, partition) = entry.split_once('.').unwrap();
        let partitions = all.entry(topic_id(topic.parse().unwrap())).or_default();
        partitions.insert(partition.parse().unwrap());
    }
    all
}

/// Each line of a table: the topics' numbers of partitions, then for each member the bits
/// of its topics, its instance id, its last target and the target that Kafka computes.
fn rows(line: &str) -> (BTreeMap<TopicId, i32>, Vec<Row>) {
    let mut tokens = line.split(' ');
    let counts = tokens.next().unwrap().split(',').enumerate();
    let counts = counts
        .map(|(number, count)| (topic_id(number), count.parse().unwrap()))
        .collect();
    let rows = tokens
        .enumerate()
        .map(|(number, token)| {
            let fields: Vec<_> = token.split(';').collect();
            let bits: usize = fields[0].parse().unwrap();
            Row {
                member_id: format!("m{number}"),
                instance_id: (fields[1] != "-").then(|| fields[1].to_owned()),
                topics: (0..8)
                    .filter(|topic| bits >> topic & 1 == 1)
                    .map(topic_id)
                    .collect(),
                before: list(fields[2]),
                kafkas: list(fields[3]),
            }
        })
        .collect();
    (counts, rows)
}

fn subscribers(rows: &[Row]) -> Vec<Subscriber<'_>> {
    rows.iter()
        .map(|row| Subscriber {
            member_id: &row.member_id,
            instance_id: row.instance_id.as_deref(),
            topics: row.topics.clone(),
            target: &row.before,
        })
        .collect()
}

pub(super) fn size(partitions: &Partitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

/// The least where the loads are as even as can be: their sum is always the same.
fn unevenness(loads: &[usize]) -> usize {
    loads.iter().map(|load| load * load).sum()
}

fn kept(before: &Partitions, after: &Partitions) -> usize {
    before
        .iter()
        .filter_map(|(topic, numbers)| Some(numbers.intersection(after.get(topic)?).count()))
        .sum()
}

/// Every partition of every topic with subscribers has one owner, which is one of them.
fn assert_total_and_disjoint(
    members: &[Subscriber<'_>],
    counts: &BTreeMap<TopicId, i32>,
    targets: &[Partitions],
) {
    assert_eq!(targets.len(), members.len());
    let mut given = BTreeSet::new();
    for (member, target) in members.iter().zip(targets) {
        for (topic, numbers) in target {
            assert!(member.topics.contains(topic));
            assert!(!numbers.is_empty());
            for number in numbers {
                assert!(given.insert((*topic, *number)), "given twice");
            }
        }
    }
    let wanted: BTreeSet<_> = counts
        .iter()
        .filter(|(topic, _)| members.iter().any(|m| m.topics.contains(*topic)))
        .flat_map(|(topic, count)| (0..*count).map(|number| (*topic, number)))
        .collect();
    assert_eq!(given, wanted);
}

/// No partition could move from one subscriber to another and make the two more equal.
pub(super) fn assert_no_move_helps(members: &[Subscriber<'_>], targets: &[Partitions]) {
    for (from, target) in targets.iter().enumerate() {
        for topic in target.keys() {
            for (to, member) in members.iter().enumerate() {
                if member.topics.contains(topic) {
                    assert!(
                        size(target) <= size(&targets[to]) + 1,
                        "member {from} has {} partitions, {to} has {}",
                        size(target),
                        size(&targets[to])
                    );
                }
            }
        }
    }
}

#[test]
fn ranges_are_kafkas() {
    let mut lines = 0;
    for line in include_str!("../golden/java_range_assignments.txt").lines() {
        lines += 1;
        let (counts, rows) = rows(line);
        let targets = assign(Assignor::Range, &subscribers(&rows), &counts);
        for (row, target) in rows.iter().zip(&targets) {
            assert_eq!(*target, row.kafkas, "{}: {line}", row.member_id);
        }
    }
    assert_eq!(lines, 300);
}

/// Which member gets which partition depends in Kafka on the order of a hash map; that the
/// loads are as even, and that no more partitions move, does not.
#[test]
fn uniform_is_as_even_and_as_sticky_as_kafkas() {
    let mut lines = 0;
    for line in include_str!("../golden/java_uniform_assignments.txt").lines() {
        lines += 1;
        let (counts, rows) = rows(line);
        let members = subscribers(&rows);
        let targets = assign(Assignor::Uniform, &members, &counts);
        assert_total_and_disjoint(&members, &counts, &targets);
        assert_no_move_helps(&members, &targets);
        let loads: Vec<_> = targets.iter().map(size).collect();
        let kafkas: Vec<_> = rows.iter().map(|row| size(&row.kafkas)).collect();
        assert!(
            unevenness(&loads) <= unevenness(&kafkas),
            "{line}: {loads:?}"
        );
        if rows.windows(2).all(|pair| pair[0].topics == pair[1].topics) {
            let ours = rows.iter().zip(&targets).map(|(r, t)| kept(&r.before, t));
            let kafkas = rows.iter().map(|row| kept(&row.before, &row.kafkas));
            assert!(ours.sum::<usize>() >= kafkas.sum::<usize>(), "{line}");
        }
    }
    assert_eq!(lines, 600);
}

#[test]
fn a_member_more_moves_only_its_share() {
    let counts = BTreeMap::from([(topic_id(0), 12)]);
    let topics = BTreeSet::from([topic_id(0)]);
    let mut targets: Vec<Partitions> = Vec::new();
    let names = ["a", "b", "c", "d"];
    for members in 1..=4 {
        targets.push(Partitions::new());
        let subscribers: Vec<_> = targets
            .iter()
            .zip(names)
            .map(|(target, member_id)| Subscriber {
                member_id,
                instance_id: None,
                topics: topics.clone(),
                target,
            })
            .collect();
        let next = assign(Assignor::Uniform, &subscribers, &counts);
        let stayed: usize = targets.iter().zip(&next).map(|(b, a)| kept(b, a)).sum();
        assert_eq!(stayed, if members == 1 { 0 } else { 12 - 12 / members });
        let again: Vec<_> = subscribers
            .iter()
            .zip(&next)
            .map(|(subscriber, target)| Subscriber {
                target,
                ..subscriber.clone()
            })
            .collect();
        assert_eq!(assign(Assignor::Uniform, &again, &counts), next);
        targets = next;
    }
}

#[test]
fn nobody_and_nothing_make_no_assignment() {
    let counts = BTreeMap::from([(topic_id(0), 3), (topic_id(1), 0), (topic_id(2), -1)]);
    let target = Partitions::new();
    for assignor in Assignor::ALL {
        assert!(assign(assignor, &[], &counts).is_empty());
        for topics in [BTreeSet::new(), [1, 2, 7].map(topic_id).into()] {
            let member = Subscriber {
                member_id: "a",
                instance_id: None,
                topics,
                target: &target,
            };
            let members = [member.clone(), member];
            assert_eq!(
                assign(assignor, &members, &counts),
                [Partitions::new(), Partitions::new()]
            );
        }
        assert_eq!(assignor.name().parse(), Ok(assignor));
    }
}

fn member() -> impl Strategy<Value = (u8, Vec<(u8, i32)>)> {
    let target = proptest::collection::vec((0u8..4, -2i32..12), 0..20);
    (0u8..16, target)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Last targets may be anything, even overlapping or of partitions that do not exist.
    #[test]
    fn targets_are_total_and_disjoint(
        members in proptest::collection::vec(member(), 1..8),
        counts in proptest::collection::vec(0i32..10, 3),
    ) {
        let counts: BTreeMap<_, _> = counts
            .into_iter()
            .enumerate()
            .map(|(number, count)| (topic_id(number), count))
            .collect();
        let before: Vec<(String, BTreeSet<TopicId>, Partitions)> = members
            .iter()
            .enumerate()
            .map(|(number, (bits, target))| {
                let mut before = Partitions::new();
                for (topic, partition) in target {
                    let numbers = before.entry(topic_id(usize::from(*topic))).or_default();
                    numbers.insert(*partition);
                }
                let topics = (0..4).filter(|topic| bits >> topic & 1 == 1).map(topic_id);
                (format!("m{number}"), topics.collect(), before)
            })
            .collect();
        let members: Vec<_> = before
            .iter()
            .map(|(member_id, topics, target)| Subscriber {
                member_id,
                instance_id: None,
                topics: topics.clone(),
                target,
            })
            .collect();
        for assignor in Assignor::ALL {
            let targets = assign(assignor, &members, &counts);
            assert_total_and_disjoint(&members, &counts, &targets);
            if assignor == Assignor::Uniform {
                assert_no_move_helps(&members, &targets);
            }
        }
    }
}
