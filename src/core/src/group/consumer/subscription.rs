//! Who is subscribed to which topics, by name or by regular expression.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use regex::bytes::{Regex, RegexBuilder};
use twox_hash::XxHash64;

use super::Member;
use crate::error::KafkaError;
use crate::group::{Topic, TopicId, Topics};

/// Parsing takes some hundred times the memory of the expression.
const REGEX_MAX_LEN: usize = 1 << 16;
/// What a compiled expression may take, in bytes.
const REGEX_SIZE_LIMIT: usize = 4 << 20;
/// How deep an expression may be nested; parsing recurses.
const REGEX_NEST_LIMIT: u32 = 100;

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
            .and_then(|regex| compile(regex).ok())
            .is_some_and(|regex| regex.is_match(topic.as_bytes()))
}

/// # Errors
/// [`KafkaError::InvalidRegularExpression`]
pub(super) fn validate_regex(regex: &str) -> Result<(), KafkaError> {
    let invalid = |reason| Err(KafkaError::InvalidRegularExpression { reason });
    if regex.len() > REGEX_MAX_LEN {
        return invalid(format!("it is longer than {REGEX_MAX_LEN} bytes"));
    }
    // Alone first: brackets that only balance with the ones around it are no expression.
    match build(&unquoted(regex)).and_then(|_| compile(regex)) {
        Ok(_) => Ok(()),
        Err(error) => invalid(error.to_string()),
    }
}

/// An expression that cannot be compiled matches nothing: it was refused at the door.
fn matching_topics<'t>(regex: &str, topics: &'t Topics) -> BTreeSet<&'t str> {
    let Ok(regex) = compile(regex) else {
        return BTreeSet::new();
    };
    topics
        .keys()
        .map(String::as_str)
        .filter(|name| regex.is_match(name.as_bytes()))
        .collect()
}

/// RE2 syntax, matched against the whole name. `\w`, `\d` and `\s` are ASCII as in RE2,
/// which also keeps their repetitions small; expressions that need Unicode get it.
fn compile(regex: &str) -> Result<Regex, regex::Error> {
    let whole = format!(r"\A(?:{})\z", unquoted(regex));
    build(&whole)
}

fn build(regex: &str) -> Result<Regex, regex::Error> {
    let build = |unicode| {
        RegexBuilder::new(regex)
            .unicode(unicode)
            .size_limit(REGEX_SIZE_LIMIT)
            .dfa_size_limit(REGEX_SIZE_LIMIT)
            .nest_limit(REGEX_NEST_LIMIT)
            .build()
    };
    build(false).or_else(|_| build(true))
}

/// Writes `\Q...\E`, which Java's `Pattern.quote` makes, with each character escaped.
fn unquoted(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex.chars();
    while let Some(c) = rest.next() {
        out.push(c);
        if c != '\\' {
            continue;
        }
        match rest.next() {
            Some('Q') => {
                out.pop();
                let (quoted, after) = rest
                    .as_str()
                    .split_once("\\E")
                    .unwrap_or((rest.as_str(), ""));
                out.push_str(&regex::escape(quoted));
                rest = after.chars();
            }
            Some(escaped) => out.push(escaped),
            None => {}
        }
    }
    out
}
