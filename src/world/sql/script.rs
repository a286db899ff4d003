//! Text for the client program, taken apart into statements as it does that: at the delimiter outside quotes, with
//! `DELIMITER` lines obeyed and comment lines left out. Pure.

use std::collections::VecDeque;

/// A statement and where it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The line of the text, from 1.
    pub line: usize,
    /// The statement, without its delimiter.
    pub text: String,
}

/// Text that arrives bit by bit.
#[derive(Debug)]
pub struct Script {
    arrived: Vec<u8>,
    line: usize,
    delimiter: String,
    quote: Option<char>,
    begun: Option<Piece>,
    ready: VecDeque<Piece>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            arrived: Vec::new(),
            line: 0,
            delimiter: ";".to_owned(),
            quote: None,
            begun: None,
            ready: VecDeque::new(),
        }
    }
}

impl Script {
    /// Takes what has arrived. When nothing more will, a statement without delimiter at the end counts too: that is
    /// what the client program does.
    pub fn feed(&mut self, arrived: &mut Vec<u8>, ended: bool) {
        self.arrived.append(arrived);
        let whole = self.arrived.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole = if ended { self.arrived.len() } else { whole };
        let rest = self.arrived.split_off(whole);
        let text = std::mem::replace(&mut self.arrived, rest);
        for line in String::from_utf8_lossy(&text).split_inclusive('\n') {
            self.line += 1;
            self.take(line);
        }
        if ended {
            self.finish();
        }
    }

    /// The next statement that is whole.
    pub fn next(&mut self) -> Option<Piece> {
        self.ready.pop_front()
    }

    fn take(&mut self, line: &str) {
        if self.begun.is_none() {
            let plain = line.trim();
            if let Some(delimiter) = plain.strip_prefix("DELIMITER ") {
                delimiter.trim().clone_into(&mut self.delimiter);
                return;
            }
            // The sandbox line is a command of the client program, not a statement.
            if plain.is_empty() || plain.starts_with("--") || plain.starts_with("/*M!999999\\-") {
                return;
            }
        }
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if self.quote.is_none() && rest.starts_with(&self.delimiter) {
                rest = &rest[self.delimiter.len()..];
                self.finish();
                continue;
            }
            let mut length = c.len_utf8();
            if self.quote.is_none() && rest.starts_with("-- ") {
                // A comment: whatever quotes it holds are none.
                length = rest.len();
            }
            match (self.quote, c) {
                (Some('\'' | '"'), '\\') => length += rest[length..].chars().next().map_or(0, char::len_utf8),
                (Some(open), c) if open == c => self.quote = None,
                (None, '\'' | '"' | '`') => self.quote = Some(c),
                _ => {}
            }
            if self.begun.is_some() || !c.is_whitespace() {
                let line = self.line;
                let piece = self.begun.get_or_insert_with(|| Piece { line, text: String::new() });
                piece.text.push_str(&rest[..length]);
            }
            rest = &rest[length..];
        }
    }

    fn finish(&mut self) {
        if let Some(mut piece) = self.begun.take() {
            piece.text.truncate(piece.text.trim_end().len());
            self.ready.push_back(piece);
        }
        self.quote = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, bit: usize) -> Vec<(usize, String)> {
        let mut script = Script::default();
        for bytes in text.as_bytes().chunks(bit) {
            script.feed(&mut bytes.to_vec(), false);
        }
        script.feed(&mut Vec::new(), true);
        std::iter::from_fn(|| script.next()).map(|piece| (piece.line, piece.text)).collect()
    }

    #[test]
    fn statements_are_told_apart_however_they_arrive() {
        let text = "/*M!999999\\- enable the sandbox mode */ \n-- a; comment\n\nUSE `a;b`;\nINSERT INTO `t` VALUES\n\
            (1,'x;\\'y'),\n(2,'日本');\nDELIMITER ;;\nCREATE TRIGGER t FOR EACH ROW BEGIN\n  a; -- don't\n  b;\nEND */;;\n\
            DELIMITER ;\nSET a = 1; SET b = 2;\nSELECT 1";
        let expected = [
            (4, "USE `a;b`"),
            (5, "INSERT INTO `t` VALUES\n(1,'x;\\'y'),\n(2,'日本')"),
            (9, "CREATE TRIGGER t FOR EACH ROW BEGIN\n  a; -- don't\n  b;\nEND */"),
            (14, "SET a = 1"),
            (14, "SET b = 2"),
            (15, "SELECT 1"),
        ];
        for bit in [1, 7, 4096] {
            let found = pieces(text, bit);
            let found: Vec<(usize, &str)> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
            assert_eq!(found, expected, "{bit} bytes at a time");
        }
    }

    #[test]
    fn a_text_that_was_cut_ends_in_the_statement_that_was_cut() {
        assert_eq!(
            pieces("SET a = 1;\nINSERT INTO `t` VALUES\n(1,'ab", 5)[1],
            (2, "INSERT INTO `t` VALUES\n(1,'ab".to_owned())
        );
        assert!(pieces("-- only\n\n", 3).is_empty());
    }
}
