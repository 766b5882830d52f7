//! System calls: one thin function each, errno taken at once, no policy.

#![allow(unsafe_code)]

mod channel;
mod clone;
mod locks;
mod net;
mod ns;
mod setup;
mod wait;

use std::ffi::CStr;

use libc::{c_int, c_ulong, c_void, pid_t};

pub(crate) use channel::{Channel, Slot, pipe, receive, send};
pub(crate) use clone::{
    CLONE3_HAS_OWN_STACK, CloneArgs, Entry, Tls, clone, clone3, forget_parent_id,
    keeping_thread_id, tid_address,
};
pub(crate) use locks::{
    SharedWord, ask_name_services, is_single_threaded, pass_through_locks, watched,
};
pub(crate) use net::{InterfaceName, bring_up_loopback, set_interface_flags};
pub(crate) use ns::{
    kcmp, ns_get_nstype, ns_get_owner_uid, ns_get_parent, ns_get_userns, pivot_root, setns,
};
pub(crate) use setup::{
    ProcDirectory, change_directory, detach_old_root, enter_time_namespace, environment, execve,
    getppid, is_dumpable, make_mounts_private, mount_proc, pivot_into, redirect,
    reset_signal_handlers, set_dumpable, set_group, set_hostname, set_parent_death_signal,
    set_signal_mask, set_user,
};
pub(crate) use wait::{
    is_running, keeps_its_id, kill_and_reap, kill_and_reap_by_id, pidfd_open, pidfd_send_signal,
    reap, reap_by_pidfd, status_of, thread_is_gone, waitid,
};

use crate::error::Error;

/// The calling thread's errno.
pub(crate) fn errno() -> c_int {
    // SAFETY: the C library returns a valid address of this thread.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's errno, which is perl's `$!`.
pub(crate) fn set_errno(errno: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno }
}

/// The errno of the call that has just failed.
pub(crate) fn last_error() -> Error {
    Error::Errno(errno())
}

/// What a system call has returned, or its errno.
fn answered<T: From<i8> + PartialEq>(outcome: T) -> Result<T, Error> {
    match outcome == T::from(-1) {
        true => Err(last_error()),
        false => Ok(outcome),
    }
}

/// The page size in bytes (sysconf(3)).
pub(crate) fn page_size() -> usize {
    // SAFETY: no arguments to get wrong; _SC_PAGESIZE is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// unshare(2) with all the bits that the system call takes; libc's function has an `int`.
pub(crate) fn unshare(flags: u64) -> Result<(), Error> {
    // SAFETY: touches no memory.
    let outcome = unsafe {
        match c_int::try_from(flags) {
            Ok(flags) => libc::unshare(flags).into(),
            Err(_) => libc::syscall(libc::SYS_unshare, flags as c_ulong),
        }
    };
    answered(outcome).map(drop)
}

/// Whether there is memory at this address (mincore(2)).
pub(crate) fn is_mapped(address: usize) -> bool {
    let page = page_size();
    let mut resident = 0u8;
    // SAFETY: the kernel checks the address, and writes one byte for the one page.
    address >= page
        && unsafe {
            libc::mincore(
                (address & !(page - 1)) as *mut c_void,
                page,
                (&raw mut resident).cast(),
            )
        } == 0
}

/// Ends the process at once (_exit(2)).
pub(crate) fn exit_now(status: c_int) -> ! {
    // SAFETY: does not return; runs nothing of this process.
    unsafe { libc::_exit(status) }
}

/// Ends the calling thread, and nothing else (_exit(2), "C library/kernel differences"). What
/// clone(3) does when its function returns differs: before glibc 2.26 it ended the process.
pub(crate) fn exit_thread(status: c_int) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
}

/// Ends the process as a C program ends (exit(3)).
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: called once, in a process of one thread.
    unsafe { libc::exit(status) }
}

/// The process's id, from the kernel (getpid(2)).
pub(crate) fn getpid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_getpid) as pid_t }
}

/// The calling thread's id (gettid(2)).
pub(crate) fn gettid() -> pid_t {
    // SAFETY: touches no memory. Not libc's function: glibc has it since 2.30 only.
    unsafe { libc::syscall(libc::SYS_gettid) as pid_t }
}

/// What such a link to a namespace says: "pid:[4026531836]" (namespaces(7)).
fn namespace(link: &CStr) -> Option<[u8; 32]> {
    let mut name = [0u8; 32];
    // SAFETY: a C string, and a buffer of that length.
    let len = unsafe { libc::readlink(link.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
    (len > 0).then_some(name)
}

/// Whether the caller's next child is to be in another PID namespace than the caller, by
/// unshare(2) or setns(2); true if that cannot be told.
pub(crate) fn next_child_changes_pid_namespace() -> bool {
    let own = namespace(c"/proc/thread-self/ns/pid");
    own.is_none() || own != namespace(c"/proc/thread-self/ns/pid_for_children")
}

/// Whether it is to be in another time namespace.
pub(crate) fn next_child_changes_time_namespace() -> bool {
    namespace(c"/proc/thread-self/ns/time") != namespace(c"/proc/thread-self/ns/time_for_children")
}

/// Whether there is a descriptor of this number (fcntl(2)).
pub(crate) fn is_open(fd: c_int) -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
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

/// Makes read(2) of this descriptor return instead of waiting (O_NONBLOCK).
pub(crate) fn set_nonblocking(fd: c_int) {
    // SAFETY: touches no memory.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
}

/// The effective user id (geteuid(2)).
pub(crate) fn geteuid() -> libc::uid_t {
    // SAFETY: touches no memory.
    unsafe { libc::geteuid() }
}

/// The effective group id (getegid(2)).
pub(crate) fn getegid() -> libc::gid_t {
    // SAFETY: touches no memory.
    unsafe { libc::getegid() }
}

/// Numbers of capabilities(7).
pub(crate) const CAP_SETGID: u32 = 6;
pub(crate) const CAP_SETUID: u32 = 7;
pub(crate) const CAP_SYS_ADMIN: u32 = 21;

/// Whether the calling thread has this capability in its user namespace (capget(2)); only those
/// below 32.
pub(crate) fn has_capability(capability: u32) -> bool {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION: u32 = 0x2008_0522;
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    // effective, permitted, inheritable; of 32 capabilities each
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: places of the size that this version has.
    let outcome = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut sets) };
    outcome == 0 && sets[0][0] & 1 << capability != 0
}

/// A variable of the process's environment (getenv(3)), which perl keeps in step with `%ENV`.
pub(crate) fn environment_variable(name: &str) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(OsStringExt::into_vec)
}

/// What errno means, in words (strerror(3)).
pub(crate) fn strerror(errno: c_int) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.into(),
        None => text,
    }
}
