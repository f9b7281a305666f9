//! `sticky` and `cooperative-sticky`: everybody keeps what they own as far as balance
//! allows.
//!
//! An assignment is balanced when no member could take a partition from another that has
//! two or more more than itself. From what the members own, that is reached in steps:
//! partitions without an owner go to the subscriber with the fewest; then, while the
//! balance is off, the member with the most hands one over, of those that are new to it
//! first. Each move lowers the sum of the squares of the members' numbers, so it ends.

mod moves;
mod takers;

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Group, Share};
use moves::{Movable, Moves};
use takers::Takers;

pub(super) fn assign(group: &Group) -> Vec<Share> {
    let claims = claims(group);
    shares(group, &holders(group, &claims), |_, _, _| true)
}

/// As [`assign`], but a partition that somebody still has is given to nobody else: it
/// comes with the round after its owner has let go of it.
pub(super) fn assign_cooperatively(group: &Group) -> Vec<Share> {
    let claims = claims(group);
    shares(
        group,
        &holders(group, &claims),
        |topic, partition, holder| claims[topic][partition].is_free_for(holder),
    )
}

fn shares(
    group: &Group,
    holders: &[Vec<usize>],
    is_given: impl Fn(usize, usize, usize) -> bool,
) -> Vec<Share> {
    let mut shares = vec![Share::new(); group.members.len()];
    for (topic, holders) in holders.iter().enumerate() {
        for (partition, &holder) in holders.iter().enumerate() {
            if is_given(topic, partition, holder) {
                let share = &mut shares[holder];
                share.entry(topic).or_default().push(partition);
            }
        }
    }
    shares
}

/// Who says that they own a partition.
#[derive(Debug, Clone, Copy, Default)]
struct Claim {
    /// The claimant with the highest generation; none when two share it.
    owner: Option<usize>,
    /// The highest generation and the last claimant.
    latest: Option<(i32, usize)>,
}

impl Claim {
    /// Members come in order, and each may claim a partition more than once.
    fn add(&mut self, member: usize, generation: i32) {
        let Some((highest, last)) = self.latest else {
            self.owner = Some(member);
            self.latest = Some((generation, member));
            return;
        };
        if last == member {
            return;
        }
        match generation.cmp(&highest) {
            Ordering::Greater => self.owner = Some(member),
            Ordering::Equal => self.owner = None,
            Ordering::Less => {}
        }
        self.latest = Some((highest.max(generation), member));
    }

    /// Nobody else has it, or only those that missed that they lost it to `member`.
    fn is_free_for(self, member: usize) -> bool {
        self.latest.is_none() || self.owner == Some(member)
    }
}

/// The claim on each partition, by topic. What does not exist is not owned.
fn claims(group: &Group) -> Vec<Vec<Claim>> {
    let mut claims: Vec<_> = group
        .topics
        .iter()
        .map(|topic| vec![Claim::default(); topic.partitions])
        .collect();
    for (member, subscription) in group.members.iter().enumerate() {
        let generation = subscription.generation.max(-1);
        for (name, partitions) in &subscription.owned {
            let Some(topic) = group.topic(name) else {
                continue;
            };
            for &partition in partitions {
                let partition = usize::try_from(partition).unwrap_or(usize::MAX);
                if let Some(claim) = claims[topic].get_mut(partition) {
                    claim.add(member, generation);
                }
            }
        }
    }
    claims
}

/// Who gets each partition, by topic.
fn holders(group: &Group, claims: &[Vec<Claim>]) -> Vec<Vec<usize>> {
    // Those that own a partition and still subscribe to its topic.
    let homes: Vec<Vec<Option<usize>>> = claims
        .iter()
        .enumerate()
        .map(|(topic, claims)| {
            let subscribers = group.subscribers(topic);
            let still = |member: &usize| subscribers.binary_search(member).is_ok();
            claims
                .iter()
                .map(|claim| claim.owner.filter(still))
                .collect()
        })
        .collect();
    let mut loads = vec![0; group.members.len()];
    for &home in homes.iter().flatten().flatten() {
        loads[home] += 1;
    }
    let mut holders = give_to_the_fewest(group, &homes, &mut loads);
    for movable in [Movable::New, Movable::All] {
        while Moves::new(group, &homes, &mut holders, &mut loads, movable).run() {}
    }
    for (homes, holders) in homes.iter().zip(&mut holders) {
        swap_home(homes, holders);
    }
    holders
}

/// Gives what nobody owns to the subscriber with the fewest partitions, topics with the
/// fewest subscribers first. Answers who then has each partition.
fn give_to_the_fewest(
    group: &Group,
    homes: &[Vec<Option<usize>>],
    loads: &mut [usize],
) -> Vec<Vec<usize>> {
    let mut takers = Takers::new(group);
    let mut holders = vec![Vec::new(); homes.len()];
    let mut order: Vec<_> = (0..homes.len()).collect();
    order.sort_by_key(|&topic| group.subscribers(topic).len());
    for topic in order {
        for home in &homes[topic] {
            let holder = home.unwrap_or_else(|| {
                let taker = takers.fewest(topic, loads);
                loads[taker] += 1;
                taker
            });
            holders[topic].push(holder);
        }
    }
    holders
}

/// Brings partitions of one topic that ended up elsewhere back to their owners, in
/// exchange for others that are new there: no member's number changes.
fn swap_home(homes: &[Option<usize>], holders: &mut [usize]) {
    let is_home = |partition: usize, holder: usize| homes[partition] == Some(holder);
    let mut new_at: HashMap<usize, Vec<usize>> = HashMap::new();
    for (partition, &holder) in holders.iter().enumerate() {
        if !is_home(partition, holder) {
            new_at.entry(holder).or_default().push(partition);
        }
    }
    for (partition, &home) in homes.iter().enumerate() {
        let holder = holders[partition];
        let Some(home) = home.filter(|&home| home != holder) else {
            continue;
        };
        // An entry is out of date once its partition has been swapped away.
        while let Some(other) = new_at.get_mut(&home).and_then(Vec::pop) {
            if holders[other] == home {
                holders.swap(partition, other);
                if !is_home(other, holder) {
                    new_at.entry(holder).or_default().push(other);
                }
                break;
            }
        }
    }
}
