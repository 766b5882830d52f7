//! What perl's own fork does around fork(2), for those who start processes by other means.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use crate::frame::contained;
use crate::{Call, Code, Perl, Result, Scalar, ffi};

/// What a new process starts with: for [`Call::run_main`] and [`Shared::run`].
///
/// ```
/// # use perlxs::*;
/// /// `in_child($code)`: the code is a new process's main program; its exit status, as in `$?`.
/// fn in_child(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("in_child needs code"))?;
///     call.perl().flush_all()?;
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
    /// For [`Call::run_main`]: called if the code exits or dies, after its own scopes are left and
    /// before those of the copied callers, whose handles perl closes then.
    pub on_exit: Option<extern "C" fn()>,
}

impl Start<'_> {
    fn raw(&self, mask: *const ffi::SigSet) -> ffi::Start {
        ffi::Start {
            err: self.errno,
            mask,
            sv: self.assign.map_or(std::ptr::null_mut(), |(sv, _)| sv.raw()),
            value: self.assign.map_or(0, |(_, value)| value),
        }
    }
}

/// How a main program came to its end; the number is its exit status.
///
/// Example: [`Start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainEnd {
    /// The code returned. Output is flushed; END blocks and destructors have not run.
    Returned(c_int),
    /// The code exited or died. END blocks and destructors have run: perl is torn down, and
    /// exit(3) is all that is left to do.
    Exited(c_int),
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
    /// return from `start` but call [`Call::run_main`], which releases them there. Not for
    /// fork(3), which takes the former itself.
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
}

/// How the interpreter stood before [`Call::share`].
///
/// ```
/// # use perlxs::*;
/// # use std::ffi::{c_int, c_void};
/// /// What the other process needs.
/// struct Guest<'a> {
///     shared: &'a Shared<'a, 'a>,
///     code: &'a Code,
///     limit: *const c_void,
/// }
///
/// extern "C" fn enter(guest: *mut c_void) -> c_int {
///     // SAFETY: `host` has made it, and sleeps.
///     unsafe {
///         let guest = &*guest.cast::<Guest<'_>>();
///         guest.shared.run(guest.code, Start::default(), false, false, guest.limit)
///     }
/// }
///
/// /// `host($code)`: runs the code in a process that shares this one's memory (clone(2), CLONE_VM
/// /// with CLONE_VFORK); its exit status, as in `$?`.
/// fn host(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("host needs code"))?;
///     let mut stack = vec![0u64; 1 << 17];
///     let top = stack.as_mut_ptr_range().end;
///     let pid = call.share(|shared| {
///         let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
///         // in a process that is itself a guest, the kernel must clear `tid`
///         let (tid, more) = match shared.is_nested() {
///             true => (shared.tid(), libc::CLONE_CHILD_CLEARTID),
///             false => (std::ptr::null_mut(), 0),
///         };
///         let limit = stack[1 << 13..].as_ptr().cast();
///         let mut guest = Guest { shared, code: &code, limit };
///         let guest: *mut Guest<'_> = &mut guest;
///         // SAFETY: the stack and `guest` are there until the child ends, as this one sleeps.
///         unsafe {
///             let nothing = std::ptr::null_mut::<c_void>();
///             libc::clone(enter, top.cast(), flags | more, guest.cast(), nothing, nothing, tid)
///         }
///     })?;
///     let mut status = 0;
///     // SAFETY: a place for the status.
///     unsafe { libc::waitpid(pid, &mut status, 0) };
///     Ok(status.into())
/// }
/// ```
/// ```perl
/// our $changed = 0;
/// host(sub { $changed = 1; 5 });          # 5 << 8
/// $changed;                               # 1
/// host(sub { exit host(sub { 6 }) >> 8 });        # 6 << 8
/// ```
pub struct Shared<'a, 'c> {
    call: &'a Call<'c>,
    raw: *mut ffi::Shared,
}

impl Shared<'_, '_> {
    /// A word that the kernel must clear when the process lets go of the memory: the child's
    /// address for CLONE_CHILD_CLEARTID (clone(2)). A host that is killed leaves its guest behind;
    /// whoever goes on with the interpreter waits for this.
    ///
    /// Example: [`Shared`].
    pub fn tid(&self) -> *mut i32 {
        // SAFETY: the shim's own struct, alive until the share ends.
        unsafe { ffi::perlxs_shared_tid(self.raw) }
    }

    /// Whether the process that shares its memory is itself such a guest. Then [`Shared::tid`] must
    /// be what the kernel clears.
    ///
    /// Example: [`Shared`].
    pub fn is_nested(&self) -> bool {
        // SAFETY: the shim's own struct, alive until the share ends.
        unsafe { ffi::perlxs_shared_is_nested(self.raw) != 0 }
    }

