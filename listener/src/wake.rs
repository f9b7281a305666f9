//! Who waits for records, and how they learn of them.
//!
//! A fetch without enough records is parked here. What this listener appends wakes its
//! own parked fetches after the commit. What others append is noticed by ONE waiting
//! session, which calls `kafka.wait_for_records` over all partitions that parked fetches
//! wait for; a partition that joins them interrupts the call by
//! `kafka.interrupt_wait`. Consumers park the same partitions again and again, so a
//! partition stays watched for some seconds after its last parked fetch, and the tail
//! that a fetch has found is remembered: a fetch at a known tail asks nobody, and an idle
//! listener with any number of parked consumers leaves the database alone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::db::{Fetched, Role, Session, TopicRef, WatchedPartition};
use crate::error::DbError;
use crate::wait::{Bells, Call, Register};

/// One call of the waiting session. COMMIT PREPARED wakes nobody, so this is how long
/// its records may stay unnoticed.
const WAIT_MS: i32 = 2000;
/// A partition stays watched for this long after its last parked fetch.
const LINGER: Duration = Duration::from_secs(10);
const FORGET: Duration = Duration::from_mins(1);
/// A remembered tail serves this long. What moves a tail without records (a topic deleted
/// and created again, a transaction that ended above what another session has not committed
/// yet) is noticed after this time.
const TAIL_AGE: Duration = Duration::from_secs(5);
/// Topic ids whose names are remembered.
const MAX_NAMES: usize = 100_000;

#[derive(Default)]
pub struct Wake {
    state: Mutex<State>,
    bells: Bells,
}

#[derive(Default)]
struct State {
    topics: HashMap<Arc<str>, HashMap<i32, Partition>>,
    parkings: HashMap<u64, Waiting>,
    next_id: u64,
    /// Parkings that wait now, as opposed to those that are being served.
    parked: usize,
    call: Call,
    names: HashMap<Uuid, Arc<str>>,
}

struct Waiting {
    notify: Arc<Notify>,
    parked: bool,
    /// Those of its subjects that may have more than it knows.
    moved: HashSet<usize>,
}

struct Partition {
    /// The highest high watermark that a fetch or a wait has reported.
    seen: i64,
    tail: Option<Tail>,
    /// Who is registered, and which of its subjects this is.
    parkings: Vec<(u64, usize)>,
    last_parked: Instant,
    in_call: bool,
    /// It moved while nobody was parked on it. Watching it would end each call at once,
    /// so it is left out until somebody parks on it again.
    unattended: bool,
}

#[derive(Clone, Copy)]
struct Tail {
    /// Asked for by this id, or by name.
    topic_id: Option<Uuid>,
    last_stable_offset: i64,
    log_start_offset: i64,
    at: Instant,
}

impl Partition {
    fn new() -> Self {
        Self {
            seen: -1,
            tail: None,
            parkings: Vec::new(),
            last_parked: Instant::now(),
            in_call: false,
            unattended: true,
        }
    }

    fn is_awaited(&self, parkings: &HashMap<u64, Waiting>) -> bool {
        self.parkings
            .iter()
            .any(|(id, _)| parkings.get(id).is_some_and(|waiting| waiting.parked))
    }
}

/// A partition somebody fetches from.
#[derive(Debug, Clone)]
pub struct Subject {
    pub topic: Arc<str>,
    /// Where the request named the topic by id.
    pub topic_id: Option<Uuid>,
    pub partition: i32,
}

impl Wake {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a fetch before it asks, so that nothing appended meanwhile is missed.
    pub fn subscribe(self: &Arc<Self>, subjects: Vec<Subject>) -> Parking {
        let notify = Arc::new(Notify::new());
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        for (index, subject) in subjects.iter().enumerate() {
            let partitions = state.topics.entry(Arc::clone(&subject.topic)).or_default();
            let partition = partitions
                .entry(subject.partition)
                .or_insert_with(Partition::new);
            partition.parkings.push((id, index));
        }
        let waiting = Waiting {
            notify: Arc::clone(&notify),
            parked: false,
            moved: HashSet::new(),
        };
        state.parkings.insert(id, waiting);
        drop(state);
        Parking {
            wake: Arc::clone(self),
            id,
            subjects,
            notify,
        }
    }

