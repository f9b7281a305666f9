//! The judge must notice what it is there for.

use super::*;

fn seconds(at: f64) -> Duration {
    Duration::from_secs_f64(at)
}

fn event(at: f64, member: usize, what: What) -> Event {
    Event {
        at: seconds(at),
        member,
        what,
    }
}

fn record(at: f64, member: usize, partition: i32, offset: i64) -> Event {
    event(at, member, What::Record { partition, offset })
}

fn committed(at: f64, member: usize, partition: i32, offset: i64) -> Event {
    event(at, member, What::Committed { partition, offset })
}

fn sample(at: f64, assigned: &[(&str, i32)], committed: [i64; 2]) -> Sample {
    Sample {
        at: seconds(at),
        state: "Stable".to_owned(),
        assigned: assigned
            .iter()
            .map(|(m, p)| ((*m).to_owned(), *p))
            .collect(),
        committed: (0..).zip(committed).collect(),
    }
}

/// Member 0 takes both partitions, gives partition 1 to member 1, which leaves at 20 seconds,
/// and takes it back.
fn well() -> Story {
    Story {
        events: vec![
            event(1.0, 0, What::Assigned(vec![0, 1])),
            record(2.0, 0, 0, 0),
            record(2.0, 0, 1, 0),
            committed(3.0, 0, 0, 1),
            committed(3.0, 0, 1, 1),
            event(10.0, 0, What::Revoked(vec![0, 1])),
            event(11.0, 0, What::Assigned(vec![0])),
            event(11.0, 1, What::Assigned(vec![1])),
            record(12.0, 1, 1, 1),
            committed(12.5, 1, 1, 2),
            event(20.0, 1, What::Leaving),
            event(20.1, 1, What::Revoked(vec![1])),
            event(20.2, 1, What::Gone),
            event(21.0, 0, What::Revoked(vec![0])),
            event(21.5, 0, What::Assigned(vec![0, 1])),
            event(30.0, 0, What::Leaving),
            event(30.1, 0, What::Revoked(vec![0, 1])),
            event(30.2, 0, What::Gone),
        ],
        samples: vec![
            sample(5.0, &[("a", 0), ("a", 1)], [1, 1]),
            sample(15.0, &[("a", 0), ("b", 1)], [1, 2]),
            sample(31.0, &[], [1, 2]),
        ],
        produced: [(0, 0), (1, 0), (1, 1)].into(),
        high_watermarks: [(0, 1), (1, 2)].into(),
        closing: seconds(30.0),
        may_drop: 0,
    }
}

/// One violation of that text.
#[track_caller]
fn finds(story: &Story, text: &str) {
    let found = judge(story);
    assert!(
        found.len() == 1 && found[0].contains(text),
        "expected {text:?}, found {found:?}"
    );
}

#[test]
fn judge_finds_nothing_where_all_is_well() {
    assert_eq!(judge(&well()), [""; 0]);
}

#[test]
fn judge_finds_a_partition_with_two_owners() {
    let mut story = well();
    story.events[6].what = What::Assigned(vec![0, 1]);
    story.events[13].what = What::Revoked(vec![0, 1]);
    finds(&story, "partition 1 has two owners for 9.1s");
}

#[test]
fn judge_lets_lines_of_two_processes_cross() {
    let mut story = well();
    story.events[5].at = seconds(11.4);
    story.events.swap(5, 7);
    story.events.swap(6, 7);
    story.events[6].what = What::Revoked(vec![1]);
    story.events[7].what = What::Assigned(vec![0]);
    assert_eq!(judge(&story), [""; 0]);
}

#[test]
fn judge_finds_that_a_killed_member_has_nothing_any_more() {
    let mut story = well();
    story.events.drain(10..12);
    assert_eq!(judge(&story), [""; 0]);
}

#[test]
fn judge_finds_a_partition_without_owner() {
    let mut story = well();
    story.events.drain(10..12);
    story.events[10].at = seconds(13.0);
    story.events[11].at = seconds(24.5);
    story.events[12].at = seconds(25.0);
    finds(&story, "partition 1 has no owner for 12s from 13s on");
}

#[test]
fn judge_finds_a_partition_that_is_never_given_again() {
    let mut story = well();
    story.events[14].what = What::Assigned(vec![0]);
    story.events[15].at = seconds(40.0);
    story.closing = seconds(40.0);
    let found = judge(&story);
    assert!(
        found[0].contains("partition 1 has no owner for 19.9s"),
        "{found:?}"
    );
    assert!(found[1].contains("nobody takes over"), "{found:?}");
}

#[test]
fn judge_finds_that_a_polite_member_is_waited_for() {
    let mut story = well();
    story.events[14].at = seconds(25.5);
    finds(&story, "begins 5.4s after");
}

#[test]
fn judge_finds_lost_and_invented_records() {
    let mut story = well();
    story.produced.insert((1, 7));
    finds(
        &story,
        "1 records never read, the first at 7 of partition 1",
    );
    story.may_drop = 1;
    assert_eq!(judge(&story), [""; 0]);
    story.produced = [(0, 0), (1, 0)].into();
    finds(&story, "1 records read but never produced, the first at 1");
}

#[test]
fn judge_finds_what_the_server_assigns_twice() {
    let mut story = well();
    story.samples[1].assigned.push(("a".to_owned(), 1));
    finds(&story, "assigned twice at 15s");
    story.samples[1].state = "PreparingRebalance".to_owned();
    assert_eq!(judge(&story), [""; 0]);
}

#[test]
fn judge_finds_offsets_that_go_back_or_away() {
    let mut story = well();
    story.samples.insert(2, sample(16.0, &[], [0, 2]));
    finds(&story, "partition 0: 1 was committed, Some(0)");
    story.samples[2].committed.remove(&0);
    finds(&story, "partition 0: 1 was committed, None");
}

#[test]
fn judge_finds_an_acknowledged_commit_that_is_not_there() {
    let mut story = well();
    story.samples[1].committed.insert(1, 1);
    finds(&story, "partition 1: 2 was committed, Some(1)");
}

#[test]
fn judge_finds_that_not_all_is_committed_in_the_end() {
    let mut story = well();
    story.high_watermarks.insert(0, 3);
    finds(&story, "committed in the end");
}