    /// Runs `code` as the main program of a process that shares this one's memory, and returns
    /// its exit status; the process must end with it, without running anything of perl.
    ///
    /// It is called without arguments in scalar context. The value it returns, evaluated once, is
    /// the exit status (its low eight bits; undef is 0). A die is reported as perl reports an
    /// uncaught one, with perl's status for it. Output is flushed. END blocks and global
    /// destruction do not run: they are the parent's.
    ///
    /// Signal handlers that are functions are replaced by the default, and the mask is the one
    /// that the call found; a signal whose default is to end the process does so at the next
    /// place where perl is consistent. With `keep_signals`, for a process that shares its
    /// handlers with another, handlers and mask stay as they are, and all must be blocked.
    /// `shares_files` says that it has the other's table of descriptors, too (CLONE_FILES): else
    /// the handles that it opens are worth nothing once it has ended. Recursion that gets below
    /// `stack_limit` ends the process by SIGSEGV.
    ///
    /// # Safety
    /// Once for each [`Call::share`], by the process that is started there, on a C stack of its
    /// own, while the thread that made the call sleeps.
    ///
    /// Example: [`Shared`].
    pub unsafe fn run(
        &self,
        code: &Code,
        start: Start<'_>,
        keep_signals: bool,
        shares_files: bool,
        stack_limit: *const c_void,
    ) -> c_int {
        let mask = match keep_signals {
            true => std::ptr::null(),
            false => self.call.raw().mask,
        };
        // SAFETY: the interpreter is this process's, until it ends.
        unsafe {
            ffi::perlxs_shared_run(
                self.call.perl().raw(),
                self.raw,
                code.cv().raw(),
                &start.raw(mask),
                shares_files.into(),
                stack_limit,
            )
        }
    }
}

impl Call<'_> {
    /// Lends the interpreter to a process that shares this one's memory: `start` starts one
    /// that calls [`Shared::run`], and returns when that has ended or has called exec.
    ///
    /// Afterwards the interpreter stands where it stood, wherever the other process stopped:
    /// its frames are unwound, `local` values restored, temporaries freed. What it has changed
    /// otherwise stays changed.
    ///
    /// Returns `Err` if a destructor that the unwinding runs exits.
    ///
    /// Example: [`Shared`].
    pub fn share<R>(&self, start: impl FnOnce(&Shared<'_, '_>) -> R) -> Result<R> {
        struct End(Perl, *mut ffi::Shared);
        impl End {
            fn end(self) -> Result<()> {
                let end = std::mem::ManuallyDrop::new(self);
                contained(end.0, |_| {
                    // SAFETY: what `begin` returned, once; the other process is gone.
                    unsafe { ffi::perlxs_shared_end(end.0.raw(), end.1) }
                })
            }
        }
        impl Drop for End {
            /// If `start` panics.
            fn drop(&mut self) {
                // SAFETY: as above. An exit is passed on by the XSUB's entry.
                unsafe { ffi::perlxs_shared_end(self.0.raw(), self.1) };
            }
        }
        let perl = self.perl();
        // SAFETY: ended below, on this thread.
        let raw = unsafe { ffi::perlxs_shared_begin(perl.raw()) };
        let end = End(perl, raw);
        let result = start(&Shared { call: self, raw });
        end.end()?;
        Ok(result)
    }

    /// Runs `code` as the main program of a new process.
    ///
    /// It is called without arguments in scalar context, with the signal mask that this call
    /// found, and no pending signals. The value it returns, evaluated once, is the exit status
    /// (its low eight bits; undef is 0). A die is reported as perl reports an uncaught one, with
    /// perl's status for it, and no eval of the caller sees it; nor can `last` and its kin reach
    /// the caller's code.
    ///
    /// # Safety
    /// The process is a copy of the one that made this call, its memory its own, started under
    /// [`Perl::with_fork_locks`], and ends once this returns, without returning to perl.
    ///
    /// Example: [`Start`].
    pub unsafe fn run_main(&self, code: &Code, start: Start<'_>) -> MainEnd {
        let perl = self.perl().raw();
        let mut status = 0;
        // SAFETY: the locks were held when the process was copied; the CV is live; nobody
        // returns into the parent's frames, as the caller says.
        unsafe {
            ffi::perlxs_fork_unlock(perl, 1);
            ffi::perlxs_forget_signals(perl);
            let outcome = ffi::perlxs_main_run(
                perl,
                code.cv().raw(),
                &start.raw(self.raw().mask),
                start.on_exit,
                &mut status,
            );
            match outcome {
                ffi::OK => MainEnd::Returned(status),
                _ => MainEnd::Exited(ffi::perlxs_main_end(perl)),
            }
        }
    }
}
