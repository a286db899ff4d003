//! Problems of files as people read them (place, excerpt, advice) and as programs do.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::Io;
use crate::document::redacted;
use crate::document::{Node, Parsed};
use crate::model::{Diagnostic, SafeText, Severity, SourceText};

/// The texts that excerpts are taken from, by name, with their secrets hidden.
#[derive(Debug, Default)]
pub struct Excerpts {
    sources: Vec<SourceText>,
}

impl Excerpts {
    /// Adds a file that was parsed.
    pub fn add<T>(&mut self, parsed: &Parsed<T>) {
        self.add_text(&parsed.source, &parsed.root);
    }

    /// Adds a text with its tree; an empty tree will do.
    pub fn add_text(&mut self, source: &SourceText, root: &Node) {
        self.sources.push(drawable(&redacted(source, root)));
    }

    fn source(&self, file: &str) -> Option<&SourceText> {
        self.sources.iter().find(|source| source.name == file)
    }

    /// All problems, one block each.
    #[must_use]
    pub fn render(&self, problems: &[Diagnostic], io: &Io) -> String {
        let renderer = if io.colour { Renderer::styled() } else { Renderer::plain() }.term_width(io.width);
        problems.iter().map(|problem| self.block(problem, &renderer) + "\n\n").collect()
    }

    fn block(&self, problem: &Diagnostic, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let safe = |text: &str| SafeText::block(text).to_string();
        let file = safe(&problem.file);
        let path = safe(&problem.path);
        let mut group: Group<'_> = Group::with_title(level.primary_title(safe(&problem.message)));
        let place = problem.span.as_ref().and_then(|span| Some((self.source(&problem.file)?, span)));
        group = match place {
            Some((source, span)) => {
                let annotation = AnnotationKind::Primary.span(within(&source.text, span)).label(path);
                group.element(Snippet::source(source.text.as_str()).path(file).annotation(annotation))
            }
            None => group.element(Origin::path(if path.is_empty() { file } else { format!("{file}: {path}") })),
        };
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.message(safe(hint)));
        }
        renderer.render(&[group])
    }
}

/// The span, moved inside the text: on whole characters and not on a line's end alone.
fn within(text: &str, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// Characters that would be drawn as nothing, or would change what is around them, replaced by visible ones of the same
/// number of bytes.
fn drawable(source: &SourceText) -> SourceText {
    let mut text = String::with_capacity(source.text.len());
    let mut buffer = [0; 4];
    for c in source.text.chars() {
        let is_plain = c == '\n' || c == '\t' || c == '\r' || (' '..='~').contains(&c) || {
            let as_text: &str = c.encode_utf8(&mut buffer);
            SafeText::line(as_text).as_str() == as_text
        };
        match c.len_utf8() {
            _ if is_plain => text.push(c),
            1 => text.push('?'),
            2 => text.push('¿'),
            3 => text.push('\u{fffd}'),
            _ => text.push_str("????"),
        }
    }
    SourceText { name: source.name.clone(), text }
}

/// Problems for programs.
#[must_use]
pub fn problems_json(problems: &[Diagnostic], excerpts: &Excerpts) -> Value {
    problems
        .iter()
        .map(|problem| {
            let source = excerpts.source(&problem.file);
            let place = problem.span.as_ref().and_then(|span| Some((source?, span)));
            let (line, column) = place
                .map(|(source, span)| source.line_column(span.start))
                .map_or((None, None), |(line, column)| (Some(line), Some(column)));
            let excerpt = place.zip(line).and_then(|((source, _), line)| source.text.lines().nth(line - 1));
            json!({
                "severity": match problem.severity { Severity::Warning => "warning", Severity::Error => "error" },
                "file": problem.file,
                "line": line,
                "column": column,
                "span": problem.span.as_ref().map(|span| [span.start, span.end]),
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
                "excerpt": excerpt,
            })
        })
        .collect()
}
