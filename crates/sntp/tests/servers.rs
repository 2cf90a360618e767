//! Time servers that are right, wrong, silent and hostile, on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use quorate_sntp::packet::{KissCode, NtpTime, PACKET_BYTES, Refusal};
use quorate_sntp::{
    InvalidSurvey, Options, QueryError, Rejection, SERVERS_MAX, Server, Survey, survey,
};
use tokio::net::UdpSocket;

const MS: i64 = 1_000_000;

/// Waits as long as a busy machine may need.
const PATIENT: Options = Options {
    timeout: Duration::from_secs(20),
    distance_max: Duration::from_secs(30),
};

/// For answers that never come.
const HASTY: Options = Options {
    timeout: Duration::from_millis(300),
    ..PATIENT
};

type Datagram = Vec<u8>;

/// Runs a server that sends what `answer` makes of each question.
async fn server(answer: impl Fn(&[u8]) -> Vec<Datagram> + Send + 'static) -> Server {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((bytes, client)) = socket.recv_from(&mut question).await {
            for datagram in answer(&question[..bytes]) {
                // A client that has heard enough is gone.
                let _ = socket.send_to(&datagram, client).await;
            }
        }
    });
    address.into()
}

/// The answer of a server whose clock is ahead of this machine's by so much.
fn reply(question: &[u8], ahead_ns: i64) -> Datagram {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64;
    let time = NtpTime::from_unix_ns(now + ahead_ns).0.to_be_bytes();
    let mut packet = vec![0; PACKET_BYTES];
    packet[0] = 4 << 3 | 4;
    packet[1] = 1;
    packet[3] = -20_i8 as u8;
    packet[24..32].copy_from_slice(&question[40..48]);
    packet[32..40].copy_from_slice(&time);
    packet[40..48].copy_from_slice(&time);
    packet
}

async fn ahead(ahead_ns: i64) -> Server {
    server(move |question| vec![reply(question, ahead_ns)]).await
}

async fn altered(alter: impl Fn(&mut Datagram) + Send + 'static) -> Server {
    server(move |question| {
        let mut reply = reply(question, 0);
        alter(&mut reply);
        vec![reply]
    })
    .await
}

async fn asked(servers: &[Server], options: Options) -> Survey {
    survey(servers, &options).await.unwrap()
}

