//! The way down for producers: what arrives while a commit is in flight goes down
//! together as the next transaction, over a few append sessions.
//!
//! A connection is pinned to one lane, and a lane's requests are appended in the order they
//! came, so a connection's order is kept. A lane has two sessions: where much is to be
//! written, one appends while the other still commits, or already sends what it appends next.
//! A request is answered only when the transaction that carried it is committed: PostgreSQL
//! reports the rows before that.
//! What is queued is bounded by the memory that requests may take at all.

mod queue;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use kafka_core::code;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, mpsc, oneshot};

use crate::db::{Batches, Connector, OwnSession, Produced, Role};
use crate::error::{DbError, Meaning};
use crate::wake::Wake;

use queue::{ENOUGH_BYTES, Job, Queue};

const SESSIONS_PER_LANE: u16 = 2;
/// A deadlock or a serialization failure is worth this many attempts.
const ATTEMPTS: u32 = 3;

pub struct Append {
    lanes: Vec<mpsc::UnboundedSender<Job>>,
    /// Pins given so far.
    pins: AtomicUsize,
}

/// The number of a connection, given when it first produces; it tells its lane.
#[derive(Default)]
pub struct Pin(OnceLock<usize>);

/// What a queued request will have come to.
pub struct Ticket {
    reply: oneshot::Receiver<Vec<Produced>>,
    count: usize,
}

impl Ticket {
    /// One result per batch given, in their order.
    pub async fn produced(self) -> Vec<Produced> {
        match self.reply.await {
            Ok(produced) => produced,
            // The session's task ended or panicked after it took the request.
            Err(_) => vec![refusal(code::REQUEST_TIMED_OUT, None); self.count],
        }
    }
}

impl Append {
    pub fn start(connector: &Arc<Connector>, sessions: u16, wake: &Arc<Wake>) -> Self {
        let numbers: Vec<u16> = (1..=sessions).collect();
        let lanes = numbers
            .chunks(usize::from(SESSIONS_PER_LANE))
            .map(|numbers| {
                let (sender, receiver) = mpsc::unbounded_channel();
                let lane = Arc::new(Lane::new(receiver));
                for number in numbers {
                    let session = OwnSession::new(Arc::clone(connector), Role::Append(*number));
                    let wake = Arc::clone(wake);
                    tokio::spawn(Worker { session, wake }.run(Arc::clone(&lane)));
                }
                sender
            });
        Self {
            lanes: lanes.collect(),
            pins: AtomicUsize::new(0),
        }
    }

    /// Queues a request. Requests of one connection, which has this `pin`, are appended in
    /// the order of these calls.
    pub fn enqueue(
        &self,
        pin: &Pin,
        batches: Vec<Batches>,
        reserved: Arc<OwnedSemaphorePermit>,
    ) -> Ticket {
        let (reply, receiver) = oneshot::channel();
        let count = batches.len();
        let next = || self.pins.fetch_add(1, Ordering::Relaxed);
        let producer = *pin.0.get_or_init(next);
        let job = Job {
            producer,
            bytes: batches.iter().map(|batch| batch.records.len()).sum(),
            batches,
            reply,
            _reserved: reserved,
        };
        // Only fails after the workers ended; the ticket then says so.
        let _ = self.lanes[producer % self.lanes.len()].send(job);
        Ticket {
            reply: receiver,
            count,
        }
    }
}

/// What the sessions of a lane share.
struct Lane {
    /// Whoever has it locked gathers the next round.
    queue: Mutex<Queue>,
    /// Whoever has it locked appends. Only who has gathered a round waits for it.
    turn: Mutex<()>,
}

impl Lane {
    fn new(receiver: mpsc::UnboundedReceiver<Job>) -> Self {
        Self {
            queue: Mutex::new(Queue::new(receiver)),
            turn: Mutex::new(()),
        }
    }
}

/// A round's place among those of its lane.
struct Place<'a> {
    lane: &'a Lane,
    gathering: Option<MutexGuard<'a, Queue>>,
    appending: Option<MutexGuard<'a, ()>>,
}

impl<'a> Place<'a> {
    /// A round that is not worth a commit of its own has its turn already.
    async fn gather(lane: &'a Lane) -> (Self, Vec<Job>) {
        let mut queue = lane.queue.lock().await;
        let mut place = Self {
            lane,
            gathering: None,
            appending: None,
        };
        let round = queue.gather(place.begin()).await;
        place.gathering = Some(queue);
        (place, round)
    }

    /// Waits until the round before this one is appended.
    async fn begin(&mut self) {
        if self.appending.is_none() {
            self.appending = Some(self.lane.turn.lock().await);
        }
    }

    /// Lets the next round be gathered, and sent.
    fn let_gather(&mut self) {
        self.gathering = None;
    }

