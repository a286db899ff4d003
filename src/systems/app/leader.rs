//! Asking the cluster service of a site which host leads.

use serde_json::Value;

use super::AppSettings;
use super::settings::scope;
use crate::model::{Failure, FailureKind, HostName};
use crate::port::{HttpRequest, HttpResponse, Method};
use crate::runbook::render;
use crate::systems::StepContext;

/// Who leads a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leader {
    /// This name, and the host of the site it means, if it means one.
    Named(String, Option<HostName>),
    /// The service answered that nobody does, or could not be asked: why.
    Nobody(String),
}

/// Asks the configured leader address; nothing when there is none.
///
/// # Errors
/// When the address cannot be rendered, and when the step is to stop.
pub(super) async fn ask(cx: &StepContext, settings: &AppSettings) -> Result<Option<Leader>, Failure> {
    let Some(request) = request(cx, settings)? else { return Ok(None) };
    let site = cx.site()?;
    let response = cx.unless_cancelled(&format!("ask {request}"), cx.reach.http(&request)).await?;
    let name = match response {
        Ok(response) => leader_in(&response, &settings.leader_field),
        Err(error) => Err(error.got),
    };
    Ok(Some(match name {
        Ok(name) => {
            let mut hosts = cx.estate.hosts_with_role(site, Some(&settings.role));
            let meant = hosts.find(|(host, found)| {
                host.as_str() == name
                    || found.address.as_deref() == Some(name.as_str())
                    || format!("{site}-{host}") == name
            });
            Leader::Named(name, meant.map(|(host, _)| host.clone()))
        }
        Err(problem) => Leader::Nobody(format!("{}: {problem}", request.url)),
    }))
}

/// The request that names the leader; nothing when no address is configured.
///
/// # Errors
/// When the address cannot be rendered.
pub(super) fn request(cx: &StepContext, settings: &AppSettings) -> Result<Option<HttpRequest>, Failure> {
    let Some(template) = &settings.leader_url else { return Ok(None) };
    let site = cx.site()?;
    let url = render(template, &scope(cx, site, None)).map_err(|error| {
        Failure::new(FailureKind::Invalid, format!("make the leader address of {site}"), error.to_string())
            .hint("known is `site`")
    })?;
    let ca_pem = settings.health.as_ref().and_then(|health| health.ca_pem.clone());
    Ok(Some(HttpRequest { ca_pem, ..HttpRequest::new(Method::Get, url) }))
}

/// The leader's name in an answer.
///
/// # Errors
/// Why there is none.
pub(super) fn leader_in(response: &HttpResponse, field: &str) -> Result<String, String> {
    let json: Value = response.json().map_err(|_| format!("status {}, no JSON", response.status))?;
    let found = if field.starts_with('/') { json.pointer(field) } else { json.get(field) };
    match found {
        Some(Value::String(name)) if response.is_success() && !name.is_empty() => Ok(name.clone()),
        _ => Err(format!("status {}, no leader at `{field}`: {}", response.status, response.excerpt())),
    }
}
