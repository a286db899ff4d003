//! Text from outside, made safe once: the only text that screens, titles, prompts and reports accept.
//!
//! Four properties hold for every `SafeText` (`text/properties.rs`): no control byte, bidi override or invisible character
//! is left in it; nothing disappears silently (what is replaced is shown, as `^[`, `<9B>`, `<U+202E>` or
//! `…[+812 bytes]`), except well-formed colour sequences, which carry no text; one line cannot affect another; and
//! the cost of a line is bounded. What a colour sequence asks for is known of a [`TintedLine`] only. Raw output stays byte-exact in its file; this is about what is shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

// By its path, because the fuzz target includes this file from elsewhere.
#[path = "text/tint.rs"]
mod tint;

use tint::Tints;
pub use tint::{Hue, Tint};

/// Longest line that is kept, in bytes of input; the rest is counted and said.
const LINE_CAP: usize = 16 * 1024;
/// Most combining marks kept on one base character; terminals have crashed on thousands.
const MARKS_CAP: usize = 4;

/// Text that is safe to show. Lines are separated by `\n`, the only control character in it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SafeText(String);

impl SafeText {
    /// How many bytes of a line are kept; the rest is counted and said.
    pub const LONGEST: usize = LINE_CAP;

    /// Makes several lines safe; a trailing newline is dropped.
    #[must_use]
    pub fn block(text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let mut out = String::with_capacity(text.len());
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                out.push('\n');
            }
            push_line(&mut out, line);
        }
        Self(out)
    }

    /// Makes one line safe; newlines inside are shown as `^J`.
    #[must_use]
    pub fn line(text: &str) -> Self {
        let mut out = String::with_capacity(text.len());
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                out.push_str("^J");
            }
            push_line(&mut out, line);
        }
        Self(out)
    }

    /// Makes bytes of unknown encoding safe; what is not UTF-8 shows as U+FFFD.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::block(&String::from_utf8_lossy(bytes))
    }

    /// Makes the beginning of one line of unknown encoding safe; what was not read of it is counted and said.
    ///
    /// `length` is how many bytes the whole line has. Of `start` no more than [`Self::LONGEST`] bytes and a whole
    /// character are used: whoever gives one byte more lets the cut fall between two characters.
    #[must_use]
    pub fn line_start(start: &[u8], length: u64) -> Self {
        TintedLine::start(start, length).text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One line of a program's output with the looks that the program asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TintedLine {
    /// The line.
    pub text: SafeText,
    /// From which byte of it on it looks how; plain before the first. The places grow and are between characters.
    pub tints: Vec<(usize, Tint)>,
}

impl TintedLine {
    /// Makes the beginning of one line safe, as [`SafeText::line_start`] does.
    #[must_use]
    pub fn start(start: &[u8], length: u64) -> Self {
        let mut cut = start.len().min(LINE_CAP);
        // At most three bytes of a character can stand before the cut; more of them are no character.
        for _ in 0..3 {
            if cut > 0 && start.get(cut).is_some_and(|byte| byte & 0xC0 == 0x80) {
                cut -= 1;
            }
        }
        let mut out = String::with_capacity(cut);
        let mut tints = Tints::default();
        push_kept(&mut out, &String::from_utf8_lossy(&start[..cut]), |at, params| tints.change(at, params));
        push_left_out(&mut out, length.saturating_sub(cut as u64));
        Self { text: SafeText(out), tints: tints.into_inner() }
    }
}

impl From<String> for SafeText {
    fn from(text: String) -> Self {
        Self::block(&text)
    }
}

