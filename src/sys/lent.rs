//! Whether a child with VM|VFORK has its parent's memory, or a copy of it: valgrind and some
//! emulators of other machines make a fork of it, and let the parent run on.
//!
//! The first such child tells, before it does anything else. In a page of the process that copies
//! get without its content (madvise(2), MADV_WIPEONFORK; Linux 4.14) it finds what its parent has
//! written there, or nothing. If the memory is the parent's the answer is there for all to come; if
//! not, the child ends, and what it was for has not been begun.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use libc::{c_int, pid_t};

use super::wait::status_by_id;
use super::{exit_now, page_size, reap};

/// What is known.
static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const LENT: u8 = 1;
const COPIED: u8 = 2;

/// The page; null before it is needed, and where there can be none.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
const MARK: u32 = 0x6c65_6e74;

/// The exit status of a child that has got a copy.
const GOT_A_COPY: c_int = 254;

/// In the parent, before it starts a child with VM|VFORK: false if that is known to get a copy.
pub(crate) fn is_lent() -> bool {
    if ANSWER.load(Ordering::Relaxed) == UNKNOWN {
        match page() {
            // each time: this process may be a copy itself
            Ok(Some(page)) => page.store(MARK, Ordering::SeqCst),
            // as it is everywhere else
            Ok(None) => ANSWER.store(LENT, Ordering::Relaxed),
            Err(Emulated) => ANSWER.store(COPIED, Ordering::Relaxed),
        }
    }
    ANSWER.load(Ordering::Relaxed) != COPIED
}

/// In such a child, first of all: ends it if it has a copy. It takes no lock.
pub(crate) fn arrive() {
    if ANSWER.load(Ordering::Relaxed) != UNKNOWN {
        return;
    }
    // SAFETY: null, or the page, which stays.
    let page = unsafe { PAGE.load(Ordering::SeqCst).as_ref() };
    if page.is_some_and(|page| page.load(Ordering::SeqCst) != MARK) {
        exit_now(GOT_A_COPY);
    }
    // where memory is shared, the parent reads this
    ANSWER.store(LENT, Ordering::Relaxed);
}

/// In the parent, when it runs again: whether the child has got a copy. Then it has ended, and is
/// reaped. That is asked until one child has told.
pub(crate) fn got_a_copy(pid: pid_t) -> bool {
    if ANSWER.load(Ordering::Relaxed) != UNKNOWN {
        return false;
    }
    // It has not begun: it has ended, or is about to. Somebody may have killed it before its first
    // instruction, or may have reaped it already.
    let status = status_by_id(pid);
    if status.is_some_and(|status| status != GOT_A_COPY << 8) {
        return false;
    }
    if status.is_some() {
        ANSWER.store(COPIED, Ordering::Relaxed);
        reap(pid);
    }
    true
}

/// Advice is not taken at all, not even refused: so do emulators.
struct Emulated;

/// The page, made at the first call; `None` where the kernel is too old, or has no memory.
fn page() -> Result<Option<&'static AtomicU32>, Emulated> {
    /// No advice has this number.
    const NO_ADVICE: c_int = 0x7eed_7eed;
    let mut page = PAGE.load(Ordering::SeqCst);
    if page.is_null() {
        let size = page_size();
        // SAFETY: a new mapping, which nobody else has; it stays, unless it is of no use.
        unsafe {
            let new = libc::mmap(
                ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if new == libc::MAP_FAILED {
                return Ok(None);
            }
            let emulated = libc::madvise(new, size, NO_ADVICE) == 0;
            let wiped = libc::madvise(new, size, libc::MADV_WIPEONFORK) == 0;
            if emulated || !wiped {
                libc::munmap(new, size);
                return if emulated { Err(Emulated) } else { Ok(None) };
            }
            let null = ptr::null_mut();
            match PAGE.compare_exchange(null, new.cast(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => page = new.cast(),
                // another thread was faster
                Err(first) => {
                    libc::munmap(new, size);
                    page = first;
                }
            }
        }
    }
    // SAFETY: the page, which stays.
    Ok(NonNull::new(page).map(|page| unsafe { page.as_ref() }))
}
