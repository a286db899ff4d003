//! `filter_path`: what of an answer is wanted.

use serde_json::{Map, Value};

/// What of `value` these paths name; `*` stands for any part of a name.
pub(super) fn filter(value: &Value, paths: &str) -> Value {
    let paths: Vec<Vec<&str>> = paths.split(',').map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    kept(value, &paths).unwrap_or_else(|| Value::Object(Map::new()))
}

fn kept(value: &Value, paths: &[&[&str]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        Value::Object(object) => {
            let found = object.iter().filter_map(|(name, inner)| {
                let rest: Vec<&[&str]> =
                    paths.iter().filter(|path| fits(path[0], name)).map(|path| &path[1..]).collect();
                if rest.is_empty() { None } else { Some((name.clone(), kept(inner, &rest)?)) }
            });
            let found: Map<String, Value> = found.collect();
            (!found.is_empty()).then_some(Value::Object(found))
        }
        // The members of a list have no names of their own.
        Value::Array(list) => {
            let found: Vec<Value> = list.iter().filter_map(|inner| kept(inner, paths)).collect();
            (!found.is_empty()).then_some(Value::Array(found))
        }
        _ => None,
    }
}

/// True when a name is what a pattern with `*` means.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|tail| (0..=tail.len()).any(|cut| tail.is_char_boundary(cut) && fits(rest, &tail[cut..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::{filter, fits};
    use serde_json::json;

    #[test]
    fn an_answer_keeps_what_the_paths_name() {
        let value = json!({"a": {"x": 1, "y": {"z": 2}}, "b": [{"x": 3, "w": 4}, {"w": 5}], "c": 6});
        assert_eq!(filter(&value, "*.x,a.y.z"), json!({"a": {"x": 1, "y": {"z": 2}}, "b": [{"x": 3}]}));
        assert_eq!(filter(&value, "nothing.here"), json!({}));
        assert!(fits("ord*s", "orders") && !fits("ord*x", "orders") && fits("*", ""));
    }
}
