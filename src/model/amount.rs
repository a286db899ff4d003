//! Amounts as people write and read them: durations (`90s`, `2h`), sizes (`1.5 GiB`), limits (`5%` or `200`).

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The written form of a [`Span`] as a regular expression, for the JSON Schemas.
pub const SPAN_PATTERN: &str = "^ *([0-9]+ *(ms|s|m|h|d) *)+$";

/// A length of time, written `500ms`, `90s`, `15m`, `2h`, `1d` or joined as `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = SPAN_PATTERN))]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Parses the written form.
    ///
    /// # Errors
    /// A sentence that says what is wrong and gives an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a duration: write for example `90s`, `15m`, `1h30m`", text.escape_debug());
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let after = &rest[digits..];
            let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let part = match after[..unit_end].trim() {
                "ms" => Some(Duration::from_millis(number)),
                "s" => Some(Duration::from_secs(number)),
                "m" => number.checked_mul(60).map(Duration::from_secs),
                "h" => number.checked_mul(3600).map(Duration::from_secs),
                "d" => number.checked_mul(86_400).map(Duration::from_secs),
                _ => None,
            };
            total = part.and_then(|p| total.checked_add(p)).ok_or_else(wrong)?;
            rest = &after[unit_end..];
        }
        Ok(Self(total))
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let exact_millis = span.0.subsec_millis();
        if exact_millis != 0 { format!("{}ms", span.0.as_millis()) } else { span.to_string() }
    }
}

impl fmt::Display for Span {
    /// Two units at most: `3d4h`, `1h05m`, `2m30s`, `12s`, `340ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0 if self.0.is_zero() => "0s".to_owned(),
            0 => format!("{}ms", self.0.as_millis().max(1)),
            1..60 => format!("{seconds}s"),
            60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            3600..86_400 if seconds % 3600 < 60 && seconds.is_multiple_of(60) => format!("{}h", seconds / 3600),
            3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
            _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
            _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
        };
        f.pad(&text)
    }
}

/// A number of bytes, shown with binary units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{value:.1} {}", UNITS[unit]))
    }
}

/// A number with its word: `1 document`, `5 documents`. Both words are given, because not every plural ends in `s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted(pub u64, pub &'static str, pub &'static str);

impl Counted {
    /// How many things of a list there are.
    #[must_use]
    pub fn of(number: usize, one: &'static str, many: &'static str) -> Self {
        Self(u64::try_from(number).unwrap_or(u64::MAX), one, many)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, one, many) = self;
        f.pad(&format!("{number} {}", if *number == 1 { one } else { many }))
    }
}

/// At most so many: a share of what is there (`"5%"`) or a number (`200`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LimitForm", into = "String")]
#[schemars(with = "LimitForm")]
pub enum Limit {
    /// Whole percent of what is there now.
    Percent(u8),
    /// A plain number.
    Count(u64),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum LimitForm {
    Number(u64),
    #[schemars(extend("pattern" = LIMIT_PATTERN))]
    Text(String),
}

/// The written form of a [`Limit`] as a regular expression, for the JSON Schemas.
pub const LIMIT_PATTERN: &str = "^[0-9]+ *%?$";

impl Limit {
    /// How many of `present` are allowed, rounded up, so that one of three is within 5 %... of nothing less than one.
    #[must_use]
    pub fn of(self, present: u64) -> u64 {
        match self {
            Self::Percent(percent) => present.saturating_mul(u64::from(percent)).div_ceil(100),
            Self::Count(count) => count,
        }
    }
}

impl TryFrom<LimitForm> for Limit {
    type Error = String;
    fn try_from(form: LimitForm) -> Result<Self, String> {
        let text = match form {
            LimitForm::Number(n) => return Ok(Self::Count(n)),
            LimitForm::Text(text) => text,
        };
        let percent = text.strip_suffix('%').map(|p| p.trim().parse::<u8>());
        match percent {
            Some(Ok(p)) if p <= 100 => Ok(Self::Percent(p)),
            _ => text
                .parse()
                .map(Self::Count)
                .map_err(|_| format!("`{}` is not a limit: write `5%` or a number", text.escape_debug())),
        }
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(p) => f.pad(&format!("{p}%")),
            Self::Count(n) => f.pad(&n.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_written() {
        for (text, millis) in
            [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("1h30m", 5_400_000), ("1d", 86_400_000)]
        {
            assert_eq!(Span::parse(text), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for bad in ["", "5", "m", "5 parsecs", "99999999999999999999s", "18446744073709551615d"] {
            assert!(Span::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn spans_survive_being_written() {
        for millis in [0, 1, 500, 1_000, 61_000, 3_600_000, 5_400_000, 90_000_000] {
            let span = Span(Duration::from_millis(millis));
            if span.0.as_secs() < 3600 {
                assert_eq!(Span::parse(&String::from(span)), Ok(span));
            }
        }
    }

    #[test]
    fn limits_are_shares_or_numbers() {
        let percent: Limit = serde_json::from_str("\"5%\"").expect("a percent");
        assert_eq!(percent.of(1000), 50);
        assert_eq!(percent.of(1), 1);
        assert_eq!(percent.of(0), 0);
        let count: Limit = serde_json::from_str("7").expect("a number");
        assert_eq!(count.of(3), 7);
        assert!(serde_json::from_str::<Limit>("\"150%\"").is_err());
    }

    #[test]
    fn one_is_not_many() {
        let said = |number| Counted(number, "index", "indices").to_string();
        assert_eq!([said(0), said(1), said(2)], ["0 indices", "1 index", "2 indices"]);
    }

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(ByteSize(1023).to_string(), "1023 B");
        assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
        assert_eq!(ByteSize(u64::MAX).to_string(), "16384.0 PiB");
    }
}
