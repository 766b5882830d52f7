//! What the caller is and may do, as proc(5) tells: for hints, so in the parent only.

use std::fs;
use std::path::PathBuf;

use crate::flags::CloneFlags;
use crate::sys;

/// A number in a file of /proc/sys.
pub(super) fn sysctl(name: &str) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    text.trim().parse().ok()
}

/// The rows of `uid_map` or `gid_map` of the caller's own user namespace: the first id there, and
/// how many.
pub(super) fn own_map(file: &str) -> Option<Vec<(u64, u64)>> {
    let text = fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    let rows = text.lines().map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(_), Some(Ok(count))) => Some((first, count)),
            _ => None,
        }
    });
    rows.collect()
}

/// Whether the caller is in the first user namespace of the system, for all that can be seen: only
/// there is root above the settings for users.
pub(super) fn is_in_first_user_namespace() -> bool {
    own_map("uid_map").is_none_or(|rows| rows == [(0, u64::from(u32::MAX))])
}

/// A line of /proc/self/status (proc_pid_status(5)), of the calling thread.
fn status(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.strip_prefix(':')?.trim().into())
}

/// Whether no program gives the caller more rights than it has (PR_SET_NO_NEW_PRIVS).
pub(super) fn has_no_new_privs() -> bool {
    status("NoNewPrivs").is_some_and(|set| set != "0")
}

/// Whether a program can give the caller this capability: it is in the bounding set
/// (capabilities(7)).
pub(super) fn is_in_bounding_set(capability: u32) -> bool {
    let set = status("CapBnd").and_then(|set| u64::from_str_radix(&set, 16).ok());
    set.is_none_or(|set| set & 1 << capability != 0)
}

/// Whether the caller's user namespace denies setgroups(2), as those below it then do.
pub(super) fn is_denied_setgroups() -> bool {
    fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}

/// Whether the caller's next child is in another PID namespace than the caller, by unshare(2) or
/// setns(2); false if that cannot be told.
pub(super) fn has_left_its_pid_namespace() -> bool {
    let [own, childrens] = pid_namespaces();
    own.is_some() && own != childrens
}

/// Whether that namespace has had no process yet.
pub(super) fn next_child_is_the_first() -> bool {
    matches!(pid_namespaces(), [Some(_), None])
}

/// The caller's PID namespace, and that of its children, which has no link while nobody has been in
/// it.
fn pid_namespaces() -> [Option<PathBuf>; 2] {
    ["pid", "pid_for_children"]
        .map(|name| fs::read_link(format!("/proc/thread-self/ns/{name}")).ok())
}

/// A kind of namespace that the kernel does not have, of these.
pub(super) fn lacks_namespace(flags: CloneFlags) -> Option<&'static str> {
    // without proc(5) nothing can be told
    fs::metadata("/proc/self/ns").ok()?;
    [
        (CloneFlags::NEWNS, "mnt", "mount"),
        (CloneFlags::NEWCGROUP, "cgroup", "cgroup"),
        (CloneFlags::NEWUTS, "uts", "UTS"),
        (CloneFlags::NEWIPC, "ipc", "IPC"),
        (CloneFlags::NEWUSER, "user", "user"),
        (CloneFlags::NEWPID, "pid", "PID"),
        (CloneFlags::NEWNET, "net", "network"),
        (CloneFlags::NEWTIME, "time", "time"),
    ]
    .into_iter()
    .find(|(flag, file, _)| {
        flags.contains(*flag) && fs::symlink_metadata(format!("/proc/self/ns/{file}")).is_err()
    })
    .map(|(_, _, name)| name)
}

/// A setting that keeps the caller from creating user namespaces, and the errno that it brings.
pub(super) fn creation_setting(errno: libc::c_int) -> Option<String> {
    let (name, value) = match errno {
        libc::ENOSPC | libc::EUSERS => ("user.max_user_namespaces", 0),
        libc::EPERM if !is_root() => ("kernel.unprivileged_userns_clone", 0),
        _ => return rights_setting(),
    };
    match sysctl(name) == Some(value) {
        true => Some(format!("the sysctl {name} is {value}")),
        false if errno == libc::EPERM => rights_setting(),
        false => None,
    }
}

/// A setting that takes the rights in user namespaces from users: AppArmor refuses with EPERM what
/// takes a capability, with EACCES mounts and files, and with one of them the namespace itself.
pub(super) fn rights_setting() -> Option<String> {
    const NAME: &str = "kernel.apparmor_restrict_unprivileged_userns";
    (!is_root() && sysctl(NAME) == Some(1)).then(|| format!("the sysctl {NAME} is 1"))
}

/// Whether the settings for users are not about the caller.
fn is_root() -> bool {
    sys::has_capability(sys::CAP_SYS_ADMIN) && is_in_first_user_namespace()
}
