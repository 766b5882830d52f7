//! A coderef as the main program of a process that is a copy.

#![allow(unsafe_code)]

use std::ffi::c_int;

use crate::{Call, Code, Start, ffi};

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

impl Call<'_> {
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
    /// [`with_fork_locks`](crate::Perl::with_fork_locks) or by [`fork`](crate::Perl::fork), and
    /// ends once this returns, without returning to perl.
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
                &start.raw(self.raw_mask()),
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
