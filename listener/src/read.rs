//! One read of the log, and the memory that its answer takes until it is sent.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::{FetchCall, FetchPosition, Fetched};
use crate::error::DbError;
use crate::server::Server;

/// Less than this is waited for.
const FLOOR: usize = 64 << 10;

/// What was found of each position, and the memory that it takes.
pub struct Read {
    pub partitions: Vec<Fetched>,
    pub reserved: OwnedSemaphorePermit,
}

impl Read {
    pub fn bytes(&self) -> usize {
        self.partitions
            .iter()
            .map(|found| found.records.len())
            .sum()
    }
}

/// Makes the call, with an answer no larger than what is reserved, and gives back what the
/// answer does not take.
pub async fn read(
    server: &Server,
    mut call: FetchCall<'_>,
    mut reserved: OwnedSemaphorePermit,
) -> Result<Read, DbError> {
    let room = i32::try_from(reserved.num_permits()).unwrap_or(i32::MAX);
    call.max_bytes = call.max_bytes.min(room);
    call.min_bytes = call.min_bytes.min(call.max_bytes);
    let partitions = server.db.fetch_batches(&call).await?;
    let bytes: usize = partitions.iter().map(|found| found.records.len()).sum();
    drop(reserved.split(reserved.num_permits().saturating_sub(bytes)));
    Ok(Read {
        partitions,
        reserved,
    })
}

/// Takes what is free, down to a floor that is waited for.
pub async fn reserve(
    server: &Server,
    max_bytes: i32,
    positions: &[&FetchPosition],
) -> OwnedSemaphorePermit {
    let mut size = wanted(server, max_bytes, positions);
    loop {
        match try_acquire(&server.answer_budget, size) {
            Some(reserved) => return reserved,
            None if size > FLOOR => size /= 2,
            None => {
                let permits = u32::try_from(size).unwrap_or(u32::MAX);
                let budget = Arc::clone(&server.answer_budget);
                let acquired = budget.acquire_many_owned(permits).await;
                return acquired.expect("the budget is never closed");
            }
        }
    }
}

/// Takes what is wanted if it is free.
pub fn try_reserve(
    server: &Server,
    max_bytes: i32,
    positions: &[&FetchPosition],
) -> Option<OwnedSemaphorePermit> {
    try_acquire(&server.answer_budget, wanted(server, max_bytes, positions))
}

fn try_acquire(budget: &Arc<Semaphore>, size: usize) -> Option<OwnedSemaphorePermit> {
    let permits = u32::try_from(size).unwrap_or(u32::MAX);
    Arc::clone(budget).try_acquire_many_owned(permits).ok()
}

/// The largest answer, or a share of the memory that leaves some to others.
fn wanted(server: &Server, max_bytes: i32, positions: &[&FetchPosition]) -> usize {
    let partitions = positions
        .iter()
        .map(|position| i64::from(position.max_bytes));
    let wanted = i64::from(max_bytes).min(partitions.sum()).max(1);
    usize::try_from(wanted)
        .unwrap_or(usize::MAX)
        .min(server.config.half_memory() / 4)
        .max(1)
}
