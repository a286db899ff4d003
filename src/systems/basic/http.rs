//! `basic.http`: a request that the operator wrote, and what its answer must be.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{Failure, FailureKind, SafeText, SecretSource, Span};
use crate::port::{HttpAuth, HttpRequest, HttpResponse, Method};
use crate::systems::{Step, StepContext, StepDone};

/// Sends one request from this machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicHttp {
    /// The method.
    #[serde(default)]
    method: Verb,
    /// The whole address.
    url: String,
    /// A JSON body.
    #[serde(default)]
    body: Option<Value>,
    /// Where the value of the `Authorization` header is read from, for example a file that holds `Bearer …`.
    #[serde(default)]
    auth: Option<SecretSource>,
    /// PEM certificates of the authority that signed the server's certificate, when it is none that everybody trusts.
    #[serde(default)]
    ca_pem: Option<String>,
    /// The statuses that count as good; any 2xx when left out.
    #[serde(default)]
    expect_status: Vec<u16>,
    /// What the JSON answer must hold: JSON pointers and the value at each, for example `{ "/status" = "up" }`.
    #[serde(default)]
    expect: BTreeMap<String, Value>,
    /// How long the answer may take.
    #[serde(default = "BasicHttp::default_answer_within")]
    answer_within: Span,
}

/// The methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    /// Read.
    #[default]
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

impl BasicHttp {
    const fn default_answer_within() -> Span {
        Span::seconds(30)
    }

    fn request(&self) -> HttpRequest {
        let method = match self.method {
            Verb::Get => Method::Get,
            Verb::Put => Method::Put,
            Verb::Post => Method::Post,
            Verb::Delete => Method::Delete,
            Verb::Head => Method::Head,
        };
        let request = HttpRequest::new(method, &self.url).timeout(self.answer_within.0);
        let request = HttpRequest { ca_pem: self.ca_pem.clone(), ..request };
        match &self.body {
            Some(body) => request.json(body.clone()),
            None => request,
        }
    }

    fn only_reads(&self) -> bool {
        matches!(self.method, Verb::Get | Verb::Head)
    }

    /// Whether the answer is as wanted.
    fn judge(&self, tried: &str, response: &HttpResponse) -> Result<(), Failure> {
        let good = match self.expect_status.as_slice() {
            [] => response.is_success(),
            statuses => statuses.contains(&response.status),
        };
        if !good {
            let kind = if matches!(response.status, 429 | 503) && self.only_reads() {
                FailureKind::Busy
            } else {
                FailureKind::Refused
            };
            return Err(Failure::new(kind, tried, format!("status {}: {}", response.status, response.excerpt())));
        }
        if self.expect.is_empty() {
            return Ok(());
        }
        let mismatch = |got: String| Failure::new(FailureKind::Mismatch, tried, got);
        let json: Value = response.json().map_err(|error| {
            mismatch(format!("status {}, but no JSON ({error}): {}", response.status, response.excerpt()))
        })?;
        let wrong: Vec<String> = self
            .expect
            .iter()
            .filter(|(pointer, value)| json.pointer(pointer) != Some(*value))
            .map(|(pointer, value)| match json.pointer(pointer) {
                Some(found) => format!("{pointer} is {found} in place of {value}"),
                None => format!("there is nothing at {pointer}, where {value} was expected"),
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(mismatch(wrong.join("\n"))) }
    }
}

#[async_trait]
impl Step for BasicHttp {
    async fn preview(&self, _cx: &StepContext) -> Result<Vec<SafeText>, Failure> {
        Ok(vec![self.request().to_string().into()])
    }

    async fn run(&self, cx: &StepContext) -> Result<StepDone, Failure> {
        let mut request = self.request();
        let tried = format!("send {request}");
        if let Some(source) = &self.auth {
            let secret =
                cx.reach.secret(source).await.map_err(|error| error.while_reading("read the proof of identity"))?;
            request.auth = Some(HttpAuth::Header(secret));
        }
        cx.check_cancelled(&tried)?;
        let response = if self.only_reads() {
            let asked = cx.unless_cancelled(&tried, cx.reach.http(&request)).await?;
            asked.map_err(|error| error.while_reading(&tried))?
        } else {
            // Not raced against a stop: once sent, only its answer tells what it did.
            cx.reach.http(&request).await.map_err(|error| error.while_changing(&tried))?
        };
        cx.output(&response.body);
        self.judge(&tried, &response)?;
        cx.say(format!("status {}", response.status));
        Ok(StepDone::new().capture("status", response.status))
    }
}