impl From<&str> for SafeText {
    fn from(text: &str) -> Self {
        Self::block(text)
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> Self {
        text.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Appends one line (without newline) in its safe form.
fn push_line(out: &mut String, line: &str) {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut cut = line.len().min(LINE_CAP);
    while !line.is_char_boundary(cut) {
        cut -= 1;
    }
    let (kept, dropped) = line.split_at(cut);
    push_kept(out, kept, |_, _| ());
    push_left_out(out, dropped.len() as u64);
}

/// Appends what is kept of a line. Of each colour sequence it tells where it stands and what its parameters are.
fn push_kept(out: &mut String, kept: &str, mut colours: impl FnMut(usize, &str)) {
    let mut marks = 0;
    let mut column = 0;
    let mut rest = kept;
    loop {
        // Nearly all text is plain, and every look at a service and every line of a log comes through here.
        let plain = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
        if plain > 0 {
            out.push_str(&rest[..plain]);
            rest = &rest[plain..];
            marks = 0;
            column += plain;
        }
        let Some(c) = rest.chars().next() else { return };
        if let Some(length) = colour_sequence(rest) {
            colours(out.len(), &rest[2..length - 1]);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let before = out.len();
        match c {
            '\t' => (0..8 - column % 8).for_each(|_| out.push(' ')),
            '\u{7f}' => out.push_str("^?"),
            '\0'..='\u{1f}' => {
                out.push('^');
                out.push(char::from(b'@' + c as u8));
            }
            '\u{80}'..='\u{9f}' => show_code(out, "", 2, u32::from(c)),
            _ if is_invisible(c) => show_code(out, "U+", 4, u32::from(c)),
            _ if c.width() == Some(0) => {
                marks += 1;
                if marks <= MARKS_CAP {
                    out.push(c);
                } else {
                    show_code(out, "U+", 4, u32::from(c));
                }
                continue;
            }
            _ => out.push(c),
        }
        marks = 0;
        column += out[before..].chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    }
}

/// One byte that is a character of one column, shown as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Says how many bytes of a line were left out, if any were.
fn push_left_out(out: &mut String, bytes: u64) {
    if bytes > 0 {
        out.extend(["…[+", &bytes.to_string(), " bytes]"]);
    }
}

/// Appends the number of a character instead of the character.
fn show_code(out: &mut String, before: &str, digits: usize, code: u32) {
    out.extend(["<", before, &format!("{code:0digits$X}"), ">"]);
}

/// The length of a colour sequence (`ESC [ digits ; : m`, at most 32 bytes) at the start of `text`.
fn colour_sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let length = body.bytes().take(30).position(|b| !matches!(b, b'0'..=b'9' | b';' | b':'))?;
    (body.as_bytes()[length] == b'm').then_some(length + 3)
}

/// Characters that are drawn as nothing or that change the order of what is drawn around them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

// By its path, because the fuzz target includes this file from elsewhere.
#[cfg(test)]
#[path = "text/properties.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What terminals obey, hide or draw elsewhere, and the ends of it.
    const HOSTILE: &[&str] = &[
        "\u{1b}",
        "[",
        "]0;",
        "m",
        "31",
        ";",
        "\u{7}",
        "\u{1b}\\",
        "\u{9b}",
        "\u{90}",
        "\r",
        "\n",
        "\t",
        "\0",
        "\u{7f}",
        "\u{202e}",
        "\u{200b}",
        "\u{feff}",
        "\u{301}",
        "\u{fe0f}",
        "\u{e0041}",
        "\u{13430}",
        "\u{17b4}",
        "e",
        "日",
        "\u{1f600}",
        "\u{1b}[0m",
        "\u{1b}[1;31m",
        "\u{1b}[2J",
        "…[+1 bytes]",
    ];

    fn bytes(raw: &[u8]) -> String {
        SafeText::bytes(raw).into()
    }

    #[test]
    fn hostile_text_is_shown_not_obeyed() {
        for (raw, safe) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "^[]0;title^Gx"),
            ("a\rb", "a^Mb"),
            ("windows\r", "windows"),
            ("a\tb", "a       b"),
            ("rm \u{202e}txt.exe", "rm <U+202E>txt.exe"),
            ("\u{9b}31m", "<9B>31m"),
            ("nul\0", "nul^@"),
            ("\u{1b}[2J", "^[[2J"),
            ("\u{1b}[", "^[["),
        ] {
            assert_eq!(SafeText::block(raw).as_str(), safe, "{raw:?}");
        }
        assert_eq!(SafeText::line("a\nb").as_str(), "a^Jb");
        assert_eq!(SafeText::block("one\n\u{1b}]0;x\ntwo\n").as_str(), "one\n^[]0;x\ntwo");
        assert_eq!(SafeText::bytes(b"caf\xe9 failed").as_str(), "caf\u{fffd} failed");
    }

    #[test]
    fn long_lines_say_what_was_left_out() {
        let text = SafeText::block(&"x".repeat(LINE_CAP + 812));
        assert!(text.as_str().ends_with("…[+812 bytes]"));
    }

