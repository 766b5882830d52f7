//! What is missing where the kernel says no: its errno alone does not tell.

use std::fs;

use crate::child::SystemCall;
use crate::flags::CloneFlags;
use crate::setup::Step;
use crate::sys;

/// A number in a file of /proc/sys.
fn sysctl(name: &str) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    text.trim().parse().ok()
}

/// A setting that keeps users from user namespaces.
fn user_namespace_setting() -> Option<String> {
    let is_root = sys::has_capability(sys::CAP_SYS_ADMIN);
    [
        ("user.max_user_namespaces", 0, false),
        ("kernel.unprivileged_userns_clone", 0, true),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, true),
    ]
    .into_iter()
    .find(|&(name, value, for_users)| !(for_users && is_root) && sysctl(name) == Some(value))
    .map(|(name, value, _)| format!("the sysctl {name} is {value}"))
}

/// Why this call with these flags may have been refused.
pub(crate) fn for_clone(errno: i32, flags: CloneFlags, system_call: &SystemCall) -> Option<String> {
    let (clone3, set_tid) = match system_call {
        SystemCall::Clone => (false, false),
        SystemCall::Clone3 { set_tid, .. } => (true, !set_tid.is_empty()),
    };
    let new_user = flags.contains(CloneFlags::NEWUSER);
    let into_cgroup = flags.contains(CloneFlags::INTO_CGROUP);
    let setting = match errno {
        libc::EPERM | libc::ENOSPC | libc::EUSERS if new_user => user_namespace_setting(),
        _ => None,
    };
    setting.or_else(|| {
        let hint = match errno {
            libc::EPERM if new_user => {
                "NEWUSER: is the caller in a chroot, without a user or group id in its own user \
                 namespace, or under a filter?"
            }
            libc::EPERM
                if flags.intersects(CloneFlags::NAMESPACES)
                    && !sys::has_capability(sys::CAP_SYS_ADMIN) =>
            {
                "the namespaces need CAP_SYS_ADMIN, or NEWUSER with them"
            }
            libc::EPERM if set_tid => "set_tid needs CAP_CHECKPOINT_RESTORE; or there is a filter",
            // some are older than the system call
            libc::EPERM if clone3 => "a filter may forbid clone3",
            libc::EPERM => "a filter may forbid it",
            libc::EUSERS if !new_user => return None,
            libc::ENOSPC | libc::EUSERS => {
                "a limit below /proc/sys/user, or namespaces nested too deeply"
            }
            libc::EACCES if into_cgroup => {
                "the caller may not write the cgroup.procs of cgroup, or of one above"
            }
            libc::EBADF | libc::EOPNOTSUPP | libc::EBUSY if into_cgroup => {
                "cgroup is no directory of a control group of version 2 that takes processes"
            }
            libc::EAGAIN => "too many processes: RLIMIT_NPROC, or a limit of the cgroup",
            libc::ENOSYS if clone3 => "this kernel, or a filter, has no clone3",
            libc::ENOSYS => "a filter may forbid it",
            _ => return None,
        };
        Some(hint.into())
    })
}

/// Why a step of the child's may have been refused.
pub(crate) fn for_step(step: Step, errno: i32) -> Option<String> {
    let setting = match (step, errno) {
        (Step::UidMap | Step::GidMap | Step::Mounts | Step::Root | Step::Hostname, libc::EPERM) => {
            user_namespace_setting()
        }
        _ => None,
    };
    setting.or_else(|| {
        let hint = match (step, errno) {
            (Step::UidMap | Step::GidMap, libc::EPERM) => {
                "ids that the caller does not have itself, or not in its own user namespace; \
                 mapping root takes CAP_SETFCAP"
            }
            (Step::UidMap | Step::GidMap, libc::EACCES) => {
                "a caller that has changed its ids does not own its /proc/self before it calls \
                 exec; see PR_SET_DUMPABLE in prctl(2)"
            }
            (Step::UidMap | Step::GidMap, libc::ENOENT) => "there is no proc(5) on /proc",
            (Step::UidMap | Step::GidMap, libc::EINVAL) => {
                "rows that overlap, or more than the kernel takes"
            }
            (Step::TimeOffsets, libc::EPERM) => {
                "it takes CAP_SYS_TIME and CAP_SYS_ADMIN, or NEWUSER"
            }
            (Step::TimeOffsets, libc::EINVAL | libc::ENOENT) => {
                "this kernel has no time namespaces"
            }
            (Step::TimeOffsets, libc::ERANGE) => "the clock would be below 0, or beyond its end",
            (Step::Loopback, libc::EPERM) => "it takes CAP_NET_ADMIN in the network namespace",
            (Step::Mounts, libc::EINVAL) => "is the caller in a chroot?",
            (Step::Root, libc::EINVAL | libc::EBUSY) => {
                "is it the root already, or the current root a ramfs or a chroot?"
            }
            (Step::MountProc, libc::EPERM) => {
                "a user namespace gets a new /proc only where one is in sight that hides nothing"
            }
            (Step::MountProc, libc::ENOENT) => "the new root has no directory /proc",
            (Step::MountProc, libc::ENOTDIR) => {
                "/proc of the new root is a file or a symbolic link"
            }
            (Step::Mounts | Step::Root | Step::Hostname, libc::EPERM) => {
                "it takes CAP_SYS_ADMIN in the user namespace"
            }
            _ => return None,
        };
        Some(hint.into())
    })
}
