//! Starting a child, and the child's half.
//!
//! The child is a copy of the process with one thread, the caller's. Between clone(2) and the
//! coderef it does nothing that takes a lock which another thread may have held when it was
//! copied: no allocation, no output. perl's own locks were held by the caller and are released
//! first. It never returns into the caller's frames, which it has a copy of: nothing unwinds past
//! `trampoline`.

#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, Code, MainEnd, MainOptions};

use crate::args::CloneRequest;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::stack::ChildStack;
use crate::sys;

/// The exit status of a child whose start failed on our side.
const FAILED: c_int = 255;

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: pid_t,
    /// With PIDFD.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// What the child needs of its parent.
struct Birth<'a, 'c> {
    call: &'a Call<'c>,
    code: &'a Code,
    options: MainOptions,
    tid_address: Option<*mut pid_t>,
}

/// Starts the child that `request` describes; `errno` is the `$!` it starts with.
///
/// Returns `Err` with what mmap(2) or clone(2) refused, or if flushing runs perl code that dies;
/// then there is no child.
pub(crate) fn start(
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
) -> Result<Started, Error> {
    call.perl().flush_all()?;
    let stack = ChildStack::new(request.stack_size)?;
    let mut birth = Birth {
        call,
        code: &request.code,
        options: MainOptions {
            errno,
            keep_descriptors: request.flags.contains(CloneFlags::FILES),
        },
        tid_address: sys::tid_address(),
    };
    // The kernel stores the thread id or the pidfd here, as the flags say.
    let mut stored: c_int = -1;
    let pid = call.perl().with_fork_locks(|| {
        // SAFETY: `CloneRequest` has refused the flags that sys::clone excludes; memory is not
        // shared, so `birth` and the stack live in the child's copy; trampoline takes a `Birth`.
        unsafe {
            sys::clone(
                trampoline,
                stack.top(),
                request.flags.as_int(),
                (&raw mut birth).cast(),
                &raw mut stored,
            )
        }
    })?;
    let pidfd = request.flags.contains(CloneFlags::PIDFD).then(|| {
        // SAFETY: with this flag the kernel has stored a new descriptor, and nobody else has it.
        unsafe { OwnedFd::from_raw_fd(stored) }
    });
    Ok(Started { pid, pidfd })
}

/// The child's first frame. `birth` is a [`Birth`].
extern "C" fn trampoline(birth: *mut c_void) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `start` passed it, and its frame is part of our copy.
        let birth = unsafe { &*birth.cast::<Birth<'_, '_>>() };
        if let Some(address) = birth.tid_address {
            // SAFETY: this process is a copy of the one that asked for it.
            unsafe { sys::adopt_tid_address(address) };
        }
        // SAFETY: a copy with its own memory, started under the fork locks, which ends below.
        unsafe { birth.call.run_main(birth.code, birth.options) }
    }));
    match outcome {
        Ok(MainEnd::Returned(status)) => sys::exit_now(status),
        Ok(MainEnd::Exited(status)) => sys::exit(status),
        Err(_) => sys::exit_now(FAILED),
    }
}
