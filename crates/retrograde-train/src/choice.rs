//! Enums whose variants have one name, in recipes and in reports.

use std::fmt;

/// The variants and their names.
pub(crate) trait Choice: Copy + fmt::Display + 'static {
    const ALL: &'static [Self];
    fn name(self) -> &'static str;
}

/// Makes such an enum from a table.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
        pub enum $type { $($(#[$variant_doc])* #[serde(rename = $name)] $variant),* }
        impl $crate::choice::Choice for $type {
            const ALL: &'static [$type] = &[$($type::$variant),*];
            fn name(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::choice::Choice::name(*self))
            }
        }
    };
}
pub(crate) use choice;
