//! Three members in one process, with their services and clients.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use quorate::{GroupId, Node, NodeId, NodeOptions, serve_clients};
use quorate_feed::proto::PublishRequest;
use quorate_feed::proto::feed_client::FeedClient;
use quorate_feed::{
    Client, ClientOptions, Clock, Feed, FeedService, Follow, FollowError, From, Message, Options,
    Origin, PublishError, Request,
};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::service::Routes;

const GROUP: GroupId = GroupId(1);

struct Group {
    members: Vec<Member>,
    peers: Vec<String>,
    options: Options,
    dir: TempDir,
}

struct Member {
    node: Node,
    feed: Feed,
    address: String,
    server: JoinHandle<()>,
}

impl Group {
    async fn start(size: usize, options: Options) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..size {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let mut group = Group {
            members: Vec::new(),
            peers: listeners.iter().map(address).collect(),
            options,
            dir: tempfile::tempdir().unwrap(),
        };
        for (at, listener) in listeners.into_iter().enumerate() {
            let node = Node::open_on(listener, group.node(at)).unwrap();
            let member = group.member(node).await;
            group.members.push(member);
        }
        group
    }

    fn node(&self, at: usize) -> NodeOptions {
        let ids = (1..).map(NodeId);
        let members = ids.zip(self.peers.iter().map(String::as_str));
        let data = self.dir.path().join(at.to_string());
        NodeOptions::new("test", NodeId(at as u32 + 1), members, data)
    }

    async fn member(&self, node: Node) -> Member {
        let feed = Feed::start(&node, GROUP, &self.options).unwrap();
        node.connect();
        let clients = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = clients.local_addr().unwrap().to_string();
        let routes = Routes::new(FeedService::new(feed.clone()).into_server());
        let server = tokio::spawn(async {
            let served = serve_clients(routes, clients, std::future::pending()).await;
            served.unwrap();
        });
        Member {
            node,
            feed,
            address,
            server,
        }
    }

