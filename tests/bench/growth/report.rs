//! The table of figures.

use serde_json::{Map, Value, json};

use crate::measure::Measured;

/// Prints p50 and p99 of each call in milliseconds at each size, and the ratio of the last p50 to the first.
pub(crate) fn print(measured: &[Measured], jobs: i64) {
    let (Some(first), Some(last)) = (measured.first(), measured.last()) else { return };
    let sizes: Vec<i64> = measured.iter().map(|size| size.runs).collect();
    print!("{:<26}", format!("{jobs} jobs, ms (p99)"));
    for runs in &sizes {
        print!("{:>20}", format!("{runs} runs"));
    }
    println!("{:>8}", "ratio");
    let mut figures = Map::new();
    for (row, ((what, least), (_, most))) in first.figures.iter().zip(&last.figures).enumerate() {
        let cells: Vec<(f64, f64)> = measured
            .iter()
            .filter_map(|size| size.figures.get(row))
            .map(|(_, figures)| (figures.p50(), figures.p99()))
            .collect();
        print!("{what:<26}");
        for (p50, p99) in &cells {
            print!("{:>20}", format!("{p50:.2} ({p99:.1})"));
        }
        let ratio = most.p50() / least.p50();
        println!("{ratio:>8.2}");
        let (p50, p99): (Vec<f64>, Vec<f64>) = cells.into_iter().unzip();
        figures.insert((*what).to_owned(), json!({ "p50": p50, "p99": p99, "ratio": ratio }));
    }
    for size in measured {
        let [server, postgres] = size.idle.map(|share| share * 100.0);
        println!(
            "{} runs: {} bytes each on disk; without calls {:.2} % of a core (server {server:.2}, Postgres \
             {postgres:.2}); {} MiB of the server's memory",
            size.runs,
            size.bytes_per_run,
            server + postgres,
            size.memory
        );
    }
    let idle: Vec<[f64; 2]> = measured.iter().map(|size| size.idle).collect();
    let bytes: Vec<i64> = measured.iter().map(|size| size.bytes_per_run).collect();
    figures.insert("idle shares of a core".to_owned(), json!(idle));
    figures.insert("bytes per run".to_owned(), json!(bytes));
    figures.insert("runs".to_owned(), json!(sizes));
    println!("{}", Value::Object(figures));
}
