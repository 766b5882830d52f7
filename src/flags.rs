//! The CLONE_* flags, and the constants that Perl sees.

use bitflags::{Flags, bitflags};
use perlxs::Constant;

/// The exit signal's part of clone(2)'s flags.
const CSIGNAL: u64 = libc::CSIGNAL as u64;

/// The largest signal number of Linux (`_NSIG`).
pub(crate) const LAST_SIGNAL: u64 = 64;

bitflags! {
    /// The flags of clone(2) and unshare(2), by the names that Linux::Clone gives them.
    ///
    /// This is the one table of them: the module's constants are made from it. Bits that it
    /// does not name pass through to the kernel.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct CloneFlags: u64 {
        /// Share the table of file descriptors.
        const FILES = bit(libc::CLONE_FILES);
        /// Share root directory, working directory and umask.
        const FS = bit(libc::CLONE_FS);
        /// A new mount namespace.
        const NEWNS = bit(libc::CLONE_NEWNS);
        /// Share the memory.
        const VM = bit(libc::CLONE_VM);
        /// A thread of the caller's thread group.
        const THREAD = bit(libc::CLONE_THREAD);
        /// Share the signal handlers.
        const SIGHAND = bit(libc::CLONE_SIGHAND);
        /// Share the System V semaphore undo values.
        const SYSVSEM = bit(libc::CLONE_SYSVSEM);
        /// A new UTS namespace.
        const NEWUTS = bit(libc::CLONE_NEWUTS);
        /// A new IPC namespace.
        const NEWIPC = bit(libc::CLONE_NEWIPC);
        /// A new network namespace.
        const NEWNET = bit(libc::CLONE_NEWNET);
        /// The caller's tracer traces the child too.
        const PTRACE = bit(libc::CLONE_PTRACE);
        /// The caller sleeps until the child execs or ends.
        const VFORK = bit(libc::CLONE_VFORK);
        /// Set the thread-local storage of the child.
        const SETTLS = bit(libc::CLONE_SETTLS);
        /// Store the child's thread id in the caller's memory.
        const PARENT_SETTID = bit(libc::CLONE_PARENT_SETTID);
        /// Store the child's thread id in the child's memory.
        const CHILD_SETTID = bit(libc::CLONE_CHILD_SETTID);
        /// Clear the child's thread id in its memory when it ends.
        const CHILD_CLEARTID = bit(libc::CLONE_CHILD_CLEARTID);
        /// Without effect since Linux 2.6.
        const DETACHED = bit(libc::CLONE_DETACHED);
        /// No tracer can force PTRACE on the child.
        const UNTRACED = bit(libc::CLONE_UNTRACED);
        /// A new user namespace.
        const NEWUSER = bit(libc::CLONE_NEWUSER);
        /// A new PID namespace.
        const NEWPID = bit(libc::CLONE_NEWPID);
        /// Share the I/O context.
        const IO = bit(libc::CLONE_IO);
        /// A new cgroup namespace.
        const NEWCGROUP = bit(libc::CLONE_NEWCGROUP);
        /// A new time namespace (its bit lies in CSIGNAL: not for clone).
        const NEWTIME = bit(libc::CLONE_NEWTIME);
        /// Return a file descriptor for the child.
        const PIDFD = bit(libc::CLONE_PIDFD);
        /// Reset the child's signal handlers to default (clone3 only, as what follows).
        const CLEAR_SIGHAND = 1 << 32;
        /// Start the child in a control group. (libc has these two as `int`, which is too small.)
        const INTO_CGROUP = 1 << 33;
        /// The child's parent is the caller's.
        const PARENT = bit(libc::CLONE_PARENT);
        /// The mask of the exit signal.
        const CSIGNAL = CSIGNAL;
        const _ = !0;
    }
}

/// libc has the flags as `int`, where the highest is negative.
const fn bit(flag: libc::c_int) -> u64 {
    flag as u32 as u64
}

