//! The client of one cluster: picks a node that answers, sends, and turns refusals into failures. It retries reads at
//! the next node and never repeats a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{LocalMaster, LocalNodes, Root};
use super::ask::Ask;
use super::dialect::{Dialect, Flavour, Version};
use super::refusal::ServerError;
use super::settings::Settings;
use crate::model::{Failure, FailureKind, ServiceName, SiteName};
use crate::port::{HttpAuth, HttpRequest, HttpResponse, Reach, ReachError, ReachErrorKind};
use crate::systems::StepContext;

/// A cluster, ready to be asked.
pub struct Client {
    reach: Arc<dyn Reach>,
    /// Where the cluster is, for messages.
    pub site: SiteName,
    /// What the estate says.
    pub settings: Settings,
    auth: Option<HttpAuth>,
    current: AtomicUsize,
}

/// What a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Product and version.
    pub dialect: Dialect,
    /// Which cluster it is, whatever address it was reached by.
    pub cluster_uuid: String,
    /// The node id of its elected master, as the node that answered sees it.
    pub master: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What was asked, and where.
    asked: String,
    body: Vec<u8>,
}

impl Client {
    /// The client of `service` at `site`; reads the credentials, asks the cluster nothing yet.
    ///
    /// # Errors
    /// When the settings or the credentials do not fit.
    pub async fn new(cx: &StepContext, service: &ServiceName, site: &SiteName) -> Result<Self, Failure> {
        let settings: Settings = cx.settings_of(service, site)?;
        let tried = format!("read the credentials of service {service} at {site}");
        let secret = async |source| cx.reach.secret(source).await.map_err(|error| error.while_reading(&tried));
        let auth = match (&settings.user, &settings.password, &settings.api_key) {
            (None, None, None) => None,
            (Some(user), Some(password), None) => Some(HttpAuth::Basic(user.clone(), secret(password).await?)),
            (None, None, Some(key)) => {
                let key = secret(key).await?;
                if key.expose().contains(':') {
                    return Err(Failure::new(FailureKind::Invalid, &tried, "the API key is in the form id:key")
                        .hint("keep the key in the `encoded` form that the server gave when it made the key"));
                }
                let header = format!("ApiKey {}", key.expose());
                Some(HttpAuth::Header(crate::model::Secret::new(header)))
            }
            _ => {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    &tried,
                    "`user` and `password` belong together, and `api_key` excludes both",
                )
                .hint(format!("correct [services.{service}] in the estate")));
            }
        };
        Ok(Self { reach: Arc::clone(&cx.reach), site: site.clone(), settings, auth, current: AtomicUsize::new(0) })
    }

    /// The same cluster, asked at these of its nodes only.
    #[must_use]
    pub fn only(mut self, urls: Vec<String>) -> Self {
        self.settings.urls = urls;
        self.current = AtomicUsize::new(0);
        self
    }

    fn request(&self, url: &str, ask: &Ask) -> HttpRequest {
        HttpRequest {
            auth: self.auth.clone(),
            ca_pem: self.settings.ca_pem.clone(),
            body: ask.body.clone(),
            ..HttpRequest::new(ask.method, format!("{url}{}", ask.path)).timeout(ask.timeout)
        }
    }

    /// How a request to this cluster shows in a preview: with the address that would be tried first.
    #[must_use]
    pub fn shown(&self, ask: &Ask) -> String {
        self.request(self.url(), ask).to_string()
    }

    /// The address that is in use.
    #[must_use]
    pub fn url(&self) -> &str {
        let urls = &self.settings.urls;
        urls.get(self.current.load(Ordering::Relaxed)).or(urls.first()).map_or("", String::as_str)
    }

    /// Asks something that may be asked twice. A node that does not answer, or answers with an error of a gateway or of a
    /// lost master, is left for the next one.
    ///
    /// # Errors
    /// `Unreachable` when no node answers.
    pub async fn read(&self, ask: &Ask, tried: &str) -> Result<Answer, Failure> {
        let urls = &self.settings.urls;
        let first = self.current.load(Ordering::Relaxed);
        let mut last_answer = None;
        let mut last_error = None;
        for offset in 0..urls.len() {
            let index = (first + offset) % urls.len();
            let request = self.request(&urls[index], ask);
            match self.reach.http(&request).await {
                Ok(response) if matches!(response.status, 502..=504) => {
                    last_answer = Some(Answer::new(&request, response));
                }
                Ok(response) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(Answer::new(&request, response));
                }
                Err(error) => last_error = Some(error),
            }
        }
        match (last_answer, last_error) {
            (Some(answer), _) => Ok(answer),
            (None, Some(error)) => Err(self.none_answers(error.while_reading(tried))),
            (None, None) => Err(Failure::new(FailureKind::Invalid, tried, "the service has no address")),
        }
    }

    /// Asks one node by its address, and no other.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn read_at(&self, url: &str, ask: &Ask) -> Result<Answer, ReachError> {
        let request = self.request(url, ask);
        self.reach.http(&request).await.map(|response| Answer::new(&request, response))
    }

    /// Asks for a change, once. Only an address at which nothing was sent is left for the next one.
    ///
    /// # Errors
    /// `Unknown` when the answer was lost, or a gateway answered in place of the server; `Unreachable` when no node was
    /// reached.
    pub async fn change(&self, ask: &Ask, tried: &str) -> Result<Answer, Failure> {
        let urls = &self.settings.urls;
        let first = self.current.load(Ordering::Relaxed);
        let mut last = Failure::new(FailureKind::Invalid, tried, "the service has no address");
        for offset in 0..urls.len() {
            let index = (first + offset) % urls.len();
            let request = self.request(&urls[index], ask);
            match self.reach.http(&request).await {
                Ok(response) => {
                    self.current.store(index, Ordering::Relaxed);
                    let answer = Answer::new(&request, response);
                    let from_gateway = matches!(answer.status, 502 | 504) && answer.error().kind.is_empty();
                    return if from_gateway {
                        Err(Failure::new(FailureKind::Unknown, answer.tried(tried), answer.error().to_string())
                            .hint("a gateway answered in place of the server; name the nodes themselves in `urls`"))
                    } else {
                        Ok(answer)
                    };
                }
                Err(error) if error.kind == ReachErrorKind::Unreachable => {
                    last = self.none_answers(error.while_changing(tried));
                }
                Err(error) => return Err(error.while_changing(tried)),
            }
        }
        Err(last)
    }

    fn none_answers(&self, failure: Failure) -> Failure {
        let failure = Failure {
            tried: crate::model::SafeText::block(&format!("{} ({})", failure.tried.as_str(), self.site)),
            ..failure
        };
        if failure.hint.is_some() {
            return failure;
        }
        failure.hint(format!("none of {} answers; see whether the cluster runs", self.settings.urls.join(", ")))
    }

    /// Asks and decodes; anything but 2xx is a failure.
    ///
    /// # Errors
    /// As [`Client::read`], and what the server refused.
    pub async fn fetch<T: DeserializeOwned>(&self, ask: &Ask, tried: &str) -> Result<T, Failure> {
        self.read(ask, tried).await?.decode(tried)
    }

    /// Asks for a change and expects 2xx.
    ///
    /// # Errors
    /// As [`Client::change`], and what the server refused.
    pub async fn done(&self, ask: &Ask, tried: &str) -> Result<Answer, Failure> {
        self.change(ask, tried).await?.accepted(tried)
    }

    /// What this cluster is.
    ///
    /// # Errors
    /// When it cannot be asked or says nothing that can be understood.
    pub async fn identify(&self) -> Result<Identity, Failure> {
        let tried = "identify the search cluster";
        let root = self.read(&Ask { timeout: Duration::from_secs(15), ..Ask::root() }, tried).await?;
        let root: Option<Root> = match root.status {
            // A server with tight privileges, or without the module that shows it.
            401 if self.auth.is_some() => return Err(root.refusal(tried)),
            403..=405 => None,
            _ => Some(root.decode(tried)?),
        };
        let named = root.map(|root| (root.version.number, root.version.distribution));
        let known = named.as_ref().and_then(|(number, distribution)| Dialect::named(number, distribution.as_deref()));
        let dialect = if let Some(dialect) = known {
            dialect
        } else {
            let nodes: LocalNodes = self.fetch(&Ask::local_node(), tried).await?;
            let number = nodes.nodes.into_values().next().map(|node| node.version).unwrap_or_default();
            let distribution = named.and_then(|(_, distribution)| distribution);
            Dialect::named(&number, distribution.as_deref()).ok_or_else(|| {
                Failure::new(
                    FailureKind::Refused,
                    format!("{tried} at {}", self.url()),
                    format!("version `{number}` is not one that this program knows"),
                )
                .hint("Elasticsearch 6 to 9 and OpenSearch 1 to 3 are supported")
            })?
        };
        let seen: LocalMaster = self.fetch(&Ask::master_seen_locally(), tried).await?;
        if seen.cluster_uuid.is_empty() || seen.cluster_uuid == "_na_" {
            return Err(Failure::new(
                FailureKind::Busy,
                format!("{tried} at {}", self.url()),
                "the cluster has not formed yet: it has no cluster_uuid",
            )
            .hint("wait until it has an elected master, or look why its nodes do not find each other"));
        }
        Ok(Identity { dialect, cluster_uuid: seen.cluster_uuid, master: seen.master_node })
    }
}

