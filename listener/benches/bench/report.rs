//! What was measured, as Markdown on standard output, and as files in one folder.

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::chart;
use crate::servers::{Run, Server};
use crate::support::Result;

const MIB: f64 = 1_048_576.0;

/// One case of one client: the runs of each server.
pub(crate) struct Series {
    pub(crate) part: &'static str,
    pub(crate) case: String,
    pub(crate) client: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) runs: Vec<Vec<Run>>,
}

impl Series {
    pub(crate) fn values(&self, server: usize) -> Vec<f64> {
        self.of(server, |run| run.done.value)
    }

    fn of(&self, server: usize, value: impl Fn(&Run) -> f64) -> Vec<f64> {
        let runs = self.runs.get(server);
        runs.into_iter().flatten().map(value).collect()
    }

    fn json(&self, servers: &[String]) -> Value {
        let runs = self.runs.iter().zip(servers).flat_map(|(runs, server)| {
            runs.iter().enumerate().map(move |(round, run)| {
                json!({
                    "server": server, "round": round, "value": run.done.value,
                    "bytes": run.done.bytes, "operations": run.done.operations,
                    "server_cpu_s": run.server_cpu, "listener_cpu_s": run.listener_cpu,
                    "wal_bytes": run.wal_bytes, "server_memory_bytes": run.server_memory,
                    "listener_memory_bytes": run.listener_memory,
                })
            })
        });
        json!({
            "part": self.part, "case": self.case, "client": self.client, "unit": self.unit,
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

/// One that is not of `Series`.
#[derive(Default)]
struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn json(&self) -> Value {
        json!({ "title": self.title, "columns": self.columns, "rows": self.rows })
    }
}

/// Written anew after each part, so that one that fails takes nothing along.
pub(crate) struct Report {
    pub(crate) folder: PathBuf,
    servers: Vec<String>,
    markdown: Mutex<String>,
    tables: Mutex<Vec<Table>>,
    series: Mutex<Vec<Series>>,
}

impl Report {
    pub(crate) fn new(servers: &[Server]) -> Result<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let folder = target.ok_or("no target folder")?.join("bench");
        std::fs::create_dir_all(&folder)?;
        Ok(Report {
            folder,
            servers: servers.iter().map(|server| server.name.into()).collect(),
            markdown: Mutex::default(),
            tables: Mutex::default(),
            series: Mutex::default(),
        })
    }

    pub(crate) fn line(&self, line: &str) {
        println!("{line}");
        let mut markdown = lock(&self.markdown);
        markdown.push_str(line);
        markdown.push('\n');
    }

    pub(crate) fn title(&self, title: &str) {
        self.line(&format!("\n### {title}\n"));
        lock(&self.tables).push(Table {
            title: title.to_owned(),
            ..Table::default()
        });
    }

    pub(crate) fn header(&self, columns: &[&str]) {
        self.line(&format!("| {} |", columns.join(" | ")));
        self.line(&format!("|{}", " --- |".repeat(columns.len())));
        if let Some(table) = lock(&self.tables).last_mut() {
            table.columns = columns.iter().map(ToString::to_string).collect();
        }
    }

    pub(crate) fn row(&self, columns: &[&dyn Display]) {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        self.line(&format!("| {} |", columns.join(" | ")));
        if let Some(table) = lock(&self.tables).last_mut() {
            table.rows.push(columns);
        }
    }

    /// The head of a table of `compared` rows.
    pub(crate) fn comparison(&self, title: &str) {
        self.title(title);
        let mut columns = vec!["case", "client", "unit"];
        for (number, server) in self.servers.iter().enumerate() {
            columns.push(server);
            if number > 0 {
                columns.push("ratio");
            }
        }
        self.header(&columns);
    }

    /// A row: min / median / max of each server, and the medians' ratios to ours.
    pub(crate) fn compared(&self, series: Series) {
        let mut line = format!("| {} | {} | {} |", series.case, series.client, series.unit);
        let ours = median(&series.values(0));
        for server in 0..self.servers.len() {
            let values = series.values(server);
            let digits = if median(&values) < 20.0 { 2 } else { 0 };
            let _ = write!(line, " {} |", spread(&values, digits));
            if server > 0 {
                let _ = write!(line, " {:.2} |", ours / median(&values));
            }
        }
        self.line(&line);
        lock(&self.series).push(series);
    }

    /// What the runs of a part have cost.
    pub(crate) fn costs(&self, part: &str) {
        let all = lock(&self.series);
        let of_part: Vec<&Series> = all.iter().filter(|series| series.part == part).collect();
        if of_part.is_empty() {
            return;
        }
        self.line("\nCPU seconds per GB of values (per 100,000 operations where those are counted), server + listener; bytes of WAL per byte of values; peak memory in MiB, server + listener. Medians.\n");
        let mut columns = vec!["case".to_owned(), "client".into()];
        columns.extend(self.servers.iter().map(|server| format!("CPU, {server}")));
        columns.push("WAL".into());
        columns.extend(self.servers.iter().map(|server| format!("MiB, {server}")));
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        self.header(&columns);
        for series in of_part {
            self.line(&self.cost(series));
        }
    }

    fn cost(&self, series: &Series) -> String {
        let by_volume = series.unit == "MB/s";
        let amount = |run: &Run| {
            if by_volume {
                run.done.bytes / 1e9
            } else {
                run.done.operations / 1e5
            }
        };
        let mut line = format!("| {} | {} |", series.case, series.client);
        for server in 0..self.servers.len() {
            let cpu = median(&series.of(server, |run| run.server_cpu / amount(run)));
            let _ = write!(line, " {cpu:.2}");
            if server == 0 {
                let cpu = median(&series.of(0, |run| run.listener_cpu / amount(run)));
                let _ = write!(line, " + {cpu:.2}");
            }
            line.push_str(" |");
        }
        let wal = median(&series.of(0, |run| run.wal_bytes / run.done.bytes));
        let _ = write!(line, " {wal:.2} |");
        for server in 0..self.servers.len() {
            let peak = |value: &dyn Fn(&Run) -> f64| median(&series.of(server, value)) / MIB;
            let _ = write!(line, " {:.0}", peak(&|run| run.server_memory));
            if server == 0 {
                let _ = write!(line, " + {:.0}", peak(&|run| run.listener_memory));
            }
            line.push_str(" |");
        }
        line
    }

    pub(crate) fn save(&self) -> Result<()> {
        let series = lock(&self.series);
        let all: Vec<Value> = series.iter().map(|one| one.json(&self.servers)).collect();
        let tables = lock(&self.tables);
        let others = tables.iter().filter(|table| !table.rows.is_empty());
        let others: Vec<Value> = others.map(Table::json).collect();
        let results = json!({ "servers": self.servers, "series": all, "tables": others });
        let json = serde_json::to_string_pretty(&results)?;
        std::fs::write(self.folder.join("results.md"), &*lock(&self.markdown))?;
        std::fs::write(self.folder.join("results.json"), json)?;
        if let Some(chart) = chart::draw(&series, &self.servers) {
            std::fs::write(self.folder.join("chart.svg"), chart)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The middle one of the values, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value below which so many percent of the values are.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if percent == 50 && n % 2 == 0 => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        n => sorted[(n * percent / 100).min(n - 1)],
    }
}

/// min / median / max, or the one value there is.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let middle = median(values);
    if values.len() == 1 {
        return format!("{middle:.digits$}");
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{min:.digits$} / {middle:.digits$} / {max:.digits$}")
}
