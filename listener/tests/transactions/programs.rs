//! The clients, each as a program that takes steps.

use std::process::Command;
use std::sync::OnceLock;

use crate::install::{downloads, once, or_skip, sources};
use crate::languages;
use crate::run::{Client, run};

pub(crate) struct Kind {
    /// For the names of its topics.
    pub(crate) name: &'static str,
    command: Box<dyn Fn(&str) -> Command + Send + Sync>,
}

impl Kind {
    pub(crate) fn new(
        name: &'static str,
        command: impl Fn(&str) -> Command + Send + Sync + 'static,
    ) -> Self {
        Kind {
            name,
            command: Box::new(command),
        }
    }

    fn program(name: &'static str, client: Client) -> Self {
        Kind::new(name, move |address| {
            client.command_at(address, "steps", &[])
        })
    }

    /// The program at a broker's address.
    pub(crate) fn command(&self, address: &str) -> Command {
        (self.command)(address)
    }
}

pub(crate) fn java() -> Option<Kind> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let mut client = languages::java("128m")?;
    let classes = downloads("java").join("transactions");
    let source = sources("java").join("Transactions.java");
    let class_path = client
        .program
        .iter_mut()
        .find(|word| word.ends_with("/*"))?;
    let installed = INSTALLED.get_or_init(|| {
        once(&classes, std::slice::from_ref(&source), || {
            let mut compile = Command::new("javac");
            compile.args(["-nowarn", "-encoding", "UTF-8", "-cp", class_path, "-d"]);
            run(compile.arg(&classes).arg(&source), "");
            Ok(())
        })
    });
    or_skip(installed.clone())?;
    *class_path = format!("{}:{class_path}", classes.display());
    "Transactions".clone_into(client.program.last_mut()?);
    Some(Kind::program("java", client))
}

pub(crate) fn confluent() -> Option<Kind> {
    let mut client = languages::python("confluent")?;
    let script = sources("python").join("confluent_transactions.py");
    script.to_str()?.clone_into(client.program.last_mut()?);
    Some(Kind::program("confluent", client))
}

pub(crate) fn franz() -> Option<Kind> {
    let client = languages::go("franz_transactions")?;
    Some(Kind::program("franz", client))
}

pub(crate) fn sarama() -> Option<Kind> {
    let client = languages::go("sarama_transactions")?;
    Some(Kind::program("sarama", client))
}
