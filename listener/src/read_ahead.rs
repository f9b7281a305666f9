//! Reading ahead for a consumer that catches up: while it takes in an answer that was cut
//! by its limits, the database is asked for what it will ask for next.
//!
//! Its next fetch is answered from that if it asks for exactly the same, and as if it had
//! come a moment earlier; otherwise the read was in vain and is forgotten. There is one for
//! each connection. Its memory is part of that of all answers, and not waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_core::code;
use tokio::sync::{Semaphore, oneshot};

use crate::db::{FetchCall, FetchPosition, TopicRef};
use crate::read::{self, Read};
use crate::server::Server;

/// A consumer that is busy for longer would gain little, while the memory is kept from
/// others, and what was read grows old.
const KEEP: Duration = Duration::from_millis(200);
/// After reads in vain up to 2 to the power of this many answers pass without one.
const MAX_MISSES: u32 = 6;

/// What a fetch asks for, as far as the answer depends on it.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub positions: &'a [&'a FetchPosition],
    pub isolation: &'static str,
    pub max_bytes: i32,
}

pub struct ReadAhead {
    /// One permit: held by a read until it is taken or forgotten.
    one: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Option<Pending>,
    /// In a row.
    misses: u32,
    /// Answers to pass before the next read.
    pause: u32,
}

/// Dropped, it has the read forgotten.
struct Pending {
    positions: Vec<FetchPosition>,
    isolation: &'static str,
    max_bytes: i32,
    wanted: oneshot::Sender<()>,
    found: oneshot::Receiver<Read>,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self {
            one: Arc::new(Semaphore::new(1)),
            state: Mutex::default(),
        }
    }
}

impl ReadAhead {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read, unless that was in vain lately or there is no memory for it.
    pub fn begin(&self, server: &Arc<Server>, question: Question<'_>) {
        let mut state = self.lock();
        if state.pause > 0 {
            state.pause -= 1;
            return;
        }
        let Ok(one) = Arc::clone(&self.one).try_acquire_owned() else {
            return;
        };
        let Some(reserved) = read::try_reserve(server, question.max_bytes, question.positions)
        else {
            return;
        };
        let positions: Vec<_> = question.positions.iter().copied().cloned().collect();
        let (want, wanted) = oneshot::channel();
        let (sender, found) = oneshot::channel();
        state.pending = Some(Pending {
            positions: positions.clone(),
            isolation: question.isolation,
            max_bytes: question.max_bytes,
            wanted: want,
            found,
        });
        let server = Arc::clone(server);
        let (isolation, max_bytes) = (question.isolation, question.max_bytes);
        tokio::spawn(async move {
            let positions: Vec<_> = positions.iter().collect();
            let call = FetchCall {
                positions: &positions,
                max_bytes,
                min_bytes: 0,
                isolation,
            };
            let Ok(read) = read::read(&server, call, reserved).await else {
                return;
            };
            if let Ok(Ok(())) = tokio::time::timeout(KEEP, wanted).await {
                // The next one may begin as soon as this one is there.
                drop(one);
                drop(sender.send(read));
            }
        });
    }

    /// What was read, if this is what it was read for, it is no error and there are at
    /// least so many bytes of it.
    pub async fn take(&self, question: Question<'_>, min_bytes: usize) -> Option<Read> {
        let pending = self.lock().pending.take()?;
        let read = match pending.order(question) {
            Some(order) => pending.wait().await.and_then(|read| arranged(read, &order)),
            None => None,
        };
        let read = read.filter(|read| read.bytes() >= min_bytes.max(1));
        let mut state = self.lock();
        if read.is_some() {
            tracing::debug!("answered from what was read ahead");
            state.misses = 0;
        } else {
            state.misses = MAX_MISSES.min(state.misses + 1);
            state.pause = 1 << state.misses;
        }
        read
    }
}

impl Pending {
    /// Where each position of the question lies in what was read; nothing where any of it
    /// is different. Consumers name the same partitions in changing order.
    fn order(&self, question: Question<'_>) -> Option<Vec<usize>> {
        let same = self.isolation == question.isolation
            && self.max_bytes == question.max_bytes
            && self.positions.len() == question.positions.len();
        if !same {
            return None;
        }
        let places = self.positions.iter().enumerate();
        let places: HashMap<_, _> = places
            .map(|(place, position)| (key(position), place))
            .collect();
        let order = question.positions.iter().map(|position| {
            let place = *places.get(&key(position))?;
            let known = self.positions.get(place)?;
            let same = known.fetch_offset == position.fetch_offset
                && known.max_bytes == position.max_bytes;
            same.then_some(place)
        });
        order.collect()
    }

    /// Nothing where the read has failed, or is too old.
    async fn wait(self) -> Option<Read> {
        self.wanted.send(()).ok()?;
        self.found.await.ok()
    }
}

fn key(position: &FetchPosition) -> (&TopicRef, i32) {
    (&position.topic, position.partition)
}

/// An error is for the database to tell, which may have got over it.
fn arranged(read: Read, order: &[usize]) -> Option<Read> {
    let mut partitions: Vec<_> = read.partitions.into_iter().map(Some).collect();
    let partitions = order.iter().map(|place| {
        let found = partitions.get_mut(*place)?.take()?;
        (found.error_code == code::NONE).then_some(found)
    });
    Some(Read {
        partitions: partitions.collect::<Option<_>>()?,
        reserved: read.reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(partition: i32, fetch_offset: i64) -> FetchPosition {
        FetchPosition {
            topic: Arc::new(TopicRef::Name("t".into())),
            partition,
            fetch_offset,
            max_bytes: 100,
        }
    }

    fn pending(positions: Vec<FetchPosition>) -> Pending {
        Pending {
            positions,
            isolation: "read_uncommitted",
            max_bytes: 1000,
            wanted: oneshot::channel().0,
            found: oneshot::channel().1,
        }
    }

    #[test]
    fn the_same_is_recognized_in_any_order_and_nothing_else() {
        let read = pending(vec![position(0, 5), position(1, 7), position(2, 0)]);
        let order = |change: fn(&mut Vec<FetchPosition>), isolation, max_bytes| {
            let mut asked = vec![position(2, 0), position(0, 5), position(1, 7)];
            change(&mut asked);
            read.order(Question {
                positions: &asked.iter().collect::<Vec<_>>(),
                isolation,
                max_bytes,
            })
        };
        let same = "read_uncommitted";
        assert_eq!(order(|_| {}, same, 1000), Some(vec![2, 0, 1]));
        assert_eq!(order(|_| {}, "read_committed", 1000), None);
        assert_eq!(order(|_| {}, same, 999), None);
        let changes: [fn(&mut Vec<FetchPosition>); 6] = [
            |asked| asked[1].fetch_offset = 6,
            |asked| asked[1].max_bytes = 99,
            |asked| asked[1].partition = 3,
            |asked| asked[1].topic = Arc::new(TopicRef::Name("u".into())),
            |asked| drop(asked.pop()),
            |asked| asked.push(position(3, 0)),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(order(change, same, 1000), None, "change {number}");
        }
    }
}
