//! Runbook text to runbook, or to diagnostics with line and column.

use super::{Diagnostic, Runbook};

/// A file that was read: its name as the user knows it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The name for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

/// The largest runbook that is read.
const SIZE_LIMIT: usize = 1024 * 1024;

/// Parses a runbook. Only its shape is checked here; `plan` checks what it means for an estate.
///
/// # Errors
/// One diagnostic with the place and the parser's message.
pub fn parse(source: &SourceText) -> Result<Runbook, Diagnostic> {
    if source.text.len() > SIZE_LIMIT {
        return Err(Diagnostic::error(&source.name, "", "the file is larger than 1 MiB"));
    }
    toml::from_str(&source.text)
        .map_err(|error| Diagnostic::error(&source.name, "", error.message().to_owned()).at(error.span()))
}