    /// Lets the next round be appended.
    fn let_append(&mut self) {
        self.appending = None;
    }

    /// Nobody can have appended behind this round.
    fn is_kept(&self) -> bool {
        self.gathering.is_some() || self.appending.is_some()
    }
}

struct Worker {
    session: OwnSession,
    wake: Arc<Wake>,
}

impl Worker {
    async fn run(mut self, lane: Arc<Lane>) {
        loop {
            let (mut place, round) = Place::gather(&lane).await;
            if round.is_empty() {
                return;
            }
            let overlap = round.iter().map(|job| job.bytes).sum::<usize>() >= ENOUGH_BYTES;
            // The tickets of a round that panicked are answered by their being dropped.
            if AssertUnwindSafe(self.append(round, &mut place, overlap))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!("an append round panicked");
            }
        }
    }

    /// `overlap`: other rounds may be appended while this one is sent, and while it commits.
    async fn append(&mut self, round: Vec<Job>, place: &mut Place<'_>, overlap: bool) {
        let alone = round.len() == 1;
        match self.transaction(&round, place, overlap).await {
            Ok(produced) => self.answer(round, produced),
            Err(error) if !alone && place.is_kept() && worth_separating(&error) => {
                tracing::debug!(%error, requests = round.len(), "appending one by one");
                for job in round {
                    Box::pin(self.append(vec![job], place, false)).await;
                }
            }
            Err(error) => {
                // Of a database that is away the connector has spoken once.
                if matches!(error, DbError::Away { .. }) {
                    tracing::debug!(%error, requests = round.len(), "produce refused");
                } else {
                    tracing::warn!(%error, requests = round.len(), "produce failed");
                }
                let refused = refuse(&error);
                for job in round {
                    let refused = vec![refused.clone(); job.batches.len()];
                    let _ = job.reply.send(refused);
                }
            }
        }
    }

    /// One transaction. Returns after its commit; our turn may be over before.
    async fn transaction(
        &mut self,
        round: &[Job],
        place: &mut Place<'_>,
        overlap: bool,
    ) -> Result<Vec<Produced>, DbError> {
        let batches: Vec<&Batches> = round.iter().flat_map(|job| &job.batches).collect();
        let mut attempt = 1;
        loop {
            let result = if overlap {
                self.overlapping(&batches, place).await
            } else {
                place.begin().await;
                match self.session.get().await {
                    Ok(session) => session.produce_batches(&batches).await,
                    Err(error) => Err(error),
                }
            };
            match result {
                Err(error) if attempt < ATTEMPTS && place.is_kept() && error.is_conflict() => {
                    tokio::time::sleep(Duration::from_millis(5) * attempt).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn overlapping(
        &mut self,
        batches: &[&Batches],
        place: &mut Place<'_>,
    ) -> Result<Vec<Produced>, DbError> {
        let sent = self.session.get().await?.send_batches(batches).await?;
        place.begin().await;
        place.let_gather();
        let produced = sent.append().await?;
        place.let_append();
        sent.commit().await?;
        Ok(produced)
    }

    fn answer(&self, round: Vec<Job>, produced: Vec<Produced>) {
        let mut produced = produced.into_iter();
        for job in round {
            let own: Vec<Produced> = produced.by_ref().take(job.batches.len()).collect();
            for (batch, produced) in job.batches.iter().zip(&own) {
                if produced.error_code == code::NONE {
                    self.wake
                        .appended(&batch.topic, Some(batch.partition).filter(|p| *p >= 0));
                }
            }
            let _ = job.reply.send(own);
        }
    }
}

/// The statement failed as a whole for a reason that may lie in one request. While the
/// server is short of something, or gone, asking again for each would only take longer.
fn worth_separating(error: &DbError) -> bool {
    let about_a_request = matches!(
        error.meaning(),
        Meaning::Kafka(_) | Meaning::Unexpected | Meaning::Unauthorized
    );
    let held_up = error.is_conflict() || error.is_lock_timeout();
    error.surely_failed() && (about_a_request || held_up)
}

/// `NOT_LEADER_OR_FOLLOWER` tells a producer that nothing was appended and to try again;
/// `REQUEST_TIMED_OUT` to try again although something may have been, so that an
/// idempotent producer repeats the same sequence and is answered with the old offset.
fn refuse(error: &DbError) -> Produced {
    let unavailable = if error.surely_failed() {
        code::NOT_LEADER_OR_FOLLOWER
    } else {
        code::REQUEST_TIMED_OUT
    };
    refusal(error.code(unavailable), Some(error.client_message()))
}

pub fn refusal(error_code: i16, error_message: Option<String>) -> Produced {
    Produced {
        error_code,
        error_message,
        base_offset: -1,
        log_append_time: -1,
        log_start_offset: -1,
    }
}
