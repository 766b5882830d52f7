//! A process that kills a child which does not end in time, for a caller that does something else
//! meanwhile.
//!
//! It is a copy of the caller, with none of its descriptors but the child's pidfd, in a session of
//! its own; it ends when the child has ended. Nothing here allocates, takes a lock or panics in it,
//! as in every copy: another thread may have held the lock.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::catch_unwind;
use std::time::Duration;

use libc::{c_int, c_void};

use super::launch::with_pidfd;
use crate::child::{ChildStack, SystemCall, clone_on};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

/// What the process needs to know.
struct Order {
    pidfd: c_int,
    after: Duration,
}

/// Starts it, for the child of this pidfd, and returns its own. It has no exit signal: who waits
/// for children does not find it, unless by __WALL or __WCLONE.
///
/// Returns `Err` if the child cannot be signalled by its pidfd, or with what clone(2) refused; with
/// EINVAL if new processes get into another PID namespace, from where this one's are not seen, and
/// whose first process it could be.
pub(crate) fn start(pidfd: c_int, after: Duration) -> Result<OwnedFd, Error> {
    sys::pidfd_send_signal(pidfd, 0, 0)?;
    if sys::next_child_changes_pid_namespace() {
        return Err(Error::Errno(libc::EINVAL));
    }
    let stack = ChildStack::new(ChildStack::LEAST)?;
    let mut order = Order { pidfd, after };
    // SAFETY: memory is not shared, so the order and the stack live in the process's copy;
    // born_killer takes an `Order`.
    let started = with_pidfd(CloneFlags::PIDFD, |flags| unsafe {
        clone_on(
            &stack,
            flags,
            &SystemCall::Clone,
            None,
            born_killer,
            (&raw mut order).cast(),
            std::ptr::null_mut(),
        )
    })?;
    match started.pidfd {
        Some(pidfd) => Ok(pidfd),
        None => {
            sys::kill_and_reap_by_id(started.pid);
            Err(Error::Errno(libc::ENOSYS))
        }
    }
}

/// Ends such a process, if it is a child of this one, and waits for it; without `now` only if it
/// has ended. False if it goes on.
pub(crate) fn stop(killer: &impl AsRawFd, now: bool) -> bool {
    let killer = killer.as_raw_fd();
    match now {
        true if sys::keeps_its_id(killer) => {
            // where a filter that came later refuses the signal, it ends when the child has
            sys::kill_and_reap(killer, 0);
            true
        }
        true => true,
        false => sys::reap_if_ended(killer),
    }
}

/// The first frame of the process. `order` is an [`Order`].
extern "C" fn born_killer(order: *mut c_void) -> c_int {
    // nothing there panics; but if, it shall not unwind into nowhere
    let _ = catch_unwind(|| {
        // SAFETY: `start` passed it, and its frame is part of our copy.
        let Order { pidfd, after } = unsafe { &*order.cast::<Order>() };
        // what else is open would not be closed by closing it in the caller
        let pidfd = sys::leave_all_but(*pidfd);
        // the signals of a terminal, or of its process group, are not meant for it
        sys::leave_session();
        if !sys::ends_within(pidfd, *after) {
            let _ = sys::pidfd_send_signal(pidfd, libc::SIGKILL, 0);
        }
    });
    sys::exit_now(0)
}
