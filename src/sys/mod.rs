//! System calls: one thin function each, errno taken at once, no policy.

#![allow(unsafe_code)]

mod clone;
mod cradle;
mod files;
mod lent;
mod locks;
mod net;
mod ns;
mod process;
mod wait;

use libc::{c_int, c_void};

pub(crate) use clone::{
    CAN_CHANGE_STACKS, CLONE3_HAS_OWN_STACK, CloneArgs, Entry, Tls, clone, clone3,
    forget_parent_id, go_on_at, keeping_thread_id, tid_address,
};
pub(crate) use cradle::Cradle;
pub(crate) use files::{
    ProcDirectory, change_directory, change_directory_to, copy_above_standard, copy_to,
    find_in_root, has_attribute, has_file_capabilities, is_mounted_noexec, is_mounted_nosuid,
    is_open, keep_over_exec, leave_all_but, mount, open, pipe, set_nonblocking, take_descriptors,
    unmount,
};
pub(crate) use lent::{arrive, got_a_copy, is_lent};
pub(crate) use locks::{
    SharedWord, ask_name_services, beside_threads, is_single_threaded, pass_through_locks,
    robust_list, set_robust_list, watched,
};
pub(crate) use net::{InterfaceName, bring_up_loopback, set_interface_flags};
pub(crate) use ns::{
    kcmp, next_child_changes_pid_namespace, next_child_changes_time_namespace, ns_get_nstype,
    ns_get_owner_uid, ns_get_parent, ns_get_userns, pivot_root, setns, unshare,
};
pub(crate) use process::{
    CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, environment, environment_variable, execve,
    getegid, geteuid, getpid, getppid, gettid, has_capability, is_dumpable, leave_session,
    reset_signal_handlers, set_dumpable, set_group, set_hostname, set_parent_death_signal,
    set_signal_mask, set_user,
};
pub(crate) use wait::{
    ends_within, has_pidfd_open, is_running, keeps_its_id, kill_and_reap, kill_and_reap_by_id,
    pidfd_of_child, pidfd_open, pidfd_send_signal, poll, reap, reap_if_ended, signal_child,
    status_of, thread_is_gone, wait_for_end, waitid,
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
pub(crate) fn answered<T: From<i8> + PartialEq>(outcome: T) -> Result<T, Error> {
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

/// What errno means, in words (strerror(3)).
pub(crate) fn strerror(errno: c_int) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.into(),
        None => text,
    }
}
