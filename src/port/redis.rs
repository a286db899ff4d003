//! Redis servers and replies as values.

use std::fmt;

use crate::model::{HostName, Secret, SiteName};

/// A server and how to log in.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisEndpoint {
    /// The address, as seen from `through`, or from this machine.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The host whose SSH connection carries the session; nothing means a direct connection.
    pub through: Option<(SiteName, HostName)>,
    /// The ACL user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// One reply. An error reply is an answer, not a transport error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisReply {
    /// Nil.
    Nil,
    /// A simple status such as `OK`.
    Status(String),
    /// A number.
    Integer(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// Several replies.
    Array(Vec<RedisReply>),
    /// The server said no: the whole message, for example `READONLY You can't write against a read only replica.`
    Error(String),
}

impl RedisReply {
    /// The reply as text, for status and bytes.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(text) => Some(text.clone()),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }
}
