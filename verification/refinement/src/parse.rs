//! Reading values as TLC prints them, over however many lines.

use crate::Value;
use std::str::FromStr;

/// Values within values, at most: no text may exhaust the stack.
const DEPTH_MAX: usize = 128;

/// What is not a value, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: expected {expected}")]
pub struct ParseError {
    /// How many bytes were read before.
    pub at: usize,
    /// What should have come there.
    pub expected: &'static str,
}

impl FromStr for Value {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text);
        let value = parser.value()?;
        parser.end()?;
        Ok(value)
    }
}

/// The values of a state's variables, as TLC prints a state: `/\ variable = value`, one after the other.
///
/// # Errors
///
/// If the text has another form.
pub fn assignments(text: &str) -> Result<Vec<(String, Value)>, ParseError> {
    let mut parser = Parser::new(text);
    let mut assignments = Vec::new();
    // A state of one variable has no conjunction.
    while parser.eats("/\\") || (assignments.is_empty() && !parser.is_at_end()) {
        let name = parser.identifier("the name of a variable")?.to_owned();
        parser.expect("=", "an equals sign")?;
        assignments.push((name, parser.value()?));
    }
    parser.end()?;
    Ok(assignments)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Parser {
            text,
            at: 0,
            depth: 0,
        }
    }

    fn error<T>(&self, expected: &'static str) -> Result<T, ParseError> {
        let at = self.at;
        Err(ParseError { at, expected })
    }

    fn rest(&mut self) -> &'t str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn end(&mut self) -> Result<(), ParseError> {
        if self.is_at_end() {
            Ok(())
        } else {
            self.error("the end")
        }
    }

    fn eats(&mut self, token: &str) -> bool {
        let eaten = self.rest().starts_with(token);
        self.at += if eaten { token.len() } else { 0 };
        eaten
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), ParseError> {
        if self.eats(token) {
            Ok(())
        } else {
            self.error(expected)
        }
    }

    fn identifier(&mut self, expected: &'static str) -> Result<&'t str, ParseError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        if !crate::value::is_identifier(name) {
            return self.error(expected);
        }
        self.at += name.len();
        Ok(name)
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.error("a value of fewer levels");
        }
        let value = match self.rest().bytes().next() {
            Some(b'{') => {
                self.at += 1;
                Value::set(self.list("}", "a comma or the end of a set")?)
            }
            Some(b'<') => {
                self.expect("<<", "a value")?;
                Value::sequence(self.list(">>", "a comma or the end of a sequence")?)
            }
            Some(b'[') => self.record()?,
            Some(b'(') => self.function()?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number_or_name()?,
            _ => self.name()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn name(&mut self) -> Result<Value, ParseError> {
        Ok(match self.identifier("a value")? {
            "TRUE" => Value::Bool(true),
            "FALSE" => Value::Bool(false),
            name => Value::model(name),
        })
    }

    /// Names of TLA+ may begin with digits.
    fn number_or_name(&mut self) -> Result<Value, ParseError> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let end = digits.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let length = rest.len() - digits.len() + end.unwrap_or(digits.len());
        match rest[..length].parse() {
            Ok(number) => {
                self.at += length;
                Ok(Value::Int(number))
            }
            Err(_) => self.name(),
        }
    }

    fn list(&mut self, close: &str, expected: &'static str) -> Result<Vec<Value>, ParseError> {
        let mut elements = Vec::new();
        if self.eats(close) {
            return Ok(elements);
        }
        loop {
            elements.push(self.value()?);
            if self.eats(close) {
                return Ok(elements);
            }
            self.expect(",", expected)?;
        }
    }

    fn record(&mut self) -> Result<Value, ParseError> {
        self.at += 1;
        let mut fields = Vec::new();
        loop {
            let name = self.identifier("the name of a field")?;
            self.expect("|->", "|->")?;
            fields.push((name, self.value()?));
            if self.eats("]") {
                return Ok(Value::record(fields));
            }
            self.expect(",", "a comma or the end of a record")?;
        }
    }

    fn function(&mut self) -> Result<Value, ParseError> {
        self.at += 1;
        let mut pairs = Vec::new();
        loop {
            let argument = self.value()?;
            self.expect(":>", ":>")?;
            pairs.push((argument, self.value()?));
            if self.eats(")") {
                return Ok(Value::function(pairs));
            }
            self.expect("@@", "@@ or the end of a function")?;
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        let body = &self.text[self.at + 1..];
        let mut characters = body.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 2;
                    return Ok(text);
                }
                '\\' => text.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 'r')) => '\r',
                    Some((_, 't')) => '\t',
                    Some((_, 'f')) => '\u{c}',
                    Some((_, escaped @ ('"' | '\\'))) => escaped,
                    _ => return self.error("a string"),
                }),
                other => text.push(other),
            }
        }
        self.error("a string")
    }
}
