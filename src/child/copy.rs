//! A child with its own memory: a copy of the process with one thread, the caller's.
//!
//! Between clone(2) and the coderef it does nothing that takes a lock which another thread may have
//! held when it was copied: no allocation, no output. perl's own locks were held by the caller and
//! are released first. Those of the C library only its fork(3) can hold; so if there are other
//! threads, the child first passes through them, and one that gets stuck ends and is started anew
//! ([`start`]).

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::time::Duration;

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, MainEnd, Start};

use super::birth::{FAILED, Started, clone_on};
use super::request::{CloneRequest, SystemCall};
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys::{self, SharedWord};

/// What a child that may have copied a held lock says of it in a [`SharedWord`].
mod locks {
    /// All are free: the coderef runs.
    pub(super) const FREE: u32 = 1;
    /// One was held, and is for ever; this child is of no use.
    pub(super) const HELD: u32 = 2;
}

/// How often a child that passes through the C library's locks is looked at, at the first try; at
/// each further one half as often. A lock is held for microseconds, so that two unlucky copies in
/// a row are rare; but a child that waits for a slow disk looks stuck, too, and one with a large
/// heap that gets little of the processor.
const TICK: Duration = Duration::from_millis(5);

/// How often a child is tried.
const TRIES: u32 = 10;

/// What a child with its own memory needs of its parent.
struct Birth<'a, 'c> {
    call: &'a Call<'c>,
    request: &'a CloneRequest,
    errno: c_int,
    parent_id: pid_t,
    /// Where to write the thread id that the C library keeps, if the kernel does not.
    tid: Option<NonNull<pid_t>>,
    /// Where to say that the C library's locks are free, and how often to look at that.
    locks: Option<(&'a SharedWord, Duration)>,
    /// What comes before the coderef. If it fails, the process ends in it.
    prepare: Option<&'a dyn Fn()>,
}

/// Starts it; it runs `prepare` before the coderef.
///
/// Returns `Err` with what clone(2) refused, or with EAGAIN if other threads held the C library's
/// locks each time it was tried.
pub(super) fn start(
    stack: &ChildStack,
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
    prepare: Option<&dyn Fn()>,
) -> Result<Started, Error> {
    let mut birth = Birth {
        call,
        request,
        errno,
        parent_id: sys::getpid(),
        tid: None,
        locks: None,
        prepare,
    };
    if sys::is_single_threaded() || !expendable(request) {
        return start_copy(stack, &mut birth);
    }
    // so that not each child has to read the file
    sys::ask_name_services();
    let word = SharedWord::new()?;
    for tick in (0..TRIES).map(|n| TICK * (1 << n)) {
        birth.locks = Some((&word, tick));
        let child = start_copy(stack, &mut birth)?;
        loop {
            match word.wait(Duration::from_millis(100)) {
                locks::HELD => break,
                // one that says nothing at all was stopped or killed by somebody: the caller's
                0 if sys::is_running(child.pid) => continue,
                _ => return Ok(child),
            }
        }
        sys::reap(child.pid);
        word.set(0);
    }
    Err(Error::Errno(libc::EAGAIN))
}

/// Whether a child may end and be replaced by another without harm: it must be the caller's own,
/// send no signal that the caller may die of, and not be process 1 of a namespace that waits for
/// one.
fn expendable(request: &CloneRequest) -> bool {
    let flags = request.flags;
    let exit_signal = match request.system_call {
        SystemCall::Clone => flags.exit_signal(),
        SystemCall::Clone3 { exit_signal, .. } => exit_signal,
    };
    !flags.contains(CloneFlags::PARENT)
        && (exit_signal == 0 || exit_signal == libc::SIGCHLD as u64)
        && (flags.contains(CloneFlags::NEWPID) || !sys::next_child_changes_pid_namespace())
}

fn start_copy(stack: &ChildStack, birth: &mut Birth<'_, '_>) -> Result<Started, Error> {
    // as fork(3): in the copy, the C library's note of the thread's id is the copy's own
    let own = sys::tid_address();
    let (call, request) = (birth.call, birth.request);
    let (flags, tid) =
        request.child_tid(own, CloneFlags::CHILD_SETTID | CloneFlags::CHILD_CLEARTID);
    birth.tid = own.filter(|own| own.as_ptr() != tid);
    call.perl().with_fork_locks(|| {
        // SAFETY: memory is not shared, so `birth` and the stack live in the child's copy, and
        // the id is written there; born_copy takes a `Birth`.
        unsafe {
            let birth = (&raw mut *birth).cast();
            let (system_call, tls) = (&request.system_call, request.tls.as_ref());
            clone_on(stack, flags, system_call, tls, born_copy, birth, tid)
        }
    })
}

/// perl closes all handles when it exits. They are copies, but with FILES the descriptors are not:
/// so the child takes a table of its own first.
extern "C" fn leave_descriptors() {
    // It cannot fail but for want of memory, or by a filter; then it is as if FILES said so.
    let _ = sys::unshare(CloneFlags::FILES.bits());
}

/// The first frame of a child with its own memory. `birth` is a [`Birth`].
extern "C" fn born_copy(birth: *mut c_void) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `start_copy` passed it, and its frame is part of our copy.
        let birth = unsafe { &*birth.cast::<Birth<'_, '_>>() };
        if birth.request.tls.is_some() {
            ChildStack::forget_kept();
        }
        sys::forget_parent_id(birth.parent_id, sys::getpid());
        if let Some(tid) = birth.tid {
            // SAFETY: the C library's own word, in our copy.
            unsafe { tid.write(sys::gettid()) };
        }
        if let Some((word, tick)) = birth.locks {
            sys::watched(tick, word, locks::HELD, sys::pass_through_locks);
            word.set(locks::FREE);
        }
        if let Some(prepare) = birth.prepare {
            prepare();
        }
        let request = birth.request;
        let start = Start {
            errno: birth.errno,
            assign: request.child_assigns(),
            on_exit: request
                .flags
                .contains(CloneFlags::FILES)
                .then_some(leave_descriptors),
        };
        // SAFETY: a copy with its own memory, started under the fork locks, which ends below.
        unsafe { birth.call.run_main(&request.code, start) }
    }));
    match outcome {
        Ok(MainEnd::Returned(status)) => sys::exit_now(status),
        Ok(MainEnd::Exited(status)) => sys::exit(status),
        Err(_) => sys::exit_now(FAILED),
    }
}