    #[test]
    fn the_start_of_a_line_is_shown_as_the_whole_line_is() {
        for line in [
            String::new(),
            "short \u{1b}[1mline\u{1b}[0m".to_owned(),
            "x".repeat(LINE_CAP),
            "x".repeat(LINE_CAP + 1),
            "ä".repeat(LINE_CAP),
            format!("x{}", "ä".repeat(LINE_CAP)),
            format!("xx{}", "\u{1f600}".repeat(LINE_CAP)),
        ] {
            let start = &line.as_bytes()[..line.len().min(LINE_CAP + 1)];
            assert_eq!(SafeText::line_start(start, line.len() as u64), SafeText::bytes(line.as_bytes()));
        }
        let broken = SafeText::line_start(&vec![0x80; LINE_CAP + 1], 20_000);
        assert!(broken.as_str().ends_with(&format!("…[+{} bytes]", 20_000 - LINE_CAP + 3)), "{broken}");
    }

    #[test]
    fn a_line_keeps_the_looks_that_are_let_through() {
        let look = |raw: &str| TintedLine::start(raw.as_bytes(), raw.len() as u64);
        let red = Tint { hue: Some(Hue::Red), ..Tint::default() };
        let line = look("ok \u{1b}[31mFAILED\u{1b}[0m \u{1b}[31m\u{1b}[0mtail\u{202e}");
        assert_eq!(line.text.as_str(), "ok FAILED tail<U+202E>");
        assert_eq!(line.tints[..2], [(3, red), (9, Tint::default())]);
        assert!(line.tints[2..].iter().all(|(_, tint)| *tint == Tint::default()), "{:?}", line.tints);
        assert_eq!(look("\u{1b}[7mas if selected\u{1b}[8m").tints, []);
    }

    #[test]
    fn the_properties_bite() {
        let as_it_is = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
        let seen_only = |raw: &[u8]| bytes(raw).replace("^[", "");
        let cut_in_silence = |raw: &[u8]| bytes(raw).chars().take(LINE_CAP).collect::<String>();
        let swallows = |raw: &[u8]| bytes(raw).split("^[]0;").next().unwrap_or_default().to_owned();
        let long = vec![b'x'; LINE_CAP + 1];
        for (raw, make, why) in [
            (&b"\x1b[2J"[..], &as_it_is as &dyn Fn(&[u8]) -> String, "is left in"),
            ("x\u{202e}y".as_bytes(), &as_it_is, "is left in"),
            (b"\x1b\x1b\x1b", &seen_only, "left nothing"),
            (&long, &cut_in_silence, "is not said"),
            (b"a\x1b]0;b\nc", &swallows, "lines became"),
            (b"a\x1b]0;b", &swallows, "is lost"),
            ("e\u{301}\u{301}\u{301}\u{301}\u{301}".as_bytes(), &as_it_is, "upon one letter"),
        ] {
            let found = properties::check(raw, make).expect_err(why);
            assert!(found.contains(why), "{why}: {found}");
            assert_eq!(properties::check(raw, bytes), Ok(()), "{why}");
        }
    }

    proptest! {
        #[test]
        fn the_properties_hold_of_any_bytes(raw in any::<Vec<u8>>()) {
            properties::check(&raw, bytes).map_err(TestCaseError::fail)?;
        }

        #[test]
        fn the_properties_hold_of_hostile_text(
            pieces in proptest::collection::vec(proptest::sample::select(HOSTILE), 0..40),
            text in any::<String>(),
            long in 0..3 * LINE_CAP,
        ) {
            let raw = format!("{}{text}{}", pieces.concat(), pieces.iter().rev().cycle().take(long / 8).copied().collect::<String>());
            properties::check(raw.as_bytes(), bytes).map_err(TestCaseError::fail)?;
            let line = SafeText::line(&raw);
            prop_assert!(!line.as_str().contains('\n'));
            let tinted = TintedLine::start(raw.as_bytes(), raw.len() as u64);
            prop_assert!(tinted.tints.len() <= 64);
            prop_assert!(tinted.tints.iter().all(|(at, _)| tinted.text.as_str().is_char_boundary(*at)));
            prop_assert!(tinted.tints.is_sorted_by(|(a, _), (b, _)| a < b));
            properties::check(line.as_str().as_bytes(), bytes).map_err(TestCaseError::fail)?;
        }
    }
}
