//! HTTP requests from this machine: no redirects, no proxy, every status is an answer.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::time::Duration;

use crate::port::{
    Certificate, CertificateLook, HttpAuth, HttpRequest, HttpResponse, Method, ReachError, ReachErrorKind,
};

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

/// The certificate of a server, over a connection of its own: one that is kept open for requests may be older than the
/// certificate that the server shows by now.
///
/// # Errors
/// `Denied` when the certificate is not accepted or cannot be read, `Unreachable` and `Lost` when nobody answered.
pub(super) async fn certificate(look: &CertificateLook) -> Result<Certificate, ReachError> {
    let at = origin(&look.url);
    let denied = |got: String| ReachError::new(ReachErrorKind::Denied, &at, got);
    let client = builder(look.ca_pem.as_deref())
        .and_then(|builder| built(builder.tls_info(true).pool_max_idle_per_host(0)))
        .map_err(denied)?;
    let response = client.head(&at).timeout(look.timeout).send().await;
    let response = response.map_err(|error| failure(&at, &error, look.timeout))?;
    let shown = response.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| info.peer_certificate());
    read_certificate(shown.ok_or_else(|| denied("no certificate was shown".to_owned()))?).map_err(denied)
}

fn read_certificate(der: &[u8]) -> Result<Certificate, String> {
    let (_, read) = x509_parser::parse_x509_certificate(der)
        .map_err(|error| format!("the certificate that was shown cannot be read: {error}"))?;
    let not_after = jiff::Timestamp::from_second(read.validity().not_after.timestamp())
        .map_err(|error| format!("the certificate ends at no time: {error}"))?;
    Ok(Certificate { subject: read.subject().to_string(), not_after })
}

fn build(ca_pem: Option<&str>) -> Result<reqwest::Client, String> {
    builder(ca_pem).and_then(built)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder.build().map_err(|error| format!("could not prepare TLS: {}", chain(&error)))
}

fn builder(ca_pem: Option<&str>) -> Result<reqwest::ClientBuilder, String> {
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
    Ok(builder)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::model::Secret;

    /// A server that reads one request, answers with `answer`, hangs up, and returns what it read.
    async fn serve(answer: &'static [u8]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/path?x=1", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = stream.read(&mut buffer).await.expect("a request");
                request.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer).await.expect("written");
            String::from_utf8(request).expect("text")
        });
        (url, task)
    }

    #[tokio::test]
    async fn every_status_is_an_answer_and_redirects_are_not_followed() {
        let answer = b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nhi";
        let (url, server) = serve(answer).await;
        let mut request = HttpRequest::new(Method::Put, url).json(serde_json::json!({"a": 1}));
        request.auth = Some(HttpAuth::Basic("u".into(), Secret::new("p".into())));
        let response = Http::default().send(&request).await.expect("an answer");
        assert_eq!((response.status, &response.body[..]), (307, &b"hi"[..]));
        let asked = server.await.expect("it served").to_lowercase();
        assert!(asked.starts_with("put /path?x=1 http/1.1\r\n"), "{asked}");
        assert!(
            asked.contains("authorization: basic dtpw") && asked.contains("content-type: application/json"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn only_what_was_not_sent_is_unreachable() {
        let http = Http::default();
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
        let request = HttpRequest::new(Method::Post, format!("http://{closed}/x"));
        let error = http.send(&request).await.expect_err("closed");
        assert_eq!((error.kind, error.at), (ReachErrorKind::Unreachable, format!("http://{closed}")));
        for half in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
            let (url, _server) = serve(half).await;
            let error = http.send(&HttpRequest::new(Method::Post, url)).await.expect_err("it hung up");
            assert_eq!(error.kind, ReachErrorKind::Lost, "{half:?}");
        }
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/x", silent.local_addr().expect("an address"));
        let request = HttpRequest::new(Method::Post, url).timeout(Duration::from_millis(200));
        assert_eq!(http.send(&request).await.expect_err("silent").kind, ReachErrorKind::Lost);
    }

    #[tokio::test]
    async fn what_cannot_work_is_denied_and_shows_no_password() {
        let http = Http::default();
        let error = http.send(&HttpRequest::new(Method::Get, "no url")).await.expect_err("no URL");
        assert_eq!(error.kind, ReachErrorKind::Denied);
        let mut request = HttpRequest::new(Method::Get, "http://user:hunter2@127.0.0.1:1/hunter2");
        let error = http.send(&request).await.expect_err("nobody there");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        request.ca_pem = Some("not a certificate".into());
        assert_eq!(http.send(&request).await.expect_err("no certificate").kind, ReachErrorKind::Denied);
    }

    /// An authority, as PEM, and a server that shows certificates of it, one after the other, to whoever connects.
    async fn tls(ends: &'static [i32]) -> (String, CertificateLook) {
        use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
        let key = || KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer_key = key();
        let ca_pem = authority.self_signed(&issuer_key).expect("a certificate").pem();
        let issuer = Issuer::new(authority, issuer_key);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/_cluster/health?x=1", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            for year in ends {
                let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
                params.distinguished_name.push(rcgen::DnType::CommonName, "search1");
                params.not_before = date_time_ymd(2000, 1, 1);
                params.not_after = date_time_ymd(*year, 2, 3);
                let own = key();
                let shown = params.signed_by(&own, &issuer).expect("a certificate");
                let config =
                    rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                        .with_safe_default_protocol_versions()
                        .expect("versions")
                        .with_no_client_auth()
                        .with_single_cert(vec![shown.der().clone()], own.into())
                        .expect("a certificate that fits its key");
                let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
                let (stream, _) = listener.accept().await.expect("a client");
                // A client that does not trust it hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let count = stream.read(&mut request).await.expect("a request");
                let request = String::from_utf8_lossy(&request[..count]).to_lowercase();
                assert!(request.starts_with("head / http/1.1") && !request.contains("authorization"), "{request}");
                stream.write_all(b"HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n").await.expect("written");
            }
        });
        (ca_pem, CertificateLook { url, ca_pem: None, timeout: Duration::from_secs(5) })
    }

    #[tokio::test]
    async fn a_certificate_is_looked_at_anew_each_time() {
        let (ca_pem, look) = tls(&[2096, 2097]).await;
        let look = CertificateLook { ca_pem: Some(ca_pem), ..look };
        for year in [2096, 2097] {
            let shown = certificate(&look).await.expect("a certificate");
            assert_eq!(shown.not_after.to_string(), format!("{year}-02-03T00:00:00Z"));
            assert!(shown.subject.contains("CN=search1"), "{}", shown.subject);
        }
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_or_has_ended_is_denied() {
        let (ca_pem, look) = tls(&[2096, 2001]).await;
        let error = certificate(&look).await.expect_err("nobody knows its authority");
        assert_eq!(error.kind, ReachErrorKind::Denied, "{error:?}");
        assert!(error.hint.is_some_and(|hint| hint.contains("not trusted")));
        let error = certificate(&CertificateLook { ca_pem: Some(ca_pem), ..look }).await.expect_err("it has ended");
        assert_eq!(error.kind, ReachErrorKind::Denied, "{error:?}");
        assert!(error.got.to_lowercase().contains("expired"), "{error:?}");
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
        let url = format!("https://{closed}");
        let nobody = CertificateLook { url, ca_pem: None, timeout: Duration::from_secs(5) };
        assert_eq!(certificate(&nobody).await.expect_err("closed").kind, ReachErrorKind::Unreachable);
    }
}
