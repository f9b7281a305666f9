//! Client programs as subprocesses.
#![allow(dead_code, reason = "each test program takes a part of it")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::Env;

/// Longer than any of them takes, several at once on a small machine.
const LIMIT: Duration = Duration::from_mins(4);

/// A program that is called as `PROGRAM ARGUMENTS COMMAND BOOTSTRAP ...`.
#[derive(Clone)]
pub(crate) struct Client {
    /// For the names of its topics.
    pub(crate) name: &'static str,
    pub(crate) program: Vec<String>,
}

impl Client {
    pub(crate) fn command(&self, env: &Env, command: &str, arguments: &[&str]) -> Command {
        self.command_at(&env.listener.address, command, arguments)
    }

    pub(crate) fn command_at(&self, address: &str, command: &str, arguments: &[&str]) -> Command {
        let mut program = Command::new(&self.program[0]);
        program.args(&self.program[1..]);
        program.arg(command).arg(address);
        program.args(arguments);
        program
    }

    /// What it prints; it must succeed.
    pub(crate) fn run(&self, env: &Env, command: &str, arguments: &[&str], input: &str) -> String {
        run(&mut self.command(env, command, arguments), input).stdout
    }
}

pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command, input: impl AsRef<[u8]>) -> Said {
    try_run(command, input).unwrap_or_else(|error| panic!("{error}"))
}

/// Fails with all that the program has said.
pub(crate) fn try_run(command: &mut Command, input: impl AsRef<[u8]>) -> Result<Said, String> {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    std::thread::spawn(move || stdin.write_all(&input));
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let until = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = Said {
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    };
    match status {
        Some(status) if status.success() => Ok(said),
        ended => {
            let ended = ended.map_or(format!("no end within {LIMIT:?}"), |s| s.to_string());
            Err(format!("{name}: {ended}\n{}{}", said.stdout, said.stderr))
        }
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
