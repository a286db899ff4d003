//! The snapshot repository of a direction: registered for writing at the source, read-only at the target, and never
//! for writing at both.

use std::path::Path;

use serde_json::{Value, json};

use super::answers::{Repositories, Repository};
use super::ask::Ask;
use super::client::Client;
use super::dialect::Dialect;
use crate::model::{Direction, Failure, FailureKind, ServiceName, SiteName};
use crate::points::Tree;
use crate::port::Command;
use crate::systems::{StepContext, remote};

/// What a cluster may do with the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Take snapshots.
    Writer,
    /// Restore from it.
    Reader,
}

/// The repository as a cluster should have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its name, the same at both clusters, and another one in the other direction.
    pub name: String,
    /// Where it is, as the cluster's nodes see it.
    pub location: String,
    /// What the cluster may do.
    pub role: Role,
    /// How fast, if the estate says so.
    pub rate: Option<String>,
}

/// What to do about the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is as it should be.
    Ready,
    /// It must be made, or brought up to date.
    Needed,
}

/// The name of the repository of a direction.
#[must_use]
pub fn name(direction: &Direction, service: &ServiceName) -> String {
    format!("changeover-{}-{service}", direction.tree_name())
}

impl Wanted {
    /// The repository of the run's direction as the cluster of `client` should have it.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn new(cx: &StepContext, client: &Client, service: &ServiceName, role: Role) -> Result<Self, Failure> {
        let tree = match &client.settings.repository_path {
            Some(base) => Tree::new(base, &cx.direction),
            None => cx.tree(&client.site)?,
        };
        let rate = match role {
            Role::Writer => client.settings.snapshot_rate.clone(),
            Role::Reader => client.settings.restore_rate.clone(),
        };
        let location = remote::path_arg(&tree.search_repository(service))?;
        Ok(Self { name: name(&cx.direction, service), location, role, rate })
    }

    fn rate_setting(&self) -> &'static str {
        match self.role {
            Role::Writer => "max_snapshot_bytes_per_sec",
            Role::Reader => "max_restore_bytes_per_sec",
        }
    }

    fn settings(&self) -> Value {
        let mut settings = json!({"location": self.location});
        if self.role == Role::Reader {
            settings["readonly"] = json!(true);
        }
        if let Some(rate) = &self.rate {
            settings[self.rate_setting()] = json!(rate);
        }
        settings
    }

    /// The request that registers it.
    #[must_use]
    pub fn ask(&self, dialect: Dialect) -> Ask {
        Ask::register(dialect, &self.name, &self.settings())
    }

    /// What to do, given what is registered at the cluster.
    ///
    /// # Errors
    /// Why it must not be touched, with advice.
    pub fn judge(&self, registered: &Repositories) -> Result<Registration, Objection> {
        let others = registered.iter().filter(|(name, _)| **name != self.name);
        for (other, repository) in others {
            if writes_to(repository, &self.location) {
                return Err(Objection {
                    why: format!("{} is registered for writing there under another name, `{other}`", self.location),
                    what_to_do: format!("remove that registration (DELETE /_snapshot/{other}; the snapshots stay)"),
                });
            }
        }
        let Some(repository) = registered.get(&self.name) else { return Ok(Registration::Needed) };
        let found = repository.setting("location").unwrap_or_default();
        let remove = format!(
            "if nobody needs it so, DELETE /_snapshot/{} there and start again (the snapshots stay)",
            self.name
        );
        if repository.kind != "fs" || !same_path(&found, &self.location) {
            let why = format!(
                "repository {} is registered there as {} at `{found}`, and should be fs at `{}`",
                self.name, repository.kind, self.location
            );
            return Err(Objection { why, what_to_do: remove });
        }
        match (self.role, is_readonly(repository)) {
            (Role::Writer, true) => Err(Objection {
                why: format!("repository {} is registered there read-only: this cluster was the reader", self.name),
                what_to_do: format!("make sure that no other cluster writes to it; {remove}"),
            }),
            (Role::Reader, false) => Err(Objection {
                why: format!("repository {} is registered there for writing, and only the source may write", self.name),
                what_to_do: format!("make sure that this is the standby; {remove}"),
            }),
            _ if repository.setting(self.rate_setting()) == self.rate => Ok(Registration::Ready),
            _ => Ok(Registration::Needed),
        }
    }

    /// Registers it unless it is registered, and reads it back. Returns whether something was changed.
    ///
    /// # Errors
    /// `Rule` when the registration that is there must not be touched.
    pub async fn ensure(&self, client: &Client, dialect: Dialect) -> Result<bool, Failure> {
        let tried = format!("register repository {} at {}", self.name, client.site);
        let found = registered(client).await?;
        if self.judge(&found).map_err(|objection| objection.failure(&tried))? == Registration::Ready {
            return Ok(false);
        }
        client.done(&self.ask(dialect), &tried).await?;
        let found = registered(client).await?;
        match self.judge(&found).map_err(|objection| objection.failure(&tried))? {
            Registration::Ready => Ok(true),
            Registration::Needed => Err(Failure::new(
                FailureKind::Refused,
                &tried,
                "the server accepted it, but shows it otherwise when read back",
            )
            .hint(format!("look at GET {}/_snapshot/{}", client.url(), self.name))),
        }
    }
}

/// Why a registration must not be touched or used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// What is wrong.
    pub why: String,
    /// What a person can do.
    pub what_to_do: String,
}

impl Objection {
    /// The failure of a step that met it.
    #[must_use]
    pub fn failure(&self, tried: &str) -> Failure {
        Failure::new(FailureKind::Rule, tried, &self.why).hint(&self.what_to_do)
    }
}

