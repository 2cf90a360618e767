//! The bounds of a configuration of Raft, read from the `.cfg` that TLC reads: so they cannot differ.

use std::collections::BTreeMap;

/// What `MCRaft.tla` declares, by the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `Server`.
    pub servers: Vec<String>,
    /// `Session`.
    pub sessions: Vec<String>,
    /// `PreVote`.
    pub pre_vote: bool,
    /// `CheckQuorum`.
    pub check_quorum: bool,
    /// `BatchEntries`.
    pub batch_entries: usize,
    /// `WindowEntries`.
    pub window_entries: usize,
    /// `MaxTerm`.
    pub max_term: u64,
    /// `MaxElections`.
    pub max_elections: u8,
    /// `MaxForgets`.
    pub max_forgets: u8,
    /// `MaxCrashes`.
    pub max_crashes: u8,
    /// `MaxWrites`.
    pub max_writes: u8,
    /// `MaxSequence`.
    pub max_sequence: u64,
    /// `MaxReads`.
    pub max_reads: u8,
    /// `MaxUnsynced`.
    pub max_unsynced: usize,
    /// `Heartbeats`.
    pub heartbeats: bool,
    /// Whether what leaders say arrives: not with `MayReceive <- NoAppend`.
    pub appends: bool,
}

/// Why a configuration cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// A constant has no value.
    #[error("{0} has no value")]
    Missing(&'static str),
    /// A constant's value is of another kind or too large.
    #[error("{0} = {1} is not understood")]
    Value(&'static str, String),
    /// A definition is replaced by one that the Rust side does not know.
    #[error("{0} <- {1} has no counterpart in Rust")]
    Replaced(String, String),
    /// The whole graph is compared, not one that is reduced.
    #[error("{0} changes the graph that is compared")]
    Reduced(&'static str),
}

impl Bounds {
    /// The bounds in the text of a `.cfg`.
    ///
    /// # Errors
    ///
    /// If a bound is missing, or the text replaces definitions in ways that have no counterpart.
    pub fn parse(text: &str) -> Result<Self, BoundsError> {
        let (constants, replaced) = constants(text)?;
        let read = Constants(constants);
        let mut appends = true;
        for (name, by) in replaced {
            match (name.as_str(), by.as_str()) {
                ("MayReceive", "NoAppend") => appends = false,
                _ => return Err(BoundsError::Replaced(name, by)),
            }
        }
        Ok(Bounds {
            servers: read.names("Server")?,
            sessions: read.names("Session")?,
            pre_vote: read.flag("PreVote")?,
            check_quorum: read.flag("CheckQuorum")?,
            batch_entries: read.number("BatchEntries")?,
            window_entries: read.number("WindowEntries")?,
            max_term: read.number("MaxTerm")?,
            max_elections: read.number("MaxElections")?,
            max_forgets: read.number("MaxForgets")?,
            max_crashes: read.number("MaxCrashes")?,
            max_writes: read.number("MaxWrites")?,
            max_sequence: read.number("MaxSequence")?,
            max_reads: read.number("MaxReads")?,
            max_unsynced: read.number("MaxUnsynced")?,
            heartbeats: read.flag("Heartbeats")?,
            appends,
        })
    }
}

pub(crate) type Definitions = (BTreeMap<String, String>, Vec<(String, String)>);

/// `name = value` and `name <- definition`, wherever they stand.
pub(crate) fn constants(text: &str) -> Result<Definitions, BoundsError> {
    let (mut constants, mut replaced) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        let line = line.split("\\*").next().unwrap_or_default().trim();
        for reducing in ["SYMMETRY", "VIEW", "CONSTRAINT", "CONSTRAINTS"] {
            if line.split_whitespace().next() == Some(reducing) {
                return Err(BoundsError::Reduced(reducing));
            }
        }
        if let Some((name, definition)) = line.split_once("<-") {
            replaced.push((name.trim().to_owned(), definition.trim().to_owned()));
        } else if let Some((name, value)) = line.split_once('=') {
            constants.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    Ok((constants, replaced))
}

pub(crate) struct Constants(pub(crate) BTreeMap<String, String>);

impl Constants {
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, BoundsError> {
        let text = self.0.get(name).ok_or(BoundsError::Missing(name))?;
        Ok(text)
    }

    pub(crate) fn number<N: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<N, BoundsError> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| BoundsError::Value(name, text.to_owned()))
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, BoundsError> {
        match self.text(name)? {
            "TRUE" => Ok(true),
            "FALSE" => Ok(false),
            other => Err(BoundsError::Value(name, other.to_owned())),
        }
    }

    pub(crate) fn names(&self, name: &'static str) -> Result<Vec<String>, BoundsError> {
        let text = self.text(name)?;
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        let inner = inner.ok_or_else(|| BoundsError::Value(name, text.to_owned()))?;
        let names = inner.split(',').map(|name| name.trim().to_owned());
        Ok(names.filter(|name| !name.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\\* A comment = of no value.
SPECIFICATION RefineSpec
CONSTANTS
    Server = {a, b, c}
    Nil = Nil
    Session = {x}
    PreVote = TRUE
    CheckQuorum = FALSE
    BatchEntries = 1
    WindowEntries = 2
    MaxTerm = 3
    MaxElections = 4
    MaxForgets = 5
    MaxCrashes = 6
    MaxWrites = 7
    MaxSequence = 8
    MaxReads = 9
    MaxUnsynced = 10
    Heartbeats = TRUE
    Sought = {}
";

    #[test]
    fn bounds_are_read() {
        let bounds = Bounds::parse(TEXT).unwrap();
        assert_eq!(bounds.servers, ["a", "b", "c"]);
        assert_eq!(bounds.sessions, ["x"]);
        assert!(bounds.pre_vote && !bounds.check_quorum && bounds.heartbeats && bounds.appends);
        assert_eq!((bounds.max_term, bounds.max_unsynced), (3, 10));
        let lost = Bounds::parse(&format!("{TEXT}    MayReceive <- NoAppend\n")).unwrap();
        assert!(!lost.appends);
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let error = |text: &str| Bounds::parse(text).unwrap_err();
        let replaced = error(&format!("{TEXT}    Promise <- VoteLeavesAtOnce\n"));
        assert!(matches!(replaced, BoundsError::Replaced(..)));
        let reduced = error(&format!("{TEXT}SYMMETRY Symmetry\n"));
        assert_eq!(reduced, BoundsError::Reduced("SYMMETRY"));
        let missing = error(&TEXT.replace("    MaxReads = 9\n", ""));
        assert_eq!(missing, BoundsError::Missing("MaxReads"));
        let large = error(&TEXT.replace("MaxReads = 9", "MaxReads = 900"));
        assert_eq!(large, BoundsError::Value("MaxReads", "900".to_owned()));
    }
}
