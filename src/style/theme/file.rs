//! The types of a theme file, as written.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

use crate::model::ThemeName;
use crate::style::{Color, Ink, Scope};

/// A theme: how each scope looks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThemeFile {
    /// The name it is chosen by: that of the file.
    pub name: ThemeName,
    /// One line for people.
    pub title: String,
    /// The theme that says how the scopes look that this one leaves out; `dark` when left out. Its own name means the
    /// shipped theme that it replaces.
    #[serde(default)]
    pub extends: Option<ThemeName>,
    /// True when the theme promises to be told apart without seeing red or green. `changeover theme check` holds it to
    /// that.
    #[serde(default)]
    pub colour_blind: bool,
    /// How each scope looks. An entry replaces the whole look of its scope.
    #[serde(default)]
    pub scopes: Inks,
}

/// The scopes that a file speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, InkForm>")]
pub struct Inks(pub BTreeMap<Scope, Ink>);

impl TryFrom<BTreeMap<String, InkForm>> for Inks {
    type Error = String;
    fn try_from(written: BTreeMap<String, InkForm>) -> Result<Self, String> {
        let inks = written.into_iter().map(|(name, ink)| {
            let scope = Scope::by_name(&name).ok_or_else(|| format!("there is no scope `{}`", name.escape_debug()))?;
            Ok((scope, ink.into()))
        });
        inks.collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Inks {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scopes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ink = Value::from(generator.subschema_for::<InkForm>());
        let of = |scope: &Scope| {
            let mut schema = ink.clone();
            schema["description"] = scope.about().into();
            (scope.name().to_owned(), schema)
        };
        let properties: serde_json::Map<String, Value> = Scope::ALL.iter().map(of).collect();
        schemars::json_schema!({
            "description": "How each scope looks. An entry replaces the whole look of its scope.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// How a scope looks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ink")]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own, as terminals have them")]
pub struct InkForm {
    /// The colour of the letters.
    #[serde(default)]
    fg: Option<Color>,
    /// The colour behind them.
    #[serde(default)]
    bg: Option<Color>,
    /// Bold.
    #[serde(default)]
    bold: bool,
    /// Dim.
    #[serde(default)]
    dim: bool,
    /// Underlined.
    #[serde(default)]
    underline: bool,
    /// Both colours exchanged.
    #[serde(default)]
    reverse: bool,
    /// Italic.
    #[serde(default)]
    italic: bool,
}

impl From<InkForm> for Ink {
    fn from(form: InkForm) -> Self {
        let InkForm { fg, bg, bold, dim, underline, reverse, italic } = form;
        Self { fg, bg, bold, dim, underline, reverse, italic }
    }
}
