//! What perl's own fork does around fork(2), for those who start processes by other means.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;

use crate::guard::contained;
use crate::{Call, Perl, Result, Scalar, ffi};

/// What a new process starts with: for [`Call::run_main`](crate::Call::run_main) and
/// [`Shared::run`](crate::Shared::run).
///
/// ```
/// # use perlxs::*;
/// /// `in_child($code)`: the code is a new process's main program; its exit status, as in `$?`.
/// fn in_child(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("in_child needs code"))?;
///     call.perl().flush_all()?;
///     call.block_signals();
///     let start = Start { errno: 0, ..Start::default() };
///     let pid = call.perl().with_fork_locks(|| {
///         // SAFETY: the child does not return; fork(3) would take the locks itself.
///         let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
///         if pid == 0 {
///             // SAFETY: a copy, made under the locks, that ends here.
///             match unsafe { call.run_main(&code, start) } {
///                 // SAFETY: nothing of perl is to run any more.
///                 MainEnd::Returned(status) => unsafe { libc::_exit(status) },
///                 // SAFETY: as above.
///                 MainEnd::Exited(status) => unsafe { libc::exit(status) },
///             }
///         }
///         pid as libc::pid_t
///     });
///     let mut status = 0;
///     // SAFETY: a place for the status.
///     unsafe { libc::waitpid(pid, &mut status, 0) };
///     Ok(status.into())
/// }
/// ```
/// ```perl
/// in_child(sub { 3 });                    # 3 << 8
/// in_child(sub { exit 4 });               # 4 << 8
/// in_child(sub { $! = 7; die "oh\n" });   # 7 << 8
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// `$!` when the code starts.
    pub errno: c_int,
    /// What is assigned to a scalar before the code runs. If that dies, it is as if the code did.
    pub assign: Option<(&'a Scalar, i64)>,
    /// For [`Call::run_main`](crate::Call::run_main): called if the code exits or dies, after its
    /// own scopes are left and before those of the copied callers, whose handles perl closes then.
    pub on_exit: Option<extern "C" fn()>,
}

impl Start<'_> {
    pub(crate) fn raw(&self, mask: *const ffi::SigSet) -> ffi::Start {
        ffi::Start {
            err: self.errno,
            mask,
            sv: self.assign.map_or(std::ptr::null_mut(), |(sv, _)| sv.raw()),
            value: self.assign.map_or(0, |(_, value)| value),
        }
    }
}

impl Call<'_> {
    /// Blocks all signals until the body has returned: for the time in which a process is copied or
    /// shared. Perl code that runs meanwhile has the caller's signal mask.
    ///
    /// Example: [`Perl::before_exec`].
    pub fn block_signals(&self) {
        // SAFETY: the shim's own struct, of this call.
        unsafe { ffi::perlxs_call_block_signals(self.perl().raw(), self.raw()) }
    }

    /// The caller's signal mask, a `sigset_t`, once signals are
    /// [blocked](Call::block_signals); else null. For a process that the body starts.
    ///
    /// Example: [`Perl::before_exec`].
    pub fn signal_mask(&self) -> *const c_void {
        self.raw_mask().cast()
    }

    pub(crate) fn raw_mask(&self) -> *const ffi::SigSet {
        // SAFETY: the shim's own struct, of this call.
        unsafe { ffi::perlxs_call_signal_mask(self.perl().raw(), self.raw()) }
    }
}

impl Perl {
    /// Flushes all output handles, as perl does before it forks
    /// (`PERL_FLUSHALL_FOR_CHILD`).
    ///
    /// Returns `Err` if a layer that is written in perl dies or exits. A write error is no
    /// error here, as with fork: the handle keeps it.
    ///
    /// Example: [`Start`].
    pub fn flush_all(self) -> Result<()> {
        contained(self, |error| {
            // SAFETY: `error` outlives the call.
            unsafe { ffi::perlxs_flush_all(self.raw(), error) }
        })
    }

