//! The explorer, over HTTP.

use crate::toys::*;
use quorate_model::explore;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Asks until the explorer listens: it announces its address a moment before.
fn get(address: SocketAddr, path: &str) -> String {
    for _ in 0..500 {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            let mut response = String::new();
            stream.read_to_string(&mut response).expect("text");
            return response;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("no explorer at {address}");
}

#[test]
fn the_explorer_shows_actions_effects_and_diagrams() {
    let (tell, address) = mpsc::channel();
    thread::spawn(move || {
        let toy = Toy::<Register<false>>::new(2).script(vec![(N1, 1)]);
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        explore(toy, anywhere, move |address| tell.send(address).unwrap()).unwrap();
    });
    let address = address.recv().unwrap();

    assert!(get(address, "/").contains("<html"));
    let first = get(address, "/.states/0");
    assert!(first.contains("client 1 asks n1: 1"), "{first}");
    assert!(first.contains("persists: 1"), "{first}");
    assert!(first.contains("<svg"), "{first}");
}

#[test]
fn an_address_in_use_is_an_error() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let outcome = explore(Toy::<Inert>::new(1), taken.local_addr().unwrap(), |_| {
        panic!("ready at an address in use")
    });
    assert_eq!(outcome.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
