//! What a new child does to itself. Nothing here allocates or takes a lock.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::ptr;

use libc::{c_int, c_long, c_ulong, c_void, gid_t, pid_t, uid_t};

use super::{answered, errno};
use crate::error::Error;
use crate::flags::CloneFlags;

/// open(2), close-on-exec.
fn open(file: &CStr, flags: c_int) -> Result<c_int, Error> {
    // SAFETY: a C string.
    answered(unsafe { libc::open(file.as_ptr(), flags | libc::O_CLOEXEC) })
}

fn close(fd: c_int) {
    // SAFETY: only for what this module has opened.
    unsafe { libc::close(fd) };
}

/// A process's directory in proc(5).
pub(crate) struct ProcDirectory(c_int);

impl ProcDirectory {
    pub(crate) const OWN: &CStr = c"/proc/self";

    /// ENOENT if something else than proc(5) is mounted there: what seems to be a file of a process
    /// may be a link to any other file.
    pub(crate) fn open(name: &CStr) -> Result<Self, Error> {
        let directory = ProcDirectory(open(name, libc::O_PATH | libc::O_DIRECTORY)?);
        // SAFETY: all zeros is a valid `statfs`.
        let mut about: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the answer.
        answered(unsafe { libc::fstatfs(directory.0, &raw mut about) })?;
        match about.f_type == libc::PROC_SUPER_MAGIC as _ {
            true => Ok(directory),
            false => Err(Error::Errno(libc::ENOENT)),
        }
    }

    /// Writes a file of it in one go, as those of namespaces demand.
    pub(crate) fn write(&self, name: &CStr, text: &[u8]) -> Result<(), Error> {
        let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: a C string.
        let file = answered(unsafe { libc::openat(self.0, name.as_ptr(), flags) })?;
        // SAFETY: a buffer with its length.
        let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
        let outcome = answered(written);
        close(file);
        outcome.map(drop)
    }
}

impl Drop for ProcDirectory {
    fn drop(&mut self) {
        close(self.0);
    }
}

// By syscall(2), since the C library's functions do this in all threads of the process: in shared
// memory those are the parent's. Where there is a call for 16-bit ids, too, that with 32 bits.
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
const SET_IDS: [c_long; 3] = [
    libc::SYS_setgroups32,
    libc::SYS_setresgid32,
    libc::SYS_setresuid32,
];
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
const SET_IDS: [c_long; 3] = [
    libc::SYS_setgroups,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
];

/// Makes this the only group (setgroups(2), setresgid(2)).
pub(crate) fn set_group(group: gid_t) -> Result<(), Error> {
    // SAFETY: no groups, so nothing is read.
    answered(unsafe { libc::syscall(SET_IDS[0], 0 as c_ulong, ptr::null::<gid_t>()) })?;
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(SET_IDS[1], group, group, group) }).map(drop)
}

/// setresuid(2)
pub(crate) fn set_user(user: uid_t) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(SET_IDS[2], user, user, user) }).map(drop)
}

/// Whether the process may look into its /proc/self (prctl(2), PR_GET_DUMPABLE). A change of ids
/// ends that: the kernel takes it for one between users.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// prctl(2), PR_SET_DUMPABLE
pub(crate) fn set_dumpable() {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1 as c_ulong) };
}

/// prctl(2), PR_SET_PDEATHSIG
pub(crate) fn set_parent_death_signal(signal: c_int) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as c_ulong) }).map(drop)
}

/// getppid(2), from the kernel; 0 if that is in another PID namespace.
pub(crate) fn getppid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_getppid) as pid_t }
}

/// Makes a time namespace with these offsets and enters it (time_namespaces(7)). unshare(2) gives
/// it to children only, and once somebody lives in it the offsets stand.
pub(crate) fn enter_time_namespace(offsets: &[u8]) -> Result<(), Error> {
    const NEWTIME: c_ulong = CloneFlags::NEWTIME.bits() as c_ulong;
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(libc::SYS_unshare, NEWTIME) })?;
    if !offsets.is_empty() {
        ProcDirectory::open(ProcDirectory::OWN)?.write(c"timens_offsets", offsets)?;
    }
    let namespace = open(c"/proc/self/ns/time_for_children", libc::O_RDONLY)?;
    // SAFETY: touches no memory.
    let outcome = answered(unsafe { libc::syscall(libc::SYS_setns, namespace, NEWTIME) });
    close(namespace);
    outcome.map(drop)
}