    /// Records were committed by this listener. `None`: routed by key, to any partition.
    pub fn appended(&self, topic: &TopicRef, partition: Option<i32>) {
        let mut state = self.lock();
        let State {
            topics,
            parkings,
            parked,
            names,
            ..
        } = &mut *state;
        let topic = match topic {
            TopicRef::Name(name) => name.as_str(),
            // An id whose name nobody here knows: the waiting session will tell.
            TopicRef::Id(id) => match names.get(id) {
                Some(name) => name,
                None => return,
            },
        };
        let Some(partitions) = topics.get_mut(topic) else {
            return;
        };
        match partition {
            Some(number) => {
                if let Some(partition) = partitions.get_mut(&number) {
                    partition.tail = None;
                    notify(partition, parkings, parked);
                }
            }
            None => {
                for partition in partitions.values_mut() {
                    partition.tail = None;
                    notify(partition, parkings, parked);
                }
            }
        }
    }

    pub fn topic_name(&self, id: &Uuid) -> Option<Arc<str>> {
        self.lock().names.get(id).cloned()
    }

    pub fn learn_name(&self, id: Uuid, name: &str) {
        let mut state = self.lock();
        if state.names.len() >= MAX_NAMES {
            state.names.clear();
        }
        state.names.entry(id).or_insert_with(|| Arc::from(name));
    }
}

impl Register for Wake {
    type Watched = WatchedPartition;

    const ROLE: Role = Role::Wait;

    fn bells(&self) -> &Bells {
        &self.bells
    }

    fn call(&self) -> Call {
        self.lock().call
    }

    /// The partitions to watch, or none where nobody is parked.
    fn begin_call(&self) -> Vec<WatchedPartition> {
        let mut state = self.lock();
        if state.parked == 0 {
            return Vec::new();
        }
        let mut call = Vec::new();
        let State {
            topics, parkings, ..
        } = &mut *state;
        topics.retain(|topic, partitions| {
            partitions.retain(|number, partition| {
                let idle = partition.last_parked.elapsed();
                partition.in_call =
                    partition.is_awaited(parkings) || !partition.unattended && idle < LINGER;
                if partition.in_call {
                    call.push(WatchedPartition {
                        topic: Arc::clone(topic),
                        partition: *number,
                        high_watermark: partition.seen,
                    });
                }
                !partition.parkings.is_empty() || idle < FORGET
            });
            !partitions.is_empty()
        });
        state.call = if call.is_empty() {
            Call::None
        } else {
            Call::Running
        };
        call
    }

    fn end_call(&self, call: &[WatchedPartition], moved: &[(usize, i64)]) {
        let mut state = self.lock();
        let State {
            topics,
            parkings,
            parked,
            ..
        } = &mut *state;
        for (index, high_watermark) in moved {
            let Some(watched) = call.get(*index) else {
                continue;
            };
            let partition = topics
                .get_mut(&watched.topic)
                .and_then(|partitions| partitions.get_mut(&watched.partition));
            if let Some(partition) = partition {
                if *high_watermark < 0 || *high_watermark > partition.seen {
                    partition.seen = *high_watermark;
                    partition.tail = None;
                }
                partition.unattended = !partition.is_awaited(parkings);
                notify(partition, parkings, parked);
            }
        }
        state.end_call();
    }

    /// Without a waiting session nothing that was remembered can be relied on.
    fn distrust(&self) {
        let mut state = self.lock();
        for partition in state.topics.values_mut().flat_map(HashMap::values_mut) {
            partition.tail = None;
        }
        state.end_call();
    }

    async fn wait(
        session: &Session,
        call: &[WatchedPartition],
        waiter: i32,
    ) -> Result<Vec<(usize, i64)>, DbError> {
        session.wait_for_records(call, WAIT_MS, waiter).await
    }
}

impl State {
    fn end_call(&mut self) {
        self.call = Call::None;
        for partition in self.topics.values_mut().flat_map(HashMap::values_mut) {
            partition.in_call = false;
        }
    }
}

/// Wakes whoever is registered on a partition.
fn notify(partition: &Partition, parkings: &mut HashMap<u64, Waiting>, parked: &mut usize) {
    for (id, index) in &partition.parkings {
        if let Some(waiting) = parkings.get_mut(id) {
            waiting.moved.insert(*index);
            if std::mem::take(&mut waiting.parked) {
                *parked -= 1;
            }
            waiting.notify.notify_one();
        }
    }
}

