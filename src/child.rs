//! Starting a child, and the child's half.
//!
//! A child is a copy of the process with one thread, the caller's, or with VM|VFORK a guest in the
//! process's memory while the caller sleeps. It never returns into the caller's frames: nothing
//! unwinds past `born_copy` and `born_guest`.
//!
//! In a copy, between clone(2) and the coderef it does nothing that takes a lock which another
//! thread may have held when it was copied: no allocation, no output. perl's own locks were held
//! by the caller and are released first. Those of the C library only its fork(3) can hold; so if
//! there are other threads, the child first passes through them, and one that gets stuck ends and
//! is started anew ([`start`]).

#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::time::Duration;

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, MainEnd, Scalar, Shared, Start};

use crate::args::{ChildTid, CloneRequest, SystemCall};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::stack::ChildStack;
use crate::sys::{self, CloneArgs, SharedWord, Tls};

/// The exit status of a child whose start failed on our side.
const FAILED: c_int = 255;

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: pid_t,
    /// With PIDFD.
    pub(crate) pidfd: Option<OwnedFd>,
}

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

/// How many numbers a child that shares its parent's memory, but not its descriptors, leaves to the
/// other threads. perl counts the handles of each number, those of the child and those of the
/// threads together, and closes it with the last one.
const LEFT_TO_THREADS: usize = 64;

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

/// What a child that lives in its parent's memory needs.
struct Guest<'a, 'c> {
    shared: &'a Shared<'a, 'c>,
    request: &'a CloneRequest,
    errno: c_int,
    parent_id: pid_t,
    has_threads: bool,
    stack_limit: *const c_void,
}

impl CloneRequest {
    /// What perl code assigns in the child for CHILD_SETTID.
    fn child_assigns(&self) -> Option<(&Scalar, i64)> {
        match &self.ctid {
            Some(ChildTid::Variable(ctid)) if self.flags.contains(CloneFlags::CHILD_SETTID) => {
                Some((ctid, sys::gettid().into()))
            }
            _ => None,
        }
    }

    /// The variable that CHILD_CLEARTID clears for the parent to see: where memory is shared, the
    /// child has let go of it when clone returns.
    pub(crate) fn cleared_in_parent(&self) -> Option<&Scalar> {
        let flags = CloneFlags::VM | CloneFlags::CHILD_CLEARTID;
        match &self.ctid {
            Some(ChildTid::Variable(ctid)) if self.flags.contains(flags) => Some(ctid),
            _ => None,
        }
    }

    /// The flags for the kernel and the address that they are about: the caller's, or `own` with
    /// `own_flags`, which the caller's variable needs nothing of.
    fn child_tid(
        &self,
        own: Option<NonNull<pid_t>>,
        own_flags: CloneFlags,
    ) -> (CloneFlags, *mut pid_t) {
        let rest = self.flags - (CloneFlags::CHILD_SETTID | CloneFlags::CHILD_CLEARTID);
        match (&self.ctid, own) {
            (Some(ChildTid::Address(address)), _) => (self.flags, *address as *mut pid_t),
            (_, Some(own)) => (rest | own_flags, own.as_ptr()),
            (_, None) => (rest, std::ptr::null_mut()),
        }
    }
}

