//! What tellers have begun and what they were told of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::judge::{Id, Leg, Outcome, Transaction};

#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) transactions: BTreeMap<Id, Transaction>,
    /// Why producers had to be made anew, and how often.
    pub(crate) losses: BTreeMap<String, u32>,
}

/// One for all tellers.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

impl Book {
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: Id, change: impl FnOnce(&mut Transaction)) {
        let mut pages = self.pages();
        change(pages.transactions.get_mut(&id).expect("it has begun"));
    }

    /// Accounts and what they get. As long as nobody asks to commit it, it is as good as
    /// aborted.
    pub(crate) fn begin(&self, id: Id, changes: &[(u8, i64)]) {
        let legs = (0..).zip(changes).map(|(number, (account, delta))| Leg {
            id,
            number,
            account: *account,
            delta: *delta,
        });
        let transaction = Transaction {
            outcome: Outcome::Aborted,
            legs: legs.collect(),
            acknowledged: BTreeMap::new(),
        };
        let before = self.pages().transactions.insert(id, transaction);
        assert!(before.is_none(), "{id:?} begins twice");
    }

    pub(crate) fn acknowledged(&self, id: Id, number: u16, offset: i64) {
        self.change(id, |transaction| {
            transaction.acknowledged.insert(number, offset);
        });
    }

    pub(crate) fn now(&self, id: Id, outcome: Outcome) {
        self.change(id, |transaction| transaction.outcome = outcome);
    }

    pub(crate) fn lost(&self, why: String) {
        *self.pages().losses.entry(why).or_default() += 1;
    }
}
