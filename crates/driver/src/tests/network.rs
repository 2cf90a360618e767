//! Three drivers over real connections.

use super::toy::{Command, Output};
use super::*;
use quorate_transport::{PeerConfig, Transport};
use tokio::net::TcpListener;

#[tokio::test]
async fn three_drivers_talk_over_loopback() {
    let mut listeners = BTreeMap::new();
    for id in [1, 2, 3].map(NodeId) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listeners.insert(id, listener);
    }
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let peers: BTreeMap<_, _> = listeners
        .iter()
        .map(|(&id, at)| (id, address(at)))
        .collect();

    let mut nodes = Vec::new();
    for (id, listener) in listeners {
        let transport = Transport::new(PeerConfig::new("toys", id, peers.clone()));
        let (sender, outputs) = unbounded_channel();
        let told = move |output| drop(sender.send(output));
        let handle = spawn::<Toy>(config(), id, Disk::automatic(), transport.clone(), told);
        let serving = quorate_transport::server()
            .add_service(transport.service())
            .serve_with_incoming(quorate_transport::incoming(listener));
        tokio::spawn(serving);
        transport.dial();
        nodes.push((transport, handle.unwrap(), outputs));
    }
    let all_connected = || {
        let mut peers = nodes.iter().flat_map(|node| node.0.stats().into_values());
        peers.all(|stats| stats.connected)
    };
    soon(async {
        while !all_connected() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    for number in 0..100 {
        for (transport, handle, _) in &nodes {
            for to in transport.stats().keys() {
                handle
                    .submit(Command::AddAndPing(number, to.0))
                    .await
                    .unwrap();
            }
        }
    }
    for (transport, handle, outputs) in &mut nodes {
        let mut next: BTreeMap<NodeId, (u64, u64)> = transport
            .stats()
            .into_keys()
            .map(|peer| (peer, (0, 0)))
            .collect();
        assert_eq!(soon(outputs.recv()).await, Some(Output::Started(0)));
        for _ in 0..400 {
            let (from, number, next) = match soon(outputs.recv()).await.unwrap() {
                Output::Pinged(from, number) => (from, number, &mut next.get_mut(&from).unwrap().0),
                Output::Ponged(from, number) => (from, number, &mut next.get_mut(&from).unwrap().1),
                other => panic!("{other:?}"),
            };
            assert_eq!(number, *next, "from {from}");
            *next += 1;
        }
        soon(handle.clone().shutdown()).await;
        transport.shutdown();
    }
}
