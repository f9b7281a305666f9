//! The judge notices each kind of violation.

use super::{Event, Id, Leg, Outcome, Reading, Story, Transaction, judge};

/// Ten from account 0 (in partition 0) to account 1 (in partition 1).
fn legs(id: Id) -> [Leg; 2] {
    [(0, -10), (1, 10)].map(|(account, delta)| Leg {
        id,
        number: account.into(),
        account,
        delta,
    })
}

fn transaction(id: Id, outcome: Outcome, offsets: [Option<i64>; 2]) -> (Id, Transaction) {
    let acknowledged = [0, 1].into_iter().zip(offsets);
    let transaction = Transaction {
        outcome,
        legs: legs(id).to_vec(),
        acknowledged: acknowledged.filter_map(|(n, o)| Some((n, o?))).collect(),
    };
    (id, transaction)
}

fn read(id: Id, number: u16, offset: i64) -> Event {
    let leg = legs(id)[usize::from(number)];
    Event::Read((leg.partition(), offset), leg)
}

const FIRST: Id = (0, 0);
const ABORTED: Id = (0, 1);
const SECOND: Id = (1, 0);
const UNKNOWN: Id = (1, 1);

/// Two transactions commit, one aborts, and of a fourth one the teller does not know.
fn well() -> Story {
    let committed = vec![
        read(FIRST, 0, 0),
        read(SECOND, 0, 4),
        Event::Ends(vec![7, 7, 0, 0]),
        read(SECOND, 1, 0),
        read(FIRST, 1, 3),
        Event::Ends(vec![7, 7, 0, 0]),
    ];
    let uncommitted = vec![
        read(FIRST, 0, 0),
        read(ABORTED, 0, 2),
        read(SECOND, 0, 4),
        read(UNKNOWN, 0, 6),
        read(SECOND, 1, 0),
        read(FIRST, 1, 3),
        read(ABORTED, 1, 5),
    ];
    let reading = |name: &str, committed, events| Reading {
        events,
        ..Reading::new(name, committed)
    };
    Story {
        transactions: [
            transaction(FIRST, Outcome::Committed, [Some(0), Some(3)]),
            transaction(ABORTED, Outcome::Aborted, [Some(2), None]),
            transaction(SECOND, Outcome::Committed, [Some(4), Some(0)]),
            transaction(UNKNOWN, Outcome::Unknown, [None, None]),
        ]
        .into(),
        readings: vec![
            reading("one", true, committed.clone()),
            reading("two", true, committed),
            reading("all", false, uncommitted),
        ],
        snapshots: vec![
            [(0, vec![0])].into(),
            [(0, vec![0, 4]), (1, vec![0])].into(),
        ],
    }
}

/// The committed readers both see what is done to the first one's events.
fn both(change: impl Fn(&mut Vec<Event>)) -> Story {
    let mut story = well();
    for reading in &mut story.readings[..2] {
        change(&mut reading.events);
    }
    story
}

#[track_caller]
fn finds(story: &Story, texts: &[&str]) {
    let found = judge(story);
    for text in texts {
        let such = found.iter().filter(|found| found.contains(text)).count();
        assert!(such > 0, "expected {text:?}, found {found:#?}");
    }
    let other = |found: &&String| !texts.iter().any(|text| found.contains(text));
    let others: Vec<_> = found.iter().filter(other).collect();
    assert!(others.is_empty(), "beside {texts:?}: {others:#?}");
}

#[test]
fn judge_finds_nothing_where_all_is_well() {
    assert_eq!(judge(&well()), [""; 0]);
}

#[test]
fn judge_takes_an_unknown_transaction_as_it_comes() {
    let mut story = both(|events| {
        events.insert(2, read(UNKNOWN, 0, 6));
        events.push(read(UNKNOWN, 1, 6));
    });
    story.readings[2].events.push(read(UNKNOWN, 1, 6));
    assert_eq!(judge(&story), [""; 0]);
}

#[test]
fn judge_finds_half_of_an_unknown_transaction() {
    let story = both(|events| events.insert(2, read(UNKNOWN, 0, 6)));
    let half = "1 of 2 records of (1, 1), which is Unknown";
    finds(&story, &[half, "the accounts"]);
}

#[test]
fn judge_finds_a_committed_transaction_that_is_lost() {
    let mut story = both(|events| {
        events.retain(|event| !matches!(event, Event::Read(_, leg) if leg.id == SECOND));
    });
    story.snapshots.clear();
    finds(&story, &["0 of 2 records of (1, 0), which is Committed"]);
}

