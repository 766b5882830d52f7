//! The interpreter handle.

#![allow(unsafe_code)]

use std::ffi::CStr;

use crate::frame::contained;
use crate::{Result, Scalar, ffi};

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

    /// The package variable of this name, with its package and without `$`. It is made if there
    /// is none (perlapi: `get_sv`).
    pub fn variable(self, name: &CStr) -> Scalar {
        // SAFETY: a C string; what the shim returns is owned.
        unsafe { Scalar::from_owned(self, ffi::perlxs_variable(self.raw, name.as_ptr())) }
    }

    /// Loads a module by its name, as in `Some::Module`, and imports nothing (perlapi:
    /// `load_module`).
    ///
    /// Returns `Err` if it is not found, or dies or exits while it is loaded.
    pub fn load_module(self, name: &str) -> Result<()> {
        contained(self, |error| {
            // SAFETY: a string with its length.
            unsafe { ffi::perlxs_load_module(self.raw, name.as_ptr().cast(), name.len(), error) }
        })
    }
}
