//! What is published: words of somebody, as the bytes that travel and are stored.
//!
//! ```text
//! 1 byte                      16 bytes, or none       0 to 63 bytes    the rest
//! length of the author,       client and number of    author           body
//! and whether there is a      the request
//! request
//! ```
//!
//! Of the messages of one request the first says which request it was. That is how a member that comes back
//! knows what it had published for whom.

use bytes::{BufMut, Bytes, BytesMut};
use quorate::{Malformed, Wire};
use quorate_broadcast::Payload;

/// The longest author, in bytes of UTF-8.
pub const AUTHOR_BYTES_MAX: usize = 63;
/// The longest body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Messages in one request, at most.
pub const BODIES_MAX: usize = 4 << 10;
/// Bytes of bodies in one request, at most.
pub const REQUEST_BYTES_MAX: usize = 512 << 10;

/// The first byte's bits for the length of the author, and the bit for a request.
const AUTHOR_BITS: u8 = 0b0011_1111;
const ORIGIN_BIT: u8 = 0b0100_0000;
const ORIGIN_BYTES: usize = 16;

/// Which request it was. Chosen by whoever asks: a number drawn at random, and one not used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Drawn at random.
    pub client: u64,
    /// Of the request, among the client's.
    pub number: u64,
}

/// What cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No body at all.
    #[error("there is nothing to publish")]
    Empty,
    /// The author is too long.
    #[error("the author's name has {0} bytes, more than {AUTHOR_BYTES_MAX}")]
    Author(usize),
    /// A body is too long.
    #[error("a message has {0} bytes, more than {BODY_BYTES_MAX}")]
    Body(usize),
    /// Too many at once.
    #[error("{0} messages at once are more than {BODIES_MAX}")]
    Bodies(usize),
    /// Too much at once.
    #[error("{0} bytes at once are more than {REQUEST_BYTES_MAX}")]
    Bytes(usize),
}

/// One message: who says what. Its parts are slices of the bytes that it came in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Post(Bytes);

impl Post {
    /// The messages of one request, which share one block of memory.
    ///
    /// # Errors
    ///
    /// See [`Invalid`].
    pub fn of_request(
        origin: Origin,
        author: &str,
        bodies: &[Bytes],
    ) -> Result<Vec<Self>, Invalid> {
        check(author, bodies)?;
        let bytes: usize = bodies.iter().map(Bytes::len).sum();
        let heads = bodies.len() * (1 + author.len()) + ORIGIN_BYTES;
        let mut block = BytesMut::with_capacity(bytes + heads);
        let posts = bodies.iter().enumerate().map(|(at, body)| {
            // At most 63, as was checked.
            let length = author.len() as u8;
            if at == 0 {
                block.put_u8(length | ORIGIN_BIT);
                block.put_u64_le(origin.client);
                block.put_u64_le(origin.number);
            } else {
                block.put_u8(length);
            }
            block.extend_from_slice(author.as_bytes());
            block.extend_from_slice(body);
            Post(block.split().freeze())
        });
        Ok(posts.collect())
    }

    /// Which request it is the first message of.
    pub fn origin(&self) -> Option<Origin> {
        let (head, rest) = self.0.split_first()?;
        if head & ORIGIN_BIT == 0 {
            return None;
        }
        let (client, rest) = rest.split_first_chunk::<8>()?;
        let (number, _) = rest.split_first_chunk::<8>()?;
        Some(Origin {
            client: u64::from_le_bytes(*client),
            number: u64::from_le_bytes(*number),
        })
    }

    /// Who says it.
    pub fn author(&self) -> &str {
        let author = self.0.get(self.author_at());
        author
            .and_then(|author| std::str::from_utf8(author).ok())
            .unwrap_or_default()
    }

    /// What is said.
    pub fn body(&self) -> Bytes {
        self.0.slice(self.author_at().end..)
    }

    /// Where its author is; the body is the rest.
    fn author_at(&self) -> std::ops::Range<usize> {
        let head = self.0.first().copied().unwrap_or_default();
        let origin = if head & ORIGIN_BIT == 0 {
            0
        } else {
            ORIGIN_BYTES
        };
        let start = (1 + origin).min(self.0.len());
        let end = start + usize::from(head & AUTHOR_BITS);
        start..end.min(self.0.len())
    }
}

