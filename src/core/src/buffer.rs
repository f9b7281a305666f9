//! What one SQL transaction has produced and not yet appended to the log.
//!
//! Subtransactions form a stack, and only the innermost appends: so the records of each
//! partition lie in the order of their subtransactions' depth, and what a subtransaction
//! appended is what follows the place where it began. Rolling back cuts
//! there; committing forgets the place, or hands it to the parent.
//!
//! A flush inside a subtransaction also takes what outer levels produced. Should that
//! subtransaction roll back, the rows it inserted are gone, so the outer levels' records
//! are kept in a shadow until it ends.

use std::collections::BTreeMap;

use crate::builder::{BatchBuilder, Mark};
use crate::record::HeaderRef;

/// Buffered records by partition. `K` names a partition.
#[derive(Debug)]
pub struct ProduceBuffer<K> {
    live: Buffered<K>,
    /// By growing subtransaction.
    shadows: Vec<Shadow<K>>,
}

/// What outer levels had buffered when `subxact` flushed it.
#[derive(Debug)]
struct Shadow<K> {
    subxact: u32,
    buffered: Buffered<K>,
}

#[derive(Debug)]
struct Buffered<K> {
    partitions: BTreeMap<K, Partition>,
    /// The levels that have appended something, by growing subtransaction.
    levels: Vec<Level<K>>,
    bytes: usize,
}

#[derive(Debug)]
struct Partition {
    /// In order; none is empty.
    batches: Vec<BatchBuilder>,
    /// The innermost subtransaction that has a [`Begin`] here.
    level: u32,
}

#[derive(Debug)]
struct Level<K> {
    subxact: u32,
    begins: Vec<Begin<K>>,
}

/// Where a level's first record in a partition goes.
#[derive(Debug)]
struct Begin<K> {
    key: K,
    place: Place,
    /// The partition's `level` before.
    outer: u32,
}

/// A place between two records of a partition: in batch number `batches` - 1, at `mark`.
#[derive(Debug, Clone, Copy)]
struct Place {
    batches: usize,
    mark: Mark,
}

impl<K: Ord + Copy> ProduceBuffer<K> {
    pub fn new() -> Self {
        Self {
            live: Buffered::new(),
            shadows: Vec::new(),
        }
    }

    /// Whether there is nothing to flush.
    pub fn is_empty(&self) -> bool {
        self.live.partitions.is_empty()
    }

    /// Bytes of what is to be flushed, as uncompressed batches. Shadows do not count:
    /// they are already flushed.
    pub fn buffered_bytes(&self) -> usize {
        self.live.bytes
    }

    /// Bytes kept for outer levels in case the subtransaction that flushed them rolls back.
    pub fn shadow_bytes(&self) -> usize {
        self.shadows.iter().map(|s| s.buffered.bytes).sum()
    }

    /// Buffers a record for the partition `key`. A new batch begins when this record would
    /// take the current one over `max_batch_bytes` (uncompressed, header included); a
    /// record larger than that gets a batch of its own.
    ///
    /// `subxact` is the innermost open subtransaction: deeper ones still known here are
    /// taken as committed into it.
    #[expect(clippy::too_many_arguments, reason = "a record and where it goes")]
    pub fn append(
        &mut self,
        subxact: u32,
        key: K,
        max_batch_bytes: usize,
        timestamp: i64,
        record_key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        self.close_levels_inside(subxact);
        let partition = self.live.partition(subxact, key);
        let before = partition.newest_len();
        let max = max_batch_bytes.min(i32::MAX as usize);
        let appended = partition
            .batches
            .last_mut()
            .is_some_and(|b| b.try_append(max, timestamp, record_key, value, headers));
        if appended {
            self.live.bytes += partition.newest_len() - before;
        } else {
            // After a full batch the next one is expected to be full, too.
            let mut batch = BatchBuilder::with_capacity(before.min(max));
            batch.append(timestamp, record_key, value, headers);
            let len = batch.encoded_len();
            partition.batches.push(batch);
            self.live.bytes += len;
        }
    }

    /// Undoes `subxact` and everything inside it: its records are discarded, and what it
    /// flushed on behalf of outer levels is buffered again.
    pub fn abort_subxact(&mut self, subxact: u32) {
        while let Some(shadow) = self.shadows.pop_if(|s| s.subxact >= subxact) {
            // Since that flush, only levels that are undone here have appended.
            self.live = shadow.buffered;
        }
        self.live.abort(subxact);
    }

    /// Makes what `subxact` and everything inside it did the doing of `parent`.
    pub fn commit_subxact(&mut self, subxact: u32, parent: u32) {
        self.live.commit(subxact, parent);
        while let Some(mut shadow) = self.shadows.pop_if(|s| s.subxact >= subxact) {
            // `parent` would lose its own records with the rows: only outer ones come back.
            shadow.buffered.abort(parent);
            if !shadow.buffered.partitions.is_empty() {
                shadow.subxact = parent;
                self.shadows.push(shadow);
                break;
            }
        }
    }

    /// Takes everything buffered, to be appended to the log by `subxact`: partitions in
    /// the order of their keys, each one's batches in order.
    pub fn take(&mut self, subxact: u32) -> Vec<(K, Vec<BatchBuilder>)> {
        self.close_levels_inside(subxact);
        let live = std::mem::replace(&mut self.live, Buffered::new());
        let (taken, outer) = live.split(subxact);
        if !outer.partitions.is_empty() {
            self.shadows.push(Shadow {
                subxact,
                buffered: outer,
            });
        }
        taken
    }

