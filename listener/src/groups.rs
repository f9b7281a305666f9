//! Members of groups who wait for the others: for all to join, or for the leader's
//! assignment.
//!
//! A `JoinGroup` or `SyncGroup` that cannot be answered yet is parked here and asked again,
//! by the same call, when its group's version has moved, or at the time that the database
//! has named; asking again says that the member is alive. A version that an answer through
//! this listener tells wakes the others at once. What moves elsewhere is noticed by one
//! waiting session for all groups, which calls `kafka.wait_for_groups`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::conn::Connection;
use crate::db::{Role, Session, Wait, WatchedGroup};
use crate::error::DbError;
use crate::wait::{Bells, Call, Register};

/// One call of the waiting session. COMMIT PREPARED wakes nobody, so this is how long it
/// may stay unnoticed.
const WAIT_MS: i32 = 2000;
/// Nobody asks again sooner: members who join at the same time move the version one by
/// one, and each move would have all of them ask.
const PACE: Duration = Duration::from_millis(5);

#[derive(Default)]
pub struct Groups {
    state: Mutex<State>,
    bells: Bells,
}

#[derive(Default)]
struct State {
    groups: HashMap<Arc<str>, Group>,
    next_id: u64,
    call: Call,
}

/// A group that somebody waits for.
#[derive(Default)]
struct Group {
    /// The newest that anybody has been told.
    version: i64,
    parked: Vec<Parked>,
    in_call: bool,
    /// The database knows it no longer. Watching it would end each call at once, so it is
    /// left out until somebody has asked again.
    gone: bool,
}

struct Parked {
    id: u64,
    version: i64,
    notify: Arc<Notify>,
}

impl Group {
    /// Wakes those who know an older version; whoever does has then been woken since.
    fn moved(&mut self, version: i64) {
        if version <= self.version {
            return;
        }
        self.version = version;
        for parked in self.parked.iter().filter(|p| p.version < version) {
            parked.notify.notify_one();
        }
    }

    fn end(&mut self) {
        self.gone = true;
        for parked in &self.parked {
            parked.notify.notify_one();
        }
    }
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer has told a group's version.
    pub fn moved(&self, group_id: &str, version: i64) {
        if let Some(group) = self.lock().groups.get_mut(group_id) {
            group.moved(version);
        }
    }

    /// Starts to wait for more than what the answer told.
    pub fn park(self: &Arc<Self>, group_id: &str, version: i64) -> Parking {
        let mut guard = self.lock();
        let state = &mut *guard;
        let id = state.next_id;
        state.next_id += 1;
        let notify = Arc::new(Notify::new());
        let group_id: Arc<str> = Arc::from(group_id);
        let group = state.groups.entry(Arc::clone(&group_id)).or_default();
        group.parked.push(Parked {
            id,
            version,
            notify: Arc::clone(&notify),
        });
        let parking = Parking {
            groups: Arc::clone(self),
            id,
            group_id,
            notify,
        };
        parking.learn(state, version);
        drop(guard);
        parking
    }
}

impl Register for Groups {
    type Watched = WatchedGroup;

    const ROLE: Role = Role::WaitGroups;

    fn bells(&self) -> &Bells {
        &self.bells
    }

    fn call(&self) -> Call {
        self.lock().call
    }

    fn begin_call(&self) -> Vec<WatchedGroup> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut call = Vec::with_capacity(state.groups.len());
        for (group_id, group) in &mut state.groups {
            group.in_call = !group.gone;
            if group.in_call {
                call.push(WatchedGroup {
                    group_id: Arc::clone(group_id),
                    version: group.version,
                });
            }
        }
        state.call = if call.is_empty() {
            Call::None
        } else {
            Call::Running
        };
        call
    }

    fn end_call(&self, call: &[WatchedGroup], moved: &[(usize, i64)]) {
        let mut state = self.lock();
        for (index, version) in moved {
            let watched = call.get(*index);
            let Some(group) = watched.and_then(|watched| state.groups.get_mut(&watched.group_id))
            else {
                continue;
            };
            if *version < 0 {
                group.end();
            } else {
                group.moved(*version);
            }
        }
        state.end_call();
    }

    /// All ask for themselves.
    fn distrust(&self) {
        let mut state = self.lock();
        for parked in state.groups.values().flat_map(|group| &group.parked) {
            parked.notify.notify_one();
        }
        state.end_call();
    }

    async fn wait(
        session: &Session,
        call: &[WatchedGroup],
        waiter: i32,
    ) -> Result<Vec<(usize, i64)>, DbError> {
        session.wait_for_groups(call, WAIT_MS, waiter).await
    }
}

