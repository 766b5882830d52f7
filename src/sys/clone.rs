//! clone(2) and clone3(2), and what the C library keeps of a thread's id.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use libc::c_long;
use libc::{c_int, c_ulong, c_void, pid_t};

use super::gettid;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use super::{answered, exit_now};
use crate::error::Error;

/// Where a child starts.
pub(crate) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// A system call that starts a process with a stack of its own; there it calls `entry(arg)`, which
/// does not return. Returns what the call returned in the parent.
///
/// Not clone(3), where we can do without it: before glibc 2.25 that writes into the C library's
/// struct of the calling thread, for a child that shares memory, and whoever joins the thread
/// meanwhile takes it for ended.
///
/// # Safety
/// As for [`clone`], of which `arguments` are those of the architecture, or as for [`clone3`].
#[cfg(target_arch = "x86_64")]
unsafe fn start(number: c_long, arguments: [usize; 5], entry: Entry, arg: *mut c_void) -> isize {
    let [a, b, c, d, e] = arguments;
    let outcome: isize;
    // SAFETY: as the caller says. The child starts behind the system call, with all registers as
    // they were but the result and the stack pointer; it calls `entry` and never comes here.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp", // the outermost frame
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number as isize => outcome,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r12") arg,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    outcome
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn start(number: c_long, arguments: [usize; 5], entry: Entry, arg: *mut c_void) -> isize {
    let [a, b, c, d, e] = arguments;
    let outcome: isize;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr", // the outermost frame
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") a => outcome,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x20") arg,
            in("x21") entry,
            lateout("x30") _,
        );
    }
    outcome
}

/// Whether there is [`go_on_at`] on this architecture.
pub(crate) const CAN_CHANGE_STACKS: bool =
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Calls `entry(arg)` on the stack below `stack_top`, for good: nothing comes back to this one.
///
/// # Safety
/// `stack_top` is the end of a mapping that nobody uses, aligned for the architecture; `entry` may
/// be called with `arg`, and does not return.
pub(crate) unsafe fn go_on_at(stack_top: *mut c_void, entry: Entry, arg: *mut c_void) -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as the caller says.
    unsafe {
        std::arch::asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp", // the outermost frame
            "call {entry}",
            "ud2",
            stack = in(reg) stack_top,
            entry = in(reg) entry,
            in("rdi") arg,
            options(noreturn),
        )
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as the caller says.
    unsafe {
        std::arch::asm!(
            "mov sp, {stack}",
            "mov x29, xzr", // the outermost frame
            "mov x30, xzr",
            "blr {entry}",
            "brk #1",
            stack = in(reg) stack_top,
            entry = in(reg) entry,
            in("x0") arg,
            options(noreturn),
        )
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // on this stack, which is as good as the other for a while: nobody asks for it here
        let _ = stack_top;
        exit_now(entry(arg))
    }
}

/// The process id that [`start`] has returned, or its errno.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn started(outcome: isize) -> Result<pid_t, Error> {
    match outcome {
        pid @ 0.. => Ok(pid as pid_t),
        error => Err(Error::Errno(-error as c_int)),
    }
}

/// clone(2): starts a process that calls `entry(arg)` on the stack below `stack_top` and ends
/// with the status it returns. Returns its process id.
///
/// # Safety
/// `flags` has VM only with VFORK, and SETTLS only with a `tls` as the architecture wants it.
/// `stack_top` is the end of a mapping that nobody uses, aligned for the architecture;
/// `parent_tid` and, with a flag that uses it, `child_tid` are writable; `entry` may be called
/// with `arg` in a copy of this process, or with VM in this memory while the caller sleeps.
pub(crate) unsafe fn clone(
    entry: Entry,
    stack_top: *mut c_void,
    flags: c_int,
    arg: *mut c_void,
    parent_tid: *mut c_int,
    tls: *mut c_void,
    child_tid: *mut c_int,
) -> Result<pid_t, Error> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let (flags, stack) = (flags as u32 as usize, stack_top as usize);
        let (parent, child, tls) = (parent_tid as usize, child_tid as usize, tls as usize);
        #[cfg(target_arch = "x86_64")]
        let arguments = [flags, stack, parent, child, tls];
        #[cfg(target_arch = "aarch64")]
        let arguments = [flags, stack, parent, tls, child];
        // SAFETY: as the caller says; the pointers of unused arguments are null.
        started(unsafe { start(libc::SYS_clone, arguments, entry, arg) })
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    // SAFETY: as above.
    answered(unsafe { libc::clone(entry, stack_top, flags, arg, parent_tid, tls, child_tid) })
}

