//! One session: its partitions in the order in which they are read, and what its client
//! knows of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kafka_core::code;
use tokio::sync::Notify;

use crate::db::Fetched;

use super::{Asked, Key};

/// Not worth giving back.
const SPARE_PLACES: usize = 64;

pub struct Session {
    /// The next request's.
    epoch: i32,
    /// Notified when a request comes after the one that was last handed out.
    superseded: Arc<Notify>,
    partitions: BTreeMap<u64, Partition>,
    places: HashMap<Key, u64>,
    next_place: u64,
    bytes: usize,
}

struct Partition {
    asked: Asked,
    /// As last answered; -1 before, and after an error, so that the next is answered.
    high_watermark: i64,
    log_start_offset: i64,
}

impl Session {
    /// Of what was answered in full.
    pub(super) fn new(answered: &[(Asked, Fetched)]) -> Self {
        let mut session = Self {
            epoch: 1,
            superseded: Arc::default(),
            partitions: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
            bytes: 0,
        };
        for (asked, found) in answered {
            session.add(Partition {
                asked: asked.clone(),
                high_watermark: found.high_watermark,
                log_start_offset: found.log_start_offset,
            });
        }
        session
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    #[cfg(test)]
    pub(super) fn set_epoch(&mut self, epoch: i32) {
        self.epoch = epoch;
    }

    /// Goes on to the next request: its epoch, and what tells that another has come.
    pub(super) fn next_epoch(&mut self) -> (i32, Arc<Notify>) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        let before = std::mem::take(&mut self.superseded);
        before.notify_one();
        (self.epoch, Arc::clone(&self.superseded))
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        let partitions = self.partitions.values();
        partitions
            .map(|partition| partition.asked.clone())
            .collect()
    }

    pub(super) fn update(&mut self, asked: &[Asked], forgotten: &[Key]) {
        for asked in asked {
            match self.find(asked) {
                Some(partition) => {
                    // But for the topic, of which it has the same already.
                    let known = &mut partition.asked;
                    known.position.fetch_offset = asked.position.fetch_offset;
                    known.position.max_bytes = asked.position.max_bytes;
                    known.current_leader_epoch = asked.current_leader_epoch;
                }
                None => self.add(Partition {
                    asked: asked.clone(),
                    high_watermark: -1,
                    log_start_offset: -1,
                }),
            }
        }
        for key in forgotten {
            self.remove(key);
        }
        // A table keeps the room that it has once had.
        if self.places.capacity() > 2 * self.places.len() + SPARE_PLACES {
            self.places.shrink_to_fit();
        }
    }

    /// What the client does not know yet. What has records goes behind the others, so that
    /// a partition that always has some does not keep them from being read.
    pub(super) fn news(&mut self, found: Vec<(Asked, Fetched)>) -> Vec<(Asked, Fetched)> {
        let news = found.into_iter().filter(|(asked, found)| {
            let Some(partition) = self.find(asked) else {
                return false;
            };
            let is_new = partition.learn(found);
            if !found.records.is_empty()
                && let Some(partition) = self.remove(&asked.key())
            {
                self.add(partition);
            }
            is_new
        });
        news.collect()
    }

    fn find(&mut self, asked: &Asked) -> Option<&mut Partition> {
        let place = self.places.get(&asked.key())?;
        self.partitions.get_mut(place)
    }

    /// Behind all others.
    fn add(&mut self, partition: Partition) {
        let place = self.next_place;
        self.next_place += 1;
        self.bytes += partition.asked.bytes();
        self.places.insert(partition.asked.key(), place);
        self.partitions.insert(place, partition);
    }

    fn remove(&mut self, key: &Key) -> Option<Partition> {
        let place = self.places.remove(key)?;
        let partition = self.partitions.remove(&place)?;
        self.bytes -= partition.asked.bytes();
        Some(partition)
    }
}

impl Partition {
    /// Whether the client has to be told.
    fn learn(&mut self, found: &Fetched) -> bool {
        let failed = found.error_code != code::NONE;
        let is_new = failed
            || !found.records.is_empty()
            || self.high_watermark != found.high_watermark
            || self.log_start_offset != found.log_start_offset;
        self.high_watermark = if failed { -1 } else { found.high_watermark };
        self.log_start_offset = found.log_start_offset;
        is_new
    }
}