    /// Forgets everything and frees its memory: the transaction is over.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    fn close_levels_inside(&mut self, subxact: u32) {
        let inner = |s: u32| s > subxact;
        if self.live.levels.last().is_some_and(|l| inner(l.subxact))
            || self.shadows.last().is_some_and(|s| inner(s.subxact))
        {
            self.commit_subxact(subxact.saturating_add(1), subxact);
        }
    }
}

impl<K: Ord + Copy> Default for ProduceBuffer<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Copy> Buffered<K> {
    fn new() -> Self {
        Self {
            partitions: BTreeMap::new(),
            levels: Vec::new(),
            bytes: 0,
        }
    }

    /// The partition, noting where `subxact` begins in it.
    fn partition(&mut self, subxact: u32, key: K) -> &mut Partition {
        let partition = self.partitions.entry(key).or_insert_with(|| Partition {
            batches: Vec::new(),
            level: 0,
        });
        if partition.level < subxact {
            let begin = Begin {
                key,
                place: partition.end(),
                outer: partition.level,
            };
            partition.level = subxact;
            level(&mut self.levels, subxact).begins.push(begin);
        }
        partition
    }

    /// Cuts everything that `subxact` and the levels inside it appended.
    fn abort(&mut self, subxact: u32) {
        while let Some(level) = self.levels.pop_if(|l| l.subxact >= subxact) {
            for begin in level.begins {
                let Some(partition) = self.partitions.get_mut(&begin.key) else {
                    continue;
                };
                self.bytes -= partition.cut(begin.place);
                partition.level = begin.outer;
                if partition.batches.is_empty() {
                    self.partitions.remove(&begin.key);
                }
            }
        }
    }

    /// Hands what `subxact` and the levels inside it appended to `parent`.
    fn commit(&mut self, subxact: u32, parent: u32) {
        let parent = parent.min(subxact.saturating_sub(1));
        while let Some(inner) = self.levels.pop_if(|l| l.subxact >= subxact) {
            // Level by level, so that the outermost place of each partition remains.
            let outer = self.levels.last().map_or(0, |l| l.subxact).max(parent);
            for begin in inner.begins {
                let Some(partition) = self.partitions.get_mut(&begin.key) else {
                    continue;
                };
                partition.level = outer;
                if begin.outer < outer {
                    level(&mut self.levels, outer).begins.push(begin);
                }
            }
        }
    }

    /// Everything, and a copy of what the levels outside `subxact` had appended.
    fn split(mut self, subxact: u32) -> (Vec<(K, Vec<BatchBuilder>)>, Self) {
        let mut outer = Self::new();
        let first_inner = self.levels.partition_point(|l| l.subxact < subxact);
        let inner = self.levels.split_off(first_inner);
        if !self.levels.is_empty() {
            let mut kept: BTreeMap<K, (Place, u32)> = BTreeMap::new();
            for begin in inner.into_iter().rev().flat_map(|l| l.begins) {
                kept.insert(begin.key, (begin.place, begin.outer));
            }
            for (&key, partition) in &self.partitions {
                let (place, level) = kept
                    .get(&key)
                    .copied()
                    .unwrap_or_else(|| (partition.end(), partition.level));
                let copy = partition.clone_to(place, level);
                if !copy.batches.is_empty() {
                    outer.bytes += copy.len();
                    outer.partitions.insert(key, copy);
                }
            }
            outer.levels = self.levels;
        }
        let taken = self
            .partitions
            .into_iter()
            .map(|(key, partition)| (key, partition.batches))
            .collect();
        (taken, outer)
    }
}

/// The level of `subxact`, which is the innermost.
fn level<K>(levels: &mut Vec<Level<K>>, subxact: u32) -> &mut Level<K> {
    if levels.last().is_none_or(|l| l.subxact < subxact) {
        levels.push(Level {
            subxact,
            begins: Vec::new(),
        });
    }
    let newest = levels.len() - 1;
    &mut levels[newest]
}

impl Partition {
    fn newest_len(&self) -> usize {
        self.batches.last().map_or(0, BatchBuilder::encoded_len)
    }

    fn len(&self) -> usize {
        self.batches.iter().map(BatchBuilder::encoded_len).sum()
    }

    fn end(&self) -> Place {
        Place {
            batches: self.batches.len(),
            mark: self
                .batches
                .last()
                .map_or_else(Mark::default, BatchBuilder::mark),
        }
    }

    /// Cuts everything after `place`; says how many bytes that was.
    fn cut(&mut self, place: Place) -> usize {
        let mut removed: usize = self.batches[place.batches.min(self.batches.len())..]
            .iter()
            .map(BatchBuilder::encoded_len)
            .sum();
        self.batches.truncate(place.batches);
        let before = self.newest_len();
        if let Some(batch) = self.batches.last_mut() {
            batch.truncate(place.mark);
        }
        removed += before - self.newest_len();
        removed
    }

    fn clone_to(&self, place: Place, level: u32) -> Self {
        let whole = place.batches.saturating_sub(1);
        let mut batches: Vec<_> = self.batches.iter().take(whole).cloned().collect();
        if place.batches > 0
            && let Some(batch) = self.batches.get(whole)
        {
            batches.push(batch.clone_to(place.mark));
        }
        Self { batches, level }
    }
}
