//! The themes that come with the program. A file of the same name in the operator's theme folder replaces one.

use crate::model::SourceText;

/// Name and text of every shipped theme. Each stands for itself: none extends another.
pub const SHIPPED_THEMES: &[(&str, &str)] = &[
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("solarized", include_str!("../../../themes/solarized.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
];

/// A shipped theme's text by name.
pub(super) fn shipped(name: &str) -> Option<SourceText> {
    SourceText::shipped(SHIPPED_THEMES, name)
}