/// Starts the child that `request` describes; `errno` is the `$!` it starts with. A copy runs
/// `prepare` before the coderef.
///
/// Returns `Err` with what mmap(2) or clone(2) refused, with EAGAIN if other threads held the C
/// library's locks each time it was tried, or if flushing runs perl code that dies; then there is
/// no child.
pub(crate) fn start(
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
    prepare: Option<&dyn Fn()>,
) -> Result<Started, Error> {
    call.perl().flush_all()?;
    let stack = ChildStack::new(request.stack_size)?;
    if request.flags.contains(CloneFlags::VM) {
        return start_guest(&stack, call, request, errno);
    }
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
        return start_copy(&stack, &mut birth);
    }
    // so that not each child has to read the file
    sys::ask_name_services();
    let word = SharedWord::new()?;
    for tick in (0..TRIES).map(|n| TICK * (1 << n)) {
        birth.locks = Some((&word, tick));
        let child = start_copy(&stack, &mut birth)?;
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

/// The child's locks are its parent's here, so that none is taken for it: other threads go on.
fn start_guest(
    stack: &ChildStack,
    call: &Call<'_>,
    request: &CloneRequest,
    errno: c_int,
) -> Result<Started, Error> {
    let started = call.share(|shared| {
        if shared.is_nested() && matches!(request.ctid, Some(ChildTid::Address(_))) {
            return Err(Error::usage(
                "Linux::Clone: a thread id at an address is not for a child of a child that shares \
                 memory; use a variable",
            ));
        }
        let own = NonNull::new(shared.tid());
        let (flags, tid) = request.child_tid(own, CloneFlags::CHILD_CLEARTID);
        let mut guest = Guest {
            shared,
            request,
            errno,
            parent_id: sys::getpid(),
            has_threads: !sys::is_single_threaded(),
            stack_limit: stack.limit(),
        };
        // SAFETY: VM comes with VFORK, so this frame and the stack stay while the child uses
        // them; born_guest takes a `Guest`.
        unsafe {
            let (guest, system_call) = ((&raw mut guest).cast(), &request.system_call);
            clone_on(stack, flags, system_call, None, born_guest, guest, tid)
        }
    })??;
    if request.flags.contains(CloneFlags::THREAD) {
        sys::thread_is_gone(started.pid);
    }
    Ok(started)
}

/// # Safety
/// As for [`sys::clone`].
pub(crate) unsafe fn clone_on(
    stack: &ChildStack,
    flags: CloneFlags,
    system_call: &SystemCall,
    tls: Option<&Tls>,
    entry: sys::Entry,
    arg: *mut c_void,
    child_tid: *mut pid_t,
) -> Result<Started, Error> {
    let tls = tls.map_or(std::ptr::null_mut(), Tls::as_argument);
    // Where the kernel stores the descriptor; clone(2) has one place for that and for the id.
    let mut pidfd: c_int = -1;
    let mut parent_tid: c_int = -1;
    // a child in shared memory may write over the note
    let pid = sys::keeping_thread_id(|| match system_call {
        SystemCall::Clone => {
            let stored = match flags.contains(CloneFlags::PIDFD) {
                true => &raw mut pidfd,
                false => &raw mut parent_tid,
            };
            // SAFETY: as the caller says.
            unsafe {
                sys::clone(
                    entry,
                    stack.top(),
                    flags.as_int(),
                    arg,
                    stored,
                    tls,
                    child_tid,
                )
            }
        }
        SystemCall::Clone3 {
            exit_signal,
            set_tid,
            cgroup,
        } => {
            let (base, size) = stack.extent();
            let mut args = CloneArgs {
                flags: flags.bits(),
                pidfd: &raw mut pidfd as u64,
                child_tid: child_tid as u64,
                parent_tid: &raw mut parent_tid as u64,
                exit_signal: *exit_signal,
                stack: base,
                stack_size: size,
                tls: tls as u64,
                set_tid: set_tid.as_ptr() as u64,
                set_tid_size: set_tid.len() as u64,
                cgroup: *cgroup,
            };
            if set_tid.is_empty() {
                args.set_tid = 0;
            }
            // SAFETY: as the caller says.
            unsafe { sys::clone3(&mut args, entry, arg) }
        }
    })?;
    // a kernel that does not know the flag stores nothing
    let pidfd = (flags.contains(CloneFlags::PIDFD) && pidfd >= 0).then(|| {
        // SAFETY: with this flag the kernel has stored a new descriptor, and nobody else has it.
        unsafe { OwnedFd::from_raw_fd(pidfd) }
    });
    Ok(Started { pid, pidfd })
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

/// The first frame of a child that lives in its parent's memory. `guest` is a [`Guest`].
extern "C" fn born_guest(guest: *mut c_void) -> c_int {
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
                .run(code, start, keep_signals, shares_files, guest.stack_limit)
        }
    }))
    .unwrap_or(FAILED);
    match flags.contains(CloneFlags::THREAD) {
        true => sys::exit_thread(status),
        false => sys::exit_now(status),
    }
}
