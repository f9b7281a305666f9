//! What tellers were told of their transactions, and what readers saw of them, judged by
//! what transactions promise.
//!
//! A transaction commits in all partitions, but a reader may reach its record in one
//! partition long before that in another: other transactions that are open hold each
//! partition back by itself. So the money is not all there at any place where a reader
//! happens to stand. What must hold is this: when one record of a transaction has been read,
//! all of it is in the log. What is appended then comes behind it, and a reader that has got
//! so far in each partition has read all of the transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const ACCOUNTS: u8 = 10;

/// The teller, and which of its transactions.
pub(crate) type Id = (u16, u32);
/// Partition and offset.
pub(crate) type Place = (i32, i64);

/// What a record says: an account got so much more, or less. Two make a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leg {
    pub(crate) id: Id,
    /// Of the record in its transaction.
    pub(crate) number: u16,
    pub(crate) account: u8,
    pub(crate) delta: i64,
}

impl Leg {
    pub(crate) fn partition(&self) -> i32 {
        i32::from(self.account) % PARTITIONS
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Leg> {
        let mut parts = str::from_utf8(text).ok()?.split(' ');
        Some(Leg {
            id: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
            number: parts.next()?.parse().ok()?,
            account: parts.next()?.parse().ok()?,
            delta: parts.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (teller, transaction) = self.id;
        write!(
            f,
            "{teller} {transaction} {} {} {}",
            self.number, self.account, self.delta
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Committed,
    /// Or nobody has ever asked to commit it.
    Aborted,
    /// The answer to the commit has not come.
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) outcome: Outcome,
    /// In the order in which they were sent.
    pub(crate) legs: Vec<Leg>,
    /// By number: the offsets at which records were acknowledged.
    pub(crate) acknowledged: BTreeMap<u16, i64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Read(Place, Leg),
    /// Where the partitions' logs end: the offsets that records were given which were sent
    /// after what was read before.
    Ends(Vec<i64>),
}

/// One reader's, from the beginning to the end of the topic.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) name: String,
    /// Or uncommitted.
    pub(crate) committed: bool,
    pub(crate) events: Vec<Event>,
    /// What it was told instead of records, and should not have been.
    pub(crate) errors: Vec<String>,
}

impl Reading {
    pub(crate) fn new(name: &str, committed: bool) -> Self {
        Reading {
            name: name.to_owned(),
            committed,
            events: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn records(&self) -> impl Iterator<Item = (usize, Place, &Leg)> {
        let events = self.events.iter().enumerate();
        events.filter_map(|(index, event)| match event {
            Event::Read(place, leg) => Some((index, *place, leg)),
            Event::Ends(_) => None,
        })
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) transactions: BTreeMap<Id, Transaction>,
    pub(crate) readings: Vec<Reading>,
    /// All that could be read committed at some moment, by partition.
    pub(crate) snapshots: Vec<BTreeMap<i32, Vec<i64>>>,
}

impl Story {
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        let transactions = self.transactions.values();
        transactions.filter(|t| t.outcome == outcome).count()
    }
}

/// Every violation; none where all is well.
pub(crate) fn judge(story: &Story) -> Vec<String> {
    let mut found = Vec::new();
    for reading in &story.readings {
        let mut own = reading.errors.clone();
        own.extend(out_of_order(reading));
        own.extend(never_sent(story, reading));
        let seen = by_transaction(reading);
        own.extend(elsewhere(story, &seen));
        if reading.committed {
            own.extend(torn(story, &seen));
            own.extend(torn_on_the_way(reading, &seen));
            own.extend(wrong_balances(story, reading));
        } else {
            own.extend(acknowledged_and_gone(story, &seen));
        }
        found.extend(own.iter().map(|what| format!("{}: {what}", reading.name)));
    }
    found.extend(different(story));
    found.extend(no_prefix(story));
    found
}

/// Each record's place, and when it was read first.
type Seen = BTreeMap<Id, BTreeMap<u16, (Place, usize)>>;

fn by_transaction(reading: &Reading) -> Seen {
    let mut seen = Seen::new();
    for (index, place, leg) in reading.records() {
        let transaction = seen.entry(leg.id).or_default();
        transaction.entry(leg.number).or_insert((place, index));
    }
    seen
}

/// Offsets rise, each record comes once, and a teller's records come as it has sent them.
fn out_of_order(reading: &Reading) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = BTreeMap::new();
    let mut last_of_teller = BTreeMap::new();
    let mut ends = vec![0; PARTITIONS as usize];
    for event in &reading.events {
        match event {
            Event::Ends(now) => {
                if now.iter().zip(&ends).any(|(now, before)| now < before) {
                    found.push(format!("the ends went from {ends:?} to {now:?}"));
                }
                ends.clone_from(now);
            }
            Event::Read((partition, offset), leg) => {
                if let Some(before) = last.insert(*partition, *offset)
                    && before >= *offset
                {
                    found.push(format!("{offset} of {partition} after {before}"));
                }
                let sent = (leg.id.1, leg.number);
                if let Some(before) = last_of_teller.insert((leg.id.0, *partition), sent)
                    && before >= sent
                {
                    found.push(format!("\"{leg}\" in {partition} after {before:?}"));
                }
            }
        }
    }
    found
}

fn never_sent(story: &Story, reading: &Reading) -> Vec<String> {
    let invented = reading.records().filter(|(_, (partition, _), leg)| {
        let transaction = story.transactions.get(&leg.id);
        let sent = transaction.is_some_and(|transaction| transaction.legs.contains(leg));
        !sent || leg.partition() != *partition
    });
    invented
        .map(|(_, place, leg)| format!("\"{leg}\" at {place:?} was never sent there"))
        .collect()
}

/// Records that are not where they were acknowledged.
fn elsewhere(story: &Story, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (id, records) in seen {
        let acknowledged = story.transactions.get(id).map(|t| &t.acknowledged);
        for (number, ((_, offset), _)) in records {
            let told = acknowledged.and_then(|acknowledged| acknowledged.get(number));
            if let Some(told) = told.filter(|told| *told != offset) {
                found.push(format!(
                    "record {number} of {id:?} acknowledged at {told}, read at {offset}"
                ));
            }
        }
    }
    found
}

/// In the end all of a transaction is there, or nothing, as its teller was told.
fn torn(story: &Story, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (id, transaction) in &story.transactions {
        let read = seen.get(id).map_or(0, BTreeMap::len);
        let all = transaction.legs.len();
        let well = match transaction.outcome {
            Outcome::Committed => read == all,
            Outcome::Aborted => read == 0,
            Outcome::Unknown => read == all || read == 0,
        };
        if !well {
            let outcome = transaction.outcome;
            found.push(format!(
                "{read} of {all} records of {id:?}, which is {outcome:?}"
            ));
        }
    }
    found
}

/// No record of a transaction lies behind the ends found after another one was read: a
/// reader that has come to those ends has read all of it.
fn torn_on_the_way(reading: &Reading, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let ends: Vec<_> = reading
        .events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| match event {
            Event::Ends(ends) => Some((index, ends)),
            Event::Read(..) => None,
        })
        .collect();
    for (id, records) in seen {
        let first = records.values().map(|(_, index)| *index).min();
        let later = ends.partition_point(|(index, _)| Some(*index) < first);
        let Some((_, ends)) = ends.get(later) else {
            continue;
        };
        for ((partition, offset), _) in records.values() {
            if ends[*partition as usize] <= *offset {
                found.push(format!(
                    "at ends {ends:?} not all of {id:?} was there: {offset} of {partition} came"
                ));
            }
        }
    }
    found
}

/// Accounts in the end: those of the transactions of which anything was read, and so zero
/// in all.
fn wrong_balances(story: &Story, reading: &Reading) -> Vec<String> {
    let [mut read, mut due] = [(); 2].map(|()| [0; ACCOUNTS as usize]);
    let mut ids = BTreeSet::new();
    for (_, _, leg) in reading.records() {
        read[usize::from(leg.account % ACCOUNTS)] += leg.delta;
        ids.insert(leg.id);
    }
    let transactions = ids.iter().filter_map(|id| story.transactions.get(id));
    for leg in transactions.flat_map(|transaction| &transaction.legs) {
        due[usize::from(leg.account)] += leg.delta;
    }
    let sum: i64 = read.iter().sum();
    let mut found = Vec::new();
    if sum != 0 {
        found.push(format!("the accounts sum up to {sum}: {read:?}"));
    }
    if read != due {
        found.push(format!("the accounts are {read:?} instead of {due:?}"));
    }
    found
}

/// What was acknowledged is in the log, also where it was aborted.
fn acknowledged_and_gone(story: &Story, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (id, transaction) in &story.transactions {
        let read = seen.get(id);
        let expected: Vec<_> = match transaction.outcome {
            Outcome::Committed => transaction.legs.iter().map(|leg| leg.number).collect(),
            _ => transaction.acknowledged.keys().copied().collect(),
        };
        let gone = |number: &u16| !read.is_some_and(|read| read.contains_key(number));
        let gone: Vec<_> = expected.into_iter().filter(gone).collect();
        if !gone.is_empty() {
            found.push(format!("records {gone:?} of {id:?} are not there"));
        }
    }
    found
}

type Records = BTreeMap<Place, Leg>;

fn places(reading: &Reading) -> Records {
    let records = reading.records();
    records.map(|(_, place, leg)| (place, *leg)).collect()
}

/// Readers of one isolation level read the same records, and the uncommitted those of the
/// committed among others.
fn different(story: &Story) -> Vec<String> {
    let mut found = Vec::new();
    let readings = story.readings.iter().map(|r| (r, places(r)));
    let (committed, uncommitted): (Vec<_>, Vec<_>) = readings.partition(|(r, _)| r.committed);
    for same in [&committed, &uncommitted] {
        for pair in same.windows(2) {
            let [(first, of_first), (second, of_second)] = pair else {
                continue;
            };
            if of_first != of_second {
                let only = |here: &Records, there: &Records| {
                    let mut only = here.iter().filter(|(p, l)| there.get(p) != Some(l));
                    (only.clone().count(), only.next().map(|(p, l)| (*p, *l)))
                };
                found.push(format!(
                    "{} and {} differ: {:?} and {:?}",
                    first.name,
                    second.name,
                    only(of_first, of_second),
                    only(of_second, of_first)
                ));
            }
        }
    }
    if let ([(first, some), ..], [(second, all), ..]) = (&committed[..], &uncommitted[..])
        && let Some((place, leg)) = some.iter().find(|(p, l)| all.get(p) != Some(l))
    {
        found.push(format!(
            "{} has \"{leg}\" at {place:?}, {} has not",
            first.name, second.name
        ));
    }
    found
}

/// Nothing appears later among what could already be read committed.
fn no_prefix(story: &Story) -> Vec<String> {
    let Some(reading) = story.readings.iter().find(|reading| reading.committed) else {
        return vec!["nobody has read committed records".to_owned()];
    };
    let mut all: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for (_, (partition, offset), _) in reading.records() {
        all.entry(partition).or_default().push(offset);
    }
    let mut found = Vec::new();
    for (number, snapshot) in story.snapshots.iter().enumerate() {
        for (partition, offsets) in snapshot {
            if !all
                .get(partition)
                .is_some_and(|all| all.starts_with(offsets))
            {
                let last = offsets.last();
                found.push(format!(
                    "snapshot {number}: up to {last:?} of {partition} not what {} has read",
                    reading.name
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
