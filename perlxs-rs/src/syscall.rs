//! System calls that sleep, and the names of signals.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

use crate::guard::contained;
use crate::{Call, Perl, Result, ffi};

impl Call<'_> {
    /// syscall(2), for one that may sleep. As with perl's `waitpid`, a handler for a signal that
    /// arrives runs meanwhile, and then the call is made again; it never fails with EINTR. Where
    /// the body has blocked signals, it is made with the caller's signal mask.
    ///
    /// Of `args` those that the call does not have are 0. Returns what the call returned, or its
    /// errno.
    ///
    /// What arrived before is handled first. As with `waitpid`, a
    /// handler of perl's is late for a signal that arrives in the last nanoseconds before the call
    /// sleeps: it runs when the call returns, or with the next signal.
    ///
    /// Returns `Err` if a handler dies or exits. One that is not deferred (perlipc, "Deferred
    /// Signals") may do that when the call has done its work already: make one that can be
    /// repeated.
    ///
    /// # Safety
    /// As for the system call. What it gets pointers to is not touched by handlers.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `sleep_for($seconds)`: nanosleep(2); signal handlers of perl's run meanwhile.
    /// fn sleep_for(call: &Call<'_>) -> Result<Value> {
    ///     let seconds = call.arg(0).number()?.integer().unwrap_or(0) as libc::time_t;
    ///     let time = libc::timespec { tv_sec: seconds, tv_nsec: 10_000_000 };
    ///     let address = (&raw const time).addr() as libc::c_long;
    ///     // SAFETY: a timespec, which the kernel only reads.
    ///     let slept = unsafe { call.syscall(libc::SYS_nanosleep, [address, 0, 0, 0, 0, 0])? };
    ///     Ok(match slept {
    ///         Ok(_) => "slept".into(),
    ///         Err(errno) => format!("errno {errno}").into(),
    ///     })
    /// }
    /// ```
    /// ```perl
    /// sleep_for(0);                   # 'slept'
    /// sleep_for(-1);                  # 'errno 22'
    /// $SIG{ALRM} = sub { die "enough\n" };
    /// alarm 1;
    /// sleep_for(60);                  # dies: enough
    /// ```
    pub unsafe fn syscall(
        &self,
        number: c_long,
        args: [c_long; 6],
    ) -> Result<core::result::Result<c_long, c_int>> {
        // SAFETY: as the caller says.
        unsafe { self.sleep_in(None, number, args) }
    }

    /// As [`syscall`](Call::syscall), after another call, `first`, by its number and arguments,
    /// which is made once, with the caller's signal mask too: what `first` brings about cannot send
    /// its signal while that is blocked here, and so to another thread. What `first` returns is not
    /// told.
    ///
    /// # Safety
    /// As for [`syscall`](Call::syscall), of both.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `signalled($signal)`: sends the signal to this process, and waits for a second.
    /// fn signalled(call: &Call<'_>) -> Result<Value> {
    ///     let signal = call.arg(0).number()?.integer().unwrap_or(0) as libc::c_long;
    ///     let time = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    ///     let address = (&raw const time).addr() as libc::c_long;
    ///     let kill = [libc::SYS_kill, std::process::id().into(), signal, 0, 0, 0, 0];
    ///     // SAFETY: a timespec, which the kernel only reads; the other touches no memory.
    ///     let slept =
    ///         unsafe { call.syscall_after(kill, libc::SYS_nanosleep, [address, 0, 0, 0, 0, 0])? };
    ///     Ok(slept.is_ok().into())
    /// }
    /// ```
    /// ```perl
    /// signalled(0);                   # 1
    /// $SIG{USR1} = sub { die "here\n" };
    /// signalled(10);                  # dies: here
    /// ```
    #[cfg(feature = "process")]
    pub unsafe fn syscall_after(
        &self,
        first: [c_long; 7],
        number: c_long,
        args: [c_long; 6],
    ) -> Result<core::result::Result<c_long, c_int>> {
        // SAFETY: as the caller says.
        unsafe { self.sleep_in(Some(first), number, args) }
    }

    /// # Safety
    /// As for [`syscall`](Call::syscall).
    unsafe fn sleep_in(
        &self,
        first: Option<[c_long; 7]>,
        number: c_long,
        args: [c_long; 6],
    ) -> Result<core::result::Result<c_long, c_int>> {
        let [a, b, c, d, e, f] = args;
        let call = [number, a, b, c, d, e, f];
        let first = first
            .as_ref()
            .map_or(std::ptr::null(), |first| first.as_ptr());
        let (mut out, mut errno) = (-1, 0);
        contained(self.perl(), |error| {
            let perl = self.perl().raw();
            // SAFETY: seven numbers, and places that outlive the call; the rest is the caller's.
            unsafe { ffi::perlxs_syscall(perl, first, call.as_ptr(), &mut out, &mut errno, error) }
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
    ///
    /// Example: [`Perl`].
    pub fn signal_number(self, name: &str) -> Option<c_int> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        // SAFETY: a string with its length.
        let number =
            unsafe { ffi::perlxs_signal_number(self.raw(), name.as_ptr().cast(), name.len()) };
        (number >= 0).then_some(number)
    }
}
