//! Starting a child.
//!
//! A child is a copy of the process with one thread, the caller's ([`copy`]; where there are other
//! threads, [`fork`] or else [`watch`]), or with VM|VFORK a guest in the process's memory while the
//! caller sleeps ([`guest`]). It never returns into the caller's frames: nothing unwinds past the
//! first frame of its own.

mod birth;
mod copy;
mod fork;
mod guest;
mod request;
mod stack;
mod watch;

use libc::c_int;
use perlxs::Call;

pub(crate) use birth::{Started, clone_on};
pub(crate) use request::{
    ChildTid, CloneRequest, SystemCall, control_group, stack_size, thread_ids,
};
pub(crate) use stack::ChildStack;

use copy::Birth;

use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

/// Starts the child that `request` describes; `errno` is the `$!` it starts with. A copy runs
/// `prepare` before the coderef.
///
/// Returns `Err` with what mmap(2), clone(2) or fork(3) refused, with EDEADLK if other threads held
/// the C library's locks each time it was tried, or if flushing runs perl code that dies; then
/// there is no child.
pub(crate) fn start(
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
    prepare: Option<&dyn Fn()>,
) -> Result<Started, Error> {
    call.perl().flush_all()?;
    call.block_signals();
    let stack = ChildStack::new(request.stack_size)?;
    if request.flags.contains(CloneFlags::VM) {
        return guest::start(&stack, call, request, errno);
    }
    let mut birth = Birth::new(call, request, errno, prepare);
    if sys::is_single_threaded() {
        copy::by_clone(&stack, &mut birth)
    } else if let Some(way) = fork::way(request) {
        fork::start(way, &stack, birth)
    } else {
        watch::start(&stack, birth)
    }
}
