//! The scenarios that come with the program.

use crate::model::SourceText;

/// Name and text of every shipped scenario.
pub const SHIPPED: &[(&str, &str)] = &[
    ("source-dies", include_str!("../../scenarios/source-dies.toml")),
    ("source-flaps", include_str!("../../scenarios/source-flaps.toml")),
    ("network-splits-one-way", include_str!("../../scenarios/network-splits-one-way.toml")),
    ("share-stalls", include_str!("../../scenarios/share-stalls.toml")),
    ("restore-half-done", include_str!("../../scenarios/restore-half-done.toml")),
    ("standby-disk-full", include_str!("../../scenarios/standby-disk-full.toml")),
];

/// A shipped scenario by name.
#[must_use]
pub fn shipped(name: &str) -> Option<SourceText> {
    SourceText::shipped(SHIPPED, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::examine;

    #[test]
    fn shipped_scenarios_are_good_and_called_what_their_file_is_called() {
        let runbooks: Vec<&str> = crate::runbook::SHIPPED.iter().map(|(name, _)| *name).collect();
        for (name, _) in SHIPPED {
            let source = shipped(name).expect("it is shipped");
            let (scenario, warnings) = examine(&source, &runbooks).into_result().expect("a good scenario");
            assert_eq!((scenario.name.as_str(), warnings.len()), (*name, 0));
            assert!(!scenario.help.is_empty(), "{name} does not say how it can be won");
        }
    }
}
