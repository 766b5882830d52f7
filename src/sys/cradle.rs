//! Memory that a process shares with a child until the child may go on.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use libc::{c_int, c_long, pid_t};

use super::{exit_now, getppid, last_error, set_parent_death_signal};
use crate::error::Error;

/// Where a child's id is told, and what may hold the child until its parent lets it go.
///
/// The parent has a robust mutex meanwhile (pthread_mutexattr_setrobust(3)): whoever waits for one
/// is told of its owner's death, in whatever namespaces the two are.
#[derive(Debug)]
pub(crate) struct Cradle {
    shared: NonNull<Shared>,
    holds: bool,
}

#[repr(C)]
struct Shared {
    /// The child's, in the parent's PID namespace; stored by the kernel (PARENT_SETTID).
    pid: AtomicI32,
    /// Why there is none.
    errno: AtomicI32,
    /// Whether the process that starts the child may end.
    may_end: AtomicI32,
    /// Whether the child is to go on once it has the mutex.
    go: AtomicBool,
    mutex: UnsafeCell<libc::pthread_mutex_t>,
}

impl Cradle {
    /// An empty one (mmap(2)).
    ///
    /// - `holds`: whether the child is to wait in it.
    pub(crate) fn new(holds: bool) -> Result<Self, Error> {
        // SAFETY: a new mapping, placed by the kernel, touches nothing that exists.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let cradle = match NonNull::new(page.cast::<Shared>()) {
            Some(shared) if page != libc::MAP_FAILED => Cradle { shared, holds },
            _ => return Err(last_error()),
        };
        cradle.shared().go.store(!holds, Ordering::Relaxed);
        // SAFETY: a mutex that nobody uses yet, in memory that stays where it is; this thread
        // unlocks it when the value is dropped.
        unsafe {
            let mut kind: libc::pthread_mutexattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut kind);
            libc::pthread_mutexattr_setpshared(&raw mut kind, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&raw mut kind, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(cradle.mutex(), &raw const kind);
            libc::pthread_mutexattr_destroy(&raw mut kind);
            if holds {
                libc::pthread_mutex_lock(cradle.mutex());
            }
        }
        Ok(cradle)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: the mapping lives as long as this value; all of it was zero at first.
        unsafe { self.shared.as_ref() }
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.shared().mutex.get()
    }

    /// Where the kernel is to store the child's id.
    pub(crate) fn pid_address(&self) -> *mut pid_t {
        self.shared().pid.as_ptr()
    }

    /// In a process that was to start the child: why there is none.
    pub(crate) fn refuse(&self, errno: c_int) {
        self.shared().errno.store(errno, Ordering::Release);
    }

    /// In that process: ends it, when `parent`, its own, asks for that or is dead. So it does not
    /// send its SIGCHLD before the parent's caller can take it: another thread would get it, whose
    /// interpreter may have no handler.
    pub(crate) fn end_when_asked(&self, parent: pid_t) -> ! {
        let _ = set_parent_death_signal(libc::SIGKILL);
        let may_end = &self.shared().may_end;
        while getppid() == parent && may_end.load(Ordering::Acquire) == 0 {
            // SAFETY: waits for a change of a word of ours.
            unsafe {
                let nothing = ptr::null::<libc::timespec>();
                libc::syscall(
                    libc::SYS_futex,
                    may_end.as_ptr(),
                    libc::FUTEX_WAIT,
                    0,
                    nothing,
                );
            }
        }
        exit_now(0)
    }

    /// The system call by which a parent asks for that: the number, and arguments.
    pub(crate) fn ask_to_end(&self) -> [c_long; 7] {
        // the second word, the same one, becomes 1; who waits for the first is woken (futex(2))
        const BECOMES_1: c_long = (libc::FUTEX_OP_SET << 28 | 1 << 12) as c_long;
        let word = self.shared().may_end.as_ptr().addr() as c_long;
        let wake = libc::FUTEX_WAKE_OP as c_long;
        [libc::SYS_futex, word, wake, 1, 0, word, BECOMES_1]
    }

    /// Asks for it by the way.
    pub(crate) fn ask_now(&self) {
        let [number, a, b, c, d, e, f] = self.ask_to_end();
        // SAFETY: a word of ours.
        unsafe { libc::syscall(number, a, b, c, d, e, f) };
    }

    /// The child's id, when the process that was to start it has ended.
    ///
    /// Returns `Err` with what that one was refused; with ESRCH if it was killed before it got to
    /// that.
    pub(crate) fn pid(&self) -> Result<pid_t, Error> {
        let Shared { pid, errno, .. } = self.shared();
        match (pid.load(Ordering::Acquire), errno.load(Ordering::Acquire)) {
            (0, 0) => Err(Error::Errno(libc::ESRCH)),
            (_, errno @ 1..) => Err(Error::Errno(errno)),
            (pid, _) => Ok(pid),
        }
    }

    /// Lets the child go on. One that is not let go is to end when this is dropped.
    pub(crate) fn let_go(self) {
        self.shared().go.store(true, Ordering::Release);
    }

    /// In the child: waits until the parent lets it go, and leaves. False if it is to end, or the
    /// parent is dead. Called once.
    pub(crate) fn leave(&self) -> bool {
        let mutex = self.mutex();
        // SAFETY: initialized by the parent. Unlocked before the memory goes, since the C library
        // has a list of those that are locked; this copy's value is never used again.
        unsafe {
            let alive = libc::pthread_mutex_lock(mutex) == 0;
            let go = alive && self.shared().go.load(Ordering::Acquire);
            libc::pthread_mutex_unlock(mutex);
            libc::munmap(self.shared.as_ptr().cast(), size_of::<Shared>());
            go
        }
    }
}

impl Drop for Cradle {
    fn drop(&mut self) {
        // SAFETY: locked by this thread, if at all; the mapping is ours, and a child has its own.
        unsafe {
            if self.holds {
                libc::pthread_mutex_unlock(self.mutex());
            }
            libc::munmap(self.shared.as_ptr().cast(), size_of::<Shared>());
        }
    }
}
