//! The way down for producers: what arrives while a commit is in flight goes down
//! together as the next transaction, over a few append sessions.
//!
//! A connection is pinned to one session and its requests are queued in the order they
//! came, so its order is kept. A request is answered only when the statement that
//! carried it is over without an error: PostgreSQL reports the rows before it commits.
//! What is queued is bounded by the memory that requests may take at all.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kafka_core::code;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::db::{Batches, Connector, OwnSession, Produced, Role};
use crate::error::{DbError, Meaning};
use crate::wake::Wake;

/// Past this a transaction only grows later, not faster.
const ROUND_BYTES: usize = 32 << 20;
const ROUND_REQUESTS: usize = 2000;
/// A deadlock or a serialization failure is worth this many attempts.
const ATTEMPTS: u32 = 3;

/// One Produce request's batches, all to be appended in one transaction.
#[derive(Debug)]
struct Job {
    batches: Vec<Batches>,
    bytes: usize,
    reply: oneshot::Sender<Vec<Produced>>,
    /// Held until the batches are appended, even if the connection is gone by then.
    _reserved: Arc<OwnedSemaphorePermit>,
}

#[derive(Clone)]
pub struct Append {
    queues: Arc<[mpsc::UnboundedSender<Job>]>,
}

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
        let queues = (1..=sessions)
            .map(|number| {
                let (sender, receiver) = mpsc::unbounded_channel();
                let session = OwnSession::new(Arc::clone(connector), Role::Append(number));
                let worker = Worker {
                    session,
                    wake: Arc::clone(wake),
                };
                tokio::spawn(worker.run(receiver));
                sender
            })
            .collect();
        Self { queues }
    }

    /// Queues a request. Requests of one `connection` are appended in the order of these
    /// calls.
    pub fn enqueue(
        &self,
        connection: u64,
        batches: Vec<Batches>,
        reserved: Arc<OwnedSemaphorePermit>,
    ) -> Ticket {
        let (reply, receiver) = oneshot::channel();
        let count = batches.len();
        let job = Job {
            bytes: batches.iter().map(|batch| batch.records.len()).sum(),
            batches,
            reply,
            _reserved: reserved,
        };
        let queue = &self.queues[connection as usize % self.queues.len()];
        // Only fails after the worker ended; the ticket then says so.
        let _ = queue.send(job);
        Ticket {
            reply: receiver,
            count,
        }
    }
}

struct Worker {
    session: OwnSession,
    wake: Arc<Wake>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(job) => job,
                None => match queue.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let round = gather(first, &mut queue, &mut next);
            // The tickets of a round that panicked are answered by their being dropped.
            if AssertUnwindSafe(self.append(round))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!("an append round panicked");
            }
        }
    }

    async fn append(&mut self, round: Vec<Job>) {
        if round.is_empty() {
            return;
        }
        let alone = round.len() == 1;
        match self.transaction(&round).await {
            Ok(produced) => self.answer(round, produced),
            Err(error) if !alone && worth_separating(&error) => {
                tracing::debug!(%error, requests = round.len(), "appending one by one");
                for job in round {
                    Box::pin(self.append(vec![job])).await;
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

    /// One statement, so one transaction. Returns after its commit.
    async fn transaction(&mut self, round: &[Job]) -> Result<Vec<Produced>, DbError> {
        let batches: Vec<&Batches> = round.iter().flat_map(|job| &job.batches).collect();
        let mut attempt = 1;
        loop {
            let result = match self.session.get().await {
                Ok(session) => session.produce_batches(&batches).await,
                Err(error) => Err(error),
            };
            match result {
                Err(error) if attempt < ATTEMPTS && error.is_conflict() => {
                    tokio::time::sleep(Duration::from_millis(5) * attempt).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
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

/// Takes what has queued up behind `first`; the job that no longer fits becomes `next`.
fn gather(
    first: Job,
    queue: &mut mpsc::UnboundedReceiver<Job>,
    next: &mut Option<Job>,
) -> Vec<Job> {
    let mut bytes = first.bytes;
    let mut round = vec![first];
    while round.len() < ROUND_REQUESTS {
        let Ok(job) = queue.try_recv() else { break };
        if bytes + job.bytes > ROUND_BYTES {
            *next = Some(job);
            break;
        }
        bytes += job.bytes;
        round.push(job);
    }
    round
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
