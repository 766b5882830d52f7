//! The stack that a child runs on.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use libc::c_void;

use crate::error::Error;
use crate::sys;

/// A mapping for one child: private, readable and writable, with a guard below.
///
/// The kernel gives it memory page by page, as it is touched. It does not grow (no
/// MAP_GROWSDOWN: another mapping could lie where it would grow to), and is not executable.
#[derive(Debug)]
pub(crate) struct ChildStack {
    mapping: Mapping,
}

thread_local! {
    /// This thread's last stack of the default size, kept for the next child: to map and unmap it
    /// takes longer than all else that a call does in the parent.
    static KEPT: Cell<Option<Mapping>> = const { Cell::new(None) };
}

#[derive(Debug)]
struct Mapping {
    base: *mut c_void,
    len: usize,
}

impl ChildStack {
    /// The default size, in bytes.
    pub(crate) const DEFAULT: usize = 4 << 20;

    /// The least size, in bytes: perl and the C library need that much.
    pub(crate) const LEAST: usize = 256 << 10;

    /// What lies below a stack and cannot be touched, in bytes, whole pages. A function with a few
    /// names of files has a frame of more than one page and may step over a single one into what
    /// lies below. So it is as much as the kernel leaves below the stack of a process
    /// (`stack_guard_gap`).
    const GUARD: usize = 1 << 20;

    /// Takes `size` bytes, rounded up to pages, and the guard.
    ///
    /// Returns ENOMEM where there is no room, also for a size that no address space has.
    pub(crate) fn new(size: usize) -> Result<Self, Error> {
        let kept = (size == Self::DEFAULT).then(|| KEPT.take()).flatten();
        let mapping = kept.map_or_else(|| Mapping::new(size), Ok)?;
        Ok(ChildStack { mapping })
    }

    /// Forgets what this thread has kept, without unmapping it: for a process whose thread-local
    /// storage is somebody's copy, made who knows when.
    pub(crate) fn forget_kept() {
        std::mem::forget(KEPT.take());
    }

    /// The address below which there is room for what perl calls at the end of a recursion, but
    /// not for another turn of it.
    pub(crate) fn limit(&self) -> *const c_void {
        // SAFETY: inside of the mapping: this is a quarter of the least stack.
        unsafe { self.mapping.base.add(Self::GUARD + Self::LEAST / 4) }
    }

    /// The lowest address of the stack, above the guard, and its length: as clone3(2) takes them.
    pub(crate) fn extent(&self) -> (u64, u64) {
        (
            (self.mapping.base as usize + Self::GUARD) as u64,
            (self.mapping.len - Self::GUARD) as u64,
        )
    }

    /// The address above the stack, where it starts; a page boundary, so aligned for any
    /// architecture.
    pub(crate) fn top(&self) -> *mut c_void {
        // SAFETY: the end of the mapping.
        unsafe { self.mapping.base.add(self.mapping.len) }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        let nothing = Mapping {
            base: ptr::null_mut(),
            len: 0,
        };
        let mapping = std::mem::replace(&mut self.mapping, nothing);
        if mapping.len == Self::DEFAULT + Self::GUARD {
            // what was kept meanwhile, by a call within the call, is unmapped
            drop(KEPT.replace(Some(mapping)));
        }
    }
}

impl Mapping {
    /// mmap(2), mprotect(2).
    fn new(size: usize) -> Result<Self, Error> {
        let len = size
            .checked_next_multiple_of(sys::page_size())
            .and_then(|len| len.checked_add(ChildStack::GUARD))
            .filter(|&len| isize::try_from(len).is_ok())
            .ok_or(Error::Errno(libc::ENOMEM))?;
        // MAP_NORESERVE: the size is a limit, not a demand. MAP_STACK: a hint that huge pages are
        // a waste.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping, placed by the kernel, touches nothing that exists.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(sys::last_error());
        }
        let mapping = Mapping { base, len };
        // SAFETY: the lowest part of the mapping above, which nobody uses yet.
        match unsafe { libc::mprotect(base, ChildStack::GUARD, libc::PROT_NONE) } {
            0 => Ok(mapping),
            _ => Err(sys::last_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping is ours, and the child that used it is gone or has a copy.
            unsafe { libc::munmap(self.base, self.len) };
        }
    }
}
