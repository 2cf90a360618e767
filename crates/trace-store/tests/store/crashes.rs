//! What put returned for is there after a crash, and what it failed for is there whole or not at all.

use crate::support::{Trace, random, trace_id};
use quorate_trace_store::{EmbeddedStore, Fragment, Query, StoreError, TraceStore};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

const DIRECTORY: &str = "QUORATE_TEST_STORE";
const PER_PUT: u64 = 20;

/// The traces of the `number`th put.
fn fragments(number: u64) -> Vec<Fragment> {
    fragments_with(number, 0)
}

/// The same with so many bytes in each that hardly compress.
fn fragments_with(number: u64, noise: usize) -> Vec<Fragment> {
    let traces = number * PER_PUT..(number + 1) * PER_PUT;
    let fragment = |n| {
        let trace = Trace::new(n, 8, n);
        let mut state = n;
        let words = (0..noise / 16).map(|_| format!("{:016x}", random(&mut state)));
        match noise {
            0 => trace.fragment(1),
            _ => trace
                .tagged("noise", &words.collect::<String>())
                .fragment(1),
        }
    };
    traces.map(fragment).collect()
}

/// Of each put, how many traces there are: all, or none.
fn puts_that_are_there(store: &EmbeddedStore) -> Vec<u64> {
    puts_with(store, 0)
}

fn puts_with(store: &EmbeddedStore, noise: usize) -> Vec<u64> {
    let whole = |number: u64| {
        let fragments = fragments_with(number, noise);
        let stored = fragments.iter().filter(|fragment| {
            let stored = store.get(fragment.trace_id).unwrap();
            stored.is_some_and(|stored| {
                assert_eq!(stored.spans, fragment.spans);
                true
            })
        });
        let count = stored.count() as u64;
        assert!(
            count == 0 || count == PER_PUT,
            "half of put {number} is there"
        );
        count > 0
    };
    let there: Vec<u64> = (0..).take_while(|number| whole(*number)).collect();
    let all = Query {
        limit: Query::LIMIT_MAX,
        ..Query::default()
    };
    let found = store.search(&all).unwrap().summaries.len() as u64;
    assert_eq!(
        found,
        (there.len() as u64 * PER_PUT).min(Query::LIMIT_MAX as u64)
    );
    assert_eq!(store.figures().traces, there.len() as u64 * PER_PUT);
    there
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_copy_of_an_open_store_has_everything() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    for number in 0..5 {
        store.put(&fragments(number)).unwrap();
    }
    let copied = tempfile::tempdir().unwrap();
    copy(temp.path(), copied.path());
    let reopened = EmbeddedStore::open(copied.path()).unwrap();
    assert_eq!(puts_that_are_there(&reopened).len(), 5);
    // It goes on.
    reopened.put(&fragments(5)).unwrap();
    drop(reopened);
    let reopened = EmbeddedStore::open(copied.path()).unwrap();
    assert_eq!(puts_that_are_there(&reopened).len(), 6);
}

#[test]
fn a_torn_put_is_cut_off_whole() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    for number in 0..3 {
        store.put(&fragments(number)).unwrap();
    }
    let journal = std::fs::read_dir(temp.path()).unwrap();
    let mut journal = journal.map(|entry| entry.unwrap().path());
    let journal = journal.find(|path| path.extension().is_some_and(|name| name == "jnl"));
    let name = journal.unwrap().file_name().unwrap().to_owned();
    let bytes = std::fs::read(temp.path().join(&name)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for missing in [1, 40, 1000, 5000] {
        let copied = tempfile::tempdir().unwrap();
        copy(temp.path(), copied.path());
        std::fs::write(copied.path().join(&name), &bytes[..end - missing]).unwrap();
        let reopened = EmbeddedStore::open(copied.path()).unwrap();
        let there = puts_that_are_there(&reopened);
        assert!((2..=3).contains(&there.len()), "{missing}: {there:?}");
        reopened.put(&fragments(there.len() as u64)).unwrap();
        assert_eq!(puts_that_are_there(&reopened).len(), there.len() + 1);
    }
}

/// Runs a test of this file in a process of its own, which gets `dir` and prints the puts that returned.
fn child(name: &str, dir: &Path, shell: &str) -> std::process::Child {
    let test = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(test)
        .args(["--exact", name, "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Puts until it fails; says what it put.
fn put_until_it_fails(dir: &Path, noise: usize) -> (EmbeddedStore, u64, StoreError) {
    let store = EmbeddedStore::open(dir).unwrap();
    let done = puts_with(&store, noise).len() as u64;
    for number in done.. {
        if let Err(error) = store.put(&fragments_with(number, noise)) {
            // Reads go on.
            assert!(store.get(trace_id(0)).unwrap().is_some());
            return (store, number, error);
        }
        #[allow(clippy::print_stdout)]
        {
            println!("\nput {number}");
        }
    }
    unreachable!("the numbers do not end");
}

fn last_put(lines: impl Iterator<Item = std::io::Result<String>>) -> Option<u64> {
    let numbers = lines.map_while(Result::ok);
    numbers
        .filter_map(|line| line.strip_prefix("put ")?.parse().ok())
        .last()
}

#[test]
fn a_killed_process_loses_nothing() {
    if let Ok(dir) = std::env::var(DIRECTORY) {
        put_until_it_fails(dir.as_ref(), 0);
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut least = 0;
    for round in 1..4 {
        let mut child = child("crashes::a_killed_process_loses_nothing", temp.path(), "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = last_put(lines.by_ref().take(round * 25));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = last_put(lines).or(seen).unwrap();
        let store = EmbeddedStore::open(temp.path()).unwrap();
        let there = puts_that_are_there(&store).len() as u64;
        assert!(there > last, "{there} puts are there, {last} returned");
        assert!(there > least);
        least = there;
    }
}

/// How long a store may take to notice that there is room.
#[cfg(target_os = "linux")]
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(target_os = "linux")]
fn make_room() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// A file that may not grow is the disk that a test can fill without being root.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_until_there_is_room_and_nothing_is_half_there() {
    const NOISE: usize = 64 << 10;
    if let Ok(dir) = std::env::var(DIRECTORY) {
        let (store, failed, error) = put_until_it_fails(dir.as_ref(), NOISE);
        assert!(error.is_full(), "{error}");
        make_room();
        let begun = Instant::now();
        while let Err(error) = store.put(&fragments_with(failed, NOISE)) {
            assert!(begun.elapsed() < PATIENCE, "{error}");
        }
        assert_eq!(puts_with(&store, NOISE).len() as u64, failed + 1);
        store.put(&fragments_with(failed + 1, NOISE)).unwrap();
        #[allow(clippy::print_stdout)]
        {
            println!("\nput {}", failed + 1);
        }
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    store.put(&fragments_with(0, NOISE)).unwrap();
    drop(store);
    // In blocks of 512 bytes; a process that ignores the signal gets the error. The journal is 64 MiB
    // from the start.
    let limit = format!("trap '' XFSZ; ulimit -S -f {};", 2 * (64 << 10) + 64);
    let name = "crashes::a_full_disk_is_an_error_until_there_is_room_and_nothing_is_half_there";
    let child = child(name, temp.path(), &limit).wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{output}");
    let last = last_put(output.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    assert_eq!(puts_with(&store, NOISE).len() as u64, last + 1);
}