impl Dialect {
    /// Product and version from what a server says of itself; nothing when the version has to be asked for elsewhere,
    /// or is not supported. OpenSearch can be told to answer `7.10.2` at its root for the sake of old clients.
    pub fn named(number: &str, distribution: Option<&str>) -> Option<Self> {
        let version = Version::try_from(number.to_owned()).ok()?;
        let flavour = match (distribution, version.0) {
            (Some("opensearch") | None, 1..=3) => Flavour::OpenSearch,
            (None, 6..=9) => Flavour::Elasticsearch,
            _ => return None,
        };
        Some(Self { flavour, version })
    }
}

impl Answer {
    fn new(request: &HttpRequest, response: HttpResponse) -> Self {
        Self { status: response.status, asked: format!("{} {}", request.method, request.url), body: response.body }
    }

    fn tried(&self, tried: &str) -> String {
        format!("{tried} ({})", self.asked)
    }

    /// True for 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the server complains about.
    #[must_use]
    pub fn error(&self) -> ServerError {
        ServerError::read(self.status, &self.body)
    }

    /// The failure of a step that met this refusal.
    #[must_use]
    pub fn refusal(&self, tried: &str) -> Failure {
        self.error().failure(&self.tried(tried))
    }

    /// The same answer when it is 2xx.
    ///
    /// # Errors
    /// What the server refused.
    pub fn accepted(self, tried: &str) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.refusal(tried)) }
    }

    /// The decoded body of a 2xx answer.
    ///
    /// # Errors
    /// What the server refused, or a body that cannot be understood.
    pub fn decode<T: DeserializeOwned>(&self, tried: &str) -> Result<T, Failure> {
        if self.is_success() { self.decode_any(tried) } else { Err(self.refusal(tried)) }
    }

    /// The decoded body, whatever the status: a health that was not reached in time comes with 408 and a full body.
    ///
    /// # Errors
    /// A body that cannot be understood.
    pub fn decode_any<T: DeserializeOwned>(&self, tried: &str) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let start: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
            Failure::new(
                FailureKind::Refused,
                self.tried(tried),
                format!("status {}, and an answer that cannot be understood ({error}): {start}", self.status),
            )
            .hint("is this the address of a search node, and not of a proxy or another program?")
        })
    }

    /// The body as a free value; `null` when it is not JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
