//! Sessions without a database: what was found is made up.

use super::*;
use futures_util::FutureExt;

fn name(topic: &str) -> Arc<TopicRef> {
    Arc::new(TopicRef::Name(topic.to_owned()))
}

fn asked(topic: &str, partition: i32, fetch_offset: i64) -> Asked {
    Asked {
        position: FetchPosition {
            topic: name(topic),
            partition,
            fetch_offset,
            max_bytes: 100,
        },
        current_leader_epoch: -1,
    }
}

fn request(session_id: i32, session_epoch: i32, asked: Vec<Asked>) -> SessionRequest {
    SessionRequest {
        session_id,
        session_epoch,
        by_id: false,
        asked,
        forgotten: Vec::new(),
    }
}

fn found(high_watermark: i64, records: &'static str) -> Fetched {
    Fetched {
        error_code: code::NONE,
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        next_offset: high_watermark,
        aborted: Vec::new(),
        records: records.into(),
    }
}

/// Asks and answers at once: error code, session, partitions answered for.
fn call(
    sessions: &FetchSessions,
    request: SessionRequest,
    now: Instant,
    found: impl Fn(&Asked) -> Fetched,
) -> (i16, i32, Vec<i32>) {
    match sessions.begin(request, now) {
        Err(error_code) => (error_code, 0, Vec::new()),
        Ok((context, asked)) => {
            let partitions = asked.into_iter().map(|asked| {
                let found = found(&asked);
                (asked, found)
            });
            let answer = sessions.answer(context, partitions.collect(), now);
            let partitions = answer.partitions.iter();
            let numbers = partitions.map(|(asked, _)| asked.position.partition);
            (answer.error_code, answer.session_id, numbers.collect())
        }
    }
}

/// A new session of so many partitions, or 0.
fn open(sessions: &FetchSessions, partitions: i32, now: Instant) -> i32 {
    let asked = (0..partitions)
        .map(|number| asked("t", number, 0))
        .collect();
    call(sessions, request(0, 0, asked), now, |_| found(0, "")).1
}

fn is_open(sessions: &FetchSessions, id: i32) -> bool {
    lock(&sessions.cache).sessions.contains_key(&id)
}

fn bytes(sessions: &FetchSessions) -> usize {
    lock(&sessions.cache).bytes
}

#[test]
fn what_has_records_is_read_behind_the_others() {
    let (sessions, now) = (FetchSessions::new(1), Instant::now());
    let id = open(&sessions, 3, now);
    let order = |epoch| {
        let (_, asked) = sessions.begin(request(id, epoch, Vec::new()), now).unwrap();
        let numbers = asked.iter().map(|asked| asked.position.partition);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(order(1), [0, 1, 2]);
    let answer = call(
        &sessions,
        request(id, 2, Vec::new()),
        now,
        |asked| match asked.position.partition {
            0 => found(5, "batches"),
            1 => found(5, ""),
            _ => found(0, ""),
        },
    );
    assert_eq!(answer, (0, id, vec![0, 1]));
    assert_eq!(order(3), [1, 2, 0]);
}

#[test]
fn an_epoch_that_has_passed_is_refused_also_while_it_waits() {
    let (sessions, now) = (FetchSessions::new(1), Instant::now());
    let id = open(&sessions, 1, now);
    let waiting = sessions.begin(request(id, 1, Vec::new()), now).unwrap();
    let again = call(&sessions, request(id, 1, Vec::new()), now, |_| found(0, ""));
    assert_eq!(again.0, code::INVALID_FETCH_SESSION_EPOCH);
    let is_superseded = || waiting.0.superseded().now_or_never().is_some();
    assert!(!is_superseded());
    let next = call(&sessions, request(id, 2, Vec::new()), now, |_| found(1, ""));
    assert!(is_superseded());
    assert_eq!(next, (0, id, vec![0]));
    let answer = sessions.answer(waiting.0, Vec::new(), now);
    assert_eq!(
        (answer.error_code, answer.session_id),
        (code::INVALID_FETCH_SESSION_EPOCH, id)
    );
}

#[test]
fn the_epoch_after_the_last_is_the_first() {
    let answered = [(asked("t", 0, 0), found(0, ""))];
    let mut session = Session::new(&answered);
    session.set_epoch(i32::MAX);
    assert_eq!(session.next_epoch().0, 1);
}

#[test]
fn a_full_cache_makes_room_for_larger_sessions_and_of_idle_ones() {
    let (sessions, start) = (FetchSessions::new(2), Instant::now());
    let (small, large) = (open(&sessions, 1, start), open(&sessions, 3, start));
    assert!(small != 0 && large != 0);
    let later = start + EVICTION + Duration::from_secs(1);
    assert_eq!(open(&sessions, 9, start + EVICTION), 0, "all are young");
    for id in [small, large] {
        call(&sessions, request(id, 1, Vec::new()), later, |_| {
            found(0, "")
        });
    }
    assert_eq!(open(&sessions, 1, later), 0, "none is smaller");
    let new = open(&sessions, 2, later);
    assert!(new != 0 && !is_open(&sessions, small) && is_open(&sessions, large));
    // Nobody has used the others for a while.
    let newest = open(&sessions, 1, later + EVICTION + Duration::from_secs(1));
    assert!(newest != 0 && is_open(&sessions, newest));
    assert_eq!(open(&FetchSessions::new(0), 1, start), 0);
}

#[test]
fn what_sessions_take_is_bounded() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, 1, now);
    let long = "x".repeat(32_000);
    let many = |count: i32| (0..count).map(|number| asked(&long, number, 0)).collect();
    let too_many = (MAX_BYTES / long.len()) as i32;
    let full = call(&sessions, request(0, 0, many(too_many)), now, |_| {
        found(0, "")
    });
    assert_eq!(
        (full.1, full.2.len()),
        (0, too_many as usize),
        "answered, and no more"
    );
    let grown = call(&sessions, request(id, 1, many(too_many)), now, |_| {
        found(0, "")
    });
    assert_eq!(grown.0, code::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!((is_open(&sessions, id), bytes(&sessions)), (false, 0));
}

#[test]
fn what_is_counted_is_given_back() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, 3, now);
    let one = bytes(&sessions) / 3;
    let mut fewer = request(id, 1, vec![asked("t", 7, 0)]);
    fewer.forgotten = vec![(name("t"), 0), (name("t"), 1), (name("t"), 9)];
    assert_eq!(call(&sessions, fewer, now, |_| found(0, "")).2, [7]);
    assert_eq!(bytes(&sessions), 2 * one);
    let mut none = request(id, 2, Vec::new());
    none.forgotten = vec![(name("t"), 2), (name("t"), 7)];
    assert_eq!(call(&sessions, none, now, |_| found(0, "")), (0, 0, vec![]));
    assert_eq!((is_open(&sessions, id), bytes(&sessions)), (false, 0));
    let id = open(&sessions, 3, now);
    call(&sessions, request(id, FINAL_EPOCH, Vec::new()), now, |_| {
        found(0, "")
    });
    assert_eq!(bytes(&sessions), 0);
}
