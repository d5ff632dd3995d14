//! How much an expression may cost. Whatever is asked, the answer or the refusal comes soon.

/// Bytes of one expression.
pub const TEXT_MAX: usize = 64 * 1024;

/// How deep expressions may nest in expressions: evaluation recurses as deep.
pub const DEPTH_MAX: u16 = 96;

/// Regular expressions: bytes of the pattern, and of the compiled program.
pub const REGEX_TEXT_MAX: usize = 8 * 1024;
pub const REGEX_SIZE_MAX: usize = 1024 * 1024;

/// What one evaluation may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items visited, compared or made.
    pub steps_max: usize,
    /// Items in one collection.
    pub items_max: usize,
    /// Bytes of text made by functions, all together.
    pub text_bytes_max: usize,
}

impl Limits {
    pub const DEFAULT: Self = Self {
        steps_max: 2_000_000,
        items_max: 200_000,
        text_bytes_max: 16 * 1024 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
