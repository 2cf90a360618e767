//! Against chrony, a time server as machines run it, with its clock set wrong by libfaketime.
//!
//! `cargo test -p quorate-sntp -- --ignored`, on Debian after `apt-get install chrony libfaketime`. Nobody's clock is
//! set: the servers do not control the machine's, and are asked on loopback alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quorate_sntp::packet::Refusal;
use quorate_sntp::{Options, QueryError, Rejection, Server, survey};
use tempfile::TempDir;

/// Waits as long as a busy machine may need.
const OPTIONS: Options = Options {
    timeout: Duration::from_secs(10),
    distance_max: Duration::from_secs(10),
};

const SECOND_NS: i64 = 1_000_000_000;

/// Attempts, a tenth of a second apart, until a server that was started must answer.
const ATTEMPTS: usize = 300;

/// A running chronyd.
struct Chrony {
    process: Child,
    server: Server,
    _folder: TempDir,
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server whose clock is `wrong_seconds` ahead of this machine's, and waits until it answers at all.
/// One that is not `synchronised` has no clock to go by.
async fn chrony(wrong_seconds: i64, synchronised: bool) -> Chrony {
    let folder = TempDir::new().unwrap();
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let local = if synchronised {
        "local stratum 8\n"
    } else {
        ""
    };
    let pid_file = folder.path().join("pid");
    let configuration = format!(
        "{local}port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\nbindcmdaddress /\npidfile {}\n",
        pid_file.display()
    );
    let file = folder.path().join("chrony.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program());
    // -x leaves the machine's clock alone, -d stays in the foreground, -U does not ask to be root.
    command
        .args(["-x", "-d", "-U", "-u", "root", "-f"])
        .arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if wrong_seconds != 0 {
        command.env("LD_PRELOAD", faketime());
        command.env("FAKETIME", format!("{wrong_seconds:+}s"));
    }
    let mut chrony = Chrony {
        process: command.spawn().unwrap(),
        server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(),
        _folder: folder,
    };
    for _ in 0..ATTEMPTS {
        let said = survey(std::slice::from_ref(&chrony.server), &OPTIONS)
            .await
            .unwrap();
        let rejection = &said.servers[0].rejection;
        if matches!(
            rejection,
            None | Some(Rejection::Failed(QueryError::Refused(_)))
        ) {
            return chrony;
        }
        assert!(
            chrony.process.try_wait().unwrap().is_none(),
            "chronyd has ended"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("chronyd does not answer");
}

fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let mut found = folders.map(|folder| folder.join("chronyd"));
    found
        .find(|file| file.exists())
        .expect("chrony is installed")
}

/// The library is in a folder named after the machine's architecture.
fn faketime() -> PathBuf {
    let folders = fs::read_dir(Path::new("/usr/lib")).unwrap().flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files
        .find(|file| file.exists())
        .expect("libfaketime is installed")
}

#[tokio::test]
#[ignore = "needs chrony and libfaketime"]
async fn chrony_that_is_right_outvotes_chrony_that_is_a_minute_ahead() {
    let running = [
        chrony(0, true).await,
        chrony(60, true).await,
        chrony(0, true).await,
    ];
    let servers = running.each_ref().map(|chrony| chrony.server.clone());
    let survey = survey(&servers, &OPTIONS).await.unwrap();
    // They read the same clock as this process does: the truth is zero.
    let estimate = survey.estimate.unwrap();
    assert!(
        estimate.low_ns <= 0 && 0 <= estimate.high_ns,
        "{estimate:?}"
    );
    let rejections = survey.servers.iter().map(|said| &said.rejection);
    let outvoted: Vec<bool> = rejections
        .map(|why| matches!(why, Some(Rejection::Outvoted)))
        .collect();
    assert_eq!(outvoted, [false, true, false]);
    let wrong = survey.servers[1].answer.unwrap();
    let away = wrong.sample.offset_ns.abs_diff(60 * SECOND_NS);
    assert!(away <= wrong.sample.distance_ns, "{wrong:?}");
    assert_eq!(wrong.stratum, 8);
}

#[tokio::test]
#[ignore = "needs chrony and libfaketime"]
async fn an_offset_that_a_majority_has_is_found() {
    let running = [
        chrony(-3_600, true).await,
        chrony(-3_600, true).await,
        chrony(0, true).await,
    ];
    let servers = running.each_ref().map(|chrony| chrony.server.clone());
    let survey = survey(&servers, &OPTIONS).await.unwrap();
    let estimate = survey.estimate.unwrap();
    let bounds = estimate.low_ns..=estimate.high_ns;
    assert!(bounds.contains(&(-3_600 * SECOND_NS)), "{estimate:?}");
    assert!(bounds.contains(&estimate.offset_ns));
}

#[tokio::test]
#[ignore = "needs chrony and libfaketime"]
async fn chrony_without_a_clock_has_no_vote() {
    let running = [chrony(0, false).await, chrony(0, true).await];
    let servers = running.each_ref().map(|chrony| chrony.server.clone());
    let survey = survey(&servers, &OPTIONS).await.unwrap();
    assert!(survey.estimate.is_some());
    let without = survey.servers[0].rejection.as_ref().unwrap();
    assert!(
        matches!(
            without,
            Rejection::Failed(QueryError::Refused(Refusal::Unsynchronised))
        ),
        "{without}"
    );
}
