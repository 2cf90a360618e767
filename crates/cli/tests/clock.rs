//! `quorate clock`, as a script sees it, with time servers on loopback.

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::thread;
use std::time::SystemTime;

use serde_json::Value;

/// Starts a time server whose clock is ahead by so many seconds, and says where it is. It ends with the test.
fn server(ahead_seconds: i64) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        let mut question = [0; 48];
        while let Ok((_, client)) = socket.recv_from(&mut question) {
            let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
            let seconds = now.as_secs() as i64 + 2_208_988_800 + ahead_seconds;
            let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
            let time = ((seconds as u64) << 32 | fraction).to_be_bytes();
            let mut answer = [0; 48];
            (answer[0], answer[1], answer[3]) = (0x24, 1, 0xEC);
            answer[24..32].copy_from_slice(&question[40..]);
            answer[32..40].copy_from_slice(&time);
            answer[40..].copy_from_slice(&time);
            let _ = socket.send_to(&answer, client);
        }
    });
    address
}

fn offset(servers: &[&str], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    // A busy machine may be slow to answer.
    let patience = ["--timeout", "20000", "--max-distance", "20000"];
    command
        .args(["clock", "offset", "--servers", &servers.join(",")])
        .args(patience);
    command.args(more).output().expect("the binary runs")
}

#[test]
fn the_wrong_one_is_named_and_the_offset_is_that_of_the_others() {
    let (one, two, wrong) = (server(7), server(7), server(-3_600));
    let output = offset(&[&one, &wrong, &two], &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let bound = |name: &str| said["estimate"][name].as_i64().expect("a number");
    assert!(
        (bound("lowNs")..=bound("highNs")).contains(&7_000_000_000),
        "{said}"
    );
    let servers = said["servers"].as_array().expect("a list");
    let counts: Vec<&Value> = servers.iter().map(|server| &server["counts"]).collect();
    assert_eq!(
        counts,
        [&Value::Bool(true), &Value::Bool(false), &Value::Bool(true)]
    );
    assert_eq!(servers[1]["server"], wrong);
    assert_eq!(
        servers[1]["rejection"],
        "outvoted: it agrees with no majority"
    );

    let output = offset(&[&one, &wrong, &two], &["--within", "60000"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = offset(&[&one, &wrong, &two], &["--within", "5000"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("This machine's clock is behind by "),
        "{text}"
    );
    assert!(text.contains("by 2 of 3 servers"), "{text}");
}

#[test]
fn the_status_tells_contradictions_from_silence_and_from_misuse() {
    let (one, other) = (server(0), server(60));
    let contradiction = offset(&[&one, &other], &[]);
    assert_eq!(contradiction.status.code(), Some(1), "{contradiction:?}");
    let text = String::from_utf8_lossy(&contradiction.stdout);
    assert!(
        text.contains("of 2 that answered, no majority agrees"),
        "{text}"
    );

    let unused = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let nobody = unused.local_addr().expect("bound").to_string();
    drop(unused);
    let silence = offset(&[&nobody], &[]);
    assert_eq!(silence.status.code(), Some(3), "{silence:?}");

    let twice = offset(&[&one, &one], &[]);
    assert_eq!(twice.status.code(), Some(2), "{twice:?}");
    let nonsense = offset(&["http://time"], &[]);
    assert_eq!(nonsense.status.code(), Some(2), "{nonsense:?}");
    let help = String::from_utf8_lossy(&nonsense.stderr);
    assert!(help.contains("for example ntp.example"), "{help}");
}
