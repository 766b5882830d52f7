//! The interpreter handle.

use crate::ffi;

/// A handle to the perl interpreter that called us.
///
/// It is valid on the thread of that interpreter while the interpreter lives, and cannot be
/// sent to another thread. On a perl built without MULTIPLICITY it carries nothing.
#[derive(Clone, Copy)]
pub struct Perl {
    raw: *mut ffi::Interp,
}

impl Perl {
    /// Wraps what perl passed to an XSUB.
    pub(crate) fn from_raw(raw: *mut ffi::Interp) -> Self {
        Perl { raw }
    }

    pub(crate) fn raw(self) -> *mut ffi::Interp {
        self.raw
    }
}
