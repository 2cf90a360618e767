//! OpenTelemetry SDKs, unchanged and from their registries, each sending the same trace to a collector.
//!
//! The programs are in `tests/sdk`; where they send to is in the environment variables that OpenTelemetry
//! defines. What arrived is read through Jaeger's API. They need PyPI, npm and crates.io, so they run when asked
//! for:
//!
//! ```text
//! cargo test -p quorate-tests --test processes sdks -- --ignored
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use quorate_tests::collector::Collector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The folder of a language's program.
fn program(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sdk")
        .join(language)
}

/// Runs a command to its success; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that sends to `endpoint`; checks what arrived.
async fn check(collector: &Collector, service: &str, program: &mut Command, endpoint: &str) {
    program
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{endpoint}"))
        .env("OTEL_SERVICE_NAME", service);
    let printed = run(program);
    let trace = printed.trim();

    let found = collector.sealed(trace).await;
    let verdict = &found["summary"]["completeness"]["verdict"];
    assert_eq!(verdict, "complete", "{service}");
    let answer = collector.json(&format!("/api/traces/{trace}")).unwrap();
    let trace = &answer["data"][0];
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 2, "{service}: {trace:#}");
    let named = |name: &str| {
        let span = spans.iter().find(|span| span["operationName"] == name);
        span.unwrap_or_else(|| panic!("no span {name}: {trace:#}"))
    };
    check_root(trace, service, named("checkout"));
    check_child(named("charge card"), named("checkout"));
}

fn check_root(trace: &Value, service: &str, root: &Value) {
    let tags = &root["tags"];
    assert_eq!(tag(tags, "customer"), "Zoë");
    assert_eq!(tag(tags, "items"), 3);
    assert_eq!(tag(tags, "total"), 12.5);
    assert_eq!(tag(tags, "gift"), true);
    let skus: Value = serde_json::from_str(tag(tags, "skus").as_str().unwrap()).unwrap();
    assert_eq!(skus, json!(["a-1", "b-2"]));
    assert_eq!(tag(tags, "span.kind"), "server");
    assert_eq!(tag(tags, "otel.scope.name"), "shop");
    assert_eq!(tag(tags, "otel.scope.version"), "1.2.3");
    let link = &root["references"][0];
    assert_eq!(link["refType"], "FOLLOWS_FROM");
    assert_eq!(link["traceID"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(link["spanID"], "b7ad6b7169203331");
    let process = &trace["processes"][root["processID"].as_str().unwrap()];
    assert_eq!(process["serviceName"], service);
    assert!(tag(&process["tags"], "telemetry.sdk.language").is_string());
}

fn check_child(child: &Value, root: &Value) {
    let parent = &child["references"][0];
    assert_eq!(parent["refType"], "CHILD_OF");
    assert_eq!(parent["spanID"], root["spanID"]);
    let tags = &child["tags"];
    assert_eq!(tag(tags, "span.kind"), "client");
    assert_eq!(tag(tags, "otel.status_code"), "ERROR");
    assert_eq!(tag(tags, "otel.status_description"), "card declined");
    let fields = &child["logs"][0]["fields"];
    assert_eq!(tag(fields, "event"), "retry");
    assert_eq!(tag(fields, "attempt"), 2);
    let begins = |span: &Value| span["startTime"].as_u64().unwrap();
    assert!(begins(root) <= begins(child));
}

fn tag<'a>(tags: &'a Value, key: &str) -> &'a Value {
    let mut tags = tags.as_array().unwrap().iter();
    let found = tags.find(|tag| tag["key"] == key);
    &found.unwrap_or_else(|| panic!("no tag {key}"))["value"]
}

#[tokio::test]
#[ignore = "needs PyPI"]
async fn python_over_grpc_and_http() {
    let folder = TempDir::new().unwrap();
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder.path()));
    let python = folder.path().join("bin").join("python");
    let requirements = program("python").join("requirements.txt");
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(requirements));
    let collector = Collector::start().await;
    let shop = |protocol: &str| {
        let mut command = Command::new(&python);
        command.arg(program("python").join("shop.py")).arg(protocol);
        command
    };
    let (grpc, http) = (&collector.grpc, &collector.http);
    check(&collector, "python-grpc", &mut shop("grpc"), grpc).await;
    check(&collector, "python-http", &mut shop("http"), http).await;
    let compressed = |protocol: &str| {
        let mut command = shop(protocol);
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        command
    };
    check(
        &collector,
        "python-grpc-gzip",
        &mut compressed("grpc"),
        grpc,
    )
    .await;
    check(
        &collector,
        "python-http-gzip",
        &mut compressed("http"),
        http,
    )
    .await;
    // The ports of the two protocols mistaken for each other.
    check(&collector, "python-swapped", &mut shop("grpc"), http).await;
    check(&collector, "python-swapped-too", &mut shop("http"), grpc).await;
}

#[tokio::test]
#[ignore = "needs npm"]
async fn javascript_over_http() {
    let folder = TempDir::new().unwrap();
    for file in ["package.json", "package-lock.json", "shop.js"] {
        let from = program("javascript").join(file);
        std::fs::copy(from, folder.path().join(file)).unwrap();
    }
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(&folder));
    let collector = Collector::start().await;
    for format in ["protobuf", "json"] {
        let mut shop = Command::new("node");
        shop.arg("shop.js").arg(format).current_dir(&folder);
        let service = format!("javascript-{format}");
        check(&collector, &service, &mut shop, &collector.http).await;
        shop.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        let service = format!("{service}-gzip");
        check(&collector, &service, &mut shop, &collector.http).await;
    }
}

#[tokio::test]
#[ignore = "needs crates.io"]
async fn rust_over_grpc() {
    let folder = TempDir::new().unwrap();
    run(Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(program("rust").join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.path()));
    let collector = Collector::start().await;
    let mut shop = Command::new(folder.path().join("debug").join("quorate-sdk-test"));
    check(&collector, "rust-grpc", &mut shop, &collector.grpc).await;
}
