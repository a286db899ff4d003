//! HTTP requests and responses as values.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::Secret;

/// The methods the program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create or replace.
    Put,
    /// Act.
    Post,
    /// Remove.
    Delete,
    /// Look whether it is there.
    Head,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        })
    }
}

/// How a request proves who it is from.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpAuth {
    /// User and password.
    Basic(String, Secret),
    /// The whole value of the `Authorization` header, for example `ApiKey …`.
    Header(Secret),
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URL, encoded.
    pub url: String,
    /// Proof of identity, never shown.
    pub auth: Option<HttpAuth>,
    /// A JSON body.
    pub body: Option<serde_json::Value>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// PEM certificates of the authority to trust beside the usual ones.
    pub ca_pem: Option<String>,
}

impl HttpRequest {
    /// A request without body or proof, with ten seconds to answer.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), auth: None, body: None, timeout: Duration::from_secs(10), ca_pem: None }
    }

    /// The request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: serde_json::Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The request with another time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Display for HttpRequest {
    /// Method, URL and body; never the proof of identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        if let Some(body) = &self.body {
            write!(f, " {body}")?;
        }
        Ok(())
    }
}

/// A look at the certificate of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateLook {
    /// An `https` URL; only its origin counts.
    pub url: String,
    /// PEM certificates of the authority to trust beside the usual ones.
    pub ca_pem: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What matters of a certificate that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who it is for, in the words of its issuer.
    pub subject: String,
    /// When it ends (RFC 5280, 4.1.2.5).
    pub not_after: Timestamp,
}

/// One response, whatever its status: a status is an answer, not a transport error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The body, at most 64 MiB.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The body as JSON.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// True for 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text for error messages, cut at 2,000 characters.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        match text.char_indices().nth(2000) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.into_owned(),
        }
    }
}
