//! A real server with the extension, the listener in front of it, and ways to talk to
//! both: SQL, raw frames, kcat.
#![allow(dead_code, reason = "each test file takes a part of it")]

#[path = "../../examples/support/mod.rs"]
pub(crate) mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_core::Codec;
use kafka_core::builder::{BatchBuilder, ProducerFields};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, RequestHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

pub(crate) use support::Cluster;

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Env {
    // The listener ends first.
    pub(crate) listener: Listener,
    pub(crate) cluster: Cluster,
}

impl Env {
    /// The server that tests share which leave it as it is.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Env>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(env) = shared.upgrade() {
            return env;
        }
        let env = Arc::new(Self::own("", &[]));
        *shared = Arc::downgrade(&env);
        env
    }

    /// A server for one test, with lines of `postgresql.conf` and flags of the listener.
    /// New groups do not wait for more members, unless the lines say so.
    pub(crate) fn own(settings: &str, flags: &[&str]) -> Self {
        let settings = format!(
            "max_prepared_transactions = 10\npg_kafka.group_initial_rebalance_delay = 0\n{settings}"
        );
        let cluster = Cluster::create(&settings)
            .unwrap_or_else(|error| panic!("no PostgreSQL server to test with: {error}"));
        Sql::connect(&cluster).run("CREATE EXTENSION pg_kafka");
        let listener = Listener::start(&cluster.conninfo(), flags);
        Self { listener, cluster }
    }

    pub(crate) fn sql(&self) -> Sql {
        Sql::connect(&self.cluster)
    }

    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(&self.listener.address)
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        self.sql().run(&format!(
            "SELECT kafka.create_topic('{topic}', {partitions})"
        ));
    }

    /// The records stored in a topic.
    pub(crate) fn stored(&self, topic: &str) -> i64 {
        self.sql()
            .value(&format!("SELECT count(*) FROM kafka.records('{topic}')"))
            .parse()
            .unwrap()
    }
}

/// The listener program on a free port; stopped when dropped.
pub(crate) struct Listener {
    child: Child,
    pub(crate) address: String,
    log: tempfile::NamedTempFile,
}

impl Listener {
    pub(crate) fn start(database_url: &str, flags: &[&str]) -> Self {
        let mut listener = Self::spawn(database_url, &format!("127.0.0.1:{}", free_port()), flags);
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&listener.address).is_err() {
            let ended = listener.child.try_wait().unwrap().is_some();
            assert!(
                !ended && Instant::now() < until,
                "the listener did not start:\n{}",
                listener.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        listener
    }

    /// Without waiting for it to listen.
    pub(crate) fn spawn(database_url: &str, address: &str, flags: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pg_kafka_listener"))
            .args(["--database-url", database_url, "--listen", address])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            address: address.to_owned(),
            log,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) fn log_lines(&self, containing: &str) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains(containing)).count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the listener does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the listener's log:\n{}", self.log());
        }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One SQL session.
pub(crate) struct Sql {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Sql {
    pub(crate) fn connect(cluster: &Cluster) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(cluster.connect("test")).unwrap();
        Self { runtime, client }
    }

    pub(crate) fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    pub(crate) fn run(&self, sql: &str) {
        self.try_run(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) fn rows(&self, sql: &str) -> Vec<SimpleQueryRow> {
        let messages = self.runtime.block_on(self.client.simple_query(sql));
        let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.collect()
    }

    /// The first column of the first row.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.rows(sql)[0].get(0).unwrap_or_default().to_owned()
    }
}

/// A connection that speaks frames.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    next_correlation_id: i32,
}

impl Raw {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            next_correlation_id: 1,
        }
    }

    /// A frame with its length.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.stream.write_all(&bytes).unwrap();
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.send_frame(&encode(version, correlation_id, request));
        correlation_id
    }

    /// Correlation id and what follows it, or `None` where the connection is closed.
    pub(crate) fn receive(&mut self) -> Option<(i32, Bytes)> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                return None;
            }
            Err(error) => panic!("no answer: {error}"),
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).unwrap();
        let mut frame = Bytes::from(frame);
        Some((frame.get_i32(), frame))
    }

    pub(crate) fn receive_response<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let (correlation_id, mut rest) = self.receive().expect("the connection is closed");
        if R::Response::header_version(version) == 1 {
            // Tagged fields of the response header: none.
            assert_eq!(rest.get_u8(), 0);
        }
        let response = R::Response::decode(&mut rest, version).unwrap();
        assert!(!rest.has_remaining(), "{} bytes too many", rest.len());
        (correlation_id, response)
    }

    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        let (correlation_id, response) = self.receive_response::<R>(version);
        assert_eq!(correlation_id, sent);
        response
    }

    /// Appends to several partitions; the responses' partitions in the same order.
    pub(crate) fn produce(
        &mut self,
        topic: &str,
        acks: i16,
        batches: &[(i32, Vec<u8>)],
    ) -> Vec<kafka_protocol::messages::produce_response::PartitionProduceResponse> {
        let response = self.call(9, &produce_request(topic, acks, batches));
        partition_responses(response)
    }
}

pub(crate) fn partition_responses(
    response: ProduceResponse,
) -> Vec<kafka_protocol::messages::produce_response::PartitionProduceResponse> {
    let topics = response.responses.into_iter();
    topics.flat_map(|topic| topic.partition_responses).collect()
}

/// A request without its frame's length.
pub(crate) fn encode<R: Request>(version: i16, correlation_id: i32, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut bytes = BytesMut::new();
    header
        .encode(&mut bytes, R::header_version(version))
        .unwrap();
    request.encode(&mut bytes, version).unwrap();
    bytes.to_vec()
}

pub(crate) fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

pub(crate) fn produce_request(
    topic: &str,
    acks: i16,
    batches: &[(i32, Vec<u8>)],
) -> ProduceRequest {
    let partitions = batches.iter().map(|(partition, batch)| {
        PartitionProduceData::default()
            .with_index(*partition)
            .with_records(Some(Bytes::from(batch.clone())))
    });
    let topic = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(partitions.collect());
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// A batch of records without keys.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    idempotent_batch(values, ProducerFields::default())
}

pub(crate) fn idempotent_batch(values: &[&str], producer: ProducerFields) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    }
    builder.build(Codec::None, producer)
}

/// Whether kcat is there; says so where it is not.
pub(crate) fn kcat_or_skip() -> bool {
    let found = Command::new("kcat").arg("-V").output().is_ok();
    if !found {
        // Not by eprintln, which the test runner keeps for failures.
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let line = format!("SKIPPED {test}: kcat is not installed (apt-get install kcat)\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    found
}

pub(crate) fn kcat(env: &Env, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("kcat")
        .args(["-b", &env.listener.address])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Written aside: kcat may answer before it has read all.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success(),
        "kcat {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Asks again until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
