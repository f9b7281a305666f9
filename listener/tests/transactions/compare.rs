//! Runs a story at both servers and compares what is told of it.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::Raw;
use crate::dump::Producers;
use crate::programs::Kind;
use crate::session::Session;
use crate::side::Side;

pub(crate) type Story = fn(&mut Run);

/// One story at one server, by one client. In steps `@` stands for what is this run's in the
/// names of topics, groups and transactional ids.
pub(crate) struct Run<'a> {
    kind: &'a Kind,
    side: &'a Side,
    pub(crate) session: Session,
    pub(crate) raw: Raw,
    prefix: String,
    transactional_ids: Vec<String>,
    pub(crate) producers: Producers,
    told: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(kind: &'a Kind, side: &'a Side, story: &str, session: Session) -> Self {
        Run {
            kind,
            side,
            session,
            raw: Raw::connect(&side.address),
            prefix: format!("{}-{story}-", kind.name),
            transactional_ids: Vec::new(),
            producers: Producers::default(),
            told: Vec::new(),
        }
    }

    pub(crate) fn named(&self, text: &str) -> String {
        text.replace('@', &self.prefix)
    }

    pub(crate) fn tell(&mut self, line: impl Into<String>) {
        let line = line.into().replace(&self.prefix, "@");
        self.told.push(line);
    }

    pub(crate) fn create_topic(&mut self, topic: &str, partitions: i32) {
        self.side.create_topic(&self.named(topic), partitions);
    }

    /// Its markers are written when it returns.
    pub(crate) fn take(&mut self, step: &str) {
        let named = self.named(step);
        self.note_transactional_id(&named);
        let answer = self.session.take(&named);
        self.side.settle(&self.transactional_ids);
        self.tell(format!("> {step}"));
        for line in answer {
            let line = self.producers.renamed(&line);
            self.tell(line);
        }
    }

    pub(crate) fn take_all(&mut self, steps: &[&str]) {
        for step in steps {
            self.take(step);
        }
    }

    fn note_transactional_id(&mut self, step: &str) {
        let words: Vec<_> = step.split(' ').collect();
        let (["producer", _, id, ..] | ["transform", id, ..]) = words[..] else {
            return;
        };
        if !self.transactional_ids.iter().any(|known| known == id) {
            self.transactional_ids.push(id.to_owned());
        }
    }

    /// Another process of the same client.
    pub(crate) fn another(&self) -> Session {
        Session::start(&mut self.kind.command(&self.side.address))
    }
}

/// What was told of a story, and why it broke off.
#[derive(PartialEq)]
struct Told {
    lines: Vec<String>,
    failed: Option<String>,
}

/// All stories, so that a failure shows whatever is different.
pub(crate) fn compare(kind: &Kind, stories: &[(&str, Story)]) {
    let Some(sides) = Side::both() else { return };
    let [kafka, ours] = std::thread::scope(|scope| {
        let threads = sides.each_ref().map(|side| {
            let name = format!("{} at {}", kind.name, side.name);
            let thread = std::thread::Builder::new().name(name);
            thread
                .spawn_scoped(scope, || tell_all(kind, side, stories))
                .unwrap()
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let mut different = String::new();
    for (((name, _), kafka), ours) in stories.iter().zip(kafka).zip(ours) {
        if kafka == ours && kafka.failed.is_none() {
            continue;
        }
        let difference = diff(&kafka.lines, &ours.lines);
        let title = format!("{} {name} (-: Apache Kafka, +: pg_kafka)", kind.name);
        writeln!(different, "{title}:\n{difference}").unwrap();
        for (side, told) in sides.iter().zip([kafka, ours]) {
            if let Some(failed) = told.failed {
                writeln!(different, "failed at {}: {failed}", side.name).unwrap();
            }
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// One process of the client tells all, unless it is lost in a story.
fn tell_all(kind: &Kind, side: &Side, stories: &[(&str, Story)]) -> Vec<Told> {
    let start = || Session::start(&mut kind.command(&side.address));
    let mut session = start();
    let mut told = Vec::new();
    for (name, story) in stories {
        let mut run = Run::new(kind, side, name, session);
        let failed = catch_unwind(AssertUnwindSafe(|| story(&mut run))).err();
        session = if failed.is_some() {
            start()
        } else {
            run.session
        };
        told.push(Told {
            lines: run.told,
            failed: failed.map(|panic| panicked(&*panic)),
        });
    }
    told
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_default()
}

/// The lines that only one of them has, by their longest common subsequence, and a few
/// around them.
fn diff(left: &[String], right: &[String]) -> String {
    const AROUND: usize = 4;
    let mut common = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            common[i][j] = if left[i] == right[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push((' ', &left[i]));
            i += 1;
            j += 1;
        } else if j == right.len() || i < left.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', &left[i]));
            i += 1;
        } else {
            lines.push(('+', &right[j]));
            j += 1;
        }
    }
    let mut text = String::new();
    for (at, (mark, line)) in lines.iter().enumerate() {
        let near = at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1);
        if lines[near].iter().any(|(mark, _)| *mark != ' ') {
            writeln!(text, "{mark} {line}").unwrap();
        }
    }
    text
}
