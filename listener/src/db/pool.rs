//! Sessions shared by all connections, opened when first needed.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::DbError;

use super::session::{Connector, Role, Session};

/// Past this the database is too slow to be called present.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Pool {
    connector: Arc<Connector>,
    role: Role,
    slots: Semaphore,
    idle: Mutex<Vec<Session>>,
}

impl Pool {
    pub fn new(connector: Arc<Connector>, role: Role, size: u16) -> Self {
        Self {
            connector,
            role,
            slots: Semaphore::new(usize::from(size)),
            idle: Mutex::new(Vec::new()),
        }
    }

    pub async fn lease(&self) -> Result<Lease<'_>, DbError> {
        let Ok(Ok(slot)) = tokio::time::timeout(PATIENCE, self.slots.acquire()).await else {
            return Err(DbError::Away {
                reason: format!("all {:?} sessions are busy", self.role),
            });
        };
        let session = match self.take_idle() {
            Some(session) => session,
            None => self.connector.connect(self.role).await?,
        };
        Ok(Lease {
            pool: self,
            session: Some(session),
            _slot: slot,
        })
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(session) = idle.pop() {
            if session.usable() {
                return Some(session);
            }
        }
        None
    }
}

/// A session on loan; goes back when dropped, unless it broke.
pub struct Lease<'a> {
    pool: &'a Pool,
    /// `None` only while being dropped.
    session: Option<Session>,
    _slot: SemaphorePermit<'a>,
}

impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease holds a session")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(Session::usable) {
            self.pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(session);
        }
    }
}
