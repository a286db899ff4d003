//! What holds of every safe text, whatever it was made from: written once, for the property tests and for the fuzz target
//! (`fuzz/`), which includes this file. It knows nothing of how text is made safe.

use unicode_width::UnicodeWidthChar;

/// The longest line that is kept, in bytes.
const KEPT: usize = 16 * 1024;
/// A line becomes at most so much longer: a tab is eight blanks.
const GROWS: usize = 8;
/// Room for what is said of a cut.
const SAID: usize = 40;

/// Holds `make` to all of them for one input.
///
/// # Errors
/// The first property that does not hold, with what was made.
pub fn check(raw: &[u8], make: impl Fn(&[u8]) -> String) -> Result<(), String> {
    let safe = make(raw);
    let body = raw.strip_suffix(b"\n").unwrap_or(raw);
    let made: Vec<&str> = safe.split('\n').collect();
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    if made.len() != lines.len() {
        return Err(format!("{} lines became {}: {safe:?}", lines.len(), made.len()));
    }
    for (line, made) in lines.into_iter().zip(made) {
        harmless(made)?;
        complete(line, made)?;
        // One line cannot affect another: each is what it is by itself. (By itself, an empty line is no line.)
        let alone = make(line);
        if alone != *made {
            return Err(format!("among others {made:?}, alone {alone:?}"));
        }
        bounded(line, made)?;
        if made.len() <= KEPT && make(made.as_bytes()) != *made {
            return Err(format!("made safe again it is another text: {made:?}"));
        }
    }
    Ok(())
}

/// No control character, no change of direction, nothing that is drawn as nothing.
fn harmless(made: &str) -> Result<(), String> {
    match made.chars().find(|c| c.is_control() || is_hidden(*c)) {
        Some(c) => Err(format!("U+{:04X} is left in {made:?}", u32::from(c))),
        None => Ok(()),
    }
}

/// Nothing disappears silently: whatever can be seen is still there, in its order; for each other character there is
/// something in its place; and a cut is said to the byte. Colour sequences are no text.
fn complete(line: &[u8], made: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(line);
    let text = text.strip_suffix('\r').unwrap_or(&text);
    let mut kept = text.len().min(KEPT);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    let made = if kept < text.len() {
        let said = format!("…[+{} bytes]", text.len() - kept);
        made.strip_suffix(said.as_str()).ok_or_else(|| format!("{said} is not said at the end of {made:?}"))?
    } else {
        made
    };
    let mut rest = made.chars();
    let mut characters = 0;
    let mut left = &text[..kept];
    while let Some(c) = left.chars().next() {
        if let Some(length) = colours(left) {
            left = &left[length..];
            continue;
        }
        left = &left[c.len_utf8()..];
        characters += 1;
        let is_seen = !c.is_control() && c.width().is_some_and(|width| width > 0) && !is_hidden(c);
        if is_seen && !rest.any(|there| there == c) {
            return Err(format!("{c:?} of {text:?} is lost in {made:?}"));
        }
    }
    if made.chars().count() < characters {
        return Err(format!("of {characters} characters some left nothing in {made:?}"));
    }
    Ok(())
}

/// The length of a sequence that only changes colours: `ESC [`, at most 29 digits and separators, `m`.
fn colours(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let length = body.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    (length <= 29 && body[length..].starts_with('m')).then_some(length + 3)
}

/// The cost of a line is bounded: its length, and what is put upon one letter.
fn bounded(line: &[u8], made: &str) -> Result<(), String> {
    // What is no UTF-8 is three bytes for each.
    let most = (3 * line.len()).min(KEPT) * GROWS + SAID;
    if made.len() > most {
        return Err(format!("{} bytes became {}", line.len(), made.len()));
    }
    let mut upon = 0;
    for c in made.chars() {
        upon = if c.width() == Some(0) { upon + 1 } else { 0 };
        if upon > 4 {
            return Err(format!("{upon} marks upon one letter of {made:?}"));
        }
    }
    Ok(())
}

/// Bidi controls, what Unicode calls default ignorable, and the other format characters without a shape.
fn is_hidden(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x13430..=0x1343F
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}
