//! What the members of a group have said, and what the server was seen to hold, judged by
//! what a consumer group promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) const SESSION: Duration = Duration::from_secs(6);
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// Beyond the session: until the others have heard of it at their next heartbeat and have
/// joined again, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);
/// So much later the line of one process may be read than that of another which came after it.
const RACE: Duration = Duration::from_millis(500);

/// Times count from the beginning of the story.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) member: usize,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Assigned(Vec<i32>),
    /// Or lost.
    Revoked(Vec<i32>),
    Record {
        partition: i32,
        offset: i64,
    },
    /// The server has said so.
    Committed {
        partition: i32,
        offset: i64,
    },
    /// It was told to.
    Leaving,
    /// It has left, or was killed.
    Gone,
}

/// What the server held at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Before the server was asked.
    pub(crate) at: Duration,
    pub(crate) state: String,
    /// Members with their partitions.
    pub(crate) assigned: Vec<(String, i32)>,
    pub(crate) committed: BTreeMap<i32, i64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    pub(crate) samples: Vec<Sample>,
    /// Partition and offset of each record.
    pub(crate) produced: BTreeSet<(i32, i64)>,
    pub(crate) high_watermarks: BTreeMap<i32, i64>,
    /// From here on the last members were told to leave.
    pub(crate) closing: Duration,
    /// So many records the clients may have taken, committed and not shown.
    pub(crate) may_drop: usize,
}

/// A member has a partition from its `assigned` to its `revoked`, `lost` or end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tenure {
    pub(crate) member: usize,
    pub(crate) partition: i32,
    pub(crate) from: Duration,
    pub(crate) to: Option<Duration>,
}

impl Tenure {
    fn end(&self) -> Duration {
        self.to.unwrap_or(Duration::MAX)
    }
}

/// In the order in which they began.
pub(crate) fn tenures(events: &[Event]) -> Vec<Tenure> {
    let mut tenures: Vec<Tenure> = Vec::new();
    for event in events {
        let mut own: Vec<&mut Tenure> = tenures
            .iter_mut()
            .filter(|t| t.to.is_none() && t.member == event.member)
            .collect();
        let ended: &dyn Fn(i32) -> bool = match &event.what {
            What::Assigned(partitions) => {
                let known: Vec<_> = own.iter().map(|t| t.partition).collect();
                let new = partitions.iter().filter(|p| !known.contains(p));
                tenures.extend(new.map(|partition| Tenure {
                    member: event.member,
                    partition: *partition,
                    from: event.at,
                    to: None,
                }));
                continue;
            }
            What::Revoked(partitions) => &|partition| partitions.contains(&partition),
            What::Gone => &|_| true,
            What::Record { .. } | What::Committed { .. } | What::Leaving => continue,
        };
        for tenure in own.iter_mut().filter(|t| ended(t.partition)) {
            tenure.to = Some(event.at);
        }
    }
    tenures
}

pub(crate) fn consumed(events: &[Event]) -> BTreeSet<(i32, i64)> {
    let records = events.iter().filter_map(|event| match event.what {
        What::Record { partition, offset } => Some((partition, offset)),
        _ => None,
    });
    records.collect()
}

/// Every violation; none where all is well.
pub(crate) fn judge(story: &Story) -> Vec<String> {
    let tenures = tenures(&story.events);
    let mut found = two_owners(&tenures);
    found.extend(gaps(story, &tenures));
    found.extend(late_successions(story, &tenures));
    found.extend(unread_records(story));
    found.extend(judge_samples(story));
    found
}

/// What holds also where some members do not say what they have.
pub(crate) fn judge_samples(story: &Story) -> Vec<String> {
    let mut found = doubly_assigned(story);
    found.extend(commits_gone(story));
    found
}

fn two_owners(tenures: &[Tenure]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, first) in tenures.iter().enumerate() {
        for second in &tenures[number + 1..] {
            let others = first.member != second.member && first.partition == second.partition;
            let both = first.end().min(second.end()).saturating_sub(second.from);
            if others && both > RACE {
                found.push(format!(
                    "partition {} has two owners for {both:?}: {first:?}, {second:?}",
                    first.partition
                ));
            }
        }
    }
    found
}

