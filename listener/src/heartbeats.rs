//! Heartbeats of all members: those that arrive while a call is in flight go down together
//! in the next, on a session of their own that waits for no flush. The call knows the
//! members who are well; the others are asked for one by one, as that may change a group.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use kafka_core::code;
use tokio::sync::{mpsc, oneshot};

use crate::db::{Db, Heartbeat, OwnSession, Role, worth_repeating};
use crate::error::{DbError, Meaning};

/// Past this a call only takes longer.
const ROUND: usize = 2000;

#[derive(Debug)]
struct Job {
    heartbeat: Heartbeat,
    reply: oneshot::Sender<i16>,
}

pub struct Heartbeats {
    queue: mpsc::UnboundedSender<Job>,
}

impl Heartbeats {
    pub fn start(db: &Arc<Db>) -> Self {
        let (queue, receiver) = mpsc::unbounded_channel();
        let worker = Worker {
            session: OwnSession::new(Arc::clone(&db.connector), Role::Heartbeat),
            db: Arc::clone(db),
        };
        tokio::spawn(worker.run(receiver));
        Self { queue }
    }

    /// The error code for the member. What is queued is bounded by the connections, which
    /// wait for their answers.
    pub async fn beat(&self, heartbeat: Heartbeat) -> i16 {
        let (reply, answer) = oneshot::channel();
        // Only fails after the task ended; so does the answer then.
        let _ = self.queue.send(Job { heartbeat, reply });
        answer.await.unwrap_or(code::NOT_COORDINATOR)
    }
}

struct Worker {
    session: OwnSession,
    db: Arc<Db>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut round = Vec::new();
        while queue.recv_many(&mut round, ROUND).await > 0 {
            let round = std::mem::take(&mut round);
            // The members of a round that panicked are answered by their jobs being dropped.
            let served = AssertUnwindSafe(self.serve(round)).catch_unwind();
            if served.await.is_err() {
                tracing::error!("a round of heartbeats panicked");
            }
        }
    }

    async fn serve(&mut self, round: Vec<Job>) {
        let asked = {
            let heartbeats: Vec<&Heartbeat> = round.iter().map(|job| &job.heartbeat).collect();
            self.ask(&heartbeats).await
        };
        let codes = match asked {
            Ok(codes) => codes,
            Err(error) if may_lie_in_one(&error) => {
                tracing::debug!(%error, heartbeats = round.len(), "heartbeats one by one");
                vec![None; round.len()]
            }
            Err(error) => {
                tracing::debug!(%error, heartbeats = round.len(), "heartbeats refused");
                let refused = error.group_code(code::NOT_COORDINATOR);
                vec![Some(refused); round.len()]
            }
        };
        for (job, error_code) in round.into_iter().zip(codes) {
            match error_code {
                // A member may have hung up.
                Some(error_code) => drop(job.reply.send(error_code)),
                // The next round does not wait for these.
                None => drop(tokio::spawn(beat_alone(Arc::clone(&self.db), job))),
            }
        }
    }

    async fn ask(&mut self, heartbeats: &[&Heartbeat]) -> Result<Vec<Option<i16>>, DbError> {
        let started = Instant::now();
        let result = self.session.get().await?.heartbeats(heartbeats).await;
        if !worth_repeating(&result, started) {
            return result;
        }
        self.session.get().await?.heartbeats(heartbeats).await
    }
}

async fn beat_alone(db: Arc<Db>, job: Job) {
    let error_code = match db.group(&job.heartbeat).await {
        Ok(error_code) => error_code,
        Err(error) => {
            tracing::debug!(%error, "a heartbeat was refused");
            error.group_code(code::NOT_COORDINATOR)
        }
    };
    let _ = job.reply.send(error_code);
}

/// The reason may be one group that is locked, or one member that the database cannot even
/// name. While the server is gone, asking for each would only take longer.
fn may_lie_in_one(error: &DbError) -> bool {
    let locked = matches!(error, DbError::Server { sqlstate, .. } if sqlstate == "55P03");
    let about_one = matches!(error.meaning(), Meaning::Kafka(_) | Meaning::Unexpected);
    error.surely_failed() && (locked || about_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_lie_in_one_member_is_asked_again() {
        let server = |sqlstate: &str| DbError::Server {
            sqlstate: sqlstate.into(),
            message: "no".into(),
            detail: None,
            hint: None,
            fatal: false,
        };
        // A group that is locked; a member id that the database's encoding has not.
        assert!(may_lie_in_one(&server("55P03")) && may_lie_in_one(&server("22P05")));
        assert!(!may_lie_in_one(&server("53300")) && !may_lie_in_one(&server("25006")));
        assert!(!may_lie_in_one(&DbError::Away { reason: "x".into() }));
        assert!(!may_lie_in_one(&DbError::Lost { reason: "x".into() }));
    }
}
