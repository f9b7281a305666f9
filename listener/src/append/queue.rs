//! Requests that wait to be appended, and how many of them go down together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::db::{Batches, Produced};

/// Past this a transaction only grows later, not faster.
const ROUND_BYTES: usize = 8 << 20;
const ROUND_REQUESTS: usize = 2000;
/// So long the rest of a small round is waited for.
const PATIENCE: Duration = Duration::from_millis(1);
/// A round that is worth a commit of its own: nobody else is waited for, it is sent while the
/// round before it is appended, and the next round does not wait for its commit. Of smaller
/// ones the commit is most of the time, and what arrives meanwhile had better share the next
/// one.
pub(super) const ENOUGH_BYTES: usize = 256 << 10;
/// After waits in vain up to 2 to the power of this many rounds pass without another.
const MAX_MISSES: u32 = 6;

/// One Produce request's batches, all to be appended in one transaction.
#[derive(Debug)]
pub(super) struct Job {
    /// Whose it is: a connection's number.
    pub(super) producer: usize,
    pub(super) batches: Vec<Batches>,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Vec<Produced>>,
    /// Held until the batches are appended, even if the connection is gone by then.
    pub(super) _reserved: Arc<OwnedSemaphorePermit>,
}

/// A lane's requests. Whoever has it locked is the one that appends.
pub(super) struct Queue {
    receiver: mpsc::UnboundedReceiver<Job>,
    /// The one that did not fit into the last round.
    next: Option<Job>,
    /// Whose requests the last two rounds were, the last one first.
    last: [HashSet<usize>; 2],
    /// How many producers those are.
    expected: usize,
    /// Twice the waits in vain, less those that were worth it: where one of three is in vain
    /// it does not grow.
    misses: u32,
    /// Rounds to pass before the next wait.
    pause: u32,
}

struct Round {
    jobs: Vec<Job>,
    producers: HashSet<usize>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(receiver: mpsc::UnboundedReceiver<Job>) -> Self {
        Self {
            receiver,
            next: None,
            last: Default::default(),
            expected: 0,
            misses: 0,
            pause: 0,
        }
    }

    /// What has queued up, at least one request; none when no more will come. Little of it
    /// waits for its `turn` to be appended, and takes along what comes until then.
    ///
    /// Producers that wait for their answers send the next requests one after the other when
    /// a round is answered. The first of them alone would take a commit, for which all others
    /// would have to wait: so those of the last two rounds are awaited for a moment. Of two,
    /// because what comes while one round commits would else be a round for ever, and each
    /// commit be shared by half of the producers.
    pub(super) async fn gather(&mut self, turn: impl Future<Output = ()>) -> Vec<Job> {
        let first = match self.next.take() {
            Some(job) => Some(job),
            None => self.receiver.recv().await,
        };
        let Some(first) = first else {
            return Vec::new();
        };
        let mut round = Round {
            bytes: first.bytes,
            producers: HashSet::from([first.producer]),
            jobs: vec![first],
        };
        self.take_queued(&mut round);
        if round.bytes < ENOUGH_BYTES {
            turn.await;
            self.take_queued(&mut round);
        }
        if self.lacks(&round) && self.is_patient() {
            let rest = tokio::time::timeout(PATIENCE, self.take_expected(&mut round));
            if rest.await.is_ok() {
                self.misses = self.misses.saturating_sub(1);
            } else {
                self.misses = MAX_MISSES.min(self.misses + 2);
                self.pause = 1 << self.misses;
            }
        }
        let [last, before] = &mut self.last;
        std::mem::swap(last, before);
        *last = round.producers;
        self.expected = last.union(before).count();
        round.jobs
    }

    fn lacks(&self, round: &Round) -> bool {
        self.next.is_none() && round.producers.len() < self.expected && round.bytes < ENOUGH_BYTES
    }

    fn is_patient(&mut self) -> bool {
        let patient = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        patient
    }

    async fn take_expected(&mut self, round: &mut Round) {
        while self.lacks(round)
            && let Some(job) = self.receiver.recv().await
        {
            self.add(round, job);
            self.take_queued(round);
        }
    }

    fn take_queued(&mut self, round: &mut Round) {
        while self.next.is_none()
            && round.jobs.len() < ROUND_REQUESTS
            && let Ok(job) = self.receiver.try_recv()
        {
            self.add(round, job);
        }
    }

