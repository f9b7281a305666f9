//! Neighbouring partitions of each topic. Static members come first, by instance id, so
//! that a restart under another member id changes nothing.

use std::collections::BTreeMap;

use super::{Subscriber, subscribers_by_topic};
use crate::group::{Partitions, TopicId};

pub(super) fn assign(
    members: &[Subscriber<'_>],
    partition_counts: &BTreeMap<TopicId, i32>,
) -> Vec<Partitions> {
    let mut targets = vec![Partitions::new(); members.len()];
    for (topic, mut subscribers) in subscribers_by_topic(members, partition_counts) {
        subscribers.sort_by_key(|&position| members.get(position).map(rank));
        let count = partition_counts.get(&topic).copied().unwrap_or(0).max(0);
        let mut next = 0;
        let mut waiting = subscribers.len() as i32;
        for position in subscribers {
            // Rounding up what is left gives the larger shares to the first.
            let share = (count - next).div_euclid(waiting)
                + i32::from((count - next).rem_euclid(waiting) > 0);
            if share > 0
                && let Some(target) = targets.get_mut(position)
            {
                target.insert(topic, (next..next + share).collect());
            }
            next += share;
            waiting -= 1;
        }
    }
    targets
}

fn rank<'a>(member: &Subscriber<'a>) -> (bool, &'a str) {
    match member.instance_id {
        Some(instance_id) => (false, instance_id),
        None => (true, member.member_id),
    }
}
