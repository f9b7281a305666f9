//! Moves of partitions towards balance.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

use super::Group;
use super::takers::{Fewest, Takers};

/// Which partitions may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movable {
    /// Those that are not with their owner anyway.
    New,
    All,
}

/// One pass of moves, always from the member with the most that can give to the one with
/// the fewest that can take.
///
/// Takers whose number shrank during the pass count as what they were, so a move may be
/// missed or not be the best. So passes are repeated until one, which starts with exact
/// numbers, moves nothing.
pub(super) struct Moves<'a, 'g> {
    group: &'a Group<'g>,
    homes: &'a [Vec<Option<usize>>],
    holders: &'a mut [Vec<usize>],
    loads: &'a mut [usize],
    movable: Movable,
    /// What may be moved, by member, then topic; never empty ones.
    held: Vec<BTreeMap<usize, Vec<usize>>>,
    takers: Takers<'a, 'g>,
    /// By member, the topics it holds, each with the fewest that a taker may have.
    offers: Vec<BinaryHeap<Fewest>>,
}

impl<'a, 'g> Moves<'a, 'g> {
    pub(super) fn new(
        group: &'a Group<'g>,
        homes: &'a [Vec<Option<usize>>],
        holders: &'a mut [Vec<usize>],
        loads: &'a mut [usize],
        movable: Movable,
    ) -> Self {
        Self {
            group,
            homes,
            holders,
            loads,
            movable,
            held: Vec::new(),
            takers: Takers::new(group),
            offers: Vec::new(),
        }
    }

    /// Whether anything was moved.
    pub(super) fn run(&mut self) -> bool {
        let fewest = self.loads.iter().min().copied().unwrap_or(0);
        if self.loads.iter().all(|&load| load < fewest + 2) {
            return false;
        }
        self.fill();
        let mut moved = false;
        let mut most: BinaryHeap<_> = self
            .loads
            .iter()
            .enumerate()
            .map(|(member, &load)| (load, Reverse(member)))
            .collect();
        while let Some((load, Reverse(giver))) = most.pop() {
            if load < fewest + 2 {
                break;
            }
            if load != self.loads[giver] {
                continue; // Another entry has its number.
            }
            let Some((taker, topic)) = self.best_offer(giver) else {
                continue;
            };
            if self.loads[taker] + 2 <= load && self.hand_over(topic, giver, taker) {
                moved = true;
                for member in [giver, taker] {
                    most.push((self.loads[member], Reverse(member)));
                }
            }
        }
        moved
    }

    fn fill(&mut self) {
        let members = self.group.members.len();
        self.held.resize_with(members, BTreeMap::new);
        self.offers.resize_with(members, BinaryHeap::new);
        for (topic, of) in self.group.topics.iter().enumerate() {
            // With a single subscriber there is nothing to move.
            if self.group.subscribers(topic).len() > 1 {
                for partition in 0..of.partitions {
                    self.hold(topic, partition, self.holders[topic][partition]);
                }
            }
        }
    }

    fn hold(&mut self, topic: usize, partition: usize, holder: usize) {
        if self.movable == Movable::New && self.homes[topic][partition] == Some(holder) {
            return;
        }
        let held = self.held[holder].entry(topic).or_default();
        if held.is_empty() {
            self.offers[holder].push(Reverse((0, topic)));
        }
        held.push(partition);
    }

    /// The subscriber with the fewest partitions to one of the topics that `giver` holds.
    fn best_offer(&mut self, giver: usize) -> Option<(usize, usize)> {
        while let Some(mut offer) = self.offers[giver].peek_mut() {
            let Reverse((known, topic)) = *offer;
            if !self.held[giver].contains_key(&topic) {
                PeekMut::pop(offer);
                continue;
            }
            let taker = self.takers.fewest(topic, self.loads);
            let load = self.loads[taker];
            if load <= known {
                return Some((taker, topic));
            }
            *offer = Reverse((load, topic));
        }
        None
    }

    fn hand_over(&mut self, topic: usize, giver: usize, taker: usize) -> bool {
        let Some(held) = self.held[giver].get_mut(&topic) else {
            return false;
        };
        let Some(partition) = held.pop() else {
            return false;
        };
        if held.is_empty() {
            self.held[giver].remove(&topic);
        }
        self.holders[topic][partition] = taker;
        self.loads[giver] -= 1;
        self.loads[taker] += 1;
        self.hold(topic, partition, taker);
        true
    }
}