/// Why the only server says nothing.
async fn failure(server: Server, options: Options) -> QueryError {
    let mut survey = asked(&[server], options).await;
    assert_eq!(survey.estimate, None);
    match survey.servers.remove(0).rejection {
        Some(Rejection::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_offset_is_that_of_a_majority() {
    let servers = [
        ahead(250 * MS).await,
        ahead(3_600_000 * MS).await,
        ahead(250 * MS).await,
        ahead(-90_000 * MS).await,
        ahead(250 * MS).await,
    ];
    let survey = asked(&servers, PATIENT).await;
    let estimate = survey.estimate.unwrap();
    assert!(
        (estimate.low_ns..=estimate.high_ns).contains(&(250 * MS)),
        "{estimate:?}"
    );
    let outvoted = survey.servers.iter().map(|said| &said.rejection);
    let outvoted: Vec<bool> = outvoted
        .map(|why| matches!(why, Some(Rejection::Outvoted)))
        .collect();
    assert_eq!(outvoted, [false, true, false, true, false]);
    let answered = survey.servers.iter().map(|said| said.answer.unwrap());
    assert!(answered.clone().all(|answer| answer.stratum == 1));
    assert!(
        servers
            .into_iter()
            .eq(answered.map(|answer| answer.address.into()))
    );
}

#[tokio::test]
async fn two_that_disagree_give_no_offset() {
    let servers = [ahead(0).await, ahead(3_600_000 * MS).await];
    let survey = asked(&servers, PATIENT).await;
    assert_eq!(survey.estimate, None);
    let mut said = survey.servers.iter();
    assert!(said.all(|said| matches!(said.rejection, Some(Rejection::Outvoted))));
}

#[tokio::test]
async fn what_is_not_the_answer_does_not_keep_it_from_being_heard() {
    let noisy = server(|question| {
        let mut other = reply(question, 99_000 * MS);
        other[24] ^= 1;
        let mut broadcast = reply(question, 99_000 * MS);
        broadcast[0] = 4 << 3 | 5;
        let short = reply(question, 99_000 * MS)[..47].to_vec();
        let mut kiss = other.clone();
        kiss[1] = 0;
        kiss[12..16].copy_from_slice(b"DENY");
        let echo = question.to_vec();
        vec![
            Vec::new(),
            other,
            broadcast,
            short,
            kiss,
            echo,
            reply(question, 70 * MS),
        ]
    });
    let survey = asked(&[noisy.await], PATIENT).await;
    let estimate = survey.estimate.unwrap();
    assert!((estimate.low_ns..=estimate.high_ns).contains(&(70 * MS)));
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for_for_ever() {
    let silent = server(|_| Vec::new()).await;
    let error = failure(silent, HASTY).await;
    assert!(
        matches!(error, QueryError::NoAnswer { passed_over: 0, .. }),
        "{error}"
    );
    let elsewhere = altered(|reply| reply[31] ^= 0x80).await;
    let error = failure(elsewhere, HASTY).await;
    assert!(
        matches!(error, QueryError::NoAnswer { passed_over: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn who_floods_is_given_up_before_the_time_is_over() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        let (_, client) = socket.recv_from(&mut question).await.unwrap();
        while socket.send_to(&[0; PACKET_BYTES], client).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let error = failure(address.into(), PATIENT).await;
    assert!(
        matches!(
            error,
            QueryError::NoAnswer {
                passed_over: 1_000,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn who_has_no_time_to_tell_is_named_with_the_reason() {
    let refusal = async |server: Server| match failure(server, PATIENT).await {
        QueryError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    };
    let kiss = altered(|reply| {
        reply[1] = 0;
        reply[12..16].copy_from_slice(b"RATE");
    });
    let kiss = refusal(kiss.await).await;
    assert_eq!(kiss, Refusal::Kiss(KissCode(*b"RATE")));
    let unsynchronised = altered(|reply| reply[0] |= 3 << 6).await;
    assert_eq!(refusal(unsynchronised).await, Refusal::Unsynchronised);
    let stratum_16 = altered(|reply| reply[1] = 16).await;
    assert_eq!(refusal(stratum_16).await, Refusal::Unsynchronised);
    let timeless = altered(|reply| reply[40..48].fill(0)).await;
    assert_eq!(refusal(timeless).await, Refusal::NoTime);
}

#[tokio::test]
async fn who_contradicts_himself_has_no_vote() {
    let backwards = altered(|reply| reply[32..40].copy_from_slice(&[0xFF; 8])).await;
    let error = failure(backwards, PATIENT).await;
    assert!(matches!(error, QueryError::Absurd(_)), "{error}");
}

#[tokio::test]
async fn who_is_too_distant_has_no_vote() {
    let distant = altered(|reply| reply[8] = 1).await;
    let servers = [ahead(0).await, distant];
    let survey = asked(&servers, PATIENT).await;
    assert!(survey.estimate.is_some());
    let distant = survey.servers[1].rejection.as_ref().unwrap();
    let Rejection::TooDistant { distance_ns } = distant else {
        panic!("{distant:?}");
    };
    assert!(*distance_ns >= 256_000_000_000);
}

#[tokio::test]
async fn an_address_has_one_vote_however_many_names_it_has() {
    let server = ahead(0).await;
    let port = server.to_string().rsplit_once(':').unwrap().1.to_owned();
    let by_name: Server = format!("localhost:{port}").parse().unwrap();
    let survey = asked(&[server.clone(), by_name], PATIENT).await;
    let twin = survey.servers[1].rejection.as_ref().unwrap();
    assert!(
        matches!(twin, Rejection::SameAs(other) if *other == server),
        "{twin}"
    );
}

#[tokio::test]
async fn no_timeout_is_too_long_to_be_reckoned_with() {
    let options = Options {
        timeout: Duration::MAX,
        ..PATIENT
    };
    assert!(asked(&[ahead(0).await], options).await.estimate.is_some());
}

#[tokio::test]
async fn nobody_listens() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let error = failure(address.into(), PATIENT).await;
    assert!(matches!(error, QueryError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn surveys_that_cannot_be() {
    let of = |number: usize| -> Vec<Server> {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into();
        (1..=number).map(|port| address(port as u16)).collect()
    };
    let refused = async |servers: &[Server]| survey(servers, &HASTY).await.unwrap_err();
    assert_eq!(refused(&[]).await, InvalidSurvey::Nobody);
    let many = SERVERS_MAX + 1;
    assert_eq!(refused(&of(many)).await, InvalidSurvey::TooMany(many));
    let mut twice = of(2);
    twice.push(twice[0].clone());
    let again = twice[0].clone();
    assert_eq!(refused(&twice).await, InvalidSurvey::Twice(again));
}