/// Every repository registered at a cluster.
///
/// # Errors
/// When it cannot be asked.
pub async fn registered(client: &Client) -> Result<Repositories, Failure> {
    client.fetch(&Ask::repositories(), "list the snapshot repositories").await
}

/// The registration at the other cluster that breaks the rule of one writer: the name under which it may write to
/// `location` (as that cluster sees the place), or to the repository of this direction.
#[must_use]
pub fn second_writer(registered: &Repositories, name: &str, location: &str) -> Option<String> {
    registered
        .iter()
        .find(|(found, repository)| {
            writes_to(repository, location) || (*found == name && repository.kind == "fs" && !is_readonly(repository))
        })
        .map(|(found, _)| found.clone())
}

fn writes_to(repository: &Repository, location: &str) -> bool {
    let at = repository.setting("location").unwrap_or_default();
    repository.kind == "fs" && !is_readonly(repository) && same_path(&at, location)
}

fn is_readonly(repository: &Repository) -> bool {
    // Also spelled `read_only` by hand-written requests that the servers silently ignore: only this one counts.
    repository.setting("readonly").as_deref() == Some("true")
}

/// True for two spellings of one path: components are compared, so that `//` and a final slash do not matter.
fn same_path(left: &str, right: &str) -> bool {
    Path::new(left).components().eq(Path::new(right).components())
}

/// Makes the folder of the repository on the exchange tree of `site`, writable for the group, so that the nodes' own
/// user can write there. Does nothing to a folder that is there.
///
/// # Errors
/// When the host cannot be asked, or refuses.
pub async fn make_folder(cx: &StepContext, site: &SiteName, service: &ServiceName) -> Result<(), Failure> {
    let place = cx.exchange_place(site)?;
    let path = remote::path_arg(&cx.tree(site)?.search_repository(service))?;
    let mkdir = Command::new("mkdir").args(["-p", "-m", "2775", &path]);
    remote::change(cx, &place, &crate::port::Pipeline::from(mkdir).umask(0o002)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(value: Value) -> Repositories {
        serde_json::from_value(value).expect("repositories")
    }

    fn wanted(role: Role) -> Wanted {
        Wanted { name: "r".into(), location: "/mnt/x/r".into(), role, rate: None }
    }

    #[test]
    fn only_a_fitting_registration_is_used() {
        use Registration::{Needed, Ready};
        let writer = json!({"r": {"type": "fs", "settings": {"location": "/mnt/x/r/"}}});
        // As both products answer: values are text.
        let reader = json!({"r": {"type": "fs", "settings": {"readonly": "true", "location": "/mnt/x/r"}}});
        let elsewhere = json!({"r": {"type": "fs", "settings": {"location": "/mnt/y/r"}}});
        let bucket = json!({"r": {"type": "s3", "settings": {"bucket": "b"}}});
        let other = json!({"old": {"type": "fs", "settings": {"location": "/mnt/x/r"}}});
        let other_reader = json!({"old": {"type": "fs", "settings": {"location": "/mnt/x/r", "readonly": "true"}}});
        for (role, found, result) in [
            (Role::Writer, json!({}), Ok(Needed)),
            (Role::Writer, writer.clone(), Ok(Ready)),
            (Role::Writer, reader.clone(), Err("read-only")),
            (Role::Writer, elsewhere, Err("`/mnt/y/r`")),
            (Role::Writer, bucket, Err("as s3")),
            (Role::Writer, other.clone(), Err("another name, `old`")),
            (Role::Reader, json!({}), Ok(Needed)),
            (Role::Reader, reader, Ok(Ready)),
            (Role::Reader, writer, Err("only the source may write")),
            (Role::Reader, other, Err("another name, `old`")),
            (Role::Reader, other_reader, Ok(Needed)),
        ] {
            let judged = wanted(role).judge(&registered(found.clone()));
            match (result, judged) {
                (Ok(want), Ok(got)) => assert_eq!(want, got, "{role:?} {found}"),
                (Err(said), Err(objection)) => assert!(objection.why.contains(said), "{}", objection.why),
                (want, got) => panic!("{role:?} {found}: {want:?} {got:?}"),
            }
        }
    }

    #[test]
    fn a_new_rate_is_registered_anew() {
        let found = registered(
            json!({"r": {"type": "fs", "settings": {"location": "/mnt/x/r", "max_snapshot_bytes_per_sec": "40mb"}}}),
        );
        let fast = |rate: Option<&str>| Wanted { rate: rate.map(str::to_owned), ..wanted(Role::Writer) };
        assert_eq!(fast(Some("40mb")).judge(&found), Ok(Registration::Ready));
        assert_eq!(fast(Some("80mb")).judge(&found), Ok(Registration::Needed));
        assert_eq!(fast(None).judge(&found), Ok(Registration::Needed));
    }

    #[test]
    fn a_second_writer_is_found_by_place_and_by_name() {
        for (found, name) in [
            (json!({}), None),
            (json!({"r": {"type": "fs", "settings": {"location": "/mnt/x/r", "readonly": "true"}}}), None),
            (json!({"z": {"type": "fs", "settings": {"location": "/mnt/x/r"}}}), Some("z")),
            (json!({"r": {"type": "fs", "settings": {"location": "/elsewhere"}}}), Some("r")),
            (json!({"z": {"type": "fs", "settings": {"location": "/elsewhere"}}}), None),
        ] {
            assert_eq!(second_writer(&registered(found), "r", "/mnt/x/r").as_deref(), name);
        }
    }
}