    /// Stops a member and starts it again on its disk, at a new address for clients.
    async fn restart(&mut self, at: usize) {
        let member = self.members.remove(at);
        member.node.shutdown().await.unwrap();
        member.server.abort();
        drop(member.feed);
        // Connections hold on to the directory until they have noticed.
        let opened = async {
            loop {
                match Node::open(self.node(at)).await {
                    Ok(node) => return node,
                    Err(_) => sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let node = soon(opened).await;
        let member = self.member(node).await;
        self.members.insert(at, member);
    }

    fn client(&self, members: impl IntoIterator<Item = usize>) -> Client {
        let addresses = members
            .into_iter()
            .map(|at| self.members[at].address.clone());
        let options = ClientOptions {
            timeout: Duration::from_secs(20),
            attempt_timeout: Duration::from_secs(5),
        };
        Client::new(addresses, options).unwrap()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let soon = timeout(Duration::from_secs(30), future).await;
    soon.expect("within thirty seconds")
}

async fn next(follow: &mut Follow) -> Message {
    soon(follow.next()).await.unwrap()
}

fn words(message: &Message) -> (&str, &str) {
    let body = std::str::from_utf8(&message.body).unwrap();
    (message.author.as_str(), body)
}

#[tokio::test]
async fn an_answer_follows_its_question_for_everybody() {
    let group = Group::start(3, Options::default()).await;
    let (anna, berta) = (group.client([0]), group.client([1]));
    let mut at_berta = soon(berta.follow(From::Kept)).await.unwrap();
    soon(anna.publish("anna", ["who is there?"])).await.unwrap();
    let question = next(&mut at_berta).await;
    soon(berta.publish("berta", ["me", "and my cat"]))
        .await
        .unwrap();
    for at in 0..3 {
        let mut reader = soon(group.client([at]).follow(From::Kept)).await.unwrap();
        let mut told = Vec::new();
        for _ in 0..3 {
            told.push(next(&mut reader).await);
        }
        let said: Vec<_> = told.iter().map(words).collect();
        assert_eq!(
            said,
            [
                ("anna", "who is there?"),
                ("berta", "me"),
                ("berta", "and my cat")
            ]
        );
        assert_eq!(
            told[0],
            Message {
                position: told[0].position,
                ..question.clone()
            }
        );
        assert!(told[0].clock < told[1].clock && told[1].clock < told[2].clock);
        let places: Vec<_> = told
            .iter()
            .map(|told| (told.sender.0, told.sequence))
            .collect();
        assert_eq!(places, [(1, 1), (2, 1), (2, 2)]);
    }
    let status = soon(group.members[0].feed.status()).await.unwrap();
    assert_eq!((status.position, status.held_back()), (3, 0));
}

/// The member that the client moves to is behind: it lets the request wait, so the answer still follows.
#[tokio::test]
async fn a_client_that_moves_takes_what_it_has_seen_with_it() {
    let group = Group::start(2, Options::default()).await;
    let client = group.client([0, 1]);
    soon(client.publish("anna", ["first"])).await.unwrap();
    let seen = client.seen();
    assert_eq!(seen.get(NodeId(1)), 1);
    // As the client would after the first member has gone.
    let request = Request {
        origin: Origin {
            client: 1,
            number: 1,
        },
        since: 0,
        after: seen.clone(),
    };
    let moved = &group.members[1].feed;
    soon(moved.publish_once(request, "anna", &["second".into()]))
        .await
        .unwrap();
    let mut news = moved.follow(From::Kept);
    let mut order = Vec::new();
    while order.len() < 2 {
        let told = soon(news.next()).await.unwrap().unwrap();
        order.extend(
            told.iter()
                .flat_map(|told| told.messages().map(|told| told.body)),
        );
    }
    assert_eq!(order, ["first", "second"]);

    let mut future = Clock::new();
    future.set(NodeId(1), 1_000);
    let origin = Origin {
        client: 1,
        number: 2,
    };
    let request = Request {
        origin,
        since: 0,
        after: future,
    };
    let refused = soon(moved.publish_once(request, "anna", &["third".into()])).await;
    assert_eq!(refused, Err(PublishError::Behind));
}

#[tokio::test]
async fn a_request_that_comes_again_is_carried_out_once_also_after_a_restart() {
    let mut group = Group::start(1, Options::default()).await;
    let request = Request {
        origin: Origin {
            client: 1,
            number: 1,
        },
        since: 0,
        after: Clock::new(),
    };
    let bodies = [Bytes::from("once"), Bytes::from("and for all")];
    let publish = |feed: Feed| {
        let (request, bodies) = (request.clone(), bodies.clone());
        async move { soon(feed.publish_once(request, "anna", &bodies)).await }
    };
    let first = publish(group.members[0].feed.clone()).await.unwrap();
    assert_eq!(publish(group.members[0].feed.clone()).await, Ok(first));
    group.restart(0).await;
    assert_eq!(publish(group.members[0].feed.clone()).await, Ok(first));
    assert_eq!(group.members[0].feed.published(), 2);
    let next = soon(group.members[0].feed.publish("anna", &["new".into()])).await;
    assert_eq!(next.unwrap().first, 3);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_at_another_member() {
    let mut group = Group::start(3, Options::default()).await;
    let client = group.client([0, 1, 2]);
    let mut reader = soon(group.client([1, 2]).follow(From::Now)).await.unwrap();
    for number in 0..3 {
        soon(client.publish("", [format!("{number}")]))
            .await
            .unwrap();
        assert_eq!(words(&next(&mut reader).await).1, number.to_string());
    }
    group.restart(1).await;
    for number in 3..6 {
        soon(client.publish("", [format!("{number}")]))
            .await
            .unwrap();
        assert_eq!(words(&next(&mut reader).await).1, number.to_string());
    }
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_what_it_missed_and_goes_on() {
    let options = Options {
        kept_messages: 10,
        ..Options::default()
    };
    let mut group = Group::start(1, options).await;
    let client = group.client([0]);
    let mut reader = soon(client.follow(From::Now)).await.unwrap();
    soon(client.publish("", ["0"])).await.unwrap();
    next(&mut reader).await;
    // In memory and over a connection; before and after a restart.
    let mut news = group.members[0].feed.follow(From::Now);
    for number in 1..=30 {
        soon(client.publish("", [format!("{number}")]))
            .await
            .unwrap();
    }
    let missed = soon(news.next()).await.unwrap().unwrap_err();
    assert_eq!(missed.missed, 20);
    let told = soon(news.next()).await.unwrap().unwrap();
    assert_eq!((told[0].sender(), told[0].first()), (NodeId(1), 22));

    group.restart(0).await;
    let client = group.client([0]);
    let mut seen = Clock::new();
    seen.set(NodeId(1), 5);
    let mut reader = soon(client.follow(From::After(seen))).await.unwrap();
    match soon(reader.next()).await {
        Err(FollowError::Missed(missed)) => assert_eq!(missed.missed, 16),
        other => panic!("{other:?}"),
    }
    assert_eq!(next(&mut reader).await.sequence, 22);
}

/// Who holds everybody up is named, and what was refused has not happened.
#[tokio::test]
async fn a_member_that_is_down_fills_the_window() {
    let group = Group::start(2, Options::default()).await;
    let feed = &group.members[0].feed;
    let down = group.members[1].node.clone();
    soon(down.shutdown()).await.unwrap();
    let bodies = vec![Bytes::from(vec![0; 1 << 16]); 8];
    let refused = loop {
        match soon(feed.publish("", &bodies)).await {
            Ok(_) => {}
            Err(refused) => break refused,
        }
    };
    assert_eq!(
        refused,
        PublishError::Full {
            waiting_for: NodeId(2)
        }
    );
    let status = soon(feed.status()).await.unwrap();
    assert_eq!(status.lacks, [(NodeId(2), status.position)]);
    assert_eq!(feed.published(), status.position);

    let address = format!("http://{}", group.members[0].address);
    let mut stub = FeedClient::connect(address).await.unwrap();
    let request = PublishRequest {
        bodies,
        ..PublishRequest::default()
    };
    let refused = soon(stub.publish(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("n2 is behind"), "{refused}");
}
