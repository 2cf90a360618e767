//! The web page, walked through in a headless browser.

use quorate_tests::collector::Collector;
use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str], dir: &Path) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output();
    output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"))
}

/// Needs Node.js, the npm registry and Chromium, as `tests/web/page.mjs` says.
#[tokio::test]
#[ignore = "needs Node.js and Chromium; run with --ignored"]
async fn every_view_of_the_web_page_shows_what_was_sent() {
    let collector = Collector::with("[assembly]\nquiet = \"1s\"\ndeadline = \"15s\"\n").await;
    let dir = collector.dir().join("web");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    std::fs::create_dir(&dir).unwrap();
    for file in std::fs::read_dir(source).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
    }
    let installed = run("npm", &["install", "--no-audit", "--no-fund"], &dir);
    let words = String::from_utf8_lossy(&installed.stderr).into_owned();
    assert!(installed.status.success(), "{words}");
    let page = format!("http://{}", collector.query);
    let otlp = format!("http://{}", collector.http);
    let walked = run("node", &["page.mjs", &page, "pictures", &otlp], &dir);
    let told = String::from_utf8_lossy(&walked.stdout).into_owned();
    let words = String::from_utf8_lossy(&walked.stderr).into_owned();
    assert!(walked.status.success(), "{told}\n{words}");
    assert!(told.contains(" passed, 0 failed"), "{told}");
}
