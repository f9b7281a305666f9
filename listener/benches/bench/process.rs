//! CPU time and memory of processes, from `/proc` (proc(5)).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::Result;

/// Rare enough not to be felt by what is measured.
const SAMPLE: Duration = Duration::from_millis(250);

/// CPU seconds of a process, of those it has started and of their like that have ended.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    let own = cpu_of(pid).ok_or("the process has ended")?;
    Ok(own + children(pid).into_iter().filter_map(cpu_of).sum::<f64>())
}

/// Fields 14 to 17 of `stat`, in 1/100 s: its own, and of its children that have ended.
fn cpu_of(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(ticks as f64 / 100.0)
}

/// Those that its first thread has started: neither server nor listener starts any elsewhere.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

/// Bytes of memory that a process and its children keep: what each has for itself
/// (`RssAnon`), and once what they share (`RssShmem`, of the one that has touched most).
/// Pages of files are the kernel's and not counted.
pub(crate) fn memory(pid: u32) -> f64 {
    let (mut private, mut shared) = (0, 0);
    for process in children(pid).into_iter().chain([pid]) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        for line in status.unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            let field = words.next();
            let kilobytes = words.next().and_then(|word| word.parse::<u64>().ok());
            match field {
                Some("RssAnon:") => private += kilobytes.unwrap_or(0),
                Some("RssShmem:") => shared = shared.max(kilobytes.unwrap_or(0)),
                _ => {}
            }
        }
    }
    ((private + shared) * 1024) as f64
}

/// Looks at the memory of processes until told to stop.
pub(crate) struct Peak {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<f64>>,
}

impl Peak {
    pub(crate) fn watch(pids: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut peaks = vec![0.0; pids.len()];
            loop {
                for (peak, pid) in peaks.iter_mut().zip(&pids) {
                    *peak = memory(*pid).max(*peak);
                }
                if stopped.load(Relaxed) {
                    return peaks;
                }
                std::thread::park_timeout(SAMPLE);
            }
        });
        Peak { stop, thread }
    }

    /// The most that each had.
    pub(crate) fn stop(self) -> Vec<f64> {
        self.stop.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}
