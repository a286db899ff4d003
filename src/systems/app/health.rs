//! The health address of the application: the request, and what an answer means. Pure but for [`Health::ask`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::settings::scope;
use crate::model::{Failure, FailureKind, HostName, Span};
use crate::port::{HttpRequest, HttpResponse, Method, ReachErrorKind};
use crate::runbook::render;
use crate::systems::StepContext;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How the application says that it is well.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "HealthForm")]
#[schemars(with = "HealthForm")]
pub struct Health {
    /// The address.
    pub url: String,
    /// The status of a good answer.
    pub expect_status: u16,
    /// What must be in the JSON of a good answer: a pointer and the value there.
    pub expect: Option<(String, Value)>,
    /// How long it may take until it is well after a restart or start.
    pub within: Span,
    /// PEM certificates of the authority to trust beside the usual ones.
    pub ca_pem: Option<String>,
}

/// How health is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HealthForm {
    /// The address; may use `{{ host.address }}`, `{{ host.name }}` and `{{ site }}`.
    url: String,
    /// The status of a good answer.
    #[serde(default = "HealthForm::default_status")]
    expect_status: u16,
    /// A JSON pointer into the answer, for example `/status`; the application is well only when `value` is there.
    #[serde(default)]
    field: Option<String>,
    /// The value that must be at `field`.
    #[serde(default)]
    value: Option<Value>,
    /// How long it may take until it is well after a restart or start.
    #[serde(default = "HealthForm::default_within")]
    within: Span,
    /// PEM certificates of the authority that signed the application's certificates, when it is one of your own. Counts
    /// for `leader_url` too.
    #[serde(default)]
    ca_pem: Option<String>,
}

impl HealthForm {
    const fn default_status() -> u16 {
        200
    }

    const fn default_within() -> Span {
        Span::seconds(60)
    }
}

impl TryFrom<HealthForm> for Health {
    type Error = String;

    fn try_from(form: HealthForm) -> Result<Self, String> {
        let expect = match (form.field, form.value) {
            (None, None) => None,
            (Some(field), Some(_)) if !field.starts_with('/') => {
                return Err(format!("`field` is a JSON pointer: write `/{field}`"));
            }
            (Some(field), Some(value)) => Some((field, value)),
            (Some(_), None) => return Err("`field` needs the `value` that must be there".to_owned()),
            (None, Some(_)) => return Err("`value` needs the `field` it must be in".to_owned()),
        };
        Ok(Self { url: form.url, expect_status: form.expect_status, expect, within: form.within, ca_pem: form.ca_pem })
    }
}

/// What one host's health address said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Nothing when it is well; else why not, every store that is not up included.
    pub(super) problem: Option<String>,
    /// Stores that are not up although the answer counts as well.
    pub(super) limping: Vec<String>,
    /// The version, when the JSON says one.
    pub(super) version: Option<String>,
    /// True when nothing answered at all.
    pub(super) silent: bool,
}

impl Answer {
    /// That nothing came, and why.
    pub(super) fn silent(why: String) -> Self {
        Self { problem: Some(why), limping: Vec::new(), version: None, silent: true }
    }

    /// That asking was refused, and why: a certificate that is not trusted, a login that is not accepted.
    pub(super) fn refused(failure: &Failure) -> Self {
        let hint = failure.hint.as_ref().map_or_else(String::new, |hint| format!("\n  {hint}"));
        Self { silent: false, ..Self::silent(format!("{}: {}{hint}", failure.tried, failure.got)) }
    }
}

impl Health {
    /// The request to a host.
    ///
    /// # Errors
    /// When the address cannot be rendered, for example because the host has none.
    pub(super) fn request(&self, cx: &StepContext, host: &HostName) -> Result<HttpRequest, Failure> {
        let site = cx.site()?;
        let url = render(&self.url, &scope(cx, site, Some(host))).map_err(|error| {
            Failure::new(FailureKind::Invalid, format!("make the health address of {site}:{host}"), error.to_string())
                .hint("known are `host.address`, `host.name` and `site`; give the host an `address` in the estate")
        })?;
        Ok(HttpRequest { ca_pem: self.ca_pem.clone(), ..HttpRequest::new(Method::Get, url).timeout(ANSWER) })
    }

    /// Asks a host once.
    ///
    /// # Errors
    /// When it cannot be asked for a reason that waiting does not change, and when the step is to stop.
    pub(super) async fn ask(&self, cx: &StepContext, host: &HostName) -> Result<Answer, Failure> {
        let request = self.request(cx, host)?;
        let tried = format!("ask {request}");
        match cx.unless_cancelled(&tried, cx.reach.http(&request)).await? {
            Ok(response) => Ok(self.judge(&request.url, &response)),
            Err(error) if error.kind == ReachErrorKind::Denied => Err(error.while_reading("ask for the health")),
            Err(error) => {
                let problem = format!("{} did not answer: {}", request.url, error.got);
                Ok(Answer::silent(problem))
            }
        }
    }

    /// What an answer means.
    pub(super) fn judge(&self, url: &str, response: &HttpResponse) -> Answer {
        let json: Option<Value> = response.json().ok();
        let limping = json.as_ref().map(unwell).unwrap_or_default();
        let version = json.as_ref().and_then(|json| json.get("version")?.as_str()).map(str::to_owned);
        let mut wrong = Vec::new();
        if response.status != self.expect_status {
            wrong.push(format!("{url} answered status {} in place of {}", response.status, self.expect_status));
        }
        if let Some((field, value)) = &self.expect {
            match json.as_ref().map(|json| json.pointer(field)) {
                Some(Some(found)) if found == value => {}
                Some(Some(found)) => wrong.push(format!("{url} says {field} is {found} in place of {value}")),
                Some(None) => wrong.push(format!("{url} says nothing at {field}")),
                None => wrong.push(format!("{url} answered no JSON")),
            }
        }
        if wrong.is_empty() {
            return Answer { problem: None, limping, version, silent: false };
        }
        if limping.is_empty() && !response.body.is_empty() {
            wrong.push(response.excerpt());
        }
        wrong.extend(limping);
        Answer { problem: Some(wrong.join("\n  ")), limping: Vec::new(), version, silent: false }
    }
}

/// Every part that a health answer reports as not up, as `stores/sql: down: …`.
///
/// Read are the usual shapes: an object named `stores`, `checks`, `components`, `services`, `dependencies` or `details`
/// whose members are a word, a flag, or an object with `status`, `state` or `health`.
pub(super) fn unwell(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(json, "", &mut found);
    found
}

fn collect(json: &Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(map) = json else {
        return;
    };
    for (name, value) in map {
        let Value::Object(parts) = value else {
            continue;
        };
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let lists = ["stores", "checks", "components", "services", "dependencies", "details"];
        if lists.contains(&name.to_ascii_lowercase().as_str()) {
            for (part, state) in parts {
                let word = ["status", "state", "health"].iter().find_map(|key| state.get(key)).unwrap_or(state);
                match word {
                    Value::String(word) if !is_up(word) => found.push(format!("{path}/{part}: {word}")),
                    Value::Bool(false) => found.push(format!("{path}/{part}: false")),
                    Value::Null => found.push(format!("{path}/{part}: null")),
                    _ => {}
                }
            }
        }
        collect(value, &path, found);
    }
}

fn is_up(word: &str) -> bool {
    let good = ["up", "ok", "green", "healthy", "pass", "passing", "available", "running", "alive", "good", "true"];
    good.contains(&word.trim().to_ascii_lowercase().as_str())
}
