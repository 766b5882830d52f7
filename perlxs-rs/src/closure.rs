//! Rust closures as code.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::offset_of;
use std::ptr;

use crate::object::dropped;
use crate::xsub::entered;
use crate::{Call, Code, IntoPerl, Perl, Scalar, ffi};

/// A closure, with what the shim asks of it.
#[repr(C)]
struct Closure<F> {
    payload: ffi::Payload,
    xsub: ffi::Xsub,
    function: F,
}

/// Drops a closure whose code perl frees; no panic leaves it.
unsafe extern "C" fn drop_closure<F>(
    interp: *mut ffi::Interp,
    payload: *mut ffi::Payload,
) -> *mut ffi::Sv {
    // SAFETY: the shim gives back what `from_fn` gave to it, once.
    let closure = unsafe { Box::from_raw(payload.cast::<Closure<F>>()) };
    dropped(Perl::from_raw(interp), closure)
}

/// Calls a closure.
unsafe extern "C" fn enter_closure<F: Fn(&Call<'_>) -> R, R: IntoPerl>(
    interp: *mut ffi::Interp,
    xsub: *const ffi::Xsub,
    call: *mut ffi::Call,
) -> c_int {
    // SAFETY: the shim passes the member of what `from_fn` gave to it, and keeps that meanwhile.
    let closure = unsafe {
        &*xsub
            .byte_sub(offset_of!(Closure<F>, xsub))
            .cast::<Closure<F>>()
    };
    // SAFETY: what the shim has passed.
    unsafe {
        entered(interp, call, |call| {
            (closure.function)(call).into_return(call.perl(), None)
        })
    }
}

impl Code {
    /// Code that is a Rust closure: perl's `sub { ... }`. It takes any number of arguments, and
    /// returns anything that an XSUB may. An `Err` or a panic of it is thrown, as of an XSUB.
    ///
    /// The closure is dropped when perl frees the code. It must be [`Send`], as an interpreter may
    /// be freed by another thread than the one that it ran on. In a new thread of perl's the copy
    /// of the code croaks.
    ///
    /// [`closure!`](crate::closure) has arguments with names and types.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `counter($start)`: code that counts.
    /// fn counter(call: &Call<'_>) -> Result<Value> {
    ///     let count = std::sync::atomic::AtomicI64::new(i64::from_perl(
    ///         &call.arg(0),
    ///         &Name::new("start"),
    ///     )?);
    ///     let code = Code::from_fn(call.perl(), move |call| {
    ///         count.fetch_add(call.len() as i64, std::sync::atomic::Ordering::Relaxed)
    ///     });
    ///     Ok(code.into())
    /// }
    /// ```
    /// ```perl
    /// my $counter = counter(7);
    /// $counter->('once');             # 7
    /// $counter->(1, 2);               # 8
    /// $counter->();                   # 10
    /// counter('x');                   # dies: start must be an integer (i64), not the string "x"
    /// ```
    pub fn from_fn<F, R>(perl: Perl, function: F) -> Code
    where
        F: Fn(&Call<'_>) -> R + Send + 'static,
        R: IntoPerl,
    {
        let closure = Box::into_raw(Box::new(Closure {
            payload: ffi::Payload {
                drop: drop_closure::<F>,
                interp: perl.raw(),
            },
            xsub: ffi::Xsub {
                name: ptr::null(),
                params: c"...".as_ptr(),
                prototype: ptr::null(),
                body: enter_closure::<F, R>,
                min_args: 0,
                max_args: -1,
            },
            function,
        }));
        // SAFETY: the new code owns the closure, which nobody else knows; what the shim returns is
        // owned.
        let cv = unsafe {
            let (xsub, payload) = (&raw const (*closure).xsub, closure.cast());
            Scalar::from_owned(perl, ffi::perlxs_closure_new(perl.raw(), xsub, payload))
        };
        Code::new(cv)
    }
}