impl CloneFlags {
    /// The new namespaces.
    pub(crate) const NAMESPACES: Self = Self::NEWNS
        .union(Self::NEWUTS)
        .union(Self::NEWIPC)
        .union(Self::NEWNET)
        .union(Self::NEWUSER)
        .union(Self::NEWPID)
        .union(Self::NEWCGROUP)
        .union(Self::NEWTIME);

    /// What no kind of clone can be asked for here, in words, or `None` if the kernel shall decide.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        if self.contains(Self::VM) && !self.contains(Self::VFORK) {
            Some(
                "VM without VFORK would run two processes in one interpreter at once; \
                 use VM|VFORK, or leave VM out",
            )
        } else if self.contains(Self::VM | Self::SETTLS) {
            Some(
                "SETTLS with VM would give one interpreter two thread-local storages; \
                 leave one of them out",
            )
        } else if self.contains(Self::VM | Self::SIGHAND | Self::NEWPID)
            && !self.contains(Self::THREAD)
        {
            // (with THREAD the kernel refuses it)
            Some(
                "SIGHAND with NEWPID would make the parent ignore SIGCHLD when the child ends; \
                 leave SIGHAND out",
            )
        } else {
            None
        }
    }

    /// What the old system call cannot say, in words: it has 32 bits, and the exit signal in them.
    pub(crate) fn old_refusal(self) -> Option<String> {
        let signal = self.bits() & CSIGNAL;
        if self.bits() >> 32 != 0 {
            Some(format!(
                "$flags has bits above the 32 that clone(2) reads: {:#x}",
                self.bits()
            ))
        } else if signal & Self::NEWTIME.bits() != 0 {
            Some(
                "clone(2) has no NEWTIME: its bit belongs to the exit signal; use unshare or clone3"
                    .into(),
            )
        } else if signal > LAST_SIGNAL {
            Some(format!(
                "the exit signal in $flags is {signal}, but signals end at {LAST_SIGNAL}"
            ))
        } else {
            None
        }
    }

    /// The name of a flag that stores the child's thread id in the child's memory, if there is one.
    pub(crate) fn wants_child_tid(self) -> Option<&'static str> {
        if self.contains(Self::CHILD_SETTID) {
            Some("CHILD_SETTID")
        } else if self.contains(Self::CHILD_CLEARTID) {
            Some("CHILD_CLEARTID")
        } else {
            None
        }
    }

    /// The signal that the parent gets when the child ends, or 0, as clone(2) has it.
    pub(crate) fn exit_signal(self) -> u64 {
        self.bits() & CSIGNAL
    }

    /// As the old system call takes them: 32 bits in an `int`.
    pub(crate) fn as_int(self) -> libc::c_int {
        self.bits() as u32 as libc::c_int
    }
}

/// What the functions for pidfds and for waiting take and return, by its own names; masks as the
/// unsigned numbers that they are.
const WAIT: &[(&str, u64)] = &[
    ("P_PID", libc::P_PID as u64),
    ("P_PGID", libc::P_PGID as u64),
    ("P_ALL", libc::P_ALL as u64),
    ("P_PIDFD", libc::P_PIDFD as u64),
    ("WEXITED", bit(libc::WEXITED)),
    ("WSTOPPED", bit(libc::WSTOPPED)),
    ("WCONTINUED", bit(libc::WCONTINUED)),
    ("WNOHANG", bit(libc::WNOHANG)),
    ("WNOWAIT", bit(libc::WNOWAIT)),
    ("__WALL", bit(libc::__WALL)),
    ("__WCLONE", bit(libc::__WCLONE)),
    ("__WNOTHREAD", bit(libc::__WNOTHREAD)),
    ("CLD_EXITED", bit(libc::CLD_EXITED)),
    ("CLD_KILLED", bit(libc::CLD_KILLED)),
    ("CLD_DUMPED", bit(libc::CLD_DUMPED)),
    ("CLD_TRAPPED", bit(libc::CLD_TRAPPED)),
    ("CLD_STOPPED", bit(libc::CLD_STOPPED)),
    ("CLD_CONTINUED", bit(libc::CLD_CONTINUED)),
    ("PIDFD_NONBLOCK", libc::PIDFD_NONBLOCK as u64),
    ("PIDFD_THREAD", libc::PIDFD_THREAD as u64),
    ("PIDFD_SIGNAL_THREAD", libc::PIDFD_SIGNAL_THREAD as u64),
    (
        "PIDFD_SIGNAL_THREAD_GROUP",
        libc::PIDFD_SIGNAL_THREAD_GROUP as u64,
    ),
    (
        "PIDFD_SIGNAL_PROCESS_GROUP",
        libc::PIDFD_SIGNAL_PROCESS_GROUP as u64,
    ),
];

