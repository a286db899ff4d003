//! Names and identifiers, each its own type so that a host can never be passed where a site is meant.
//!
//! Every name that a person writes obeys one strict rule (see [`InvalidName`]), because names reach ssh command
//! lines, file paths and prompts: a name that cannot be confused there needs no quoting rule of its own.
//!
//! Names are shared, not copied: the engine looks at every unit of a plan after every event.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a name: names are 1 to 64 characters of `a-z A-Z 0-9 . _ -` and start with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: use 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-`, starting with a letter or digit")]
pub struct InvalidName {
    what: &'static str,
    text: String,
}

/// The rule for names as a regular expression, for the JSON Schemas.
pub const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

fn check_name(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let mut chars = text.chars();
    let starts_well = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let goes_on_well = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if starts_well && goes_on_well && text.len() <= 64 {
        Ok(())
    } else {
        Err(InvalidName { what, text: text.escape_debug().to_string() })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            /// [`InvalidName`] when the text breaks the rule for names.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                check_name($what, &text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// One of the two places, for example `prod`.
    SiteName, "site name";
    /// A host of a site, for example `app1`. Unique within its site only.
    HostName, "host name";
    /// A named system that exists at both sites, for example `search`.
    ServiceName, "service name";
    /// A stage of a runbook.
    StageId, "stage id";
    /// A step of a stage. Unique within the whole runbook, because captures name it without its stage.
    StepId, "step id";
    /// A theme of the screen.
    ThemeName, "theme name";
    /// Where runs are started from: a state folder of a machine, whose lock lets one process at a time act on an estate.
    ConsoleId, "console id";
    /// One dated state of all stores together. Lower case, so that it is a legal snapshot name too.
    PointId, "restore point id";
    /// One execution of a plan.
    RunId, "run id";
}

impl ThemeName {
    /// The theme that holds when nobody has chosen one.
    #[must_use]
    pub fn standard() -> Self {
        Self("dark".into())
    }
}

/// A step within its stage: the stable identity that the journal, the screen and the user's selection use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct StepKey {
    /// The stage that holds the step.
    pub stage: StageId,
    /// The step.
    pub step: StepId,
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.stage, self.step))
    }
}

impl From<StepKey> for String {
    fn from(key: StepKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for StepKey {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        let (stage, step) =
            text.split_once('/').ok_or_else(|| InvalidName { what: "step key (stage/step)", text: text.clone() })?;
        Ok(Self { stage: StageId::new(stage)?, step: StepId::new(step)? })
    }
}

/// One thing that is started: a step at one of the places it runs at.
///
/// A step that runs on three hosts is three units; each has its own attempts, output and ending.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct UnitKey {
    /// The step.
    pub step: StepKey,
    /// The site it acts on, or nothing for a step of the console itself.
    pub site: Option<SiteName>,
    /// The host, for a step that runs once per host.
    pub host: Option<HostName>,
}

impl UnitKey {
    /// A form that is safe as a file or folder name and in a job name: no slash, no `@`.
    #[must_use]
    pub fn file_stem(&self) -> String {
        self.to_string().replace(['/', '@', ':'], "~")
    }
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (&self.site, &self.host) {
            (Some(site), Some(host)) => format!("{}@{site}:{host}", self.step),
            (Some(site), None) => format!("{}@{site}", self.step),
            (None, _) => self.step.to_string(),
        };
        f.pad(&text)
    }
}

impl From<UnitKey> for String {
    fn from(key: UnitKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for UnitKey {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        let (step, place) = match text.split_once('@') {
            Some((step, place)) => (step, Some(place)),
            None => (text.as_str(), None),
        };
        let step = StepKey::try_from(step.to_owned())?;
        let (site, host) = match place.map(|p| p.split_once(':').map_or((p, None), |(s, h)| (s, Some(h)))) {
            None => (None, None),
            Some((site, host)) => (Some(SiteName::new(site)?), host.map(HostName::new).transpose()?),
        };
        Ok(Self { step, site, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_options_paths_or_look_alikes_are_refused() {
        for bad in ["", "-oProxyCommand=x", "a b", "a/b", "..", "a\n", "рrod", &"x".repeat(65)] {
            assert!(SiteName::new(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["prod", "bcp-2", "app1.example", "A_b"] {
            assert!(SiteName::new(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn unit_keys_survive_being_written_and_read() {
        for text in ["stage/step", "stage/step@prod", "stage/step@prod:app1"] {
            let key = UnitKey::try_from(text.to_owned()).expect("a valid key");
            assert_eq!(key.to_string(), text);
        }
    }
}
