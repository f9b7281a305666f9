//! Tellers with Apache Kafka's own producer, which uses transactions as of KIP-890: no
//! partition is announced, and each transaction has an epoch of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use crate::book::Book;
use crate::install::sources;
use crate::judge::{Id, Outcome};
use crate::run::Client;

/// A program of one source file, in the place of the class that other tests run.
pub(crate) fn java_source(client: &Client, file: &str) -> Command {
    let mut java = Command::new(&client.program[0]);
    java.args(&client.program[1..client.program.len() - 1]);
    java.arg(sources("java").join(file));
    java
}

/// One process for all of them.
pub(crate) struct JavaTellers {
    child: Child,
    lines: JoinHandle<()>,
    said: tempfile::NamedTempFile,
}

impl JavaTellers {
    pub(crate) fn start(
        client: &Client,
        [address, topic]: [&str; 2],
        first: u16,
        count: u16,
        book: &Book,
    ) -> Self {
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut child = java_source(client, "Tellers.java")
            .args([address, topic, &first.to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said.reopen().unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let book = book.clone();
        let lines = std::thread::spawn(move || lines.for_each(|line| note(&book, &line.unwrap())));
        JavaTellers { child, lines, said }
    }

    /// At their next transactions.
    pub(crate) fn stop(mut self) {
        drop(self.child.stdin.take());
        self.lines.join().unwrap();
        let status = self.child.wait().unwrap();
        let said = std::fs::read_to_string(self.said.path()).unwrap();
        assert!(status.success(), "Java tellers: {status}\n{said}");
    }
}

fn note(book: &Book, line: &str) {
    let (what, rest) = line.split_once(' ').expect("what, and of what");
    if what == "lost" {
        return book.lost(rest.to_owned());
    }
    let words: Vec<_> = rest.split(' ').collect();
    let id: Id = (words[0].parse().unwrap(), words[1].parse().unwrap());
    match what {
        "begin" => {
            let change = |change: &str| {
                let (account, delta) = change.split_once(':').unwrap();
                (account.parse().unwrap(), delta.parse().unwrap())
            };
            book.begin(id, &words[2].split(',').map(change).collect::<Vec<_>>());
        }
        "acknowledged" => {
            book.acknowledged(id, words[2].parse().unwrap(), words[3].parse().unwrap());
        }
        "unknown" => book.now(id, Outcome::Unknown),
        "committed" => book.now(id, Outcome::Committed),
        "aborted" => book.now(id, Outcome::Aborted),
        _ => panic!("{line}"),
    }
}