#[test]
fn judge_finds_an_aborted_transaction_that_is_there() {
    let mut story = both(|events| {
        events.insert(1, read(ABORTED, 0, 2));
        events.push(read(ABORTED, 1, 5));
    });
    story.snapshots.clear();
    finds(&story, &["2 of 2 records of (0, 1), which is Aborted"]);
}

#[test]
fn judge_finds_a_record_that_comes_twice() {
    let mut story = both(|events| events.push(read(FIRST, 1, 6)));
    story.readings[2].events.push(read(FIRST, 1, 6));
    let sum = "the accounts sum up to 10";
    let twice = "\"0 0 1 1 10\" in 1 after (0, 1)";
    // The uncommitted reader's order is broken, too, by the aborted record before it.
    let after_aborted = "in 1 after (1, 1)";
    finds(&story, &[twice, sum, "instead of", after_aborted]);
}

#[test]
fn judge_finds_that_a_reader_goes_back() {
    let mut story = both(|events| events.swap(0, 1));
    story.snapshots.clear();
    finds(&story, &["one: 0 of 0 after 4", "two: 0 of 0 after 4"]);
}

#[test]
fn judge_finds_that_ends_go_back() {
    let story = both(|events| events[5] = Event::Ends(vec![7, 6, 0, 0]));
    finds(&story, &["the ends went from [7, 7, 0, 0] to [7, 6, 0, 0]"]);
}

#[test]
fn judge_finds_a_record_that_was_never_sent() {
    let invented = Leg {
        id: (7, 0),
        ..legs(FIRST)[0]
    };
    let mut story = both(|events| events.push(Event::Read((0, 8), invented)));
    for reading in &mut story.readings {
        reading.events.push(Event::Read((0, 9), invented));
    }
    story.readings[2]
        .events
        .insert(4, Event::Read((0, 8), invented));
    finds(&story, &["was never sent", "the accounts", "after (0, 0)"]);
}

#[test]
fn judge_finds_a_record_in_a_foreign_partition() {
    let mut story = both(|events| events[0] = Event::Read((2, 0), legs(FIRST)[0]));
    story.readings[2].events[0] = Event::Read((2, 0), legs(FIRST)[0]);
    story.snapshots.clear();
    // The ends of partition 2 say that nothing is there.
    let torn = "not all of (0, 0) was there";
    finds(&story, &["at (2, 0) was never sent there", torn]);
}

#[test]
fn judge_finds_an_amount_that_has_changed() {
    let changed = Leg {
        delta: -9,
        ..legs(FIRST)[0]
    };
    let mut story = both(|events| events[0] = Event::Read((0, 0), changed));
    story.readings[2].events[0] = Event::Read((0, 0), changed);
    finds(&story, &["was never sent", "the accounts"]);
}

#[test]
fn judge_finds_a_record_that_is_not_where_it_was_acknowledged() {
    let mut story = well();
    let first = story.transactions.get_mut(&FIRST).unwrap();
    first.acknowledged.insert(1, 2);
    finds(&story, &["record 1 of (0, 0) acknowledged at 2, read at 3"]);
}

#[test]
fn judge_finds_a_transaction_that_becomes_visible_bit_by_bit() {
    // When partition 1 ended there a record of the transaction was read already.
    let story = both(|events| events[2] = Event::Ends(vec![7, 3, 0, 0]));
    let torn = "at ends [7, 3, 0, 0] not all of (0, 0) was there: 3 of 1 came";
    finds(&story, &[torn]);
}

#[test]
fn judge_finds_acknowledged_records_gone_that_were_aborted() {
    let mut story = well();
    story.readings[2].events.remove(1);
    finds(&story, &["all: records [0] of (0, 1) are not there"]);
}

#[test]
fn judge_finds_committed_records_that_the_uncommitted_reader_misses() {
    let mut story = well();
    story.readings[2].events.remove(4);
    let gone = "all: records [1] of (1, 0) are not there";
    finds(
        &story,
        &[gone, "one has \"1 0 1 1 10\" at (1, 0), all has not"],
    );
}

#[test]
fn judge_finds_that_readers_differ() {
    let mut story = well();
    story.readings[1].events[4] = read(FIRST, 1, 4);
    let elsewhere = "record 1 of (0, 0) acknowledged at 3, read at 4";
    finds(&story, &["one and two differ", elsewhere]);
}

#[test]
fn judge_finds_that_a_record_has_appeared_among_others() {
    let mut story = well();
    story.snapshots.push([(0, vec![4])].into());
    finds(
        &story,
        &["snapshot 2: up to Some(4) of 0 not what one has read"],
    );
}

#[test]
fn judge_passes_on_what_readers_were_told() {
    let mut story = well();
    story.readings[1]
        .errors
        .push("offset out of range".to_owned());
    finds(&story, &["two: offset out of range"]);
}
