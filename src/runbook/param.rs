//! What a parameter may be: the one rule for what is typed, on the command line, in a form, or as a default in the file.
//! Says nothing of what is done with it.

use serde_json::Value;

use super::file::{Param, ParamType};
use crate::model::Span;

impl Param {
    /// The value of a text as it is typed.
    ///
    /// # Errors
    /// What was typed, and what it may be, with an example.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let options = self.options();
        let read = match self.kind {
            ParamType::Bool => match text {
                "true" | "yes" => Some(Value::Bool(true)),
                "false" | "no" => Some(Value::Bool(false)),
                _ => None,
            },
            ParamType::Integer => text.parse::<i64>().ok().map(Value::from),
            ParamType::String => Some(Value::String(text.to_owned())),
            ParamType::Duration => Span::parse(text).ok().map(|_| Value::String(text.to_owned())),
        };
        read.filter(|value| options.is_empty() || options.contains(value)).ok_or_else(|| {
            let may_be = match self.kind {
                _ if !options.is_empty() => {
                    let options: Vec<String> = options.iter().map(|value| format!("`{}`", as_typed(value))).collect();
                    format!("one of {}", options.join(", "))
                }
                ParamType::Integer => "a whole number such as `12`".to_owned(),
                ParamType::Duration => "a duration such as `90s`, `15m` or `1h30m`".to_owned(),
                ParamType::Bool | ParamType::String => "a text".to_owned(),
            };
            format!("`{}` is not {may_be}", text.escape_debug())
        })
    }

    /// The only values there are, where they can be listed.
    #[must_use]
    pub fn options(&self) -> Vec<Value> {
        match self.kind {
            ParamType::Bool if self.one_of.is_empty() => vec![Value::Bool(true), Value::Bool(false)],
            _ => self.one_of.clone(),
        }
    }

    /// The value that holds when none is given; nothing when one must be.
    ///
    /// # Errors
    /// When the default of the file is of another type, or none of its own values.
    pub(super) fn default_value(&self) -> Result<Option<Value>, String> {
        let Some(value) = &self.default else { return Ok(None) };
        let kind = self.kind;
        let fits = match (kind, value) {
            (ParamType::Bool, Value::Bool(_)) | (ParamType::String, Value::String(_)) => true,
            (ParamType::Integer, Value::Number(number)) => number.is_i64(),
            (ParamType::Duration, Value::String(text)) => Span::parse(text).is_ok(),
            _ => false,
        };
        if !fits {
            return Err(format!("the default {value} is not of type {}", kind.word()));
        }
        self.read(&as_typed(value)).map(Some)
    }
}

impl ParamType {
    /// What it is called in a runbook.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::String => "string",
            Self::Duration => "duration",
        }
    }
}

/// A value as it is typed.
#[must_use]
pub fn as_typed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn param(kind: ParamType, one_of: &[Value]) -> Param {
        Param { kind, default: None, help: String::new(), one_of: one_of.to_vec() }
    }

    #[test]
    fn what_is_typed_is_read_by_its_type_or_told_what_it_may_be() {
        let stores = [json!("all"), json!("db")];
        for (kind, one_of, text, read) in [
            (ParamType::Bool, &[][..], "true", Ok(json!(true))),
            (ParamType::Bool, &[], "no", Ok(json!(false))),
            (ParamType::Bool, &[], "falsey", Err("`falsey` is not one of `true`, `false`")),
            (ParamType::Bool, &[], "", Err("`` is not one of `true`, `false`")),
            (ParamType::Integer, &[], "-12", Ok(json!(-12))),
            (ParamType::Integer, &[], "1.5", Err("`1.5` is not a whole number such as `12`")),
            (ParamType::Integer, &[json!(1), json!(2)], "2", Ok(json!(2))),
            (ParamType::Integer, &[json!(1), json!(2)], "3", Err("`3` is not one of `1`, `2`")),
            (ParamType::Integer, &[json!(1)], "one", Err("`one` is not one of `1`")),
            (ParamType::Duration, &[], "15m", Ok(json!("15m"))),
            (ParamType::Duration, &[], "soon", Err("`soon` is not a duration such as `90s`, `15m` or `1h30m`")),
            (ParamType::String, &[], "any text", Ok(json!("any text"))),
            (ParamType::String, &stores, "db", Ok(json!("db"))),
            (ParamType::String, &stores, "none\u{7}", Err("`none\\u{7}` is not one of `all`, `db`")),
        ] {
            assert_eq!(param(kind, one_of).read(text), read.map_err(str::to_owned), "{kind:?} {text}");
        }
    }

    #[test]
    fn a_default_keeps_the_same_rule() {
        let with =
            |kind, default, one_of: &[Value]| Param { default: Some(default), ..param(kind, one_of) }.default_value();
        assert_eq!(with(ParamType::Integer, json!(3), &[]), Ok(Some(json!(3))));
        assert_eq!(
            with(ParamType::Bool, json!("true"), &[]),
            Err("the default \"true\" is not of type bool".to_owned())
        );
        assert_eq!(with(ParamType::String, json!("x"), &[json!("y")]), Err("`x` is not one of `y`".to_owned()));
        assert_eq!(param(ParamType::Bool, &[]).default_value(), Ok(None));
    }
}
