//! A copy by clone(2), where there are other threads and fork(3) cannot make it.
//!
//! It may have copied locks of the C library that another thread held. So it passes through them
//! first, and one that gets stuck ends and is started anew.

use std::time::Duration;

use super::birth::Started;
use super::copy::{Birth, by_clone};
use super::request::CloneRequest;
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys::{self, SharedWord};

/// All locks are free: the coderef runs.
const FREE: u32 = 1;
/// One was held, and is for ever; this child is of no use.
const HELD: u32 = 2;

/// How often a child that passes through the C library's locks is looked at, at the first try; at
/// each further one half as often. A lock is held for microseconds, so that two unlucky copies in
/// a row are rare; but a child that waits for a slow disk looks stuck, too, and one with a large
/// heap that gets little of the processor.
const TICK: Duration = Duration::from_millis(5);

/// How often a child is tried.
const TRIES: u32 = 10;

/// Starts it.
///
/// Returns `Err` with what clone(2) refused, or with EDEADLK if other threads held the C library's
/// locks each time it was tried.
pub(super) fn start(stack: &ChildStack, mut birth: Birth<'_, '_>) -> Result<Started, Error> {
    if !expendable(birth.request) {
        return by_clone(stack, &mut birth);
    }
    // so that not each child has to read the file
    sys::ask_name_services();
    let word = SharedWord::new()?;
    for tick in (0..TRIES).map(|n| TICK * (1 << n)) {
        // does not return if it gets stuck
        let pass = || {
            sys::watched(tick, &word, HELD, sys::pass_through_locks);
            word.set(FREE);
            true
        };
        let first: Option<&dyn Fn() -> bool> = Some(&pass);
        let child = by_clone(stack, &mut Birth { first, ..birth })?;
        loop {
            match word.wait(Duration::from_millis(100)) {
                HELD => break,
                // one that says nothing at all was stopped or killed by somebody: the caller's
                0 if sys::is_running(child.pid) => continue,
                _ => return Ok(child),
            }
        }
        sys::reap(child.pid);
        word.set(0);
    }
    Err(Error::Errno(libc::EDEADLK))
}

/// Whether a child may end and be replaced by another without harm: it must be the caller's own,
/// send no signal that the caller may die of, and not be process 1 of a namespace that waits for
/// one.
fn expendable(request: &CloneRequest) -> bool {
    let flags = request.flags;
    let exit_signal = request.exit_signal();
    !flags.contains(CloneFlags::PARENT)
        && (exit_signal == 0 || exit_signal == libc::SIGCHLD as u64)
        && (flags.contains(CloneFlags::NEWPID) || !sys::next_child_changes_pid_namespace())
}