fn gaps(story: &Story, tenures: &[Tenure]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(first) = tenures.first() else {
        return vec!["nothing was ever assigned".to_owned()];
    };
    for partition in story.high_watermarks.keys() {
        let mut owned_until = first.from;
        let of_it = tenures.iter().filter(|t| t.partition == *partition);
        let spans = of_it.map(|t| (t.from, t.end()));
        for (from, to) in spans.chain([(story.closing, story.closing)]) {
            let gap = from.saturating_sub(owned_until);
            if gap > SESSION + SLACK {
                found.push(format!(
                    "partition {partition} has no owner for {gap:?} from {owned_until:?} on"
                ));
            }
            owned_until = owned_until.max(to);
        }
    }
    found
}

/// Nobody waits for the session of a member that says that it leaves: its partitions have
/// owners again sooner than if it had just kept silent since its last heartbeat.
fn late_successions(story: &Story, tenures: &[Tenure]) -> Vec<String> {
    let mut found = Vec::new();
    let leaving = story
        .events
        .iter()
        .filter(|event| event.what == What::Leaving && event.at < story.closing);
    for event in leaving {
        let left = tenures
            .iter()
            .filter(|t| t.member == event.member && t.from <= event.at && t.end() >= event.at);
        for last in left {
            let next = tenures.iter().find(|t| {
                t.partition == last.partition
                    && t.member != last.member
                    && t.from + RACE >= last.end()
            });
            let Some(next) = next else {
                found.push(format!("nobody takes over from {last:?}"));
                continue;
            };
            let wait = next.from.saturating_sub(last.end());
            if wait >= SESSION.saturating_sub(HEARTBEAT) {
                found.push(format!("{next:?} begins {wait:?} after {last:?}"));
            }
        }
    }
    found
}

pub(crate) fn unread_records(story: &Story) -> Vec<String> {
    let consumed = consumed(&story.events);
    let mut found = Vec::new();
    for (what, allowed, records) in [
        ("never read", story.may_drop, &story.produced - &consumed),
        ("read but never produced", 0, &consumed - &story.produced),
    ] {
        let count = records.len();
        if let Some((partition, offset)) = records.first().filter(|_| count > allowed) {
            found.push(format!(
                "{count} records {what}, the first at {offset} of partition {partition}"
            ));
        }
    }
    found
}

fn doubly_assigned(story: &Story) -> Vec<String> {
    let stable = story.samples.iter().filter(|s| s.state == "Stable");
    let doubled = stable.filter(|sample| {
        let partitions: BTreeSet<_> = sample.assigned.iter().map(|(_, p)| p).collect();
        partitions.len() < sample.assigned.len()
    });
    doubled
        .map(|sample| format!("assigned twice at {:?}: {:?}", sample.at, sample.assigned))
        .collect()
}

/// Committed offsets never go back, none that was acknowledged is forgotten, and in the end
/// they are those behind the last records.
fn commits_gone(story: &Story) -> Vec<String> {
    let mut found = Vec::new();
    let mut known: BTreeMap<i32, i64> = BTreeMap::new();
    let mut events = story.events.iter().peekable();
    for sample in &story.samples {
        while let Some(event) = events.next_if(|event| event.at < sample.at) {
            if let What::Committed { partition, offset } = event.what {
                let last = known.entry(partition).or_insert(offset);
                *last = offset.max(*last);
            }
        }
        for (partition, last) in &mut known {
            let now = sample.committed.get(partition).copied();
            if now < Some(*last) {
                found.push(format!(
                    "partition {partition}: {last} was committed, {now:?} is at {:?}",
                    sample.at
                ));
            }
            *last = now.unwrap_or(*last);
        }
        for (partition, now) in &sample.committed {
            known.insert(*partition, *now);
        }
    }
    let last = story.samples.last().map(|sample| &sample.committed);
    if last != Some(&story.high_watermarks) {
        found.push(format!(
            "committed in the end: {last:?} of {:?}",
            story.high_watermarks
        ));
    }
    found
}

#[cfg(test)]
mod tests;
