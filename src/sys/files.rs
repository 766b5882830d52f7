//! Files, descriptors and mounts. Nothing here allocates or takes a lock: a child may call it, too.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_uint, c_ulong};

use super::answered;
use crate::error::Error;

/// open(2), close-on-exec.
pub(crate) fn open(file: &CStr, flags: c_int) -> Result<OwnedFd, Error> {
    // SAFETY: a C string; the descriptor is new, and nobody else's.
    unsafe {
        let fd = answered(libc::open(file.as_ptr(), flags | libc::O_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// A process's directory in proc(5).
pub(crate) struct ProcDirectory(OwnedFd);

impl ProcDirectory {
    pub(crate) const OWN: &CStr = c"/proc/self";

    /// ENOENT if something else than proc(5) is mounted there: what seems to be a file of a process
    /// may be a link to any other file.
    pub(crate) fn open(name: &CStr) -> Result<Self, Error> {
        let directory = open(name, libc::O_PATH | libc::O_DIRECTORY)?;
        // SAFETY: all zeros is a valid `statfs`.
        let mut about: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the answer.
        answered(unsafe { libc::fstatfs(directory.as_raw_fd(), &raw mut about) })?;
        match about.f_type == libc::PROC_SUPER_MAGIC as _ {
            true => Ok(ProcDirectory(directory)),
            false => Err(Error::Errno(libc::ENOENT)),
        }
    }

    /// Writes a file of it in one go, as those of namespaces demand.
    pub(crate) fn write(&self, name: &CStr, text: &[u8]) -> Result<(), Error> {
        let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: a C string; the descriptor is new, and nobody else's.
        let file = unsafe {
            let fd = answered(libc::openat(self.0.as_raw_fd(), name.as_ptr(), flags))?;
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: a buffer with its length.
        let written = unsafe { libc::write(file.as_raw_fd(), text.as_ptr().cast(), text.len()) };
        answered(written).map(drop)
    }
}

/// chdir(2)
pub(crate) fn change_directory(directory: &CStr) -> Result<(), Error> {
    // SAFETY: a C string.
    answered(unsafe { libc::chdir(directory.as_ptr()) }).map(drop)
}

/// fchdir(2)
pub(crate) fn change_directory_to(directory: &OwnedFd) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::fchdir(directory.as_raw_fd()) }).map(drop)
}

/// mount(2)
pub(crate) fn mount(
    source: &CStr,
    target: &CStr,
    kind: Option<&CStr>,
    flags: c_ulong,
) -> Result<(), Error> {
    // SAFETY: C strings; no data.
    let outcome = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.map_or(ptr::null(), CStr::as_ptr),
            flags,
            ptr::null(),
        )
    };
    answered(outcome).map(drop)
}

/// umount2(2)
pub(crate) fn unmount(target: &CStr, flags: c_int) -> Result<(), Error> {
    // SAFETY: a C string.
    answered(unsafe { libc::umount2(target.as_ptr(), flags) }).map(drop)
}

/// Whether programs get no rights from the files of this one's file system (statvfs(3)).
pub(crate) fn is_mounted_nosuid(file: &CStr) -> bool {
    mount_flags(file) & libc::ST_NOSUID != 0
}

/// Whether no program is run there.
pub(crate) fn is_mounted_noexec(file: &CStr) -> bool {
    mount_flags(file) & libc::ST_NOEXEC != 0
}

/// 0 if they cannot be told.
fn mount_flags(file: &CStr) -> c_ulong {
    // SAFETY: all zeros is a valid `statvfs`.
    let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string; a place for the answer.
    unsafe { libc::statvfs(file.as_ptr(), &raw mut about) };
    about.f_flag
}

/// A file by its name in that root, which symbolic links do not leave; not opened but found
/// (openat2(2), Linux 5.6).
pub(crate) fn find_in_root(root: &OwnedFd, name: &CStr) -> Result<OwnedFd, Error> {
    // SAFETY: all zeros is a valid `open_how`.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: a C string, and a struct of that size; the descriptor is new, and nobody else's.
    unsafe {
        let fd = answered(libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of_val(&how),
        ))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Whether a program has capabilities of its own (capabilities(7), "File capabilities").
pub(crate) fn has_file_capabilities(file: &CStr) -> bool {
    has_attribute(file, c"security.capability")
}

/// Whether a file has such an extended attribute (getxattr(2)).
pub(crate) fn has_attribute(file: &CStr, name: &CStr) -> bool {
    // SAFETY: C strings; no place for the value, so that only its size is told.
    unsafe { libc::getxattr(file.as_ptr(), name.as_ptr(), ptr::null_mut(), 0) > 0 }
}

/// Whether there is a descriptor of this number (fcntl(2)).
pub(crate) fn is_open(fd: c_int) -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// A copy of a descriptor, above 0, 1 and 2; close-on-exec (fcntl(2)).
pub(crate) fn copy_above_standard(fd: c_int) -> Result<c_int, Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })
}

/// Exec leaves this descriptor open (fcntl(2)).
pub(crate) fn keep_over_exec(fd: c_int) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop)
}

/// Makes `number` a copy of a descriptor, another one; exec leaves it open (dup2(2)).
pub(crate) fn copy_to(fd: c_int, number: c_int) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// A pipe, close-on-exec (pipe2(2)): the end to read, and the end to write.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let mut ends = [-1; 2];
    // SAFETY: a place for two descriptors.
    answered(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: new ones, which nobody else has.
    let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    Ok((read, write))
}

/// Makes read(2) of this descriptor return instead of waiting (O_NONBLOCK).
pub(crate) fn set_nonblocking(fd: c_int) {
    // SAFETY: touches no memory.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
}

/// Takes the `count` lowest free numbers of descriptors above 2, but no more than half of what the
/// process may have; exec closes them. For want of descriptors it takes fewer.
pub(crate) fn take_descriptors(count: usize) {
    // Of nothing: a directory would lead out of a root that the child changes.
    // SAFETY: a place for the limit; nothing else but numbers.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let nothing = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let mut taken = nothing;
        for _ in 1..count {
            if taken == -1 || taken as libc::rlim_t > limit.rlim_cur / 2 {
                break;
            }
            taken = libc::fcntl(nothing, libc::F_DUPFD_CLOEXEC, 3);
        }
        if nothing < 3 {
            libc::close(nothing);
        }
    }
}

/// Closes all descriptors but one, which gets the number 0 (close_range(2)); returns that.
///
/// Linux before 5.9 has no such call: then each number is tried, of which there may be more than a
/// million, so that those above 65,535 are left.
pub(crate) fn leave_all_but(fd: c_int) -> c_int {
    const MOST: c_int = 1 << 16;
    // SAFETY: nothing but numbers, and a place for the limit. Who calls this uses no other
    // descriptor, nor drops one.
    unsafe {
        if fd != 0 && libc::dup2(fd, 0) == -1 {
            return fd;
        }
        if libc::syscall(libc::SYS_close_range, 1, c_uint::MAX, 0) == -1 {
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            let most = c_int::try_from(limit.rlim_max).unwrap_or(MOST).min(MOST);
            for fd in 1..most {
                libc::close(fd);
            }
        }
    }
    0
}
