//! What is missing where the kernel says no: its errno alone does not tell.

use std::fs;

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

/// Why clone(2) or clone3(2) with these flags may have been refused.
pub(crate) fn for_clone(errno: i32, flags: CloneFlags) -> Option<String> {
    let namespaces = CloneFlags::NEWNS
        | CloneFlags::NEWUTS
        | CloneFlags::NEWIPC
        | CloneFlags::NEWNET
        | CloneFlags::NEWPID
        | CloneFlags::NEWCGROUP
        | CloneFlags::NEWTIME;
    match errno {
        libc::EPERM | libc::ENOSPC | libc::EUSERS if flags.contains(CloneFlags::NEWUSER) => {
            user_namespace_setting().or_else(|| match errno {
                libc::EPERM => Some(
                    "NEWUSER: is the caller in a chroot, without a user or group id in its own \
                     user namespace, or under a filter?"
                        .into(),
                ),
                _ => Some("a limit below /proc/sys/user, or namespaces nested too deeply".into()),
            })
        }
        libc::ENOSPC => {
            Some("a limit below /proc/sys/user, or namespaces nested too deeply".into())
        }
        libc::EPERM if flags.intersects(namespaces) && !sys::has_capability(sys::CAP_SYS_ADMIN) => {
            Some("the namespaces need CAP_SYS_ADMIN, or NEWUSER with them".into())
        }
        libc::EPERM => Some("set_tid needs CAP_CHECKPOINT_RESTORE; or there is a filter".into()),
        libc::EACCES if flags.contains(CloneFlags::INTO_CGROUP) => {
            Some("the caller may not write the cgroup.procs of cgroup, or of one above".into())
        }
        libc::EBADF | libc::EOPNOTSUPP | libc::EBUSY if flags.contains(CloneFlags::INTO_CGROUP) => {
            Some(
                "cgroup is no directory of a control group of version 2 that takes processes"
                    .into(),
            )
        }
        libc::EAGAIN => Some("too many processes: RLIMIT_NPROC, or a limit of the cgroup".into()),
        libc::ENOSYS => Some("this kernel, or a filter, has no clone3".into()),
        _ => None,
    }
}

/// Why a step of the child's may have been refused.
pub(crate) fn for_step(step: Step, errno: i32) -> Option<String> {
    let hint = match (step, errno) {
        (Step::UidMap | Step::GidMap, libc::EPERM) => {
            return user_namespace_setting().or_else(|| {
                Some(
                    "ids that the caller does not have itself, or not in its own user namespace; \
                     mapping root takes CAP_SETFCAP"
                        .into(),
                )
            });
        }
        (Step::UidMap | Step::GidMap, libc::EACCES) => {
            "a caller that has changed its ids does not own its /proc/self before it calls exec; \
             see PR_SET_DUMPABLE in prctl(2)"
        }
        (Step::UidMap | Step::GidMap, libc::EINVAL) => {
            "rows that overlap, or more than the kernel takes"
        }
        (Step::TimeOffsets, libc::EPERM) => "it takes CAP_SYS_TIME and CAP_SYS_ADMIN, or NEWUSER",
        (Step::TimeOffsets, libc::EINVAL | libc::ENOENT) => "this kernel has no time namespaces",
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
        (Step::MountProc, libc::ENOTDIR) => "/proc of the new root is a file or a symbolic link",
        (Step::Mounts | Step::Root | Step::Hostname, libc::EPERM) => {
            return user_namespace_setting()
                .or_else(|| Some("it takes CAP_SYS_ADMIN in the user namespace".into()));
        }
        _ => return None,
    };
    Some(hint.into())
}
