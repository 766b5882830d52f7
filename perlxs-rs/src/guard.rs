//! From the shim's statuses to [`Result`], and from panics to errors.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::c_int;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use crate::{Error, Perl, Result, Scalar, ffi};

/// Runs one shim function that contains what perl code throws. `call` gets the place for the
/// exception and returns the status.
#[inline]
pub(crate) fn contained(perl: Perl, call: impl FnOnce(*mut *mut ffi::Sv) -> c_int) -> Result<()> {
    let mut exception = ptr::null_mut();
    match call(&mut exception) {
        ffi::OK if exception.is_null() => Ok(()),
        status => thrown(perl, status, exception),
    }
}

#[cold]
fn thrown(perl: Perl, status: c_int, exception: *mut ffi::Sv) -> Result<()> {
    // SAFETY: what the shim has stored is an owned SV.
    let exception =
        NonNull::new(exception).map(|sv| unsafe { Scalar::from_owned(perl, sv.as_ptr()) });
    match status {
        ffi::OK => Ok(()),
        ffi::DIED => Err(Error::Exception(exception.expect("an exception"))),
        _ => Err(Error::Exit),
    }
}

/// A panic's text, or a word for a payload without one. What the payload's own drop panics with is
/// lost.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "panic"
    };
    let text = text.to_string();
    drop_panic(payload);
    text
}

/// Drops a panic's payload, and that of the panic that comes of it: no other panic leaves this.
pub(crate) fn drop_panic(mut payload: Box<dyn Any + Send>) {
    // there may be no end to them
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(another) => payload = another,
        }
    }
    mem::forget(payload);
}
