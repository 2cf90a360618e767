//! Names of time servers: `host`, `host:port`, `[address]:port`, or an address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// NTP's port.
const PORT: u16 = 123;

/// DNS names have 253 characters at most.
const HOST_LENGTH_MAX: usize = 253;

/// A time server, by name or address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let invalid = |why| InvalidServer {
            server: text.to_owned(),
            why,
        };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, PORT).into());
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse()
                    .map_err(|_| invalid("its port is no number up to 65535"))?,
            ),
            None => (text, PORT),
        };
        let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || host.len() > HOST_LENGTH_MAX || !host.chars().all(is_fit) {
            return Err(invalid("it is no name of a host and no address"));
        }
        Ok(Server {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Server {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (false, PORT) => f.write_str(&self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
        }
    }
}

/// A text that names no time server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{server:?} is no time server: {why}; for example ntp.example, 192.0.2.1:123 or [2001:db8::1]:123"
)]
pub struct InvalidServer {
    server: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16)> {
        let server: Server = text.parse().ok()?;
        // What is printed is the same server.
        assert_eq!(server.to_string().parse().as_ref(), Ok(&server));
        Some((server.host, server.port))
    }

    #[test]
    fn names_and_addresses_with_and_without_ports() {
        let of = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parsed("NTP.Example"), of("ntp.example", 123));
        assert_eq!(parsed("ntp.example:1123"), of("ntp.example", 1123));
        assert_eq!(parsed("192.0.2.1"), of("192.0.2.1", 123));
        assert_eq!(parsed("192.0.2.1:9"), of("192.0.2.1", 9));
        assert_eq!(parsed("2001:db8::1"), of("2001:db8::1", 123));
        assert_eq!(parsed("[2001:db8::1]"), of("2001:db8::1", 123));
        assert_eq!(parsed("[2001:db8::1]:9"), of("2001:db8::1", 9));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            ":123",
            "host:",
            "host:99999",
            "a b",
            "[::1",
            "http://host",
            "[host]:1",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        let long = "a".repeat(HOST_LENGTH_MAX + 1);
        assert_eq!(parsed(&long), None);
    }
}
