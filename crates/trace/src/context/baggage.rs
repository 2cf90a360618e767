//! `baggage`: keys and values of the application, carried along with the trace context.

use std::fmt::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::trimmed;

/// What a list member holds beside its value: a word, or a key and a value. It means nothing to the
/// specification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// A token, as names of headers are.
    pub key: String,
    /// Any text.
    pub value: Option<String>,
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaggageEntry {
    key: String,
    value: String,
    properties: Vec<Property>,
}

impl BaggageEntry {
    /// A token, as names of headers are.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Any text; what was percent-encoded in the header is decoded.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Properties in their order.
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Bytes of it in a header.
    fn encoded_size(&self) -> usize {
        let mut counter = Counter(0);
        // Counting cannot fail.
        write!(counter, "{self}").map_or(usize::MAX, |()| counter.0)
    }
}

/// Entries in the order of the header, within the limits up to which every platform must carry them: 64
/// entries and 8192 bytes (Baggage, Limits).
///
/// ```
/// use quorate_trace::context::Baggage;
///
/// let mut baggage = Baggage::parse(["userId=alice;cached", "serverNode = DF%2028"]);
/// assert_eq!(baggage.get("serverNode"), Some("DF 28"));
/// baggage.set("isProduction", "no, not yet", [])?;
/// let header = "userId=alice;cached,serverNode=DF%2028,isProduction=no%2C%20not%20yet";
/// assert_eq!(baggage.to_string(), header);
/// # Ok::<(), quorate_trace::context::InvalidBaggage>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Baggage {
    entries: Vec<BaggageEntry>,
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaggage {
    /// A key of it or of a property is no token.
    #[error("a baggage key that is not a token")]
    Key,
    /// There would be more than [`Baggage::ENTRIES_MAX`] entries or [`Baggage::BYTES_MAX`] bytes.
    #[error("the baggage would be too large")]
    Full,
}

impl Baggage {
    /// Entries.
    pub const ENTRIES_MAX: usize = 64;
    /// Bytes of the header, commas included.
    pub const BYTES_MAX: usize = 8192;

    /// Reads the values of all `baggage` headers of a request, in their order. An entry that breaks the
    /// grammar is left out, and so is what exceeds the limits; the rest of the baggage is not its fault.
    pub fn parse<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut baggage = Baggage::default();
        let mut size = 0;
        for value in values {
            for member in value.as_ref().split(|byte| *byte == b',').map(trimmed) {
                let room = Self::BYTES_MAX.saturating_sub(size);
                if baggage.entries.len() == Self::ENTRIES_MAX {
                    return baggage;
                }
                if let Some(entry) = parse_member(member, room) {
                    size += entry.encoded_size() + 1;
                    baggage.entries.push(entry);
                }
            }
        }
        baggage
    }

    /// The value of a key; of several the last one, as later systems append.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut latest_first = self.entries.iter().rev();
        latest_first
            .find(|entry| entry.key == key)
            .map(|entry| &*entry.value)
    }

    /// Entries in their order; keys may repeat.
    pub fn entries(&self) -> &[BaggageEntry] {
        &self.entries
    }

    /// Whether there is none, and so nothing to send.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets the only value of a key, at its first place if it has one.
    ///
    /// # Errors
    ///
    /// If a key is no token, or there is no room for it; nothing changes.
    pub fn set(
        &mut self,
        key: &str,
        value: &str,
        properties: impl IntoIterator<Item = Property>,
    ) -> Result<(), InvalidBaggage> {
        let entry = BaggageEntry {
            key: key.to_owned(),
            value: value.to_owned(),
            properties: properties.into_iter().collect(),
        };
        let mut keys = entry.properties.iter().map(|property| &*property.key);
        if !is_token(key) || !keys.all(is_token) {
            return Err(InvalidBaggage::Key);
        }
        let others = self.entries.iter().filter(|other| other.key != key);
        let (count, size) = others.fold((0, 0), |(count, size), other| {
            (count + 1, size + other.encoded_size() + 1)
        });
        if count == Self::ENTRIES_MAX || size + entry.encoded_size() > Self::BYTES_MAX {
            return Err(InvalidBaggage::Full);
        }
        let at = self.entries.iter().position(|other| other.key == key);
        let at = at.unwrap_or(self.entries.len());
        self.remove(key);
        self.entries.insert(at, entry);
        Ok(())
    }

    /// Removes a key; says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.key != key);
        self.entries.len() < before
    }
}

/// As one header.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.entries.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

/// As a list member, values percent-encoded where they must be.
impl fmt::Display for BaggageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, encoded(&self.value))?;
        for property in &self.properties {
            write!(f, ";{}", property.key)?;
            if let Some(value) = &property.value {
                write!(f, "={}", encoded(value))?;
            }
        }
        Ok(())
    }
}

struct Counter(usize);

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// All that is no `baggage-octet` (Baggage, Definition), and the percent sign itself.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b',')
    .add(b';')
    .add(b'\\')
    .add(b'%');

fn encoded(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

fn parse_member(member: &[u8], room: usize) -> Option<BaggageEntry> {
    if member.len() > room {
        return None;
    }
    let mut parts = std::str::from_utf8(member).ok()?.split(';');
    let (key, value) = parts.next()?.split_once('=')?;
    let properties: Option<Vec<Property>> = parts.map(parse_property).collect();
    let entry = BaggageEntry {
        key: token(key)?,
        value: decoded(value)?,
        properties: properties?,
    };
    // It may have grown: what was sent bare and must be encoded, such as a lone percent sign.
    (entry.encoded_size() <= room).then_some(entry)
}

fn parse_property(text: &str) -> Option<Property> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(decoded(value)?)),
        None => (text, None),
    };
    Some(Property {
        key: token(key)?,
        value,
    })
}

fn token(text: &str) -> Option<String> {
    let text = trim(text);
    is_token(text).then(|| text.to_owned())
}

/// As defined in RFC 7230, section 3.2.6.
fn is_token(text: &str) -> bool {
    let character = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(character)
}

/// Octets that make no UTF-8 become U+FFFD (Baggage, value).
fn decoded(text: &str) -> Option<String> {
    let text = trim(text);
    let octet = |byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    text.bytes()
        .all(octet)
        .then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