fn check(author: &str, bodies: &[Bytes]) -> Result<(), Invalid> {
    if bodies.is_empty() {
        return Err(Invalid::Empty);
    }
    if author.len() > AUTHOR_BYTES_MAX {
        return Err(Invalid::Author(author.len()));
    }
    if bodies.len() > BODIES_MAX {
        return Err(Invalid::Bodies(bodies.len()));
    }
    if let Some(body) = bodies.iter().find(|body| body.len() > BODY_BYTES_MAX) {
        return Err(Invalid::Body(body.len()));
    }
    let bytes = bodies.iter().map(Bytes::len).sum();
    match bytes <= REQUEST_BYTES_MAX {
        true => Ok(()),
        false => Err(Invalid::Bytes(bytes)),
    }
}

impl Payload for Post {
    fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Wire for Post {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let Some(head) = bytes.first().copied() else {
            return Err(Malformed::new("a message without its first byte"));
        };
        if head & !(AUTHOR_BITS | ORIGIN_BIT) != 0 {
            return Err(Malformed::new("a message of a kind that is not known"));
        }
        let post = Post(bytes);
        let (length, at) = (usize::from(head & AUTHOR_BITS), post.author_at());
        let whole = head & ORIGIN_BIT == 0 || post.0.len() > ORIGIN_BYTES;
        if !whole || at.len() != length {
            return Err(Malformed::new("a message that is cut short"));
        }
        if post.0.len() - at.end > BODY_BYTES_MAX {
            return Err(Malformed::new("a message that is too long"));
        }
        match std::str::from_utf8(&post.0[at]) {
            Ok(_) => Ok(post),
            Err(_) => Err(Malformed::new("an author that is not UTF-8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: Origin = Origin {
        client: 7,
        number: u64::MAX,
    };

    proptest! {
        #[test]
        fn posts_come_back(author in "\\PC{0,15}", bodies in proptest::collection::vec(any::<Vec<u8>>(), 1..5)) {
            let bodies: Vec<Bytes> = bodies.into_iter().map(Bytes::from).collect();
            let posts = Post::of_request(ORIGIN, &author, &bodies).unwrap();
            prop_assert_eq!(posts.len(), bodies.len());
            for (at, (post, body)) in posts.iter().zip(bodies).enumerate() {
                let mut bytes = BytesMut::new();
                post.encode(&mut bytes);
                let back = Post::decode(bytes.freeze()).unwrap();
                prop_assert_eq!(&back, post);
                prop_assert_eq!(back.author(), &author);
                prop_assert_eq!(back.body(), body);
                prop_assert_eq!(back.origin(), (at == 0).then_some(ORIGIN));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(post) = Post::decode(bytes.into()) {
                let length = 1 + post.origin().map_or(0, |_| ORIGIN_BYTES);
                prop_assert_eq!(length + post.author().len() + post.body().len(), post.size_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_post_is_malformed() {
        let refused = |bytes: &[u8]| Post::decode(Bytes::copy_from_slice(bytes)).is_err();
        assert!(!refused(&[0]) && !refused(&[2, b'a', b'b']));
        assert!(refused(&[]));
        assert!(refused(&[0b1000_0000]));
        assert!(refused(&[3, b'a', b'b']));
        assert!(refused(&[1, 0xff]));
        assert!(refused(&[ORIGIN_BIT; ORIGIN_BYTES]));
        assert!(refused(&vec![0; BODY_BYTES_MAX + 2]));
    }

    #[test]
    fn what_is_too_much_is_refused_with_what_it_is() {
        let refused = |author: &str, bodies: &[Bytes]| {
            Post::of_request(ORIGIN, author, bodies).expect_err("too much")
        };
        let body = |bytes: usize| Bytes::from(vec![0; bytes]);
        assert_eq!(refused("a", &[]), Invalid::Empty);
        assert_eq!(refused(&"a".repeat(64), &[body(1)]), Invalid::Author(64));
        let long = BODY_BYTES_MAX + 1;
        assert_eq!(refused("", &[body(long)]), Invalid::Body(long));
        assert_eq!(refused("", &vec![body(0); 4097]), Invalid::Bodies(4097));
        let all = 9 * BODY_BYTES_MAX;
        assert_eq!(
            refused("", &vec![body(BODY_BYTES_MAX); 9]),
            Invalid::Bytes(all)
        );
    }
}
