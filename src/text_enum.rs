//! Enums whose values have one text each, in SQL and in rows.

/// Declares an enum and the text of each of its variants. Variants are ordered as they are declared.
///
/// ```ignore
/// text_enum! {
///     /// What a key is for.
///     pub enum Purpose {
///         /// Signs access tokens.
///         Jwt = "jwt",
///     }
/// }
/// ```
macro_rules! text_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name { $($(#[$variant_attribute])* $variant,)+ }

        #[allow(dead_code, reason = "not every enum is read back or listed")]
        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The text of every variant, in the same order.
            pub const TEXTS: &[&str] = &[$($text,)+];

            /// The text that is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The variant with exactly this text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

pub(crate) use text_enum;

#[cfg(test)]
mod tests;
