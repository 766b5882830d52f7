//! A process that shares the memory of this one, meanwhile asleep.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use crate::guard::contained;
use crate::{Call, Code, Perl, Result, Start, ffi};

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
///         guest.shared.run(guest.code, Start::default(), false, guest.limit)
///     }
/// }
///
/// /// `host($code)`: runs the code in a process that shares this one's memory (clone(2), CLONE_VM
/// /// with CLONE_VFORK); its exit status, as in `$?`.
/// fn host(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("host needs code"))?;
///     let mut stack = vec![0u64; 1 << 17];
///     let top = stack.as_mut_ptr_range().end;
///     let pid = call.share(false, |shared| {
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
    /// Recursion that gets below `stack_limit` ends the process by SIGSEGV.
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
        stack_limit: *const c_void,
    ) -> c_int {
        let mask = match keep_signals {
            true => std::ptr::null(),
            false => self.call.raw_mask(),
        };
        // SAFETY: the interpreter is this process's, until it ends.
        unsafe {
            ffi::perlxs_shared_run(
                self.call.perl().raw(),
                self.raw,
                code.cv().raw(),
                &start.raw(mask),
                stack_limit,
            )
        }
    }
}

impl Perl {
    /// Says that this process has a table of descriptors of its own from now on (unshare(2),
    /// CLONE_FILES). In a process that was started by [`Call::share`] with `shares_files` what it
    /// does to handles stays its own, then; in any other this does nothing.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `own_files`: whether unshare(2) with CLONE_FILES is done.
    /// fn own_files(call: &Call<'_>) -> Result<Value> {
    ///     // SAFETY: touches no memory.
    ///     let done = unsafe { libc::unshare(libc::CLONE_FILES) } == 0;
    ///     if done {
    ///         call.perl().has_own_files();
    ///     }
    ///     Ok(done.into())
    /// }
    /// ```
    /// ```perl
    /// own_files();                    # 1
    /// ```
    pub fn has_own_files(self) {
        // SAFETY: the interpreter is this process's.
        unsafe { ffi::perlxs_shared_unshare_files(self.raw()) }
    }
}

impl Call<'_> {
    /// Lends the interpreter to a process that shares this one's memory: `start` starts one
    /// that calls [`Shared::run`], and returns when that has ended or has called exec.
    ///
    /// Afterwards the interpreter stands where it stood, wherever the other process stopped:
    /// its frames are unwound, `local` values restored, temporaries freed, and handles are as they
    /// were: open or closed, with what nobody has read. What it has changed otherwise stays
    /// changed. `shares_files` says that it has this one's table of descriptors, too (CLONE_FILES):
    /// then what it does to handles stays done.
    ///
    /// A process that cannot be repaired, since the other one has stopped in a coroutine (Coro),
    /// ends by SIGABRT with a message.
    ///
    /// Returns `Err` if a destructor that the unwinding runs exits.
    ///
    /// Example: [`Shared`].
    pub fn share<R>(
        &self,
        shares_files: bool,
        start: impl FnOnce(&Shared<'_, '_>) -> R,
    ) -> Result<R> {
        self.block_signals();
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
        let raw = unsafe { ffi::perlxs_shared_begin(perl.raw(), shares_files.into()) };
        let end = End(perl, raw);
        let result = start(&Shared { call: self, raw });
        end.end()?;
        Ok(result)
    }
}
