//! The bank's day: tellers move money and readers look on, while answers are dropped and
//! the broker fails, and what everybody has seen is judged in the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::book::Book;
use crate::common::Cluster;
use crate::java_tellers::JavaTellers;
use crate::judge::{Outcome, Story, judge};
use crate::producer::Teller;
use crate::proxy::Proxy;
use crate::reader::{Progress, SqlReader, by_records, over_the_wire};
use crate::run::Client;

const TELLERS: u16 = 8;
const FAULTS: u32 = 5;
pub(crate) const TOPIC: &str = "bank";

/// How long the tellers work, beside the time for which the broker is away.
fn load() -> Duration {
    let seconds = std::env::var("PG_KAFKA_BANK_SECONDS");
    Duration::from_secs(seconds.map_or(36, |seconds| seconds.parse().unwrap()))
}

/// `fail` lets the broker fail, each time in the next one of its ways, and brings it back.
/// `cluster` is for those who read by SQL; with `java` half of the tellers use Java's client.
pub(crate) fn a_day(
    proxy: &Proxy,
    cluster: Option<&Cluster>,
    java: Option<&Client>,
    mut fail: impl FnMut(u32),
) {
    let book = Book::default();
    let progress = Progress::until(TELLERS);
    let mut story = Story::default();
    std::thread::scope(|scope| {
        let day = Day::begin(&progress);
        let of_java = if java.is_some() { TELLERS / 2 } else { 0 };
        let places = [&proxy.address, TOPIC];
        let java = java.map(|java| JavaTellers::start(java, places, 0, of_java, &book));
        let tellers: Vec<_> = (of_java..TELLERS)
            .map(|number| {
                let teller = Teller::new(number, &proxy.address, TOPIC, &book);
                let over = Arc::clone(&day.over);
                scope.spawn(move || teller.work(&over))
            })
            .collect();
        let wire = ["read_committed", "read_committed", "read_uncommitted"];
        let wire = wire.map(|isolation| {
            let progress = progress.clone();
            scope.spawn(move || over_the_wire(&proxy.address, TOPIC, isolation, progress))
        });
        let sql = cluster.map(|cluster| {
            let progress = progress.clone();
            scope.spawn(move || SqlReader::new(TOPIC, progress).read(cluster))
        });
        faults(proxy, &mut fail);
        day.over.store(true, Ordering::Relaxed);
        for teller in tellers {
            teller.join().unwrap();
        }
        if let Some(tellers) = java {
            tellers.stop();
        }
        proxy.drop_answers(false);
        Teller::new(TELLERS, &proxy.address, TOPIC, &book).close();
        drop(day);
        story.readings = wire.map(|reader| reader.join().unwrap()).into();
        if let Some(reader) = sql {
            let (reading, snapshots) = reader.join().unwrap();
            story.readings.push(reading);
            story.snapshots = snapshots;
        }
    });
    for isolation in ["read_committed", "read_uncommitted"] {
        let progress = progress.clone();
        let reading = cluster.map(|cluster| by_records(cluster, TOPIC, isolation, progress));
        story.readings.extend(reading);
    }
    story.transactions.clone_from(&book.pages().transactions);
    let summary = summary(&story, proxy, &book);
    println!("{summary}");
    verdict(&story, &summary);
    // It was a day on which something could go wrong.
    assert!(story.count(Outcome::Committed) > 100, "{summary}");
    assert!(story.count(Outcome::Aborted) > 20, "{summary}");
    let dropped = proxy.traffic().dropped;
    for api in ["Produce", "AddPartitionsToTxn", "EndTxn", "InitProducerId"] {
        assert!(dropped.contains_key(api), "{api}: {summary}");
    }
}

/// However it ends, nobody goes on working or reading without end.
struct Day {
    over: Arc<AtomicBool>,
    progress: Progress,
}

impl Day {
    fn begin(progress: &Progress) -> Self {
        Day {
            over: Arc::default(),
            progress: progress.clone(),
        }
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.progress.is_closed();
    }
}

/// At first only answers are dropped.
fn faults(proxy: &Proxy, fail: &mut impl FnMut(u32)) {
    let pause = load() / (FAULTS + 1);
    proxy.drop_answers(true);
    std::thread::sleep(pause);
    for number in 0..FAULTS {
        fail(number);
        std::thread::sleep(pause);
    }
}

fn summary(story: &Story, proxy: &Proxy, book: &Book) -> String {
    let [committed, aborted, unknown] =
        [Outcome::Committed, Outcome::Aborted, Outcome::Unknown].map(|o| story.count(o));
    format!(
        "{committed} transactions committed, {aborted} aborted, {unknown} unknown{}\n\
         producers lost: {:?}",
        proxy.traffic(),
        book.pages().losses
    )
}

fn verdict(story: &Story, summary: &str) {
    let found = judge(story);
    if !found.is_empty() {
        let test = std::thread::current();
        let file = format!("{}.story", test.name().unwrap_or("bank"));
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&file, format!("{summary}\n{found:#?}\n{story:#?}")).unwrap();
        let few = &found[..found.len().min(20)];
        let all = found.len();
        panic!(
            "{all} violations, {few:#?}\n{summary}\nall: {}",
            file.display()
        );
    }
}
