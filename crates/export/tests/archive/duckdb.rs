//! Files as DuckDB reads them, which has nothing of ours: `ask_duckdb.py` asks.

use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::support::{Place, full_span, hasty, later, offer, sealed, trace, until_archived};

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_counts_maps_lists_and_times() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("SKIPPED: there is no python3 to run DuckDB with");
        return;
    }
    let place = Place::new();
    let archive = place.open(hasty());
    let traces: Vec<_> = (1..=500).map(trace).collect();
    offer(&archive, &traces);
    let full = Span {
        trace_id: vec![1; 16],
        ..full_span()
    };
    offer(&archive, &[later(sealed(vec![full]), 1)]);
    until_archived(&archive).await;

    let python = python(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("duckdb"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive/ask_duckdb.py");
    let asked = Command::new(python)
        .arg(script)
        .arg(place.files())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&asked.stdout),
        String::from_utf8_lossy(&asked.stderr),
    );
    assert!(asked.status.success(), "{out}{err}");
}

/// The Python of a virtual environment that has DuckDB; made the first time.
fn python(environment: &Path) -> std::path::PathBuf {
    let python = environment.join("bin/python");
    let has_duckdb = Command::new(&python)
        .args(["-c", "import duckdb, pytz"])
        .output();
    if has_duckdb.is_ok_and(|run| run.status.success()) {
        return python;
    }
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(environment)
        .status()
        .unwrap();
    assert!(made.success(), "python3 -m venv");
    let install = ["-m", "pip", "install", "--quiet", "duckdb", "pytz"];
    let installed = Command::new(&python).args(install).status().unwrap();
    assert!(installed.success(), "pip install duckdb");
    python
}
