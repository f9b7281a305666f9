//! The program under test, and its topics.

use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::LIMIT;
use crate::run::Client;

pub(crate) const PARTITIONS: i32 = 4;

pub(crate) struct Topics {
    application: String,
    pub(crate) input: String,
    pub(crate) output: String,
    /// Made by Streams: each word goes to the partition that it is counted in.
    pub(crate) repartition: String,
}

impl Topics {
    pub(crate) fn create(address: &str) -> Self {
        // On a broker of the user's they stay.
        let application = format!("word-count-{}", std::process::id());
        let topics = Topics {
            input: format!("{application}-input"),
            output: format!("{application}-output"),
            repartition: format!("{application}-counts-repartition"),
            application,
        };
        let topic = |name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        let input = topic(&topics.input);
        // Compact, as a table's topic is; what is read here lies beyond the compacted part.
        let output = topic(&topics.output)
            .set("cleanup.policy", "compact")
            .set("min.compaction.lag.ms", "3600000");
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", address)
            .create()
            .unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = AdminOptions::new();
        let created = runtime.block_on(admin.create_topics([&input, &output], &options));
        for result in created.unwrap() {
            result.unwrap();
        }
        topics
    }
}

/// The program, with all that it says kept for the case of a failure.
pub(crate) struct App {
    child: Child,
    input: Option<ChildStdin>,
    said: tempfile::NamedTempFile,
}

impl App {
    /// With its state in a folder, which may be one that another has left.
    pub(crate) fn start(client: &Client, address: &str, topics: &Topics, state: &Path) -> Self {
        let said = tempfile::NamedTempFile::new().unwrap();
        let arguments = [&topics.application, &topics.input, &topics.output];
        let arguments = arguments.map(String::as_str);
        let arguments = [&arguments[..], &[state.to_str().unwrap()]].concat();
        let out: File = said.reopen().unwrap();
        let mut child = client
            .command_at(address, "count", &arguments)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        App { child, input, said }
    }

    /// It ends by itself only when Streams gives up.
    pub(crate) fn must_run(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "Streams has given up: {ended:?}");
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.must_run();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(mut self) {
        self.input = None;
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the program does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.said.path());
            eprintln!("the program said:\n{}", said.unwrap_or_default());
        }
    }
}
