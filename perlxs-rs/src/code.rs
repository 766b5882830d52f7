//! Calling perl from Rust.

#![allow(unsafe_code)]

use std::ptr;

use crate::frame::contained;
use crate::{Perl, Result, Scalar, ffi};

/// A perl sub that can be called.
#[derive(Clone, Debug)]
pub struct Code {
    cv: Scalar,
}

impl Code {
    pub(crate) fn new(cv: Scalar) -> Self {
        Code { cv }
    }

    /// The interpreter that it belongs to.
    pub fn perl(&self) -> Perl {
        self.cv.perl()
    }

    pub(crate) fn cv(&self) -> &Scalar {
        &self.cv
    }

    /// Calls the sub in scalar context with `args` and returns a copy of what it returns
    /// (perlapi: `call_sv`).
    ///
    /// Returns `Err` if it dies or exits. It cannot leave by `last`, `next`, `redo` or `goto`:
    /// to perl that is an error, which it may catch or die of.
    pub fn call(&self, args: &[Scalar]) -> Result<Scalar> {
        let perl = self.cv.perl();
        let args: Vec<_> = args.iter().map(Scalar::raw).collect();
        let mut out = ptr::null_mut();
        contained(perl, |error| {
            // SAFETY: live values of this interpreter; `args` and `out` outlive the call.
            unsafe {
                ffi::perlxs_code_call(
                    perl.raw(),
                    self.cv.raw(),
                    args.as_ptr(),
                    args.len(),
                    &mut out,
                    error,
                )
            }
        })?;
        // SAFETY: the shim stored an owned SV.
        Ok(unsafe { Scalar::from_owned(perl, out) })
    }
}
