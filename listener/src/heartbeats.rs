//! Heartbeats of all members: those that arrive while a call is in flight go down together
//! in the next.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use kafka_core::code;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{mpsc, oneshot};

use crate::db::{self, Db, Heartbeat};
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
        tokio::spawn(run(Arc::clone(db), receiver));
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

async fn run(db: Arc<Db>, mut queue: mpsc::UnboundedReceiver<Job>) {
    let mut round = Vec::new();
    while queue.recv_many(&mut round, ROUND).await > 0 {
        let round = std::mem::take(&mut round);
        // The members of a round that panicked are answered by their jobs being dropped.
        if AssertUnwindSafe(serve(&db, round))
            .catch_unwind()
            .await
            .is_err()
        {
            tracing::error!("a round of heartbeats panicked");
        }
    }
}

async fn serve(db: &Arc<Db>, round: Vec<Job>) {
    let Err((error, round)) = ask(db, round).await else {
        return;
    };
    if !worth_separating(&error) {
        refuse(round, &error);
        return;
    }
    // The others need not wait until the reason is found.
    tracing::debug!(%error, heartbeats = round.len(), "heartbeats one group at a time");
    for round in by_group(round) {
        tokio::spawn(serve_group(Arc::clone(db), round));
    }
}

async fn serve_group(db: Arc<Db>, round: Vec<Job>) {
    let Err((error, round)) = ask(&db, round).await else {
        return;
    };
    // A member that PostgreSQL cannot even name is refused alone; a lock holds up all.
    if error.meaning() != Meaning::Unexpected {
        refuse(round, &error);
        return;
    }
    for job in round {
        if let Err((error, round)) = ask(&db, vec![job]).await {
            refuse(round, &error);
        }
    }
}

/// One call; gives back what has not been answered.
async fn ask(db: &Db, round: Vec<Job>) -> Result<(), (DbError, Vec<Job>)> {
    let heartbeats: Vec<&Heartbeat> = round.iter().map(|job| &job.heartbeat).collect();
    match db.group(&db::Heartbeats(&heartbeats)).await {
        Ok(codes) => {
            for (job, error_code) in round.into_iter().zip(codes) {
                // A member may have hung up.
                let _ = job.reply.send(error_code);
            }
            Ok(())
        }
        Err(error) => Err((error, round)),
    }
}

/// The reason may lie in one group, or in one member.
fn worth_separating(error: &DbError) -> bool {
    let locked = matches!(error, DbError::Server { sqlstate, .. } if sqlstate == "55P03");
    let about_one = matches!(error.meaning(), Meaning::Kafka(_) | Meaning::Unexpected);
    error.surely_failed() && (locked || about_one)
}

fn by_group(round: Vec<Job>) -> impl Iterator<Item = Vec<Job>> {
    let mut groups: HashMap<StrBytes, Vec<Job>> = HashMap::new();
    for job in round {
        let group_id = job.heartbeat.group_id.clone();
        groups.entry(group_id).or_default().push(job);
    }
    groups.into_values()
}

fn refuse(round: Vec<Job>, error: &DbError) {
    tracing::debug!(%error, heartbeats = round.len(), "heartbeats refused");
    for job in round {
        let _ = job.reply.send(error.group_code(code::NOT_COORDINATOR));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(group_id: &'static str, member_id: &'static str) -> Job {
        let heartbeat = Heartbeat {
            group_id: StrBytes::from_static_str(group_id),
            generation_id: 1,
            member_id: StrBytes::from_static_str(member_id),
            group_instance_id: None,
        };
        let (reply, _) = oneshot::channel();
        Job { heartbeat, reply }
    }

    #[test]
    fn rounds_are_separated_by_group() {
        let round = vec![job("a", "1"), job("b", "1"), job("a", "2")];
        let mut groups: Vec<Vec<String>> = by_group(round)
            .map(|jobs| {
                let names = jobs.iter().map(|job| &job.heartbeat);
                names
                    .map(|h| format!("{}{}", h.group_id, h.member_id))
                    .collect()
            })
            .collect();
        groups.sort();
        assert_eq!(groups, [vec!["a1", "a2"], vec!["b1"]]);
    }

    #[test]
    fn only_what_may_lie_in_one_group_is_asked_again() {
        let server = |sqlstate: &str| DbError::Server {
            sqlstate: sqlstate.into(),
            message: "no".into(),
            detail: None,
            hint: None,
            fatal: false,
        };
        // A group that is locked; a member id that the database's encoding has not.
        assert!(worth_separating(&server("55P03")) && worth_separating(&server("22P05")));
        // The server: asking once for each group would only take longer.
        assert!(!worth_separating(&server("53300")) && !worth_separating(&server("25006")));
        assert!(!worth_separating(&DbError::Away { reason: "x".into() }));
        assert!(!worth_separating(&DbError::Lost { reason: "x".into() }));
    }
}