    /// In a process that is to become another program: undoes what perl has done to signals for
    /// itself, as before its own exec. It ignores SIGFPE, and a program would go on to.
    ///
    /// Takes no lock and allocates nothing.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `program($path)`: runs a program without arguments; its exit status, as in `$?`.
    /// fn program(call: &Call<'_>) -> Result<Value> {
    ///     let path = call.arg(0).file_name()?.unwrap_or_default();
    ///     let path = std::ffi::CString::new(path).map_err(|e| Error::croak(e.to_string()))?;
    ///     call.block_signals();
    ///     let mask = call.signal_mask();
    ///     // SAFETY: the child makes system calls only, then execs or ends.
    ///     unsafe {
    ///         let pid = libc::fork();
    ///         if pid == 0 {
    ///             call.perl().before_exec();
    ///             libc::sigprocmask(libc::SIG_SETMASK, mask.cast(), std::ptr::null_mut());
    ///             libc::execl(path.as_ptr(), path.as_ptr(), std::ptr::null::<i8>());
    ///             libc::_exit(127);
    ///         }
    ///         let mut status = 0;
    ///         libc::waitpid(pid, &mut status, 0);
    ///         Ok(status.into())
    ///     }
    /// }
    /// ```
    /// ```perl
    /// program('/bin/true');           # 0
    /// program('/no/such');            # 127 << 8
    /// program("a\0b");                # dies: nul byte found
    /// ```
    pub fn before_exec(self) {
        // SAFETY: changes how the process treats a signal, nothing else.
        unsafe { ffi::perlxs_before_exec(self.raw()) }
    }

    /// Runs `start` with perl's own locks held, so that a process that it starts as a copy of this
    /// one finds them consistent: those of `Perl_atfork_lock`, and two that perl's fork leaves out,
    /// of the environment (`PL_env_mutex`) and of hints (`PL_hints_mutex`). The copy must not
    /// return from `start` but call [`Call::run_main`](crate::Call::run_main), which releases them
    /// there. Not for fork(3), which takes the former itself: [`Perl::fork`] is for that.
    ///
    /// Example: [`Start`].
    pub fn with_fork_locks<R>(self, start: impl FnOnce() -> R) -> R {
        struct Unlock(Perl);
        impl Drop for Unlock {
            fn drop(&mut self) {
                // SAFETY: this thread holds the locks.
                unsafe { ffi::perlxs_fork_unlock(self.0.raw(), 0) }
            }
        }
        // SAFETY: released by the guard below, on this thread.
        unsafe { ffi::perlxs_fork_lock(self.raw()) }
        let _unlock = Unlock(self);
        start()
    }

    /// fork(3), with the locks that [`Perl::with_fork_locks`] tells of. It runs what libraries have
    /// ordered by pthread_atfork(3), and the copy finds those locks of the C library free that
    /// fork(3) promises, whatever other threads do.
    ///
    /// Returns the copy's process id in this process, and 0 in the copy; or `Err` with what fork(3)
    /// refused.
    ///
    /// # Safety
    /// The copy does not return to perl; it calls [`Call::run_main`](crate::Call::run_main), or
    /// nothing of perl at all.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `forked($code)`: the code is a new process's main program; its exit status, as in `$?`.
    /// fn forked(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("forked needs code"))?;
    ///     call.perl().flush_all()?;
    ///     call.block_signals();
    ///     // SAFETY: the copy runs code as a main program, and ends.
    ///     let pid = unsafe { call.perl().fork() };
    ///     let pid = pid.map_err(|error| Error::croak(error.to_string()))?;
    ///     if pid == 0 {
    ///         // SAFETY: a copy by fork, that ends here.
    ///         match unsafe { call.run_main(&code, Start::default()) } {
    ///             // SAFETY: nothing of perl is to run any more.
    ///             MainEnd::Returned(status) => unsafe { libc::_exit(status) },
    ///             // SAFETY: as above.
    ///             MainEnd::Exited(status) => unsafe { libc::exit(status) },
    ///         }
    ///     }
    ///     let mut status = 0;
    ///     // SAFETY: a place for the status.
    ///     unsafe { libc::waitpid(pid, &mut status, 0) };
    ///     Ok(status.into())
    /// }
    /// ```
    /// ```perl
    /// forked(sub { 3 });                          # 3 << 8
    /// forked(sub { my $now = localtime; 4 });     # 4 << 8
    /// ```
    pub unsafe fn fork(self) -> io::Result<c_int> {
        // SAFETY: as the caller says.
        match unsafe { ffi::perlxs_fork(self.raw()) } {
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(pid),
        }
    }
}