impl State {
    fn end_call(&mut self) {
        self.call = Call::None;
        for group in self.groups.values_mut() {
            group.in_call = false;
        }
    }
}

/// A request's place among those who wait; given up when dropped.
pub struct Parking {
    groups: Arc<Groups>,
    id: u64,
    group_id: Arc<str>,
    notify: Arc<Notify>,
}

impl Parking {
    /// Goes on to wait for more than what another answer told.
    pub fn park(&self, version: i64) {
        self.learn(&mut self.groups.lock(), version);
    }

    fn learn(&self, state: &mut State, version: i64) {
        let Some(group) = state.groups.get_mut(&self.group_id) else {
            return;
        };
        // Woken for what this answer tells.
        let _ = self.notify.notified().now_or_never();
        if let Some(parked) = group.parked.iter_mut().find(|p| p.id == self.id) {
            parked.version = version;
        }
        let behind = version < group.version && !group.gone;
        group.moved(version);
        // Somebody knows more than this answer; or the group is another one by now, which
        // is why the answer's word is taken.
        group.in_call &= version >= group.version;
        group.version = version;
        group.gone = false;
        let in_call = group.in_call;
        self.groups.bells.ring(&mut state.call, in_call);
        if behind {
            self.notify.notify_one();
        }
    }

    /// Returns when it is time to ask again. False: to give up.
    async fn wait(&self, connection: &Connection, wait_ms: i32) -> bool {
        let latest = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).max(PACE);
        tokio::select! {
            () = connection.gone.raised() => false,
            () = connection.server.shutdown.raised() => false,
            () = tokio::time::sleep(latest) => true,
            () = self.notify.notified() => {
                tokio::time::sleep(PACE).await;
                true
            }
        }
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        let mut state = self.groups.lock();
        if let Some(group) = state.groups.get_mut(&self.group_id) {
            group.parked.retain(|parked| parked.id != self.id);
            if group.parked.is_empty() {
                state.groups.remove(&self.group_id);
            }
        }
    }
}

/// One request, from its first answer to the one that can be given to the client.
pub struct Turn<'a> {
    connection: &'a Connection,
    group_id: &'a str,
    parking: Option<Parking>,
}

impl<'a> Turn<'a> {
    pub fn new(connection: &'a Connection, group_id: &'a str) -> Self {
        Self {
            connection,
            group_id,
            parking: None,
        }
    }

    /// Takes an answer, and waits where it says so.
    pub async fn next(&mut self, wait: &Wait) -> Next {
        let groups = &self.connection.server.groups;
        let Some(wait_ms) = wait.wait_ms else {
            if let Some(version) = wait.version {
                groups.moved(self.group_id, version);
            }
            return Next::Answer;
        };
        let version = wait.version.unwrap_or(0);
        let parking = match self.parking.take() {
            Some(parking) => {
                parking.park(version);
                parking
            }
            None => groups.park(self.group_id, version),
        };
        let parking = self.parking.insert(parking);
        if parking.wait(self.connection, wait_ms).await {
            Next::Ask
        } else {
            Next::GiveUp
        }
    }
}

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is the one for the client.
    Answer,
    Ask,
    /// Nobody is left to be answered, or the listener is stopping.
    GiveUp,
}

#[cfg(test)]
mod tests;
