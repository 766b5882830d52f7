//! The stack that a child runs on.

#![allow(unsafe_code)]

use std::ptr;

use libc::c_void;

use crate::error::Error;
use crate::sys;

/// A mapping for one child: private, readable and writable, with a guard page below.
///
/// The kernel gives it memory page by page, as it is touched. It does not grow (no
/// MAP_GROWSDOWN: another mapping could lie where it would grow to), and is not executable.
#[derive(Debug)]
pub(crate) struct ChildStack {
    base: *mut c_void,
    len: usize,
}

impl ChildStack {
    /// Maps `size` bytes, rounded up to pages, and the guard page (mmap(2), mprotect(2)).
    ///
    /// Returns ENOMEM where there is no room, also for a size that no address space has.
    pub(crate) fn new(size: usize) -> Result<Self, Error> {
        let page = sys::page_size();
        let len = size
            .checked_next_multiple_of(page)
            .and_then(|len| len.checked_add(page))
            .filter(|&len| isize::try_from(len).is_ok())
            .ok_or(Error::Errno(libc::ENOMEM))?;
        // MAP_NORESERVE: the size is a limit, not a demand. MAP_STACK: a hint that huge pages are a waste.
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
        let stack = ChildStack { base, len };
        // SAFETY: the lowest page of the mapping above, which nobody uses yet.
        match unsafe { libc::mprotect(base, page, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(sys::last_error()),
        }
    }

    /// The address below which there is room for what perl calls at the end of a recursion, but
    /// not for another turn of it.
    pub(crate) fn limit(&self) -> *const c_void {
        /// In bytes: a quarter of the least stack.
        const RESERVE: usize = 64 << 10;
        // SAFETY: inside of the mapping, which has more than that.
        unsafe { self.base.add(RESERVE) }
    }

    /// The address above the stack, where it starts; a page boundary, so aligned for any
    /// architecture.
    pub(crate) fn top(&self) -> *mut c_void {
        // SAFETY: the end of the mapping.
        unsafe { self.base.add(self.len) }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the child has a copy of it: nobody here runs on it.
        unsafe { libc::munmap(self.base, self.len) };
    }
}
