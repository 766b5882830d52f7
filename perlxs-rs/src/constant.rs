//! Constants: subs that perl folds at compile time.

/// A constant sub of a [`Module`](crate::Module), with the prototype `()`
/// (perlapi: `newCONSTSUB`).
#[derive(Clone, Debug)]
pub struct Constant {
    pub(crate) name: String,
    pub(crate) value: u64,
}

impl Constant {
    /// `name` without its package; `value` is what the sub returns, never negative.
    pub fn new(name: impl Into<String>, value: u64) -> Self {
        Constant {
            name: name.into(),
            value,
        }
    }
}