/// The types of kcmp(2) that take descriptors (linux/kcmp.h).
pub(crate) const KCMP_FILE: libc::c_int = 0;
pub(crate) const KCMP_EPOLL_TFD: libc::c_int = 7;

/// What kcmp(2) compares, by its own names; libc does not have them.
const KCMP: &[(&str, u64)] = &[
    ("KCMP_FILE", KCMP_FILE as u64),
    ("KCMP_VM", 1),
    ("KCMP_FILES", 2),
    ("KCMP_FS", 3),
    ("KCMP_SIGHAND", 4),
    ("KCMP_IO", 5),
    ("KCMP_SYSVSEM", 6),
    ("KCMP_EPOLL_TFD", KCMP_EPOLL_TFD as u64),
];

/// What ioctl(2) can be asked of a namespace (ioctl_nsfs(2)); the last is another name.
// the type of these numbers is the C library's
#[allow(clippy::unnecessary_cast)]
const NAMESPACE: &[(&str, u64)] = &[
    ("NS_GET_USERNS", libc::NS_GET_USERNS as u64),
    ("NS_GET_PARENT", libc::NS_GET_PARENT as u64),
    ("NS_GET_NSTYPE", libc::NS_GET_NSTYPE as u64),
    ("NS_GET_OWNER_UID", libc::NS_GET_OWNER_UID as u64),
    ("NS_OWNER_UID", libc::NS_GET_OWNER_UID as u64),
];

/// Those flags of an interface that can be set (netdevice(7)).
const INTERFACE: &[(&str, u64)] = &[
    ("IFF_UP", bit(libc::IFF_UP)),
    ("IFF_DEBUG", bit(libc::IFF_DEBUG)),
    ("IFF_NOTRAILERS", bit(libc::IFF_NOTRAILERS)),
    ("IFF_NOARP", bit(libc::IFF_NOARP)),
    ("IFF_PROMISC", bit(libc::IFF_PROMISC)),
    ("IFF_ALLMULTI", bit(libc::IFF_ALLMULTI)),
    ("IFF_MULTICAST", bit(libc::IFF_MULTICAST)),
    ("IFF_PORTSEL", bit(libc::IFF_PORTSEL)),
    ("IFF_AUTOMEDIA", bit(libc::IFF_AUTOMEDIA)),
    ("IFF_DYNAMIC", bit(libc::IFF_DYNAMIC)),
];

/// Every constant of the module: `NEWNS` and its kin, and the same as `CLONE_NEWNS`, the names
/// of clone(2), for export; CSIGNAL has one name in both places. And those of the tables above,
/// by their one name.
pub(crate) fn constants() -> impl Iterator<Item = Constant> {
    CloneFlags::FLAGS
        .iter()
        .filter(|flag| flag.is_named())
        .flat_map(|flag| {
            let (name, value) = (flag.name(), flag.value().bits());
            let exported = (name != "CSIGNAL").then(|| format!("CLONE_{name}"));
            [Some(name.to_string()), exported]
                .into_iter()
                .flatten()
                .map(move |name| Constant::new(name, value))
        })
        .chain(
            [WAIT, KCMP, NAMESPACE, INTERFACE]
                .into_iter()
                .flatten()
                .map(|&(name, value)| Constant::new(name, value)),
        )
}
