//! Who is subscribed to which topics, by name or by regular expression.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use twox_hash::XxHash64;

use super::Member;
use crate::group::{Topic, TopicId, Topics};
use crate::pattern::Pattern;

/// The regular expressions of a group's members, resolved.
pub(super) struct Subscriptions<'t> {
    topics: &'t Topics,
    by_regex: BTreeMap<String, BTreeSet<&'t str>>,
}

impl<'t> Subscriptions<'t> {
    pub(super) fn resolve<'m>(
        members: impl IntoIterator<Item = &'m Member>,
        topics: &'t Topics,
    ) -> Self {
        let mut by_regex = BTreeMap::new();
        for regex in members
            .into_iter()
            .filter_map(|member| member.subscribed_regex.as_ref())
        {
            if !by_regex.contains_key(regex) {
                by_regex.insert(regex.clone(), matching_topics(regex, topics));
            }
        }
        Self { topics, by_regex }
    }

    /// The topics that the member is subscribed to and that exist.
    pub(super) fn topics_of(&self, member: &Member) -> BTreeMap<&'t str, Topic> {
        let by_name = member
            .subscribed_topics
            .iter()
            .filter_map(|name| self.topics.get_key_value(name))
            .map(|(name, topic)| (name.as_str(), *topic));
        let by_regex = member
            .subscribed_regex
            .as_ref()
            .and_then(|regex| self.by_regex.get(regex))
            .into_iter()
            .flatten()
            .filter_map(|name| Some((*name, *self.topics.get(*name)?)));
        by_name.chain(by_regex).collect()
    }

    pub(super) fn topic_ids_of(&self, member: &Member) -> BTreeSet<TopicId> {
        self.topics_of(member)
            .into_values()
            .map(|topic| topic.id)
            .collect()
    }

    /// The topics of each member, in their order. Most members of a group are subscribed
    /// to the same, which is looked up once.
    pub(super) fn topic_ids_of_each<'m>(
        &self,
        members: impl IntoIterator<Item = &'m Member>,
    ) -> Vec<BTreeSet<TopicId>> {
        let mut all: Vec<BTreeSet<TopicId>> = Vec::new();
        let mut last = None;
        for member in members {
            let topic_ids = match all.last() {
                Some(topic_ids) if same(last, member) => topic_ids.clone(),
                _ => self.topic_ids_of(member),
            };
            all.push(topic_ids);
            last = Some(member);
        }
        all
    }

    /// A number that changes with the topics that the members are subscribed to, their ids
    /// and their numbers of partitions. It is stored: XXH64 is the same on every machine.
    pub(super) fn metadata_hash<'m>(&self, members: impl IntoIterator<Item = &'m Member>) -> i64 {
        let mut all = BTreeMap::new();
        let mut last = None;
        for member in members {
            if !same(last, member) {
                all.extend(self.topics_of(member));
            }
            last = Some(member);
        }
        let mut hasher = XxHash64::with_seed(0);
        for (name, topic) in all {
            hasher.write(&(name.len() as u64).to_le_bytes());
            hasher.write(name.as_bytes());
            hasher.write(&topic.id);
            hasher.write(&topic.partitions.to_le_bytes());
        }
        hasher.finish() as i64
    }
}

fn same(one: Option<&Member>, other: &Member) -> bool {
    one.is_some_and(|one| {
        one.subscribed_topics == other.subscribed_topics
            && one.subscribed_regex == other.subscribed_regex
    })
}

/// Whether the member's subscription covers the topic, which need not exist.
pub(super) fn covers(member: &Member, topic: &str) -> bool {
    member.subscribed_topics.contains(topic)
        || member
            .subscribed_regex
            .as_ref()
            .and_then(|regex| Pattern::accepted(regex))
            .is_some_and(|pattern| pattern.matches(topic))
}

/// An expression that cannot be compiled matches nothing: it was refused at the door.
fn matching_topics<'t>(regex: &str, topics: &'t Topics) -> BTreeSet<&'t str> {
    let Some(pattern) = Pattern::accepted(regex) else {
        return BTreeSet::new();
    };
    topics
        .keys()
        .map(String::as_str)
        .filter(|name| pattern.matches(name))
        .collect()
}
