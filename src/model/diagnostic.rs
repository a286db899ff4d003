//! Files as texts, and what is wrong with them: severity, where, what, and what to do. Knows nothing of colours.

use std::fmt;
use std::ops::Range;

/// A file that was read: its name as the user knows it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The name for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

impl SourceText {
    /// The text of this name among those that came with the program: pairs of name and text.
    #[must_use]
    pub fn shipped(among: &[(&str, &str)], name: &str) -> Option<Self> {
        let (name, text) = among.iter().find(|(shipped, _)| *shipped == name)?;
        Some(Self { name: format!("{name}.toml (shipped)"), text: (*text).to_owned() })
    }

    /// Line and column of a byte, both counted from 1; columns are characters. An offset past the end or inside a
    /// character counts as the next place before it.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is refused.
    Warning,
    /// The file cannot be used.
    Error,
}

/// One problem of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: String,
    /// The bytes it is about, when that is known.
    pub span: Option<Range<usize>>,
    /// Where in words: `stages.search-snapshot.steps.snapshot.on`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(file: &str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            span: None,
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(file: &str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, path, message) }
    }

    /// The same with the bytes it is about.
    #[must_use]
    pub fn at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span;
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{word}: {}: ", self.file)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// The known word that `word` most likely means, if one is near enough.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one_in_characters() {
        let source = SourceText { name: "x".to_owned(), text: "a = 1\nü = 2\n".to_owned() };
        for (offset, place) in [(0, (1, 1)), (4, (1, 5)), (6, (2, 1)), (7, (2, 1)), (8, (2, 2)), (99, (3, 1))] {
            assert_eq!(source.line_column(offset), place, "{offset}");
        }
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(
            did_you_mean("elasticsearch.snapshto", ["mysql.dump", "elasticsearch.snapshot"]),
            Some("elasticsearch.snapshot")
        );
        assert_eq!(did_you_mean("retyr", ["retry", "needs"]), Some("retry"));
        assert_eq!(did_you_mean("banana", ["retry", "needs"]), None);
    }
}
