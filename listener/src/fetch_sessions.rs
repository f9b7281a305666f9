//! Fetch sessions (KIP-227): what a consumer asks for again and again is remembered here,
//! so that its requests name what has changed, and their answers what is new.
//!
//! They belong to this listener and to no connection. Whoever comes to another listener,
//! or back to this one after it was started again, is told so and begins anew.

mod session;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_core::code;
use tokio::sync::Notify;

use crate::db::{FetchPosition, Fetched, TopicRef};

use session::Session;

/// A session that is idle for longer gives way to a new one, one that has lived for longer
/// to a new one of more partitions.
const EVICTION: Duration = Duration::from_mins(2);
/// What all sessions together may take.
const MAX_BYTES: usize = 64 << 20;
/// What a partition of a session takes at most, but for its topic's name.
const PARTITION_BYTES: usize = 256;

/// The epoch that asks for a session, and the one that wants none.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// A partition as a fetch asks for it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub position: FetchPosition,
    pub current_leader_epoch: i32,
}

/// A topic and a partition's number.
pub type Key = (Arc<TopicRef>, i32);

impl Asked {
    fn key(&self) -> Key {
        (Arc::clone(&self.position.topic), self.position.partition)
    }

    fn bytes(&self) -> usize {
        PARTITION_BYTES + topic_bytes(&self.position.topic)
    }
}

fn topic_bytes(topic: &TopicRef) -> usize {
    match topic {
        TopicRef::Name(name) => name.len(),
        TopicRef::Id(_) => 0,
    }
}

/// What a request says of sessions.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub session_epoch: i32,
    /// It names topics by id.
    pub by_id: bool,
    pub asked: Vec<Asked>,
    pub forgotten: Vec<Key>,
}

/// How a request is to be answered.
pub enum Context {
    /// In full.
    Sessionless,
    /// In full, and a session is made of it where there is room.
    Full { by_id: bool },
    /// With what is new in a session.
    Incremental {
        session_id: i32,
        session: Arc<Mutex<Session>>,
        /// Of the next request.
        epoch: i32,
        superseded: Arc<Notify>,
    },
}

impl Context {
    /// Returns when another request in the session has come. This one will be refused then,
    /// so that it need not wait: else many of a large session could wait at once, for each
    /// of which its partitions are remembered.
    pub async fn superseded(&self) {
        match self {
            Self::Incremental { superseded, .. } => superseded.notified().await,
            Self::Sessionless | Self::Full { .. } => std::future::pending().await,
        }
    }
}

/// What is to be answered.
pub struct Answer {
    pub error_code: i16,
    /// 0: none.
    pub session_id: i32,
    pub partitions: Vec<(Asked, Fetched)>,
}

pub struct FetchSessions {
    slots: usize,
    cache: Mutex<Cache>,
    random: RandomState,
}

#[derive(Default)]
struct Cache {
    sessions: HashMap<i32, Cached>,
    bytes: usize,
    /// Ids given out so far.
    count: u64,
}

struct Cached {
    session: Arc<Mutex<Session>>,
    by_id: bool,
    created: Instant,
    last_used: Instant,
    /// As of when it was last used.
    partitions: usize,
    bytes: usize,
}

