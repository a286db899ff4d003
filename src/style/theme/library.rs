//! Themes by name: those of the user and the shipped ones; from text to theme, or to everything that is wrong with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::ThemeFile;
use super::shipped::{SHIPPED_THEMES, shipped};
use super::{Theme, judge};
use crate::document::{Node, Parsed, Shape, ShapeRules, check_shape, has_errors, parse_toml, tidy};
use crate::model::{Diagnostic, SafeText, SourceText, did_you_mean};
use crate::style::{Color, Scope};

/// So many themes may stand on each other.
const DEEPEST: usize = 16;

/// A theme on the way from the chosen one to what it stands on: the name that it was found under, and whether it is the
/// shipped one of that name. What a file calls itself is no matter: it may call itself anything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    name: String,
    shipped: bool,
}

/// Every theme that can be chosen.
#[derive(Debug, Clone, Default)]
pub struct Themes {
    own: BTreeMap<String, SourceText>,
}

impl Themes {
    /// Adds one of the user's; it replaces the shipped one of its name.
    pub fn add(&mut self, name: impl Into<String>, source: SourceText) {
        self.own.insert(name.into(), source);
    }

    /// The names: the shipped ones in their order, then those of the user.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let own = self.own.keys().map(String::as_str).filter(|name| shipped(name).is_none());
        SHIPPED_THEMES.iter().map(|(name, _)| *name).chain(own).collect()
    }

    /// True for one that comes with the program and was not replaced.
    #[must_use]
    pub fn is_shipped(&self, name: &str) -> bool {
        !self.own.contains_key(name)
    }

    /// The text of a theme.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<SourceText> {
        self.own.get(name).cloned().or_else(|| shipped(name))
    }

    /// Reads a theme that was found under this name, those that it extends included.
    #[must_use]
    pub fn examine(&self, name: &str, source: &SourceText) -> Parsed<Theme> {
        self.examine_within(source, &[Found { name: name.to_owned(), shipped: false }])
    }

    /// The theme and what can be said against it: letters that are hard to read, and colours that a colour-blind person
    /// would take for each other in a theme that promises otherwise.
    #[must_use]
    pub fn judge(&self, name: &str, source: &SourceText) -> Parsed<Theme> {
        let mut parsed = self.examine(name, source);
        if let Some(theme) = &parsed.value {
            let mut found = judge::judge(&source.name, theme);
            crate::document::attach_places(&parsed.root, &mut found);
            parsed.problems.extend(found);
            tidy(&mut parsed.problems);
        }
        parsed
    }

    /// `chain` are the themes that led here, this one the last of them: none of them may come again.
    fn examine_within(&self, source: &SourceText, chain: &[Found]) -> Parsed<Theme> {
        let root = match parse_toml(source) {
            Ok(root) => root,
            Err(problems) => return Parsed { source: source.clone(), root: Node::empty(), value: None, problems },
        };
        let schema = Value::from(schemars::schema_for!(ThemeFile));
        let mut shape = check_shape(&source.name, &root, "", &(0..0), &schema, ShapeRules::default());
        check_colours(&source.name, &root, &mut shape);
        let base = match self.base(&source.name, &root, chain) {
            Ok(base) => base,
            Err(problem) => {
                shape.problems.push(*problem);
                Theme::default()
            }
        };
        let value = match serde_json::from_value::<ThemeFile>(root.to_json(&shape.wrong)) {
            Ok(file) => Some(upon(base, file, chain)),
            Err(error) => {
                if !has_errors(&shape.problems) {
                    shape.problems.push(Diagnostic::error(&source.name, "", error.to_string()));
                }
                None
            }
        };
        tidy(&mut shape.problems);
        Parsed { source: source.clone(), root, value, problems: shape.problems }
    }

    /// The theme that the last one of the chain stands on.
    fn base(&self, file: &str, root: &Node, chain: &[Found]) -> Result<Theme, Box<Diagnostic>> {
        let Some(node) = root.get("extends") else { return Ok(Theme::default()) };
        let Some(wanted) = node.text() else { return Ok(Theme::default()) };
        let error = |message: String| Box::new(Diagnostic::error(file, "extends", message).at(Some(node.span.clone())));
        let Some((found, source)) = self.find(wanted, chain.last()) else {
            if chain.last().is_some_and(|last| last.name == wanted) {
                return Err(error("the theme extends itself, and there is no shipped theme of its name".to_owned()));
            }
            let near = did_you_mean(wanted, self.names());
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let problem = error(format!("there is no theme `{}`", wanted.escape_debug()));
            return Err(Box::new(problem.hint(format!("{near}there are {}", self.names().join(", ")))));
        };
        if chain.contains(&found) {
            let problem = error(format!("themes that extend each other have no end: {}", words(chain, wanted)));
            return Err(Box::new(problem.hint("one of them must stand on another theme, or on none")));
        }
        if chain.len() >= DEEPEST {
            return Err(error(format!("more than {DEEPEST} themes extend each other: {}", words(chain, wanted))));
        }
        let parsed = self.examine_within(&source, &[chain, &[found]].concat());
        parsed.into_result().map(|(theme, _)| theme).map_err(|problems| {
            let first = problems.first().map(|problem| format!(": {}", problem.message)).unwrap_or_default();
            let problem = error(format!("`{wanted}` cannot be used{first}"));
            Box::new(problem.hint(format!("`changeover theme check {wanted}` says all that is wrong with it")))
        })
    }

    /// What a theme means by a name: by its own the shipped theme that it replaces, by another one whatever has it.
    fn find(&self, wanted: &str, by: Option<&Found>) -> Option<(Found, SourceText)> {
        let shipped = self.is_shipped(wanted) || by.is_some_and(|by| by.name == wanted);
        let source = if shipped { self::shipped(wanted) } else { self.source(wanted) };
        source.map(|source| (Found { name: wanted.to_owned(), shipped }, source))
    }
}

/// The way from the first theme to the wanted one, for people.
fn words(chain: &[Found], wanted: &str) -> String {
    let names: Vec<&str> = chain.iter().map(|found| found.name.as_str()).chain([wanted]).collect();
    names.join(" -> ")
}

/// A theme with what the file of the last one of the chain says laid upon it. Its name is the one that it is found under.
fn upon(base: Theme, file: ThemeFile, chain: &[Found]) -> Theme {
    let mut theme = Theme {
        name: chain.last().map_or_else(|| file.name.to_string(), |found| found.name.clone()),
        title: SafeText::line(&file.title),
        colour_blind: file.colour_blind || base.colour_blind,
        ..base
    };
    for (scope, ink) in file.scopes.0 {
        if let Some(place) = theme.inks.get_mut(scope as usize) {
            *place = ink;
        }
    }
    theme
}

/// Texts that are no colours, which a schema cannot say well.
fn check_colours(file: &str, root: &Node, shape: &mut Shape) {
    for scope in root.get("scopes").map_or(&[][..], Node::entries) {
        let known = Scope::by_name(&scope.key).is_some();
        for entry in scope.node.entries().iter().filter(|entry| known && matches!(entry.key.as_str(), "fg" | "bg")) {
            let Some(Err((message, advice))) = entry.node.text().map(Color::parse) else { continue };
            let path = format!("scopes.{}.{}", scope.key, entry.key);
            shape.problems.push(Diagnostic::error(file, path, message).at(Some(entry.node.span.clone())).hint(advice));
            shape.wrong.insert(entry.key_span.start);
        }
    }
}
