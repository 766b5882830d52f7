//! How a parent and its new child talk until the child is ready.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::c_void;
use perlxs::Call;

use crate::error::Error;
use crate::sys::{answered, errno, is_open, poll};

/// A pair of connected sockets that keep messages apart; close-on-exec (unix(7)).
///
/// An end that is gone is heard as the end of file: by a parent whose child has exec'ed or ended,
/// by a child whose parent has died.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) parent: OwnedFd,
    pub(super) child: OwnedFd,
}

/// A message: two numbers.
pub(super) type Message = [i32; 2];

impl Channel {
    /// socketpair(2)
    pub(super) fn new() -> Result<Self, Error> {
        let mut ends = [-1; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: a place for two descriptors.
        answered(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
        // SAFETY: new ones, which nobody else has.
        let [parent, child] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        Ok(Channel {
            parent: above_standard(parent)?,
            child: above_standard(child)?,
        })
    }

    /// In the parent, once the child has its copy: the parent's end. That of the child is closed:
    /// when the child's copy is, too, the channel ends.
    pub(super) fn into_parents(self) -> OwnedFd {
        self.parent
    }

    /// In a child that is a copy: closes its copy of the parent's end. Without that it would not
    /// hear of the parent's death.
    pub(super) fn leave_parents_end(&self) {
        // SAFETY: the child never uses it, nor drops this.
        unsafe { libc::close(self.parent.as_raw_fd()) };
    }

    /// In a child that goes on: closes its end too.
    pub(super) fn leave(&self) {
        // SAFETY: as above.
        unsafe { libc::close(self.child.as_raw_fd()) };
    }

    /// In the child: waits for a word of the parent. False if the parent is dead.
    pub(super) fn wait(&self) -> bool {
        let mut message: Message = [0; 2];
        let size = size_of::<Message>();
        loop {
            // SAFETY: a buffer with its size.
            let read = unsafe {
                libc::recv(
                    self.child.as_raw_fd(),
                    (&raw mut message).cast::<c_void>(),
                    size,
                    0,
                )
            };
            if read != -1 || errno() != libc::EINTR {
                return read == size as isize;
            }
        }
    }

    /// In the child.
    pub(super) fn tell_parent(&self, message: Message) {
        send(&self.child, message);
    }
}

/// The descriptor, or in its place another one, if it is 0, 1 or 2: a caller may have closed those,
/// but its child gets others for them. Close-on-exec.
fn above_standard(fd: OwnedFd) -> Result<OwnedFd, Error> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // SAFETY: a new descriptor, which nobody else has.
    unsafe {
        let other = answered(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(other))
    }
}

/// A place above 0, 1 and 2 for a descriptor that is yet to come: once it is there, a lack of
/// others does no harm.
#[derive(Debug)]
pub(super) struct Slot(Option<OwnedFd>);

impl Slot {
    /// Takes one, if the kernel would give one of the standard descriptors next.
    ///
    /// Returns `Err` with EMFILE, for the most part.
    pub(super) fn new() -> Result<Self, Error> {
        if (0..=2).all(is_open) {
            return Ok(Slot(None));
        }
        // any file will do; this one is always there
        // SAFETY: a C string.
        let any = answered(unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })?;
        // SAFETY: a new descriptor, which nobody else has.
        let any = unsafe { OwnedFd::from_raw_fd(any) };
        above_standard(any).map(|any| Slot(Some(any)))
    }

    /// The descriptor in this place. Close-on-exec.
    ///
    /// Returns `Err` only if another thread has closed a standard descriptor meanwhile.
    pub(super) fn take(self, fd: OwnedFd) -> Result<OwnedFd, Error> {
        match self.0 {
            Some(slot) if fd.as_raw_fd() <= 2 => {
                // SAFETY: touches no memory; both are ours.
                answered(unsafe { libc::dup3(fd.as_raw_fd(), slot.as_raw_fd(), libc::O_CLOEXEC) })?;
                Ok(slot)
            }
            _ => above_standard(fd),
        }
    }

    /// In a child that goes on: closes its copy.
    pub(super) fn leave(&self) {
        if let Some(slot) = &self.0 {
            // SAFETY: the child never uses it, nor drops this.
            unsafe { libc::close(slot.as_raw_fd()) };
        }
    }
}

/// In the parent. That the child is gone is heard by [`receive`].
pub(super) fn send(end: &OwnedFd, message: Message) {
    // SAFETY: a buffer with its size.
    unsafe {
        libc::send(
            end.as_raw_fd(),
            (&raw const message).cast::<c_void>(),
            size_of::<Message>(),
            libc::MSG_NOSIGNAL,
        )
    };
}

/// In the parent: the child's next message, or `None` if it has exec'ed or ended. Signal handlers
/// run meanwhile.
///
/// It watches the child itself, too: a copy of this process that another thread has made may hold
/// the channel open.
///
/// Returns `Err` with what a handler throws.
pub(super) fn receive(
    call: &Call<'_>,
    end: &OwnedFd,
    child: &OwnedFd,
) -> Result<Option<Message>, Error> {
    poll(call, [end, child].map(AsRawFd::as_raw_fd), None)?;
    let mut message: Message = [0; 2];
    let size = size_of::<Message>();
    // SAFETY: a buffer with its size.
    let read = unsafe {
        libc::recv(
            end.as_raw_fd(),
            (&raw mut message).cast::<c_void>(),
            size,
            libc::MSG_DONTWAIT,
        )
    };
    // nothing, or an error: the child has ended
    Ok((read == size as isize).then_some(message))
}
