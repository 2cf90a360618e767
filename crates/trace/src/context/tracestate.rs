//! `tracestate`: what each tracing system on the way wants to find again, latest first.

use std::fmt;

use super::trimmed;

/// A list of keys and opaque values, one entry per tracing system; the leftmost is of the system that
/// wrote `traceparent`.
///
/// ```
/// use quorate_trace::context::TraceState;
///
/// let mut state = TraceState::parse(["rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"])?;
/// state.set("congo", "ucfJifl5GOE")?;
/// assert_eq!(state.to_string(), "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7");
/// # Ok::<(), quorate_trace::context::InvalidTraceState>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceState {
    /// At most [`TraceState::MEMBERS_MAX`], of different keys.
    members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Member {
    key: Box<str>,
    value: Box<str>,
}

impl Member {
    /// Characters of `key=value`.
    fn length(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

/// Why a `tracestate` cannot be used. It is left out as a whole; `traceparent` stays valid (3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceState {
    /// More than [`TraceState::BYTES_MAX`] were received.
    #[error("a tracestate of more than {max} bytes", max = TraceState::BYTES_MAX)]
    TooLong,
    /// More than [`TraceState::MEMBERS_MAX`] entries.
    #[error("a tracestate of more than {max} entries", max = TraceState::MEMBERS_MAX)]
    TooMany,
    /// An entry without an equals sign.
    #[error("a tracestate entry that is not key=value")]
    Member,
    /// A key outside of the grammar of 3.3.2.2.1.
    #[error("a tracestate key that is not valid")]
    Key,
    /// A value outside of the grammar of 3.3.2.2.2.
    #[error("a tracestate value that is not valid")]
    Value,
}

/// Characters of a key, and of a value.
const TEXT_MAX: usize = 256;

impl TraceState {
    /// Entries (3.3.2).
    pub const MEMBERS_MAX: usize = 32;
    /// Bytes that are read, white space and empty entries included. The longest list that is valid has
    /// half as many.
    pub const BYTES_MAX: usize = 32 * 1024;

    /// Reads the values of all `tracestate` headers of a request, in their order: they are one list
    /// (3.3.2). Empty entries are left out. Of entries with the same key the first stays, for it is the
    /// latest; that there are several is a fault of the sender that costs nobody else his entry (3.5).
    ///
    /// # Errors
    ///
    /// If any entry is invalid, the whole list is.
    pub fn parse<V: AsRef<[u8]>>(
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, InvalidTraceState> {
        let mut state = TraceState::default();
        let (mut bytes, mut count) = (0, 0);
        for value in values {
            let value = value.as_ref();
            bytes += value.len();
            if bytes > Self::BYTES_MAX {
                return Err(InvalidTraceState::TooLong);
            }
            for member in value.split(|byte| *byte == b',').map(trimmed) {
                if member.is_empty() {
                    continue;
                }
                count += 1;
                if count > Self::MEMBERS_MAX {
                    return Err(InvalidTraceState::TooMany);
                }
                let member = parse_member(member)?;
                if state.get(&member.key).is_none() {
                    state.members.push(member);
                }
            }
        }
        Ok(state)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Keys and values, latest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|member| (&*member.key, &*member.value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none, and so nothing to send.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Characters of the header.
    pub fn header_length(&self) -> usize {
        let members: usize = self.members.iter().map(Member::length).sum();
        members + self.members.len().saturating_sub(1)
    }

    /// Sets the value of a key and moves it to the front (3.5). If there were too many entries then, the
    /// last one is removed.
    ///
    /// # Errors
    ///
    /// If key or value break the grammar; nothing changes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), InvalidTraceState> {
        let member = member(key.as_bytes(), value.as_bytes())?;
        self.remove(key);
        self.members.truncate(Self::MEMBERS_MAX - 1);
        self.members.insert(0, member);
        Ok(())
    }

    /// Removes a key; says whether it was there. Only the system that wrote an entry should remove it
    /// (3.5).
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|member| &*member.key != key);
        self.members.len() < before
    }

    /// Shortens the header to so many characters, 512 at least as the specification asks: whole entries
    /// go, those longer than 128 characters first, then from the end (3.3.3.1).
    pub fn truncate(&mut self, characters: usize) {
        let limit = characters.max(512);
        let mut length = self.header_length();
        for at in (0..self.members.len()).rev() {
            if length <= limit {
                return;
            }
            if self.members[at].length() > 128 {
                length -= self.members[at].length() + 1;
                self.members.remove(at);
            }
        }
        while length > limit
            && let Some(last) = self.members.pop()
        {
            length -= last.length() + 1;
        }
    }
}

/// As one header.
impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

fn parse_member(bytes: &[u8]) -> Result<Member, InvalidTraceState> {
    let equals = bytes.iter().position(|byte| *byte == b'=');
    let equals = equals.ok_or(InvalidTraceState::Member)?;
    member(&bytes[..equals], &bytes[equals + 1..])
}

fn member(key: &[u8], value: &[u8]) -> Result<Member, InvalidTraceState> {
    let key = valid_key(key).ok_or(InvalidTraceState::Key)?;
    let value = valid_value(value).ok_or(InvalidTraceState::Value)?;
    Ok(Member {
        key: key.into(),
        value: value.into(),
    })
}

/// Level 2 no longer tells simple keys from `tenant@system`: the at sign is a character like others, the
/// first one aside (3.3.2.2.1).
fn valid_key(key: &[u8]) -> Option<&str> {
    let [first, rest @ ..] = key else { return None };
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = key.len() <= TEXT_MAX
        && letter(first)
        && rest
            .iter()
            .all(|byte| letter(byte) || b"_-*/@".contains(byte));
    valid.then(|| std::str::from_utf8(key).ok())?
}

/// Printable ASCII without comma and equals sign, not ending with a space; spaces before it belong to it
/// (3.3.2.2.2).
fn valid_value(value: &[u8]) -> Option<&str> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    let valid = value.len() <= TEXT_MAX
        && value.last().is_some_and(|last| *last != b' ')
        && value.iter().all(printable);
    valid.then(|| std::str::from_utf8(value).ok())?
}
