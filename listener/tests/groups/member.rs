//! Members of a group, each a process that prints what happens to it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::judge::{Event, HEARTBEAT, SESSION, What};
use crate::run::Client;

type MakeCommand = Box<dyn Fn(&str, &str, &str) -> Command + Send + Sync>;

/// A client with an assignor, or the protocol in which the server assigns.
pub(crate) struct Kind {
    /// For the names of its topic and group.
    pub(crate) name: String,
    /// Of a member: for the server's address, the topic and the group.
    pub(crate) command: MakeCommand,
    pub(crate) leaves: Leaves,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Leaves {
    WhenInputEnds,
    /// So kcat does, which then commits the record that it takes last and does not show it.
    WhenTerminated,
}

/// Session timeout and heartbeat interval as arguments.
pub(crate) fn times() -> [String; 2] {
    [SESSION, HEARTBEAT].map(|time| time.as_millis().to_string())
}

impl Kind {
    /// A client program's `group` command.
    pub(crate) fn program(client: &Client, assignor: &'static str) -> Self {
        Self::programs(client, &[assignor])
    }

    /// The same where the members take the assignors in turn.
    pub(crate) fn programs(client: &Client, assignors: &[&'static str]) -> Self {
        let client = client.clone();
        let turns = assignors.to_vec();
        let turn = AtomicUsize::new(0);
        Kind {
            name: format!("{}-{}", client.name, assignors.join("-and-")),
            command: Box::new(move |address, topic, group| {
                let [session, heartbeat] = times();
                let assignor = turns[turn.fetch_add(1, Ordering::Relaxed) % turns.len()];
                let arguments = [topic, group, assignor, &session, &heartbeat];
                client.command_at(address, "group", &arguments)
            }),
            leaves: Leaves::WhenInputEnds,
        }
    }

    pub(crate) fn kcat(assignor: &'static str) -> Self {
        Kind {
            name: format!("kcat-{assignor}"),
            command: Box::new(move |address, topic, group| {
                let [session, heartbeat] = times();
                let mut kcat = Command::new("kcat");
                kcat.args(["-b", address, "-G", group, "-u", "-f", "record %p %o\n"]);
                for setting in [
                    "auto.offset.reset=earliest",
                    "auto.commit.interval.ms=200",
                    &format!("partition.assignment.strategy={assignor}"),
                    &format!("session.timeout.ms={session}"),
                    &format!("heartbeat.interval.ms={heartbeat}"),
                ] {
                    kcat.args(["-X", setting]);
                }
                kcat.arg(topic);
                kcat
            }),
            leaves: Leaves::WhenTerminated,
        }
    }
}

/// What all members of a group have said.
pub(crate) struct Log {
    started: Instant,
    events: Mutex<Vec<Event>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Log {
            started: Instant::now(),
            events: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, member: usize, what: What) {
        let mut events = self.events();
        let at = self.now();
        events.push(Event { at, member, what });
    }
}

pub(crate) struct Member {
    pub(crate) number: usize,
    leaves: Leaves,
    child: Child,
    input: Option<ChildStdin>,
    readers: Vec<JoinHandle<()>>,
    /// All but the events.
    said: Arc<Mutex<String>>,
    log: Arc<Log>,
}

impl Member {
    pub(crate) fn start(
        log: &Arc<Log>,
        number: usize,
        leaves: Leaves,
        command: &mut Command,
    ) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take();
        let mut member = Member {
            number,
            leaves,
            input,
            readers: Vec::new(),
            said: Arc::default(),
            log: Arc::clone(log),
            child,
        };
        let stdout = member.child.stdout.take().unwrap();
        let stderr = member.child.stderr.take().unwrap();
        member.readers = vec![member.listen(stdout), member.listen(stderr)];
        member
    }

    fn listen(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let (log, said, number) = (Arc::clone(&self.log), Arc::clone(&self.said), self.number);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                if let Some(what) = parse(&line) {
                    log.add(number, what);
                } else {
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        })
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to leave.
    pub(crate) fn leave(&mut self) {
        self.log.add(self.number, What::Leaving);
        self.input = None;
        if self.leaves == Leaves::WhenTerminated {
            let pid = self.child.id().to_string();
            let sent = Command::new("kill").arg(pid).status();
            assert!(sent.unwrap().success());
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.is_gone();
    }

    /// After its last word.
    pub(crate) fn is_gone(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.log.add(self.number, What::Gone);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of the client programs, or of kcat.
fn parse(line: &str) -> Option<What> {
    if line.starts_with("% Group ") {
        let numbers = line.split('[').skip(1);
        let numbers = numbers.filter_map(|rest| rest.split(']').next()?.parse().ok());
        let numbers = numbers.collect();
        return if line.contains("): assigned: ") || line.contains("incremental assignment of ") {
            Some(What::Assigned(numbers))
        } else if line.contains(" revoke") {
            Some(What::Revoked(numbers))
        } else {
            None
        };
    }
    let (what, rest) = line.split_once(' ')?;
    let numbers = rest.split([' ', ',']).filter(|number| !number.is_empty());
    let numbers: Vec<i64> = numbers.map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let partitions = || numbers.iter().map(|number| *number as i32).collect();
    match (what, &numbers[..]) {
        ("assigned", _) => Some(What::Assigned(partitions())),
        ("revoked" | "lost", _) => Some(What::Revoked(partitions())),
        ("record", [partition, offset]) => Some(What::Record {
            partition: *partition as i32,
            offset: *offset,
        }),
        ("committed", [partition, offset]) => Some(What::Committed {
            partition: *partition as i32,
            offset: *offset,
        }),
        _ => None,
    }
}
