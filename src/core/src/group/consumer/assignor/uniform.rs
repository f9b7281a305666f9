//! Equal numbers of partitions first, then as few moves as possible.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Subscriber, subscribers_by_topic};
use crate::group::{Partitions, TopicId};

/// Members that share only some of their topics are balanced topic by topic, again and
/// again; the rounds are limited, as in Kafka, since the last ones gain little.
const MAX_ROUNDS: usize = 16;

pub(super) fn assign(
    members: &[Subscriber<'_>],
    partition_counts: &BTreeMap<TopicId, i32>,
) -> Vec<Partitions> {
    let alike = members.windows(2).all(|pair| match pair {
        [one, other] => one.topics == other.topics,
        _ => true,
    });
    let mut assignment = Assignment::keep(members, partition_counts);
    if alike {
        assignment.balance_all();
    } else {
        assignment.fill();
        assignment.balance_topics();
    }
    assignment.targets
}

struct Assignment {
    /// The subscribers of each topic, as positions in `targets`.
    subscribers: BTreeMap<TopicId, Vec<usize>>,
    targets: Vec<Partitions>,
    sizes: Vec<usize>,
    unassigned: Partitions,
}

impl Assignment {
    /// Begins with what members have and still want.
    fn keep(members: &[Subscriber<'_>], partition_counts: &BTreeMap<TopicId, i32>) -> Self {
        let subscribers = subscribers_by_topic(members, partition_counts);
        let mut unassigned: Partitions = subscribers
            .keys()
            .filter_map(|topic| {
                let count = partition_counts.get(topic)?;
                Some((*topic, (0..*count).collect()))
            })
            .collect();
        let mut targets = Vec::with_capacity(members.len());
        let mut sizes = Vec::with_capacity(members.len());
        for member in members {
            let mut kept = Partitions::new();
            for (topic, partitions) in member.target {
                if !member.topics.contains(topic) {
                    continue;
                }
                let Some(free) = unassigned.get_mut(topic) else {
                    continue;
                };
                // Removing says whether the partition exists and nobody else has it.
                let partitions: BTreeSet<i32> = partitions
                    .iter()
                    .filter(|partition| free.remove(partition))
                    .copied()
                    .collect();
                if !partitions.is_empty() {
                    kept.insert(*topic, partitions);
                }
            }
            sizes.push(kept.values().map(BTreeSet::len).sum());
            targets.push(kept);
        }
        Self {
            subscribers,
            targets,
            sizes,
            unassigned,
        }
    }

    /// All members want the same: each gets the lower quota, and as many as there are
    /// partitions left over get one more. Those who have one more already keep it.
    fn balance_all(&mut self) {
        let free: usize = self.unassigned.values().map(BTreeSet::len).sum();
        let total = self.sizes.iter().sum::<usize>() + free;
        let Some(quota) = total.checked_div(self.targets.len()) else {
            return;
        };
        let mut extra = total - quota * self.targets.len();
        for position in 0..self.targets.len() {
            let keep = if self.size(position) > quota && extra > 0 {
                extra -= 1;
                quota + 1
            } else {
                quota
            };
            while self.size(position) > keep {
                self.release(position);
            }
        }
        let unassigned = std::mem::take(&mut self.unassigned);
        let mut free = unassigned
            .into_iter()
            .flat_map(|(topic, partitions)| partitions.into_iter().map(move |p| (topic, p)));
        for level in [quota, quota + 1] {
            for position in 0..self.targets.len() {
                while self.size(position) < level {
                    let Some((topic, partition)) = free.next() else {
                        return;
                    };
                    self.give(position, topic, partition);
                }
            }
        }
    }

    /// Each free partition goes to the subscriber that has the fewest. Topics with many
    /// partitions for few subscribers come first: they leave the least choice.
    fn fill(&mut self) {
        let mut unassigned = std::mem::take(&mut self.unassigned);
        for topic in self.topics_by_choice() {
            let mut by_size = self.by_size(&topic);
            for partition in unassigned.remove(&topic).unwrap_or_default() {
                let Some((_, position)) = by_size.pop_first() else {
                    break;
                };
                self.give(position, topic, partition);
                by_size.insert((self.size(position), position));
            }
        }
    }

    /// Moves partitions from the subscribers with the most to those with the fewest until
    /// no move makes two of them more equal.
    fn balance_topics(&mut self) {
        let topics = self.topics_by_choice();
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            for topic in &topics {
                moved |= self.balance_topic(topic);
            }
            if !moved {
                break;
            }
        }
    }

    fn balance_topic(&mut self, topic: &TopicId) -> bool {
        let mut by_size = self.by_size(topic);
        let mut donors: BTreeSet<(usize, usize)> = by_size
            .iter()
            .filter(|(_, position)| self.has(*position, topic))
            .copied()
            .collect();
        let mut moved = false;
        while let (Some(&least), Some(&most)) = (by_size.first(), donors.last()) {
            if most.0 <= least.0 + 1 {
                break;
            }
            let (from, to) = (most.1, least.1);
            let Some(partition) = self.take(from, topic) else {
                donors.remove(&most);
                continue;
            };
            self.give(to, *topic, partition);
            moved = true;
            for entry in [most, least] {
                by_size.remove(&entry);
                donors.remove(&entry);
            }
            for position in [from, to] {
                let entry = (self.size(position), position);
                by_size.insert(entry);
                if self.has(position, topic) {
                    donors.insert(entry);
                }
            }
        }
        moved
    }

    /// By partitions for each subscriber, most first, then by subscribers, then by id.
    fn topics_by_choice(&self) -> Vec<TopicId> {
        let mut counts: HashMap<TopicId, usize> = self
            .unassigned
            .iter()
            .map(|(topic, partitions)| (*topic, partitions.len()))
            .collect();
        for target in &self.targets {
            for (topic, partitions) in target {
                *counts.entry(*topic).or_default() += partitions.len();
            }
        }
        let mut topics: Vec<(u64, usize, TopicId)> = self
            .subscribers
            .iter()
            .map(|(topic, subscribers)| {
                let partitions = counts.get(topic).copied().unwrap_or(0) as u64;
                let scaled = (partitions << 32).checked_div(subscribers.len() as u64);
                (u64::MAX - scaled.unwrap_or(0), subscribers.len(), *topic)
            })
            .collect();
        topics.sort_unstable();
        topics.into_iter().map(|(_, _, topic)| topic).collect()
    }

    fn by_size(&self, topic: &TopicId) -> BTreeSet<(usize, usize)> {
        let subscribers = self.subscribers.get(topic).map_or(&[][..], Vec::as_slice);
        subscribers
            .iter()
            .map(|&position| (self.size(position), position))
            .collect()
    }

    fn size(&self, position: usize) -> usize {
        self.sizes.get(position).copied().unwrap_or(0)
    }

    fn has(&self, position: usize, topic: &TopicId) -> bool {
        self.targets
            .get(position)
            .is_some_and(|target| target.contains_key(topic))
    }

    fn give(&mut self, position: usize, topic: TopicId, partition: i32) {
        if let (Some(target), Some(size)) =
            (self.targets.get_mut(position), self.sizes.get_mut(position))
        {
            target.entry(topic).or_default().insert(partition);
            *size += 1;
        }
    }

    /// The member's last partition of the topic.
    fn take(&mut self, position: usize, topic: &TopicId) -> Option<i32> {
        let target = self.targets.get_mut(position)?;
        let partitions = target.get_mut(topic)?;
        let partition = partitions.pop_last()?;
        if partitions.is_empty() {
            target.remove(topic);
        }
        if let Some(size) = self.sizes.get_mut(position) {
            *size -= 1;
        }
        Some(partition)
    }

    /// Takes from the topic that the member has the most of, so that what stays is spread
    /// over the topics.
    fn release(&mut self, position: usize) {
        let largest = self.targets.get(position).and_then(|target| {
            let (topic, _) = target
                .iter()
                .max_by_key(|(_, partitions)| partitions.len())?;
            Some(*topic)
        });
        if let Some(topic) = largest
            && let Some(partition) = self.take(position, &topic)
        {
            self.unassigned.entry(topic).or_default().insert(partition);
        }
    }
}
