//! What is known about each record, and whether it fits together.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

pub(crate) const PARTITIONS: usize = 2;

/// The value of each record: who produced it, as its how manieth, to which partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token {
    pub(crate) producer: u16,
    pub(crate) number: u32,
    pub(crate) partition: u8,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.producer, self.number, self.partition)
    }
}

impl Token {
    pub(crate) fn parse(text: &[u8]) -> Option<Token> {
        let mut parts = std::str::from_utf8(text).ok()?.split(':');
        Some(Token {
            producer: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
            partition: parts.next()?.parse().ok()?,
        })
    }
}

/// What all tasks of one run share.
#[derive(Default)]
pub(crate) struct Run {
    /// Producers end at their next transaction.
    pub(crate) stop: AtomicBool,
    /// From now on connections may break.
    pub(crate) faults: AtomicBool,
    /// The watermarks after the last record: readers end there.
    pub(crate) end: OnceLock<[i64; PARTITIONS]>,
    pub(crate) committed: AtomicU64,
    pub(crate) rolled_back: AtomicU64,
    pub(crate) prepared: AtomicU64,
    pub(crate) savepoints: AtomicU64,
    pub(crate) vacuums: AtomicU64,
    pub(crate) broken: AtomicU64,
    violations: Mutex<Vec<String>>,
    /// Tokens of SQL transactions whose COMMIT was answered.
    pub(crate) answered: Mutex<Vec<Token>>,
}

impl Run {
    pub(crate) fn violation(&self, text: String) {
        let mut violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if violations.len() < 50 {
            println!("VIOLATION: {text}");
        }
        violations.push(text);
    }

    pub(crate) fn check(&self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.violation(text());
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// A connection broke: that is what the faults are for, and otherwise a violation.
    pub(crate) fn broke(&self, who: &str, error: &tokio_postgres::Error) {
        self.broken.fetch_add(1, Relaxed);
        let allowed = self.faults.load(Relaxed) && fault(error);
        self.check(allowed, || match error.as_db_error() {
            Some(error) => format!("{who}: {} {error}", error.code().code()),
            None => format!("{who}: {error}"),
        });
    }

    pub(crate) fn report(
        &self,
        seen: &[Seen],
        acknowledged: &[Acknowledged],
        truth: usize,
        killed: usize,
        restarts: u32,
    ) {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        println!(
            "SQL transactions: {} committed, {} rolled back, {} prepared, {} savepoints undone; {truth} records committed",
            count(&self.committed),
            count(&self.rolled_back),
            count(&self.prepared),
            count(&self.savepoints)
        );
        let wire: usize = acknowledged
            .iter()
            .map(|producer| producer.offsets.len())
            .sum();
        let maybe: usize = acknowledged
            .iter()
            .map(|producer| producer.unknown.len())
            .sum();
        println!("wire: {wire} records acknowledged, {maybe} unknown");
        println!(
            "faults: {killed} backends terminated, {restarts} immediate stops, {} broken SQL connections; {} vacuums",
            count(&self.broken),
            count(&self.vacuums)
        );
        for reader in seen {
            println!(
                "reader {:<28} {:>8} records, ended at {:?}",
                reader.name,
                reader.offsets.len(),
                reader.next
            );
        }
        let violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        println!("violations: {violations}");
    }
}

/// Whether this error comes from a killed backend or a stopped server.
pub(crate) fn fault(error: &tokio_postgres::Error) -> bool {
    let code = error
        .code()
        .map_or("", tokio_postgres::error::SqlState::code);
    // Without a code the connection itself failed. 57P0x: terminated, crashed, starting.
    code.is_empty() || code.starts_with("57P0") || code.starts_with("08")
}

/// What one wire producer was told.
#[derive(Default)]
pub(crate) struct Acknowledged {
    pub(crate) offsets: HashMap<Token, i64>,
    /// Sent, and not acknowledged: may have been stored or not.
    pub(crate) unknown: HashSet<Token>,
}

/// What one reader has read, checked record by record.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) next: [i64; PARTITIONS],
    watermark: [i64; PARTITIONS],
    pub(crate) offsets: HashMap<Token, i64>,
    last: HashMap<(u16, u8), u32>,
}

