//! A child that lives in its parent's memory (VM|VFORK), while the parent sleeps.
//!
//! The child's locks are its parent's here, so that none is taken for it: other threads go on.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, Shared, Start};

use super::birth::{FAILED, Started, clone_on};
use super::request::{ChildTid, CloneRequest};
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

/// How many numbers a child that shares its parent's memory, but not its descriptors, leaves to the
/// other threads. perl counts the handles of each number, those of the child and those of the
/// threads together, and closes it with the last one.
const LEFT_TO_THREADS: usize = 64;

/// What a child that lives in its parent's memory needs.
struct Guest<'a, 'c> {
    shared: &'a Shared<'a, 'c>,
    request: &'a CloneRequest,
    errno: c_int,
    parent_id: pid_t,
    /// Whether this process has threads itself.
    has_threads: bool,
    stack_limit: *const c_void,
}

/// Starts it, and returns when it has ended or execs.
///
/// Returns `Err` with what clone(2) refused.
pub(super) fn start(
    stack: &ChildStack,
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
) -> Result<Started, Error> {
    let shares_files = request.flags.contains(CloneFlags::FILES);
    let started = call.share(shares_files, |shared| {
        if shared.is_nested() && matches!(request.ctid, Some(ChildTid::Address(_))) {
            return Err(Error::usage(
                "Linux::Clone: a thread id at an address is not for a child of a child that shares \
                 memory; use a variable",
            ));
        }
        let own = NonNull::new(shared.tid());
        let (flags, tid) = request.child_tid(own, CloneFlags::CHILD_CLEARTID);
        let beside_threads = !sys::is_single_threaded();
        let before = sys::beside_threads(beside_threads);
        let mut guest = Guest {
            shared,
            request,
            errno,
            parent_id: sys::getpid(),
            has_threads: beside_threads && !before,
            stack_limit: stack.limit(),
        };
        // SAFETY: VM comes with VFORK, so this frame and the stack stay while the child uses
        // them; born_guest takes a `Guest`.
        unsafe {
            let (guest, system_call) = ((&raw mut guest).cast(), &request.system_call);
            let started = clone_on(stack, flags, system_call, None, born_guest, guest, tid);
            // until here: the threads of this process use the child's memory, too
            sys::beside_threads(before);
            started
        }
    })??;
    if request.flags.contains(CloneFlags::THREAD) {
        sys::thread_is_gone(started.pid);
    }
    Ok(started)
}

/// The first frame of a child that lives in its parent's memory. `guest` is a [`Guest`].
extern "C" fn born_guest(guest: *mut c_void) -> c_int {
    sys::arrive();
    // SAFETY: `start_guest` passed it, and sleeps.
    let guest = unsafe { &*guest.cast::<Guest<'_, '_>>() };
    let flags = guest.request.flags;
    let status = catch_unwind(AssertUnwindSafe(|| {
        // the struct is the parent's: so nobody's id, until it wakes
        sys::forget_parent_id(guest.parent_id, -1);
        let start = Start {
            errno: guest.errno,
            assign: guest.request.child_assigns(),
            on_exit: None,
        };
        // With SIGHAND the handlers are the parent's: signals stay blocked instead.
        let keep_signals = flags.contains(CloneFlags::SIGHAND);
        let shares_files = flags.contains(CloneFlags::FILES);
        if guest.has_threads && !shares_files {
            sys::take_descriptors(LEFT_TO_THREADS);
        }
        let code = &guest.request.code;
        // SAFETY: called once, on a stack of its own; the parent sleeps.
        unsafe {
            guest
                .shared
                .run(code, start, keep_signals, guest.stack_limit)
        }
    }))
    .unwrap_or(FAILED);
    match flags.contains(CloneFlags::THREAD) {
        true => sys::exit_thread(status),
        false => sys::exit_now(status),
    }
}
