//! Waiting in the database on behalf of many: one session makes a call that returns when
//! something moves, and another interrupts the call when somebody waits for what is not
//! in it. Who waits for what is a [`Register`]'s own.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::db::{Db, OwnSession, Role, Session};
use crate::error::DbError;
use crate::task;

/// The call that the waiting session makes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    #[default]
    None,
    Running,
    /// Running without something that somebody now waits for.
    Stale,
}

/// What a register tells the tasks that serve it.
#[derive(Default)]
pub struct Bells {
    /// Somebody waits.
    work: Notify,
    stale: Notify,
}

impl Bells {
    /// To be called when something is waited for, after it is in the register.
    pub fn ring(&self, call: &mut Call, in_call: bool) {
        match call {
            Call::Running if !in_call => {
                *call = Call::Stale;
                self.stale.notify_one();
            }
            Call::None => self.work.notify_one(),
            Call::Running | Call::Stale => {}
        }
    }
}

/// Those who wait.
pub trait Register: Send + Sync + 'static {
    /// One thing to wait for, and what is known of it.
    type Watched: Send + Sync + 'static;

    const ROLE: Role;

    fn bells(&self) -> &Bells;

    fn call(&self) -> Call;

    /// What to wait for, or nothing where nobody waits.
    fn begin_call(&self) -> Vec<Self::Watched>;

    /// `moved`: index into `call`, and what it has moved to.
    fn end_call(&self, call: &[Self::Watched], moved: &[(usize, i64)]);

    /// The call failed: something may have moved without being noticed.
    fn distrust(&self);

    fn wait(
        session: &Session,
        call: &[Self::Watched],
        waiter: i32,
    ) -> impl Future<Output = Result<Vec<(usize, i64)>, DbError>> + Send;
}

/// Starts the waiting session and its interrupter.
pub fn start<R: Register>(register: &Arc<R>, db: &Arc<Db>) {
    let waiter = (RandomState::new().hash_one(std::process::id()) >> 33) as i32;
    let (waiting, database) = (Arc::clone(register), Arc::clone(db));
    task::keep_running("wait", move || {
        watch(Arc::clone(&waiting), Arc::clone(&database), waiter)
    });
    let (waiting, database) = (Arc::clone(register), Arc::clone(db));
    task::keep_running("interrupt", move || {
        interrupt(Arc::clone(&waiting), Arc::clone(&database), waiter)
    });
}

async fn watch<R: Register>(register: Arc<R>, db: Arc<Db>, waiter: i32) {
    let mut session = OwnSession::new(Arc::clone(&db.connector), R::ROLE);
    loop {
        let work = register.bells().work.notified();
        let call = register.begin_call();
        if call.is_empty() {
            work.await;
            continue;
        }
        let result = match session.get().await {
            Ok(session) => R::wait(session, &call, waiter).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(moved) => register.end_call(&call, &moved),
            Err(error) => {
                tracing::debug!(role = ?R::ROLE, %error, "waiting failed");
                register.distrust();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn interrupt<R: Register>(register: Arc<R>, db: Arc<Db>, waiter: i32) {
    loop {
        let stale = register.bells().stale.notified();
        if register.call() != Call::Stale {
            stale.await;
            continue;
        }
        let woken = match db.admin().await {
            Ok(session) => session.interrupt_wait(waiter).await,
            Err(error) => Err(error),
        };
        // 0: the call has not begun to wait, or is just over.
        let pause = match woken {
            Ok(0) => Duration::from_millis(2),
            Ok(_) => Duration::from_millis(5),
            Err(_) => Duration::from_millis(200),
        };
        tokio::time::sleep(pause).await;
    }
}
