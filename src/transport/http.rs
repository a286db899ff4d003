//! HTTP requests from this machine: no redirects, no proxy, every status is an answer.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::time::Duration;

use crate::port::{HttpAuth, HttpRequest, HttpResponse, Method, ReachError, ReachErrorKind};

/// The most that a body may have. A longer one is refused, never cut: half a JSON document is none.
const BODY: usize = 64 * 1024 * 1024;
/// How long to wait for a connection, when the request itself allows more.
const CONNECT: Duration = Duration::from_secs(10);

/// The HTTP clients of the process: one, and one more for every authority that requests name.
#[derive(Debug, Default)]
pub(super) struct Http {
    clients: Mutex<HashMap<Option<String>, reqwest::Client>>,
}

impl Http {
    /// Sends one request. Nothing is repeated.
    ///
    /// # Errors
    /// `Unreachable` when there was no connection, `Denied` when the request or the certificate cannot work, `Lost`
    /// when the request may have taken effect.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        let at = origin(&request.url);
        let client =
            self.client(request.ca_pem.as_deref()).map_err(|got| ReachError::new(ReachErrorKind::Denied, &at, got))?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
            Method::Head => reqwest::Method::HEAD,
        };
        let mut sending = client.request(method, &request.url).timeout(request.timeout);
        sending = match &request.auth {
            Some(HttpAuth::Basic(user, password)) => sending.basic_auth(user, Some(password.expose())),
            Some(HttpAuth::Header(value)) => {
                let mut value = reqwest::header::HeaderValue::from_str(value.expose()).map_err(|_| {
                    ReachError::new(ReachErrorKind::Denied, &at, "the authorization holds characters that HTTP forbids")
                })?;
                value.set_sensitive(true);
                sending.header(reqwest::header::AUTHORIZATION, value)
            }
            None => sending,
        };
        if let Some(body) = &request.body {
            sending = sending.json(body);
        }
        let mut response = sending.send().await.map_err(|error| failure(&at, &error, request.timeout))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&at, &error, request.timeout))? {
            if body.len() + chunk.len() > BODY {
                let got = format!("status {status}, and a body of more than 64 MiB");
                return Err(ReachError::new(ReachErrorKind::Lost, at, got));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, body })
    }

    fn client(&self, ca_pem: Option<&str>) -> Result<reqwest::Client, String> {
        let key = ca_pem.map(str::to_owned);
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(ca_pem)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(ca_pem: Option<&str>) -> Result<reqwest::Client, String> {
    // Somebody in this process may have chosen before us, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        .user_agent("changeover");
    if let Some(pem) = ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let certificates =
            certificates.map_err(|error| format!("the authority's certificate cannot be read: {}", chain(&error)))?;
        if certificates.is_empty() {
            return Err("the authority's file holds no certificate".to_owned());
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| format!("could not prepare TLS: {}", chain(&error)))
}

/// What an error says about the effect.
fn failure(at: &str, error: &reqwest::Error, limit: Duration) -> ReachError {
    let got = chain(error);
    if error.is_builder() {
        return ReachError::new(ReachErrorKind::Denied, at, got).hint("look at the URL in the estate");
    }
    if error.is_connect() {
        if got.contains("certificate") || got.contains("UnknownIssuer") {
            return ReachError::new(ReachErrorKind::Denied, at, got)
                .hint("the server's certificate is not trusted here: name its authority in the estate, and use the name that is in the certificate");
        }
        return ReachError::new(ReachErrorKind::Unreachable, at, got);
    }
    if error.is_timeout() {
        return ReachError::new(ReachErrorKind::Lost, at, format!("no answer within {}", crate::model::Span(limit)));
    }
    ReachError::new(ReachErrorKind::Lost, at, got)
}

/// Scheme, host and port of a URL: a path may be long, and a URL may hold a password.
fn origin(url: &str) -> String {
    reqwest::Url::parse(url).map_or_else(|_| "this URL".to_owned(), |url| url.origin().ascii_serialization())
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