/// A fetch's place among those who wait; given up when dropped.
pub struct Parking {
    wake: Arc<Wake>,
    id: u64,
    subjects: Vec<Subject>,
    notify: Arc<Notify>,
}

impl Parking {
    /// What a fetch from these offsets would be answered, if that is known to be nothing
    /// for all subjects. `committed`: it reads up to the last stable offset only. That one
    /// moves by markers, which are records themselves.
    pub fn known_tails(
        &self,
        offsets: impl Iterator<Item = i64>,
        committed: bool,
    ) -> Option<Vec<Fetched>> {
        let state = self.wake.lock();
        self.subjects
            .iter()
            .zip(offsets)
            .map(|(subject, offset)| {
                let partition = state.topics.get(&subject.topic)?.get(&subject.partition)?;
                let tail = partition.tail?;
                let end = if committed {
                    tail.last_stable_offset
                } else {
                    partition.seen
                };
                let at_tail = end == offset
                    && tail.topic_id == subject.topic_id
                    && tail.at.elapsed() < TAIL_AGE;
                at_tail.then(|| Fetched {
                    error_code: 0,
                    high_watermark: partition.seen,
                    last_stable_offset: tail.last_stable_offset,
                    log_start_offset: tail.log_start_offset,
                    next_offset: offset,
                    aborted: Vec::new(),
                    records: bytes::Bytes::new(),
                })
            })
            .collect()
    }

    /// Starts to wait for more than `found`, one for each subject. `asked`: those of which
    /// the database has just said so, it is not remembered.
    pub fn park(&self, found: &[Fetched], asked: &[usize]) {
        let mut guard = self.wake.lock();
        let State {
            topics,
            parkings,
            parked,
            call,
            ..
        } = &mut *guard;
        let Some(waiting) = parkings.get_mut(&self.id) else {
            return;
        };
        let now = Instant::now();
        let mut in_call = true;
        for (index, (subject, found)) in self.subjects.iter().zip(found).enumerate() {
            let Some(partition) = find(topics, subject) else {
                continue;
            };
            // Somebody knows more than this fetch has found; or the topic is another
            // one by now, which is why the fetch's word is taken.
            if found.high_watermark < partition.seen {
                waiting.moved.insert(index);
                self.notify.notify_one();
            }
            partition.in_call &= found.high_watermark >= partition.seen;
            partition.seen = found.high_watermark;
            partition.last_parked = now;
            partition.unattended = false;
            in_call &= partition.in_call;
        }
        for index in asked.iter().filter(|index| !waiting.moved.contains(index)) {
            let (Some(subject), Some(found)) = (self.subjects.get(*index), found.get(*index))
            else {
                continue;
            };
            if let Some(partition) = find(topics, subject) {
                partition.tail = Some(Tail {
                    topic_id: subject.topic_id,
                    last_stable_offset: found.last_stable_offset,
                    log_start_offset: found.log_start_offset,
                    at: now,
                });
            }
        }
        if !std::mem::replace(&mut waiting.parked, true) {
            *parked += 1;
        }
        self.wake.bells.ring(call, in_call);
    }

    /// Returns when there may be more, at once if that was noticed since this was last
    /// awaited: the subjects that have it. The others stand where they stood when this
    /// was parked.
    pub async fn woken(&self) -> Vec<usize> {
        self.notify.notified().await;
        let mut state = self.wake.lock();
        let waiting = state.parkings.get_mut(&self.id);
        waiting.map_or_else(Vec::new, |waiting| waiting.moved.drain().collect())
    }
}

fn find<'a>(
    topics: &'a mut HashMap<Arc<str>, HashMap<i32, Partition>>,
    subject: &Subject,
) -> Option<&'a mut Partition> {
    topics.get_mut(&subject.topic)?.get_mut(&subject.partition)
}

impl Drop for Parking {
    fn drop(&mut self) {
        let mut guard = self.wake.lock();
        let state = &mut *guard;
        for subject in &self.subjects {
            if let Some(partition) = find(&mut state.topics, subject) {
                partition.parkings.retain(|(id, _)| *id != self.id);
            }
        }
        if let Some(waiting) = state.parkings.remove(&self.id)
            && waiting.parked
        {
            state.parked -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
