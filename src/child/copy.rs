//! A child with its own memory: a copy of the process with one thread, the caller's.
//!
//! Between the copy and the coderef it does nothing that takes a lock which another thread may have
//! held when it was made: no allocation, no output. perl's own locks were held by the caller and
//! are released first. Those of the C library only its fork(3) can hold: so if there are other
//! threads, that makes the copy (`fork`).

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, MainEnd, Start};

use super::birth::{FAILED, Started, clone_on};
use super::request::CloneRequest;
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

/// What a child with its own memory needs of its parent.
pub(super) struct Birth<'a, 'c> {
    pub(super) call: &'a Call<'c>,
    pub(super) request: &'a CloneRequest,
    pub(super) errno: c_int,
    /// The process that it is a copy of.
    pub(super) parent_id: pid_t,
    /// Where to write the thread id that the C library keeps, if nobody else does.
    pub(super) tid: Option<NonNull<pid_t>>,
    /// Where the kernel is to look for its robust mutexes, if the C library does not say so.
    pub(super) robust_list: Option<[usize; 2]>,
    /// What comes first, by whoever starts it. False: nobody wants this child any more.
    pub(super) first: Option<&'a dyn Fn() -> bool>,
    /// What comes before the coderef. If it fails, the process ends in it.
    pub(super) prepare: Option<&'a dyn Fn()>,
}

impl<'a, 'c> Birth<'a, 'c> {
    /// Of a child that runs `prepare` before the coderef, and starts with this `$!`.
    pub(super) fn new(
        call: &'a Call<'c>,
        request: &'a CloneRequest,
        errno: c_int,
        prepare: Option<&'a dyn Fn()>,
    ) -> Self {
        Birth {
            call,
            request,
            errno,
            parent_id: sys::getpid(),
            tid: None,
            robust_list: sys::robust_list(),
            first: None,
            prepare,
        }
    }

    /// The flags for the kernel and the address that they are about. As by fork(3), the C library's
    /// note of the thread's id is to be the copy's own.
    pub(super) fn child_tid(&mut self) -> (CloneFlags, *mut pid_t) {
        let own = sys::tid_address();
        let own_flags = CloneFlags::CHILD_SETTID | CloneFlags::CHILD_CLEARTID;
        let (flags, tid) = self.request.child_tid(own, own_flags);
        self.tid = own.filter(|own| own.as_ptr() != tid);
        (flags, tid)
    }
}

/// By the system call that was asked for.
pub(super) fn by_clone(stack: &ChildStack, birth: &mut Birth<'_, '_>) -> Result<Started, Error> {
    let (call, request) = (birth.call, birth.request);
    let (flags, tid) = birth.child_tid();
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
pub(super) extern "C" fn born_copy(birth: *mut c_void) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: who started it passed it, and its frame is part of our copy.
        let birth = unsafe { &*birth.cast::<Birth<'_, '_>>() };
        if birth.request.tls.is_some() {
            ChildStack::forget_kept();
        }
        sys::forget_parent_id(birth.parent_id, sys::getpid());
        if let Some(tid) = birth.tid {
            // SAFETY: the C library's own word, in our copy.
            unsafe { tid.write(sys::gettid()) };
        }
        if let Some(list) = birth.robust_list {
            sys::set_robust_list(list);
        }
        sys::beside_threads(false);
        if birth.first.is_some_and(|first| !first()) {
            sys::exit_now(FAILED);
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
        // SAFETY: a copy with its own memory, started under the fork locks or by fork, which ends
        // below.
        unsafe { birth.call.run_main(&request.code, start) }
    }));
    match outcome {
        Ok(MainEnd::Returned(status)) => sys::exit_now(status),
        Ok(MainEnd::Exited(status)) => sys::exit(status),
        Err(_) => sys::exit_now(FAILED),
    }
}
