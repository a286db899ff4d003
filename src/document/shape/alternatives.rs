//! One of several shapes: fixed words, tagged tables, or a short form beside a long one.

use serde_json::{Map, Value};

use super::words::{list, type_words};
use super::{Checker, Shape, Slot, has_type, types, unknown_key_hint};
use crate::document::Node;
use crate::model::did_you_mean;

impl<'a> Checker<'a> {
    /// The words that are allowed, for a schema that allows nothing but certain words.
    pub(super) fn choices(&self, schema: &'a Value) -> Option<Vec<&'a str>> {
        let keywords = self.resolve(schema).as_object()?;
        if let Some(word) = keywords.get("const") {
            return word.as_str().map(|word| vec![word]);
        }
        if let Some(words) = keywords.get("enum").and_then(Value::as_array) {
            let words: Vec<&Value> = words.iter().filter(|word| !word.is_null()).collect();
            return words.iter().map(|word| word.as_str()).collect();
        }
        let alternatives = keywords.get("oneOf").or_else(|| keywords.get("anyOf"))?.as_array()?;
        let mut words = Vec::new();
        for alternative in alternatives.iter().filter(|alternative| !self.is_null(alternative)) {
            words.extend(self.choices(alternative)?);
        }
        (!words.is_empty()).then_some(words)
    }

    pub(super) fn check_choice(&mut self, slot: Slot<'_>, choices: &[&str]) {
        let listed =
            format!("one of {}", choices.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "));
        match slot.node.text() {
            Some(text) if choices.contains(&text) => {}
            Some(text) => {
                let near = did_you_mean(text, choices.iter().copied());
                let hint = near.map_or_else(|| listed.clone(), |near| format!("did you mean \"{near}\"? {listed}"));
                self.refuse(slot, format!("`{}` is not known here", text.escape_debug()), Some(hint));
            }
            None => self.refuse(slot, format!("must be text, not {}", slot.node.noun()), Some(listed)),
        }
    }

    pub(super) fn check_alternatives(&mut self, slot: Slot<'_>, alternatives: &'a [Value]) {
        let alternatives: Vec<&Value> = alternatives.iter().filter(|alternative| !self.is_null(alternative)).collect();
        if let [only] = alternatives[..] {
            self.check(slot, only);
            return;
        }
        if slot.node.is_table()
            && let Some((tag, words)) = self.shared_tag(&alternatives)
            && !self.check_tag(slot, tag, &words)
        {
            return;
        }
        if slot.node.text().is_some()
            && let Some(words) = self.all_words(&alternatives)
        {
            self.check_choice(slot, &words);
            return;
        }
        let mut tried: Vec<(&Value, Shape)> = Vec::new();
        for alternative in &alternatives {
            let mut attempt = Checker {
                file: self.file,
                root: self.root,
                rules: self.rules,
                found: Shape::default(),
                depth: self.depth,
            };
            attempt.check(slot, alternative);
            if attempt.found.problems.is_empty() {
                return;
            }
            tried.push((alternative, attempt.found));
        }
        tried.retain(|(schema, _)| self.is_meant(slot.node, schema));
        if let Some(rivals) = self.rivals(slot.node, &tried) {
            self.refuse(slot, format!("only one of {rivals} can be given"), None);
            return;
        }
        if let Some((_, meant)) = tried.into_iter().min_by_key(|(_, found)| found.problems.len()) {
            self.found.problems.extend(meant.problems);
            self.found.wrong.extend(meant.wrong);
            return;
        }
        if let Some(entry) = slot.node.entries().first() {
            let known: Vec<&str> = alternatives.iter().flat_map(|schema| self.known_keys(schema)).collect();
            if !known.is_empty() {
                let path = format!("{}.{}", slot.path, entry.key);
                let inner = Slot { path: &path, ..slot };
                let message = format!("unknown key `{}`", entry.key);
                self.error(inner, entry.key_span.clone(), message, Some(unknown_key_hint(&entry.key, &known)));
                return;
            }
        }
        let forms: Vec<String> = alternatives.iter().map(|schema| self.form(schema)).collect();
        let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        self.refuse(slot, format!("must be {}, not {}", list(&forms, "or"), slot.node.noun()), None);
    }

    /// Every word that is allowed, when no other text is.
    fn all_words(&self, alternatives: &[&'a Value]) -> Option<Vec<&'a str>> {
        let mut words = Vec::new();
        for schema in alternatives {
            match self.choices(schema) {
                Some(choices) => words.extend(choices),
                None if self.resolve(schema).get("type").and_then(Value::as_str) == Some("object") => {}
                None => return None,
            }
        }
        (!words.is_empty()).then_some(words)
    }

    /// The key that tells all alternatives apart, with the words it may have, when there is one.
    fn shared_tag(&self, alternatives: &[&'a Value]) -> Option<(&'a str, Vec<&'a str>)> {
        let tag = |schema: &'a Value| {
            let properties = self.resolve(schema).get("properties")?.as_object()?;
            properties.iter().find_map(|(name, of)| Some((name.as_str(), of.get("const")?.as_str()?)))
        };
        let tags: Vec<(&str, &str)> = alternatives.iter().map(|schema| tag(schema)).collect::<Option<_>>()?;
        let (name, _) = tags.first()?;
        tags.iter().all(|(other, _)| other == name).then(|| (*name, tags.iter().map(|(_, word)| *word).collect()))
    }

    /// False, and said so, when a table does not say with a word that is known which alternative it is.
    fn check_tag(&mut self, slot: Slot<'_>, tag: &str, words: &[&str]) -> bool {
        let path = if slot.path.is_empty() { tag.to_owned() } else { format!("{}.{tag}", slot.path) };
        let listed = || words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let Some(entry) = slot.node.entry(tag) else {
            let here = Slot { path: &path, ..slot };
            self.error(here, slot.label.clone(), format!("`{tag}` is missing"), Some(format!("one of {}", listed())));
            return false;
        };
        if entry.node.text().is_some_and(|text| words.contains(&text)) {
            return true;
        }
        self.check_choice(Slot { node: &entry.node, path: &path, label: &entry.key_span, id: slot.id }, words);
        false
    }

    /// The keys of a table that belong to different alternatives, each of which is nothing but that key.
    fn rivals(&self, node: &Node, meant: &[(&'a Value, Shape)]) -> Option<String> {
        let sole_key = |schema: &'a Value| match self.known_keys(schema)[..] {
            [key] => node.get(key).map(|_| format!("`{key}`")),
            _ => None,
        };
        let keys: Vec<String> = meant.iter().map(|(schema, _)| sole_key(schema)).collect::<Option<_>>()?;
        (keys.len() > 1).then(|| keys.join(", "))
    }

    /// True when the value looks like an attempt at this alternative: the same type, and a table with its tag or with
    /// one of its keys.
    fn is_meant(&self, node: &Node, schema: &'a Value) -> bool {
        let Some(keywords) = self.resolve(schema).as_object() else { return false };
        let allowed = types(keywords);
        if !allowed.is_empty() && !allowed.iter().any(|name| has_type(node, name)) {
            return false;
        }
        if !node.is_table() {
            return true;
        }
        let properties = keywords.get("properties").and_then(Value::as_object);
        let tags: Vec<(&String, &str)> = properties
            .into_iter()
            .flatten()
            .filter_map(|(name, of)| Some((name, of.get("const")?.as_str()?)))
            .collect();
        if tags.is_empty() {
            let known = self.known_keys(schema);
            node.entries().iter().any(|entry| known.contains(&entry.key.as_str()))
        } else {
            tags.iter().all(|(name, word)| node.get(name).and_then(Node::text) == Some(*word))
        }
    }

    fn is_null(&self, schema: &'a Value) -> bool {
        self.resolve(schema).get("type").and_then(Value::as_str) == Some("null")
    }

    /// Every key that a table of this schema may have, those of its alternatives included.
    pub(super) fn known_keys(&self, schema: &'a Value) -> Vec<&'a str> {
        let mut known = Vec::new();
        self.collect_keys(schema, &mut known, 0);
        known
    }

    fn collect_keys(&self, schema: &'a Value, known: &mut Vec<&'a str>, depth: usize) {
        let Some(keywords) = self.resolve(schema).as_object() else { return };
        let properties = keywords.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flat_map(Map::keys) {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in keywords.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                if depth < 8 {
                    self.collect_keys(part, known, depth + 1);
                }
            }
        }
    }

    /// A few words for an alternative.
    fn form(&self, schema: &'a Value) -> String {
        let Some(keywords) = self.resolve(schema).as_object() else { return "anything".to_owned() };
        if let Some(choices) = self.choices(schema) {
            return choices.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        }
        let required: Vec<String> = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| format!("`{name}`"))
            .collect();
        let words: Vec<&str> = types(keywords).into_iter().filter(|name| *name != "null").map(type_words).collect();
        match (words.is_empty(), required.is_empty()) {
            (true, _) => "something else".to_owned(),
            (false, true) => list(&words, "or"),
            (false, false) => format!("{} with {}", list(&words, "or"), required.join(", ")),
        }
    }
}
