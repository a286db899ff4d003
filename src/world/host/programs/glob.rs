//! Matching names: shell patterns as `find -name`, `find -path` and rsync's filters know them, and the few forms of
//! regular expressions that steps build. Pure.

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    /// This character.
    Is(char),
    /// Any character.
    Any,
    /// Any character but a slash.
    NotSlash,
}

/// A pattern of a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<(Atom, Repeat)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Many,
    /// `(.*/)?`: nothing, or anything that ends with a slash.
    Folders,
}

impl Pattern {
    /// A pattern of `fnmatch` without flags: `*` and `?` match slashes too.
    pub(super) fn shell(text: &str) -> Self {
        let atoms = text.chars().map(|c| match c {
            '*' => (Atom::Any, Repeat::Many),
            '?' => (Atom::Any, Repeat::Once),
            c => (Atom::Is(c), Repeat::Once),
        });
        Self(atoms.collect())
    }

    /// A pattern of rsync: `*` and `?` stop at slashes, `**` does not.
    pub(super) fn rsync(text: &str) -> Self {
        let mut atoms = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            atoms.push(match c {
                '*' if chars.next_if_eq(&'*').is_some() => (Atom::Any, Repeat::Many),
                '*' => (Atom::NotSlash, Repeat::Many),
                '?' => (Atom::NotSlash, Repeat::Once),
                c => (Atom::Is(c), Repeat::Once),
            });
        }
        Self(atoms)
    }

    /// A POSIX extended regular expression made of characters, `.`, `[^/]`, `*` and `(.*/)?`; nothing for any other.
    pub(super) fn regex(text: &str) -> Option<Self> {
        let mut atoms: Vec<(Atom, Repeat)> = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("(.*/)?") {
                atoms.push((Atom::Any, Repeat::Folders));
                rest = after;
                continue;
            }
            let (atom, length) = match c {
                '\\' => {
                    let escaped = rest[1..].chars().next().filter(|c| !c.is_ascii_alphanumeric())?;
                    (Atom::Is(escaped), 1 + escaped.len_utf8())
                }
                '.' => (Atom::Any, 1),
                '[' => {
                    rest.strip_prefix("[^/]")?;
                    (Atom::NotSlash, 4)
                }
                ']' | '{' | '}' | '(' | ')' | '*' | '+' | '?' | '|' | '^' | '$' => return None,
                c => (Atom::Is(c), c.len_utf8()),
            };
            rest = &rest[length..];
            let many = rest.strip_prefix('*');
            atoms.push((atom, if many.is_some() { Repeat::Many } else { Repeat::Once }));
            rest = many.unwrap_or(rest);
        }
        Some(Self(atoms))
    }

    /// True when all of `text` fits.
    pub(super) fn fits(&self, text: &str) -> bool {
        fits(&self.0, text)
    }
}

fn fits(atoms: &[(Atom, Repeat)], text: &str) -> bool {
    let Some(((atom, repeat), later)) = atoms.split_first() else { return text.is_empty() };
    let is = |c: char| match atom {
        Atom::Is(wanted) => c == *wanted,
        Atom::Any => true,
        Atom::NotSlash => c != '/',
    };
    match repeat {
        Repeat::Once => text.chars().next().is_some_and(|c| is(c) && fits(later, &text[c.len_utf8()..])),
        Repeat::Many => {
            let mut rest = text;
            loop {
                if fits(later, rest) {
                    return true;
                }
                match rest.chars().next() {
                    Some(c) if is(c) => rest = &rest[c.len_utf8()..],
                    _ => return false,
                }
            }
        }
        Repeat::Folders => {
            let ends = text.match_indices('/').map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).any(|from| fits(later, &text[from..]))
        }
    }
}
