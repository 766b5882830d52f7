//! Constants: subs that perl folds at compile time.

use std::ffi::CString;

/// A constant sub of a [`Module`](crate::Module), with the prototype `()`
/// (perlapi: `newCONSTSUB`).
#[derive(Clone, Debug)]
pub struct Constant {
    pub(crate) name: CString,
    pub(crate) value: u64,
}

impl Constant {
    /// `name` without its package; `value` is what the sub returns, never negative.
    ///
    /// # Panics
    /// If the name has a NUL.
    pub fn new(name: impl Into<Vec<u8>>, value: u64) -> Self {
        Constant {
            name: CString::new(name).expect("a name without NUL"),
            value,
        }
    }
}
