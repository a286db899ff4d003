//! Where a message of the decoder belongs: decoders say what is wrong, but not where.

use serde_json::{Map, Value};

/// The key that a decoder complains about: the one it names, else the one without which it says something else.
pub(super) fn culprit<'a>(
    settings: &'a Map<String, Value>,
    message: &str,
    decode: impl Fn(&Map<String, Value>) -> Result<(), String>,
) -> Option<&'a str> {
    let named = message.split('`').nth(1).filter(|_| message.starts_with("unknown field"));
    settings.keys().map(String::as_str).find(|key| {
        if let Some(named) = named {
            return *key == named;
        }
        let mut without = settings.clone();
        without.shift_remove(*key);
        decode(&without).err().as_deref() != Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only decoded")]
    struct Sample {
        one: u8,
        two: Option<u8>,
    }

    #[test]
    fn the_key_that_is_wrong_is_found() {
        let decode = |settings: &Map<String, Value>| {
            serde_json::from_value::<Sample>(Value::Object(settings.clone()))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        for (text, expected) in [
            (r#"{"one": 1, "two": 300}"#, Some("two")),
            (r#"{"one": 300, "two": 2}"#, Some("one")),
            (r#"{"one": 1, "three": 2}"#, Some("three")),
            (r#"{"two": 2}"#, None),
        ] {
            let settings: Map<String, Value> = serde_json::from_str(text).expect("JSON");
            let message = decode(&settings).expect_err("wrong on purpose");
            assert_eq!(culprit(&settings, &message, decode), expected, "{text}: {message}");
        }
    }
}
