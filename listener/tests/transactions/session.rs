//! A client program that takes steps: a line for each, answered by lines that begin with a
//! bar, the last of which is a bar and a dot.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any client waits in a step.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Default)]
struct Said {
    /// Of the current step's answer.
    lines: Vec<String>,
    answered: bool,
    /// All else.
    noise: String,
}

pub(crate) struct Session {
    child: Child,
    input: ChildStdin,
    said: Arc<Mutex<Said>>,
}

impl Session {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::default();
        listen(child.stdout.take().unwrap(), Arc::clone(&said));
        listen(child.stderr.take().unwrap(), Arc::clone(&said));
        Session {
            input: child.stdin.take().unwrap(),
            child,
            said,
        }
    }

    /// Without waiting for the answer.
    pub(crate) fn begin(&mut self, step: &str) {
        {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.lines.clear();
            said.answered = false;
        }
        let sent = writeln!(self.input, "{step}");
        sent.unwrap_or_else(|error| panic!("{step}: {error}\n{}", self.noise()));
    }

    /// What has been answered so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.lines.clone()
    }

    /// The answer to the step that was begun.
    pub(crate) fn answer(&mut self) -> Vec<String> {
        let until = Instant::now() + LIMIT;
        loop {
            let ended = self.child.try_wait().unwrap();
            {
                let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.answered {
                    return said.lines.clone();
                }
            }
            assert!(
                ended.is_none() && Instant::now() < until,
                "no answer ({ended:?}) after {:?}\n{}",
                self.so_far().last(),
                self.noise()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn take(&mut self, step: &str) -> Vec<String> {
        self.begin(step);
        self.answer()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn noise(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.noise.clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.noise());
        }
    }
}

fn listen(from: impl Read + Send + 'static, said: Arc<Mutex<Said>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if line == "|." {
                said.answered = true;
            } else if let Some(line) = line.strip_prefix("| ") {
                said.lines.push(line.to_owned());
            } else {
                said.noise.push_str(&line);
                said.noise.push('\n');
            }
        }
    });
}
