//! Decompression that ends at a limit.

use std::io::{Cursor, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::body::BUSY_RETRY;
use crate::limits::Share;
use crate::problem::Problem;

/// Decompressed between two looks at the limits, and before other requests have their turn.
const CHUNK: usize = 256 << 10;

/// A zstd frame may ask for a window of 2 to the power of 31 bytes. 8 MiB is what the format's
/// specification (RFC 8878, section 3.1.1.1.2) recommends a decoder to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// For `grpc-accept-encoding` and `accept-encoding`.
pub(crate) const SUPPORTED: &str = "gzip, zstd, identity";

impl Encoding {
    /// Of a header's value, if there is one.
    pub(crate) fn parse(value: Option<&http::HeaderValue>) -> Result<Self, Problem> {
        let Some(value) = value else {
            return Ok(Encoding::Identity);
        };
        let text = value.to_str().unwrap_or_default().trim();
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("gzip") || is("x-gzip") {
            Ok(Encoding::Gzip)
        } else if is("zstd") {
            Ok(Encoding::Zstd)
        } else if is("identity") || text.is_empty() {
            Ok(Encoding::Identity)
        } else {
            let shown: String = text.chars().take(40).collect();
            Err(Problem::Encoding(shown))
        }
    }

    /// The message that `bytes` are the compressed form of.
    pub(crate) async fn decompress(
        self,
        bytes: Bytes,
        limit: usize,
        share: &mut Share,
    ) -> Result<Bytes, Problem> {
        match self {
            Encoding::Identity => Ok(bytes),
            Encoding::Gzip => read(MultiGzDecoder::new(Cursor::new(bytes)), limit, share).await,
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(bytes));
                let mut decoder = decoder.map_err(corrupt)?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(corrupt)?;
                read(decoder, limit, share).await
            }
        }
    }
}

async fn read(mut decoder: impl Read, limit: usize, share: &mut Share) -> Result<Bytes, Problem> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        // One byte more than the limit, to see that it is exceeded.
        let room = CHUNK.min(limit - before + 1);
        out.resize(before + room, 0);
        let read = read_full(&mut decoder, &mut out[before..])?;
        out.truncate(before + read);
        if out.len() > limit {
            return Err(Problem::Bomb { limit });
        }
        if !share.grow(read) {
            return Err(Problem::Busy {
                retry_after: BUSY_RETRY,
            });
        }
        if read < room {
            // It may be kept for long.
            out.shrink_to_fit();
            return Ok(out.into());
        }
        tokio::task::yield_now().await;
    }
}

/// Reads until `buffer` is full or the input ends.
fn read_full(decoder: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Problem> {
    let mut filled = 0;
    while filled < buffer.len() {
        match decoder.read(&mut buffer[filled..]).map_err(corrupt)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn corrupt(error: std::io::Error) -> Problem {
    Problem::Malformed(format!("the message does not decompress: {error}"))
}
