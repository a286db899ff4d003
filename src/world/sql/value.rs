//! Values of rows, how a dump writes them, and how a server reads them back. Pure.

use std::fmt::Write as _;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Value {
    /// Appends it as a dump with `--hex-blob` writes it.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("NULL"),
            Self::Number(number) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => quote(text, out),
            Self::Binary(bytes) if bytes.is_empty() => out.push_str("''"),
            Self::Binary(bytes) => {
                out.push_str("0x");
                for byte in bytes {
                    let _ = write!(out, "{byte:02X}");
                }
            }
        }
    }
}

/// What the server's own escaping does: line ends, quotes, backslashes, NUL and Ctrl-Z; nothing else.
fn quote(text: &str, out: &mut String) {
    out.push('\'');
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push('\'');
}

/// An identifier as it stands in a statement.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A statement while it is read, from left to right. What does not fit leaves it where it is.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// At the beginning of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text.trim_start())
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a str {
        self.0
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.trim_end().is_empty()
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0[bytes..].trim_start();
    }

    /// Takes words in any case, such as `DROP TABLE IF EXISTS`. All or none.
    pub fn words(&mut self, words: &str) -> Option<()> {
        let mut probe = *self;
        for word in words.split(' ') {
            let head = probe.0.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
            let ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if head.ends_with(ends) && probe.0[head.len()..].starts_with(ends) {
                return None;
            }
            probe.skip(head.len());
        }
        *self = probe;
        Some(())
    }

    /// Takes a sign such as `(` or `=`.
    pub fn sign(&mut self, sign: char) -> Option<()> {
        self.0.starts_with(sign).then(|| self.skip(sign.len_utf8()))
    }

    /// Takes a plain word.
    pub fn word(&mut self) -> Option<&'a str> {
        let end = self.0.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.0.len());
        let word = &self.0[..end];
        (end > 0).then(|| {
            self.skip(end);
            word
        })
    }

    /// Takes an identifier, in backticks or plain.
    pub fn name(&mut self) -> Option<String> {
        if !self.0.starts_with('`') {
            return self.word().map(str::to_owned);
        }
        let mut name = String::new();
        let mut chars = self.0.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '`' if chars.peek().is_some_and(|(_, next)| *next == '`') => {
                    chars.next();
                    name.push('`');
                }
                '`' => {
                    self.skip(at + 1);
                    return Some(name);
                }
                c => name.push(c),
            }
        }
        None
    }

    /// Takes an account such as `` `shop`@`%` ``: `shop@%`.
    pub fn account(&mut self) -> Option<String> {
        let mut probe = *self;
        let user = probe.name()?;
        probe.sign('@')?;
        let host = probe.name()?;
        *self = probe;
        Some(format!("{user}@{host}"))
    }

    /// Takes a whole number without sign.
    pub fn number(&mut self) -> Option<i64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..end].parse().ok()?;
        self.skip(end);
        Some(number)
    }

    /// Takes a value.
    pub fn value(&mut self) -> Option<Value> {
        if self.words("NULL").is_some() {
            return Some(Value::Null);
        }
        if let Some(digits) = self.0.strip_prefix("0x") {
            let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            if end == 0 || end % 2 == 1 {
                return None;
            }
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
            let bytes = (0..end).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
            self.skip(2 + end);
            return Some(Value::Binary(bytes));
        }
        if self.0.starts_with('\'') {
            return self.text().map(Value::Text);
        }
        let mut probe = *self;
        let minus = probe.sign('-').is_some();
        let number = probe.number()?;
        *self = probe;
        Some(Value::Number(if minus { -number } else { number }))
    }

    /// Takes a text in quotes.
    pub fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.0.char_indices().peekable();
        chars.next().filter(|(_, c)| *c == '\'')?;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.push(match chars.next()?.1 {
                    '0' => '\0',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'Z' => '\u{1a}',
                    other => other,
                }),
                '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                    chars.next();
                    text.push('\'');
                }
                '\'' => {
                    self.skip(at + 1);
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    /// Takes a row: values in brackets.
    pub fn row(&mut self) -> Option<Vec<Value>> {
        self.sign('(')?;
        let mut row = vec![self.value()?];
        while self.sign(',').is_some() {
            row.push(self.value()?);
        }
        self.sign(')')?;
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_as_they_were_written() {
        for value in [
            Value::Null,
            Value::Number(-42),
            Value::Text(String::new()),
            Value::Text("it's \"so\" \\ 日本 🎉\nnext\r\t\0\u{1a} ;), ('".to_owned()),
            Value::Binary(vec![0, 0xff, 0x2c, 0x28]),
        ] {
            let mut text = String::new();
            value.write(&mut text);
            assert!(!text.contains('\n'), "{text}");
            let mut cursor = Cursor::new(&text);
            assert_eq!(cursor.value(), Some(value), "{text}");
            assert!(cursor.is_done(), "{text}");
        }
    }

    #[test]
    fn what_is_damaged_is_not_read() {
        for text in ["'open", "0x1", "0x", "-", "'a\\", "nil", ""] {
            assert_eq!(Cursor::new(text).value(), None, "{text}");
        }
        for text in ["(1,2", "(1 2)", "(,)", "()"] {
            assert_eq!(Cursor::new(text).row(), None, "{text}");
        }
    }

    #[test]
    fn words_are_whole_words() {
        let mut cursor = Cursor::new("DROP  tables `we``ird`");
        assert_eq!(cursor.words("DROP TABLE"), None);
        assert_eq!(cursor.words("DROP TABLES"), Some(()));
        assert_eq!(cursor.name().as_deref(), Some("we`ird"));
        assert!(cursor.is_done());
    }
}