    /// Where the round would grow too large, the job is the first of the next.
    fn add(&mut self, round: &mut Round, job: Job) {
        if round.bytes + job.bytes > ROUND_BYTES {
            self.next = Some(job);
        } else {
            round.bytes += job.bytes;
            round.producers.insert(job.producer);
            round.jobs.push(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    struct Producers(mpsc::UnboundedSender<Job>);

    impl Producers {
        fn new() -> (Self, Queue) {
            let (sender, receiver) = mpsc::unbounded_channel();
            (Self(sender), Queue::new(receiver))
        }

        /// One request of each of so many.
        fn send(&self, producers: usize, bytes: usize) {
            self.send_of(0..producers, bytes);
        }

        fn send_of(&self, producers: impl IntoIterator<Item = usize>, bytes: usize) {
            for producer in producers {
                let reserved = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
                let job = Job {
                    producer,
                    batches: Vec::new(),
                    bytes,
                    reply: oneshot::channel().0,
                    _reserved: Arc::new(reserved),
                };
                self.0.send(job).unwrap();
            }
        }
    }

    async fn gathered(queue: &mut Queue) -> usize {
        queue.gather(async {}).await.len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_queued_goes_together_up_to_a_size() {
        let (producers, mut queue) = Producers::new();
        producers.send(5, 100);
        assert_eq!(gathered(&mut queue).await, 5);
        producers.send(3, ROUND_BYTES / 2);
        assert_eq!(gathered(&mut queue).await, 2);
        assert_eq!(gathered(&mut queue).await, 1);
        // One that is larger than any round still goes.
        producers.send(1, ROUND_BYTES * 2);
        assert_eq!(gathered(&mut queue).await, 1);
        drop(producers);
        assert_eq!(gathered(&mut queue).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn little_waits_for_its_turn_and_grows_meanwhile() {
        let (producers, mut queue) = Producers::new();
        producers.send(1, ENOUGH_BYTES - 1);
        let round = queue.gather(async { producers.send(3, 100) }).await;
        assert_eq!(round.len(), 4);
        producers.send(1, ENOUGH_BYTES);
        let round = queue.gather(std::future::pending()).await;
        assert_eq!(round.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_producers_of_the_last_two_rounds_are_waited_for() {
        let (producers, mut queue) = Producers::new();
        for half in [0..4, 4..8] {
            producers.send_of(half, 100);
            assert_eq!(gathered(&mut queue).await, 4);
        }
        producers.send_of(0..4, 100);
        let late = async {
            tokio::time::sleep(PATIENCE / 2).await;
            producers.send_of(4..8, 100);
        };
        let (count, ()) = tokio::join!(gathered(&mut queue), late);
        assert_eq!(count, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn one_producer_with_several_requests_under_way_is_not_waited_for() {
        let (producers, mut queue) = Producers::new();
        producers.send_of([7; 5], 100);
        assert_eq!(gathered(&mut queue).await, 5);
        producers.send_of([7], 100);
        assert_eq!(gathered(&mut queue).await, 1);
        assert_eq!(queue.misses, 0, "a wait in vain");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_long_or_often_in_vain() {
        let (producers, mut queue) = Producers::new();
        let mut waits = 0;
        for _ in 0..200 {
            // Two in one round, one in the next: the second is awaited in vain.
            producers.send(2, 100);
            gathered(&mut queue).await;
            producers.send(1, 100);
            let started = tokio::time::Instant::now();
            assert_eq!(gathered(&mut queue).await, 1);
            waits += u32::from(started.elapsed() >= PATIENCE);
            assert!(started.elapsed() <= PATIENCE * 2);
        }
        assert!((1..20).contains(&waits), "{waits} waits");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_every_other_time_is_not_waited_for_often() {
        let (producers, mut queue) = Producers::new();
        let mut in_vain = 0;
        for number in 0..400 {
            producers.send_of([0], 100);
            let other = async {
                tokio::task::yield_now().await;
                if number % 2 == 0 {
                    producers.send_of([1], 100);
                }
            };
            let started = tokio::time::Instant::now();
            let (count, ()) = tokio::join!(gathered(&mut queue), other);
            in_vain += u32::from(started.elapsed() >= PATIENCE);
            if count == 1 && number % 2 == 0 {
                gathered(&mut queue).await;
            }
        }
        assert!(in_vain < 20, "{in_vain} waits in vain");
    }

    #[tokio::test]
    async fn a_large_round_waits_for_nobody() {
        let (producers, mut queue) = Producers::new();
        producers.send(4, ENOUGH_BYTES);
        assert_eq!(gathered(&mut queue).await, 4);
        producers.send(1, ENOUGH_BYTES);
        assert_eq!(gathered(&mut queue).await, 1);
        assert_eq!(queue.misses, 0, "a wait in vain");
    }
}