impl Seen {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Seen {
            name: name.into(),
            next: [0; PARTITIONS],
            watermark: [0; PARTITIONS],
            offsets: HashMap::new(),
            last: HashMap::new(),
        }
    }

    pub(crate) fn record(&mut self, run: &Run, partition: usize, offset: i64, value: &[u8]) {
        let name = &self.name;
        let expected = self.next[partition];
        run.check(offset >= expected, || {
            format!("{name}: offset {offset} of {partition} after {expected} was next")
        });
        self.next[partition] = offset + 1;
        let Some(token) = Token::parse(value) else {
            run.violation(format!(
                "{name}: offset {offset} of {partition} has the value {value:?}"
            ));
            return;
        };
        run.check(usize::from(token.partition) == partition, || {
            format!("{name}: {token} is in partition {partition}")
        });
        if let Some(before) = self.offsets.insert(token, offset) {
            run.violation(format!(
                "{name}: {token} read twice, at {before} and {offset} of {partition}"
            ));
        }
        if let Some(before) = self
            .last
            .insert((token.producer, token.partition), token.number)
        {
            run.check(before < token.number, || {
                format!("{name}: {token} comes after its producer's {before}")
            });
        }
    }

    /// The high watermark, read after what was recorded so far.
    pub(crate) fn watermark(&mut self, run: &Run, partition: usize, watermark: i64) {
        let name = &self.name;
        let before = self.watermark[partition];
        run.check(watermark >= before, || {
            format!("{name}: watermark of {partition} went from {before} to {watermark}")
        });
        let next = self.next[partition];
        run.check(watermark >= next, || {
            format!("{name}: read up to {next} of {partition}, watermark {watermark}")
        });
        self.watermark[partition] = watermark;
    }

    /// Whether all that was produced is read.
    pub(crate) fn complete(&self, run: &Run) -> bool {
        run.end
            .get()
            .is_some_and(|end| self.next.iter().zip(end).all(|(next, end)| next >= end))
    }
}

pub(crate) fn verdict(run: &Run, seen: &[Seen], truth: &[String], acknowledged: &[Acknowledged]) {
    let truth: HashSet<Token> = truth
        .iter()
        .filter_map(|text| Token::parse(text.as_bytes()))
        .collect();
    let answered = run.answered.lock().unwrap_or_else(PoisonError::into_inner);
    for token in answered.iter().filter(|token| !truth.contains(token)) {
        run.violation(format!("{token}: committed, and gone from the truth table"));
    }
    run.check(!truth.is_empty(), || {
        "no SQL transaction has committed".into()
    });
    for reader in seen {
        let name = &reader.name;
        run.check(reader.complete(run), || {
            format!(
                "{name}: stopped at {:?} of {:?}",
                reader.next,
                run.end.get()
            )
        });
        for token in truth
            .iter()
            .filter(|token| !reader.offsets.contains_key(token))
        {
            run.violation(format!("{name}: {token} is committed and was not read"));
        }
        for producer in acknowledged {
            for (token, offset) in &producer.offsets {
                let read = reader.offsets.get(token);
                run.check(read == Some(offset), || {
                    format!("{name}: {token} acknowledged at {offset}, read at {read:?}")
                });
            }
        }
        for token in reader.offsets.keys() {
            let known = truth.contains(token)
                || acknowledged.iter().any(|producer| {
                    producer.offsets.contains_key(token) || producer.unknown.contains(token)
                });
            run.check(known, || {
                format!("{name}: {token} was read and never committed")
            });
        }
        // All readers agree on every offset.
        let differ = seen[0]
            .offsets
            .iter()
            .filter(|(token, offset)| reader.offsets.get(token) != Some(offset))
            .count();
        run.check(differ == 0, || {
            format!(
                "{name}: {differ} records differ from what {} read",
                seen[0].name
            )
        });
    }
}
