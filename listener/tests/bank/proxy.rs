//! Stands between clients and a broker that advertises its address. It sees each answer, and
//! now and then drops one and closes the connection, so that the client repeats a request
//! that was carried out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{
    AddPartitionsToTxnResponse, ApiKey, EndTxnResponse, InitProducerIdResponse, ProduceResponse,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};

/// API and version.
type Asked = (i16, i16);

/// What has gone through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// Answers, by the name of their API.
    pub(crate) answers: BTreeMap<String, u64>,
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Error codes in answers to producers, by the name of their API.
    pub(crate) errors: BTreeMap<(String, i16), u64>,
    /// Most Produce requests that waited for an answer on one connection.
    pub(crate) most_in_flight: usize,
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (api, answers) in &self.answers {
            let dropped = self.dropped.get(api).unwrap_or(&0);
            write!(f, "\n{api}: {answers} answers, {dropped} dropped")?;
            let errors = self.errors.iter().filter(|((of, _), _)| of == api);
            for ((_, code), count) in errors {
                write!(f, ", error {code} x {count}")?;
            }
        }
        write!(f, "\nat most {} Produce under way", self.most_in_flight)
    }
}

struct Shared {
    target: Mutex<String>,
    dropping: AtomicBool,
    traffic: Mutex<Traffic>,
    stop: AtomicBool,
}

impl Shared {
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every so manieth, and more of those that say that something was changed.
    fn drops(&self, api: &str, answers: u64) -> bool {
        let each = match api {
            "InitProducerId" => 20,
            "Produce" | "EndTxn" | "AddPartitionsToTxn" => 50,
            _ => 500,
        };
        self.dropping.load(Ordering::Relaxed) && answers.is_multiple_of(each)
    }
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            target: Mutex::default(),
            dropping: AtomicBool::new(false),
            traffic: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A broken connection is the peers' affair.
                std::thread::spawn(move || client.and_then(|client| serve(&shared, &client)));
            }
        });
        Proxy { address, shared }
    }

    pub(crate) fn lead_to(&self, address: &str) {
        address.clone_into(&mut self.shared.target.lock().unwrap());
    }

    pub(crate) fn drop_answers(&self, dropping: bool) {
        self.shared.dropping.store(dropping, Ordering::Relaxed);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.shared.traffic().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(shared: &Arc<Shared>, client: &TcpStream) -> std::io::Result<()> {
    let target = shared.target.lock().unwrap().clone();
    let broker = TcpStream::connect(target)?;
    for stream in [client, &broker] {
        stream.set_nodelay(true)?;
    }
    let asked: Arc<Mutex<VecDeque<Asked>>> = Arc::default();
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| forward_requests(shared, client, &broker, &asked));
        let answered = forward_answers(shared, &broker, client, &asked);
        // Neither side is left waiting.
        for stream in [client, &broker] {
            let _ = stream.shutdown(Shutdown::Both);
        }
        answered.and(requests.join().unwrap())
    })
}

/// A frame with its length; `None` where the connection is closed.
fn frame(mut from: &TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..])?;
    Ok(Some(frame))
}

fn forward_requests(
    shared: &Shared,
    client: &TcpStream,
    mut broker: &TcpStream,
    asked: &Mutex<VecDeque<Asked>>,
) -> std::io::Result<()> {
    while let Some(request) = frame(client)? {
        let mut head = &request[4..];
        let mut asked = asked.lock().unwrap();
        asked.push_back((head.get_i16(), head.get_i16()));
        let in_flight = asked.iter().filter(|(key, _)| *key == 0).count();
        drop(asked);
        let mut traffic = shared.traffic();
        traffic.most_in_flight = traffic.most_in_flight.max(in_flight);
        drop(traffic);
        broker.write_all(&request)?;
    }
    broker.shutdown(Shutdown::Both)
}

fn forward_answers(
    shared: &Shared,
    broker: &TcpStream,
    mut client: &TcpStream,
    asked: &Mutex<VecDeque<Asked>>,
) -> std::io::Result<()> {
    while let Some(answer) = frame(broker)? {
        // Answers come in the order of the requests; nobody here asks for none.
        let (key, version) = asked.lock().unwrap().pop_front().expect("it was asked for");
        let api = ApiKey::try_from(key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"));
        let mut traffic = shared.traffic();
        let answers = traffic.answers.entry(api.clone()).or_default();
        *answers += 1;
        let drops = shared.drops(&api, *answers);
        for code in error_codes(key, version, Bytes::copy_from_slice(&answer[8..])) {
            *traffic.errors.entry((api.clone(), code)).or_default() += 1;
        }
        if drops {
            *traffic.dropped.entry(api).or_default() += 1;
            return Ok(());
        }
        drop(traffic);
        client.write_all(&answer)?;
    }
    Ok(())
}

fn decode<T: Decodable + HeaderVersion>(version: i16, mut body: Bytes) -> T {
    if T::header_version(version) == 1 {
        // Tagged fields of the response header: none.
        body.advance(1);
    }
    T::decode(&mut body, version).unwrap()
}

/// What producers are told, but for 0.
fn error_codes(key: i16, version: i16, body: Bytes) -> Vec<i16> {
    let codes: Vec<i16> = match ApiKey::try_from(key) {
        Ok(ApiKey::Produce) => {
            let response: ProduceResponse = decode(version, body);
            let topics = response.responses.iter();
            let partitions = topics.flat_map(|topic| &topic.partition_responses);
            partitions.map(|partition| partition.error_code).collect()
        }
        Ok(ApiKey::AddPartitionsToTxn) => {
            let response: AddPartitionsToTxnResponse = decode(version, body);
            let topics = response.results_by_topic_v3_and_below.iter();
            let partitions = topics.flat_map(|topic| &topic.results_by_partition);
            partitions
                .map(|partition| partition.partition_error_code)
                .collect()
        }
        Ok(ApiKey::EndTxn) => vec![decode::<EndTxnResponse>(version, body).error_code],
        Ok(ApiKey::InitProducerId) => {
            vec![decode::<InitProducerIdResponse>(version, body).error_code]
        }
        _ => Vec::new(),
    };
    codes.into_iter().filter(|code| *code != 0).collect()
}
