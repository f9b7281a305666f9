//! Where server and listener spend their time, as flame graphs, by perf.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph::{self, Options};

use crate::Bench;
use crate::load::{self, Case, Limit};
use crate::process::children;
use crate::servers::Server;
use crate::support::Result;
use crate::synchronous;
use crate::tail;

const TOPIC: &str = "profile";
/// Long enough for some hundred stacks.
const LIMIT: Limit = Limit {
    bytes: 2_000_000_000,
    time: Duration::from_secs(5),
};
/// Until perf has looked at all it is to watch.
const START: Duration = Duration::from_secs(2);
const CASE: Case = Case {
    batch_bytes: 256 * 1024,
    ..tail::CASE
};

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title("Profiles");
    let server = &bench.servers[0];
    server.create_topic(TOPIC, 1).await?;
    let mut records = 0.0;
    profiled(bench, "produce", || {
        let done = load::produce(&server.address, TOPIC, CASE, LIMIT)?;
        records = done.operations;
        Ok(())
    })?;
    profiled(bench, "consume", || {
        load::consume(&server.address, TOPIC, 1, CASE.size, records).map(|_| ())
    })?;
    profiled(bench, "synchronous", || {
        synchronous::produce(&server.address, TOPIC, 1, LIMIT.time).map(|_| ())
    })?;
    server.delete_topic(TOPIC).await
}

fn profiled(bench: &Bench, name: &str, load: impl FnOnce() -> Result<()>) -> Result<()> {
    let server: &Server = &bench.servers[0];
    let started: Vec<_> = ["server", "listener"]
        .iter()
        .zip(&server.pids)
        .map(|(process, pid)| {
            let data = bench.report.folder.join(format!("{name}-{process}.perf"));
            let perf = Perf::start(*pid, &data);
            (data, perf)
        })
        .collect();
    tokio::task::block_in_place(|| {
        std::thread::sleep(START);
        load()
    })?;
    for (data, perf) in started {
        let graph = data.with_extension("svg");
        let drawn = perf.and_then(Perf::stop).and_then(|()| draw(&data, &graph));
        match drawn {
            Ok(()) => bench.report.line(&format!("- {}", graph.display())),
            Err(why) => bench
                .report
                .line(&format!("- not {}: {why}", graph.display())),
        }
        let _ = std::fs::remove_file(data);
    }
    Ok(())
}

/// Records the stacks of a process and of those it has started.
struct Perf(Child);

impl Perf {
    fn start(pid: u32, data: &Path) -> Result<Self> {
        let pids = children(pid).into_iter().chain([pid]);
        let pids: Vec<String> = pids.map(|pid| pid.to_string()).collect();
        // Nothing here keeps frame pointers.
        let perf = Command::new("perf")
            .args(["record", "-q", "-F", "199", "--call-graph", "dwarf,16384"])
            .args(["-p", &pids.join(","), "-o"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Ok(Perf(perf.map_err(|error| format!("perf: {error}"))?))
    }

    fn stop(self) -> Result<()> {
        let pid = self.0.id().to_string();
        Command::new("sh")
            .args(["-c", "kill -INT \"$0\"", &pid])
            .status()?;
        let output = self.0.wait_with_output()?;
        // Being interrupted is not success, but leaves the file complete.
        let error = String::from_utf8_lossy(&output.stderr);
        match error.trim() {
            "" => Ok(()),
            error => Err(format!("perf record: {error}").into()),
        }
    }
}

fn draw(data: &Path, graph: &Path) -> Result<()> {
    let (stacks, folded) = (data.with_extension("stacks"), data.with_extension("folded"));
    let status = Command::new("perf")
        .args(["script", "--no-inline", "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(File::create(&stacks)?)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("perf script: {status}").into());
    }
    let reader = BufReader::new(File::open(&stacks)?);
    Folder::default().collapse(reader, BufWriter::new(File::create(&folded)?))?;
    let mut options = Options::default();
    options.title = graph
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into();
    let reader = BufReader::new(File::open(&folded)?);
    let drawn = flamegraph::from_reader(&mut options, reader, BufWriter::new(File::create(graph)?));
    for file in [stacks, folded] {
        std::fs::remove_file(file)?;
    }
    Ok(drawn?)
}
