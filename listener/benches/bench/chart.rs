//! The chart of the README: bars of the medians, each group by Apache Kafka's rate.

use std::fmt::Write as _;

use crate::report::{Series, median};

/// Part, what its case's name contains, client, and what the chart says.
const GROUPS: &[(&str, &str, &str, &str)] = &[
    (
        "produce",
        "1 KiB, 16 KB / 5 ms, 1 to 1, none",
        "librdkafka",
        "produce 1 KiB, 16 KB batches",
    ),
    (
        "produce",
        "1 KiB, 256 KB / 10 ms, 4 to 4, none",
        "librdkafka",
        "produce 1 KiB, 256 KB, 4 producers",
    ),
    (
        "produce",
        "100 B, 16 KB / 5 ms, 1 to 1, none",
        "librdkafka",
        "produce 100 B, 16 KB batches",
    ),
    (
        "produce",
        "100 B, 256 KB / 10 ms, 4 to 4, lz4",
        "librdkafka",
        "produce 100 B, 256 KB, 4 producers, lz4",
    ),
    (
        "consume",
        "1 KiB, 16 KB / 5 ms, 1 to 1, none",
        "librdkafka",
        "consume 1 KiB, 16 KB batches",
    ),
    (
        "consume",
        "100 B, 256 KB / 10 ms, 4 to 4, lz4",
        "librdkafka",
        "consume 100 B, 256 KB, lz4",
    ),
    (
        "synchronous",
        "16 to 1 ",
        "librdkafka",
        "16 waiting producers",
    ),
    (
        "transactions",
        "10 records",
        "librdkafka",
        "transactions of 10 records",
    ),
];
const CLASSES: [&str; 3] = ["ours", "plain", "flushing"];
const LABEL_WIDTH: f64 = 270.0;
const WIDTH: f64 = 760.0;
/// Of Apache Kafka's rate; longer bars are cut and say so by their number.
const MOST: f64 = 2.5;
const BAR: f64 = 12.0;
const GROUP: f64 = 3.0 * BAR + 14.0;
const TOP: f64 = 64.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.number { font-size: 10px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
.sheet { fill: #ffffff; }
.axis { stroke: #8c959f; stroke-dasharray: 3 3; }
.ours { fill: #0969da; } .plain { fill: #9a6700; } .flushing { fill: #d4a72c; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.number { stroke: #0d1117; }
.sheet { fill: #0d1117; }
.ours { fill: #58a6ff; } .plain { fill: #d29922; } .flushing { fill: #845306; }
}";

/// None where a part of what it compares is missing.
pub(crate) fn draw(series: &[Series], servers: &[String]) -> Option<String> {
    let groups: Vec<_> = GROUPS
        .iter()
        .filter_map(|(part, case, client, name)| {
            let found = series.iter().find(|series| {
                series.part == *part && series.client == *client && series.case.contains(case)
            })?;
            Some((*name, found))
        })
        .collect();
    if groups.is_empty() || servers.len() != CLASSES.len() {
        return None;
    }
    let height = TOP + groups.len() as f64 * GROUP + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>pg_kafka beside Apache Kafka</title>\n<style>\n{STYLE}\n</style>\n<rect class=\"sheet\" width=\"{WIDTH}\" height=\"{height}\"/>\n<text class=\"title\" x=\"12\" y=\"24\">Rates beside Apache Kafka's (1.0, dashed); longer is better</text>\n"
    );
    legend(&mut svg, servers);
    let one = LABEL_WIDTH + scale(1.0);
    let _ = writeln!(
        svg,
        "<line class=\"axis\" x1=\"{one}\" x2=\"{one}\" y1=\"{}\" y2=\"{}\"/>",
        TOP - 6.0,
        height - 8.0
    );
    for (number, (name, series)) in groups.iter().enumerate() {
        group(&mut svg, TOP + number as f64 * GROUP, name, series);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn legend(svg: &mut String, servers: &[String]) {
    let mut x = 12.0;
    for (class, server) in CLASSES.iter().zip(servers) {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"37\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"47\">{server}</text>",
            x + 18.0
        );
        x += 50.0 + 7.0 * server.len() as f64;
    }
}

fn group(svg: &mut String, top: f64, name: &str, series: &Series) {
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
        LABEL_WIDTH - 8.0,
        top + 1.5 * BAR + 4.0
    );
    let kafka = median(&series.values(1));
    for (place, class) in CLASSES.iter().enumerate() {
        let value = median(&series.values(place));
        let (y, width) = (top + place as f64 * BAR, scale(value / kafka));
        let digits = usize::from(value < 100.0);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{LABEL_WIDTH}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\"/><text class=\"number\" x=\"{:.1}\" y=\"{}\">{value:.digits$} {} ({:.2})</text>",
            BAR - 2.0,
            LABEL_WIDTH + width + 5.0,
            y + BAR - 3.5,
            series.unit,
            value / kafka
        );
    }
}

fn scale(ratio: f64) -> f64 {
    let room = WIDTH - LABEL_WIDTH - 130.0;
    room * ratio.clamp(0.0, MOST) / MOST
}