impl FetchSessions {
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            cache: Mutex::default(),
            random: RandomState::new(),
        }
    }

    /// How to answer, and the partitions to answer for; or the error that is the answer.
    pub fn begin(
        &self,
        request: SessionRequest,
        now: Instant,
    ) -> Result<(Context, Vec<Asked>), i16> {
        let id = request.session_id;
        let cache = &mut *lock(&self.cache);
        if matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            cache.remove(id);
            let by_id = request.by_id;
            let context = if request.session_epoch == FINAL_EPOCH {
                Context::Sessionless
            } else {
                Context::Full { by_id }
            };
            return Ok((context, distinct(request.asked)));
        }
        let cached = cache.sessions.get_mut(&id);
        let cached = cached.ok_or(code::FETCH_SESSION_ID_NOT_FOUND)?;
        let shared = Arc::clone(&cached.session);
        let mut session = lock(&shared);
        if session.epoch() != request.session_epoch {
            return Err(code::INVALID_FETCH_SESSION_EPOCH);
        }
        if cached.by_id != request.by_id {
            return Err(code::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.update(&request.asked, &request.forgotten);
        let (partitions, bytes) = (session.len(), session.bytes());
        if partitions == 0 {
            drop(session);
            cache.remove(id);
            return Ok((Context::Sessionless, distinct(request.asked)));
        }
        let (epoch, superseded) = session.next_epoch();
        let asked = session.asked();
        drop(session);
        let before = std::mem::replace(&mut cached.bytes, bytes);
        cached.partitions = partitions;
        cached.last_used = now;
        cache.bytes = cache.bytes - before + bytes;
        if cache.bytes > MAX_BYTES {
            // It has grown out of what there is room for. Its client begins anew.
            cache.remove(id);
            return Err(code::FETCH_SESSION_ID_NOT_FOUND);
        }
        let context = Context::Incremental {
            session_id: id,
            session: shared,
            epoch,
            superseded,
        };
        Ok((context, asked))
    }

    /// What of `partitions` to answer, which are all that `begin` has returned.
    pub fn answer(
        &self,
        context: Context,
        mut partitions: Vec<(Asked, Fetched)>,
        now: Instant,
    ) -> Answer {
        // Kafka looks for the others first.
        partitions.sort_by_key(|(_, found)| is_unknown(found));
        let full = |session_id, partitions| Answer {
            error_code: code::NONE,
            session_id,
            partitions,
        };
        match context {
            Context::Sessionless => full(0, partitions),
            Context::Full { by_id } => {
                let session_id = self.create(by_id, &partitions, now);
                full(session_id, partitions)
            }
            Context::Incremental {
                session_id,
                session,
                epoch,
                ..
            } => {
                let mut session = lock(&session);
                if session.epoch() == epoch {
                    return full(session_id, session.news(partitions));
                }
                // Another request in the session has come meanwhile.
                Answer {
                    error_code: code::INVALID_FETCH_SESSION_EPOCH,
                    session_id,
                    partitions: Vec::new(),
                }
            }
        }
    }

    /// The new session's id, or 0 where there is no room for it.
    fn create(&self, by_id: bool, partitions: &[(Asked, Fetched)], now: Instant) -> i32 {
        let bytes = partitions.iter().map(|(asked, _)| asked.bytes()).sum();
        let mut cache = lock(&self.cache);
        while cache.sessions.len() >= self.slots || cache.bytes + bytes > MAX_BYTES {
            let Some(id) = cache.evictable(partitions.len(), now) else {
                return 0;
            };
            cache.remove(id);
        }
        let id = cache.new_id(&self.random);
        cache.bytes += bytes;
        let cached = Cached {
            session: Arc::new(Mutex::new(Session::new(partitions))),
            by_id,
            created: now,
            last_used: now,
            partitions: partitions.len(),
            bytes,
        };
        cache.sessions.insert(id, cached);
        id
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(cached) = self.sessions.remove(&id) {
            self.bytes -= cached.bytes;
        }
    }

    /// The session that gives way to a new one of so many partitions: one that nobody uses
    /// any more, or the smallest of those that have lived long enough, if it is smaller.
    fn evictable(&self, partitions: usize, now: Instant) -> Option<i32> {
        let (id, oldest) = self
            .sessions
            .iter()
            .min_by_key(|(_, cached)| cached.last_used)?;
        if now.duration_since(oldest.last_used) > EVICTION {
            return Some(*id);
        }
        let old = self.sessions.iter().filter(|(_, cached)| {
            cached.last_used.duration_since(cached.created) > EVICTION
                && cached.partitions < partitions
        });
        let smallest = old.min_by_key(|(_, cached)| cached.partitions);
        smallest.map(|(id, _)| *id)
    }

    /// Not to be guessed, since whoever knows it may use the session.
    fn new_id(&mut self, random: &RandomState) -> i32 {
        loop {
            self.count += 1;
            let id = (random.hash_one(self.count) >> 33) as i32;
            if id != 0 && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is named twice counts as named last, in the place where it is named first.
fn distinct(asked: Vec<Asked>) -> Vec<Asked> {
    let mut places = HashMap::with_capacity(asked.len());
    let mut distinct: Vec<Asked> = Vec::with_capacity(asked.len());
    for asked in asked {
        let place = *places.entry(asked.key()).or_insert(distinct.len());
        match distinct.get_mut(place) {
            Some(same) => *same = asked,
            None => distinct.push(asked),
        }
    }
    distinct
}

/// There is no such topic or partition.
pub fn is_unknown(found: &Fetched) -> bool {
    matches!(
        found.error_code,
        code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC_ID
    )
}

#[cfg(test)]
mod tests;
