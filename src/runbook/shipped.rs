//! The runbooks that come with the program. A file of the same name in the operator's runbook folder replaces one.

use super::SourceText;

/// Name and text of every shipped runbook.
pub const SHIPPED: &[(&str, &str)] = &[
    ("replicate", include_str!("../../runbooks/replicate.toml")),
    ("backup", include_str!("../../runbooks/backup.toml")),
    ("transfer", include_str!("../../runbooks/transfer.toml")),
    ("restore", include_str!("../../runbooks/restore.toml")),
];

/// A shipped runbook by name.
#[must_use]
pub fn shipped(name: &str) -> Option<SourceText> {
    SourceText::shipped(SHIPPED, name)
}