/// sethostname(2)
pub(crate) fn set_hostname(name: &[u8]) -> Result<(), Error> {
    // SAFETY: a buffer with its length.
    answered(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// mount(2)
fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: c_ulong) -> Result<(), Error> {
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

/// Keeps what is mounted from here on from all other namespaces, and theirs from this one.
pub(crate) fn make_mounts_private() -> Result<(), Error> {
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE)
}

/// Makes `root` the root directory; the old one lies on top of it until [`detach_old_root`]
/// (pivot_root(2), "pivot_root(".", ".")").
pub(crate) fn pivot_into(root: &CStr) -> Result<(), Error> {
    // only a mount can become the root
    mount(root, root, None, libc::MS_BIND | libc::MS_REC)?;
    change_directory(root)?;
    // SAFETY: C strings.
    let outcome = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    answered(outcome).map(drop)
}

/// Takes the old root away from on top of the new one, where the working directory must be.
pub(crate) fn detach_old_root() -> Result<(), Error> {
    // SAFETY: a C string.
    answered(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    change_directory(c"/")
}

/// Mounts proc(5) on /proc.
///
/// ENOTDIR if that is a symbolic link: it could lead elsewhere, and above a new root lies the old.
/// In a new root, which others may write to, it could become one meanwhile: there it is the
/// directory itself that is mounted on. The working directory must be the root, and stays so.
pub(crate) fn mount_proc(in_new_root: bool) -> Result<(), Error> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = open(c"/proc", flags)?;
    let mount_on = |target| {
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        mount(c"proc", target, Some(c"proc"), flags)
    };
    let outcome = match in_new_root {
        // SAFETY: touches no memory.
        true => answered(unsafe { libc::fchdir(directory) })
            .and_then(|_| mount_on(c"."))
            .and_then(|()| change_directory(c"/")),
        false => mount_on(c"/proc"),
    };
    close(directory);
    outcome
}

/// chdir(2)
pub(crate) fn change_directory(directory: &CStr) -> Result<(), Error> {
    // SAFETY: a C string.
    answered(unsafe { libc::chdir(directory.as_ptr()) }).map(drop)
}

/// Makes these descriptors 0, 1 and 2, where there is one. In case of an error it says of which.
pub(crate) fn redirect(mut streams: [Option<c_int>; 3]) -> Result<(), (usize, Error)> {
    // those that lie where another goes first get out of the way
    for (n, stream) in streams.iter_mut().enumerate() {
        if let Some(fd) = stream.filter(|&fd| fd <= 2 && fd != n as c_int) {
            // SAFETY: touches no memory.
            let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
            *stream = Some(answered(copy).map_err(|error| (n, error))?);
        }
    }
    for (n, stream) in streams.into_iter().enumerate() {
        let outcome = match stream {
            None => continue,
            // SAFETY: touches no memory.
            Some(fd) if fd == n as c_int => unsafe { libc::fcntl(fd, libc::F_SETFD, 0) },
            // SAFETY: touches no memory.
            Some(fd) => unsafe { libc::dup2(fd, n as c_int) },
        };
        answered(outcome).map_err(|error| (n, error))?;
    }
    Ok(())
}

/// Gives each signal that has a handler its default: the handlers are code of this process.
pub(crate) fn reset_signal_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: all zeros is a valid `sigaction`, that of SIG_DFL; places for the old one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction != libc::SIG_DFL
                && action.sa_sigaction != libc::SIG_IGN
            {
                action = std::mem::zeroed();
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    }
}

/// Sets the signal mask (sigprocmask(2)); a null one leaves it.
pub(crate) fn set_signal_mask(mask: *const c_void) {
    // SAFETY: null, or the `sigset_t` of a held call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask.cast(), ptr::null_mut()) };
}

/// The environment of the process (environ(7)).
pub(crate) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library's own variable.
    unsafe { environ }
}

/// execve(2): the errno, if it comes back.
pub(crate) fn execve(file: &CStr, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    // SAFETY: a C string, and arrays of such that end with a null pointer.
    unsafe { libc::execve(file.as_ptr(), argv, envp) };
    errno()
}
