//! SQL servers, statements and rows as values.

use std::fmt;
use std::time::Duration;

use crate::model::{HostName, Secret, SiteName};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlAddress {
    /// Address and port.
    Tcp(String, u16),
    /// A Unix socket on the host the connection is made from.
    Socket(String),
}

impl fmt::Display for SqlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address, port) => write!(f, "{address}:{port}"),
            Self::Socket(path) => f.write_str(path),
        }
    }
}

/// A server and how to log in.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlEndpoint {
    /// Where it listens, as seen from `through`, or from this machine.
    pub address: SqlAddress,
    /// The host whose SSH connection carries the session; nothing means a direct connection.
    pub through: Option<(SiteName, HostName)>,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Option<Secret>,
    /// The schema to use first.
    pub database: Option<String>,
    /// PEM certificates of the authority that signed the server's certificate. With them every session over TCP is
    /// encrypted, and a server that cannot prove to be `address` is not spoken to; without them nothing is encrypted
    /// beyond what carries the session.
    pub ca_pem: Option<String>,
}

impl fmt::Display for SqlEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.address)?;
        if let Some((site, host)) = &self.through {
            write!(f, " through {site}:{host}")?;
        }
        Ok(())
    }
}

/// One statement with bound values.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlStatement {
    /// The text, with `?` where values go.
    pub text: String,
    /// The values.
    pub values: Vec<SqlValue>,
    /// How long it may take.
    pub timeout: Duration,
}

impl SqlStatement {
    /// A statement without values, with 30 seconds to answer.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new(), timeout: Duration::from_secs(30) }
    }

    /// The statement with one more bound value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<SqlValue>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The statement with another time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A whole number beyond `i64`.
    Unsigned(u64),
    /// A floating point number.
    Double(f64),
    /// Everything else, dates included, as the server wrote it.
    Bytes(Vec<u8>),
}

impl SqlValue {
    /// The value as text; NULL is nothing.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(n) => Some(n.to_string()),
            Self::Unsigned(n) => Some(n.to_string()),
            Self::Double(n) => Some(n.to_string()),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// The value as a number that cannot be negative, also when the server sent it as text.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Integer(n) => u64::try_from(*n).ok(),
            Self::Unsigned(n) => Some(*n),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Self::Null | Self::Double(_) => None,
        }
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<u64> for SqlValue {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

/// One row, in the order of the columns.
pub type SqlRow = Vec<SqlValue>;

/// What one statement returned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SqlRows {
    /// The column names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<SqlRow>,
    /// How many rows a change affected.
    pub affected: u64,
}

impl SqlRows {
    /// The value of the column `name` (in any case) in `row`: columns are matched by name, never by position, because
    /// servers differ.
    #[must_use]
    pub fn get(&self, row: usize, name: &str) -> Option<&SqlValue> {
        let column = self.columns.iter().position(|have| have.eq_ignore_ascii_case(name))?;
        self.rows.get(row)?.get(column)
    }
}
