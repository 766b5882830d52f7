//! System calls that sleep, and the names of signals.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

use crate::frame::contained;
use crate::{Call, Perl, Result, ffi};

impl Call<'_> {
    /// syscall(2), for one that may sleep: with the caller's signal mask, which
    /// [`hold`](Call::hold) has set aside. As with perl's `waitpid`, a handler for a signal that
    /// arrives runs meanwhile, and then the call is made again; it never fails with EINTR.
    ///
    /// Of `args` those that the call does not have are 0. Returns what the call returned, or its
    /// errno.
    ///
    /// What arrived before, while signals were blocked, is handled first. As with `waitpid`, a
    /// handler of perl's is late for a signal that arrives in the last nanoseconds before the call
    /// sleeps: it runs when the call returns, or with the next signal.
    ///
    /// Returns `Err` if a handler dies or exits. One that is not deferred (perlipc, "Deferred
    /// Signals") may do that when the call has done its work already: make one that can be
    /// repeated.
    ///
    /// # Safety
    /// As for the system call. What it gets pointers to is not touched by handlers.
    pub unsafe fn syscall(
        &self,
        number: c_long,
        args: [c_long; 6],
    ) -> Result<core::result::Result<c_long, c_int>> {
        let [a, b, c, d, e, f] = args;
        let call = [number, a, b, c, d, e, f];
        let (mut out, mut errno) = (-1, 0);
        contained(self.perl(), |error| {
            let perl = self.perl().raw();
            // SAFETY: seven numbers, and places that outlive the call; the rest is the caller's.
            unsafe { ffi::perlxs_syscall(perl, call.as_ptr(), &mut out, &mut errno, error) }
        })?;
        Ok(match out {
            -1 => Err(errno),
            out => Ok(out),
        })
    }
}

impl Perl {
    /// The number of the signal that perl knows by this name, with or without SIG (perlfunc:
    /// `kill`); `ZERO` is 0.
    pub fn signal_number(self, name: &str) -> Option<c_int> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        // SAFETY: a string with its length.
        let number =
            unsafe { ffi::perlxs_signal_number(self.raw(), name.as_ptr().cast(), name.len()) };
        (number >= 0).then_some(number)
    }
}