/// `struct clone_args` of clone3(2), version 2 (Linux 5.7).
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

/// Whether [`clone3`] gives the child a stack of its own on this architecture.
pub(crate) const CLONE3_HAS_OWN_STACK: bool =
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// clone3(2): starts a process that calls `entry(arg)`, which does not return, on the stack that
/// `args` describe. Returns its process id.
///
/// On other architectures than x86-64 and aarch64 the child runs on its copy of the caller's
/// stack.
///
/// # Safety
/// As for [`clone`]; without [`CLONE3_HAS_OWN_STACK`], never with VM.
pub(crate) unsafe fn clone3(
    args: &mut CloneArgs,
    entry: Entry,
    arg: *mut c_void,
) -> Result<pid_t, Error> {
    let size = size_of::<CloneArgs>();
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let arguments = [(&raw mut *args) as usize, size, 0, 0, 0];
        // SAFETY: as the caller says; the kernel reads `args`.
        started(unsafe { start(libc::SYS_clone3, arguments, entry, arg) })
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        args.stack = 0;
        args.stack_size = 0;
        // SAFETY: without a stack of its own the child returns here like a forked one.
        let pid = answered(unsafe { libc::syscall(libc::SYS_clone3, &raw mut *args, size) })?;
        if pid == 0 {
            entry(arg);
            exit_now(255);
        }
        Ok(pid as pid_t)
    }
}

/// The thread-local storage of a child: what clone(2) takes for SETTLS.
///
/// An address; on i386 the bytes of a `struct user_desc`.
#[derive(Debug)]
pub(crate) struct Tls(
    #[cfg(not(target_arch = "x86"))] pub(crate) usize,
    #[cfg(target_arch = "x86")] pub(crate) [u8; 16],
);

impl Tls {
    pub(crate) fn as_argument(&self) -> *mut c_void {
        #[cfg(not(target_arch = "x86"))]
        return self.0 as *mut c_void;
        #[cfg(target_arch = "x86")]
        return self.0.as_ptr().cast_mut().cast();
    }
}

/// Where the C library keeps the calling thread's id, or `None` if it cannot be told.
///
/// glibc's fork has the kernel write a child's own id there; clone(2) does not know the place.
/// The kernel knows it, as the address that it clears when the thread ends (prctl(2),
/// PR_GET_TID_ADDRESS). It counts only if this thread's id stands there: other C libraries keep
/// something else at that address. Asked once for each thread.
pub(crate) fn tid_address() -> Option<NonNull<pid_t>> {
    thread_local! {
        static ADDRESS: Option<NonNull<pid_t>> = {
            let mut address: *mut pid_t = ptr::null_mut();
            // SAFETY: the kernel writes one pointer to `address`.
            unsafe {
                libc::prctl(
                    libc::PR_GET_TID_ADDRESS,
                    &raw mut address,
                    0 as c_ulong,
                    0 as c_ulong,
                    0 as c_ulong,
                )
            };
            // SAFETY: the address is the C library's own, valid as long as the thread lives.
            NonNull::new(address).filter(|id| unsafe { id.read() } == gettid())
        };
    }
    ADDRESS.with(|&address| address)
}

/// Runs `work`, and puts back the C library's note of the calling thread's id, and what stands
/// beside it.
///
/// Before glibc 2.25 clone(3) overwrites both, the thread's and the process's id, in a child that
/// shares memory, where they are the parent's; a thread whose id is gone cannot be joined.
pub(crate) fn keeping_thread_id<R>(work: impl FnOnce() -> R) -> R {
    let note = tid_address().map(|address| {
        let ids = address.cast::<[pid_t; 2]>();
        // SAFETY: both are inside of the C library's struct for this thread, whose is this.
        (ids, unsafe { ids.read() })
    });
    let result = work();
    if let Some((ids, before)) = note {
        // SAFETY: as above.
        unsafe {
            if ids.read() != before {
                ids.write(before);
            }
        }
    }
    result
}

/// Replaces the process id that the C library keeps, if it keeps `parent`'s: for a child that it
/// has not started itself. Before glibc 2.25 getpid(3) gives what stands beside the thread's id,
/// and asks the kernel if that is negative; later there is nothing.
pub(crate) fn forget_parent_id(parent: pid_t, own: pid_t) {
    if let Some(address) = tid_address() {
        // SAFETY: inside of the C library's struct for this thread, as in `keeping_thread_id`.
        unsafe {
            let process_id = address.add(1);
            if process_id.read() == parent {
                process_id.write(own);
            }
        }
    }
}
