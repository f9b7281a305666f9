//! Who has the fewest partitions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Group;

/// A number of partitions and a position: the greatest of a heap has the fewest.
pub(super) type Fewest = Reverse<(usize, usize)>;

/// The members that can take partitions of a topic, by their numbers of partitions.
///
/// The numbers are brought up to date when they are looked at. That finds those that
/// grew; one that shrank counts as what it was.
pub(super) struct Takers<'a, 'g> {
    group: &'a Group<'g>,
    /// By audience, made when first needed.
    heaps: Vec<Option<BinaryHeap<Fewest>>>,
}

impl<'a, 'g> Takers<'a, 'g> {
    pub(super) fn new(group: &'a Group<'g>) -> Self {
        Self {
            group,
            heaps: vec![None; group.audiences.len()],
        }
    }

    /// The subscriber of `topic` with the fewest partitions, of several the first.
    pub(super) fn fewest(&mut self, topic: usize, loads: &[usize]) -> usize {
        let audience = self.group.topics[topic].audience;
        let members = &self.group.audiences[audience];
        let heap = self.heaps[audience].get_or_insert_with(|| {
            let entries = members
                .iter()
                .map(|&member| Reverse((loads[member], member)));
            entries.collect()
        });
        while let Some(mut first) = heap.peek_mut() {
            let Reverse((known, member)) = *first;
            if loads[member] <= known {
                return member;
            }
            *first = Reverse((loads[member], member));
        }
        members[0] // Not reached: nobody is ever taken off the heap.
    }
}
