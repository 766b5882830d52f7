//! System calls: one thin function each, errno taken at once, no policy.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libc::{c_int, c_long, c_ulong, c_void, pid_t};

use perlxs::Call;

use crate::args::{PidfdRequest, SignalRequest, WaitRequest};
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
    match outcome {
        -1 => Err(last_error()),
        _ => Ok(()),
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
    entry: extern "C" fn(*mut c_void) -> c_int,
    stack_top: *mut c_void,
    flags: c_int,
    arg: *mut c_void,
    parent_tid: *mut c_int,
    tls: *mut c_void,
    child_tid: *mut c_int,
) -> Result<pid_t, Error> {
    // SAFETY: as the caller says; the pointers of unused arguments are null.
    let pid = unsafe { libc::clone(entry, stack_top, flags, arg, parent_tid, tls, child_tid) };
    match pid {
        -1 => Err(last_error()),
        pid => Ok(pid),
    }
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
    entry: extern "C" fn(*mut c_void) -> c_int,
    arg: *mut c_void,
) -> Result<pid_t, Error> {
    let size = size_of::<CloneArgs>();
    let outcome: isize;
    // SAFETY: the kernel reads `args`. The child starts behind the system call, with all registers
    // as they were but the result and the stack pointer; it calls `entry` and never comes here.
    #[cfg(target_arch = "x86_64")]
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
            inlateout("rax") libc::SYS_clone3 as isize => outcome,
            in("rdi") &raw mut *args,
            in("rsi") size,
            in("r12") arg,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
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
            in("x8") libc::SYS_clone3,
            inlateout("x0") &raw mut *args => outcome,
            in("x1") size,
            in("x20") arg,
            in("x21") entry,
            lateout("x30") _,
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        args.stack = 0;
        args.stack_size = 0;
        // SAFETY: without a stack of its own the child returns here like a forked one.
        outcome = unsafe { libc::syscall(libc::SYS_clone3, &raw mut *args, size) as isize };
        if outcome == 0 {
            entry(arg);
            exit_now(255);
        }
        if outcome == -1 {
            return Err(last_error());
        }
    }
    match outcome {
        pid @ 0.. => Ok(pid as pid_t),
        error => Err(Error::Errno(-error as c_int)),
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

/// Reaps a child, whatever its exit signal (waitpid(2), __WALL); one that is not ours is left.
pub(crate) fn reap(pid: pid_t) {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } == -1
        && errno() == libc::EINTR
    {}
}

/// Whether this process certainly has no thread but the caller.
///
/// glibc says so in a variable since 2.32 (`__libc_single_threaded`); it may say no for ever once
/// there was another thread, and others do not say. Then proc(5) is asked, which takes longer.
pub(crate) fn is_single_threaded() -> bool {
    static SINGLE: OnceLock<Option<&AtomicU8>> = OnceLock::new();
    let single = SINGLE.get_or_init(|| {
        // SAFETY: a C string; the symbol, if there is one, is a `char` that stays.
        unsafe {
            let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr());
            symbol.cast::<AtomicU8>().as_ref()
        }
    });
    if single.is_some_and(|single| single.load(Ordering::Relaxed) != 0) {
        return true;
    }
    // SAFETY: all zeros is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a C string, and a place for the answer.
    let told = unsafe { libc::stat(c"/proc/self/task".as_ptr(), &raw mut stat) } == 0;
    // a directory has two links and one for each directory in it: the threads
    told && stat.st_nlink == 3
}

/// Takes and gives back the locks of the C library that its fork(3) sets free: those of malloc, of
/// stdio, of the dynamic loader and of the list of threads. Blocks as long as one of them is held.
pub(crate) fn pass_through_locks() {
    // SAFETY: touches nothing but the C library's own state. mallinfo goes through all arenas.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallinfo()
    };
    let mut byte = [0u8; 1];
    // SAFETY: opens a stream on a buffer that outlives it, and closes it.
    unsafe {
        let stream = libc::fmemopen(byte.as_mut_ptr().cast(), 1, c"r".as_ptr());
        if !stream.is_null() {
            libc::fclose(stream);
        }
    }
    // SAFETY: changes nothing; to do it in all threads, the C library goes through their list.
    unsafe {
        libc::setresuid(libc::uid_t::MAX, libc::uid_t::MAX, libc::uid_t::MAX);
    }
    // SAFETY: all zeros is a valid `Dl_info`; the address is one of this library.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        libc::dladdr(pass_through_locks as *const c_void, &raw mut info);
    }
}

/// A word of memory that this process shares with the children it starts (mmap(2), futex(2)).
#[derive(Debug)]
pub(crate) struct SharedWord(NonNull<AtomicU32>);

impl SharedWord {
    /// One that holds 0.
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: a new mapping, placed by the kernel, touches nothing that exists.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<AtomicU32>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match NonNull::new(page.cast()) {
            Some(word) if page != libc::MAP_FAILED => Ok(SharedWord(word)),
            _ => Err(last_error()),
        }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the mapping lives as long as this value; all of it is zero at first.
        unsafe { self.0.as_ref() }
    }

    /// Stores a value and wakes who waits.
    pub(crate) fn set(&self, value: u32) {
        self.word().store(value, Ordering::Release);
        // SAFETY: the address is a mapped word.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAKE,
                c_int::MAX,
            );
        }
    }

    /// Waits until it holds something else than 0, but no longer than `patience`; what it holds
    /// then.
    pub(crate) fn wait(&self, patience: Duration) -> u32 {
        let end = Instant::now() + patience;
        loop {
            let value = self.word().load(Ordering::Acquire);
            let left = end.saturating_duration_since(Instant::now());
            if value != 0 || left.is_zero() {
                return value;
            }
            let timeout = libc::timespec {
                tv_sec: left.as_secs() as libc::time_t,
                tv_nsec: left.subsec_nanos() as c_long,
            };
            // SAFETY: the address is a mapped word; the kernel reads the timeout.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT,
                    0 as c_int,
                    &raw const timeout,
                );
            }
        }
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU32>()) };
    }
}

/// Runs `work`; a process that gets stuck in it sets `word` to `stuck` and ends. Stuck is one that
/// has used no processor time for three times `tick`: it waits for a lock.
///
/// For a new process of one thread, all signals blocked, without a timer or a SIGALRM of its own
/// (setitimer(2), clock_gettime(2)).
pub(crate) fn watched(tick: Duration, word: &SharedWord, stuck: u32, work: impl FnOnce()) {
    static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    static STUCK: AtomicU32 = AtomicU32::new(0);
    static IDLE_TICKS: AtomicU32 = AtomicU32::new(0);
    static USED: AtomicU64 = AtomicU64::new(0);

    extern "C" fn look(_: c_int) {
        // this handler itself takes some
        const MICROSECONDS: u64 = 50;
        let used = processor_time();
        let before = USED.swap(used, Ordering::Relaxed);
        if used - before > MICROSECONDS {
            IDLE_TICKS.store(0, Ordering::Relaxed);
        } else if IDLE_TICKS.fetch_add(1, Ordering::Relaxed) == 2 {
            if let Some(word) = NonNull::new(WORD.load(Ordering::Relaxed)) {
                let word = ManuallyDrop::new(SharedWord(word));
                word.set(STUCK.load(Ordering::Relaxed));
            }
            exit_now(255)
        }
    }

    let timer = |value: Duration| {
        let interval = libc::timeval {
            tv_sec: value.as_secs() as libc::time_t,
            tv_usec: value.subsec_micros() as libc::suseconds_t,
        };
        libc::itimerval {
            it_interval: interval,
            it_value: interval,
        }
    };
    WORD.store(word.0.as_ptr(), Ordering::Relaxed);
    STUCK.store(stuck, Ordering::Relaxed);
    IDLE_TICKS.store(0, Ordering::Relaxed);
    USED.store(processor_time(), Ordering::Relaxed);
    // SAFETY: valid structs; `look` does nothing but what signal-safety(7) allows, and the word
    // outlives this call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        let mut alarm: libc::sigset_t = std::mem::zeroed();
        action.sa_sigaction = look as extern "C" fn(c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut alarm);
        libc::sigaddset(&raw mut alarm, libc::SIGALRM);

        libc::sigaction(libc::SIGALRM, &raw const action, &raw mut before);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const alarm, ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &timer(tick), ptr::null_mut());
        work();
        libc::setitimer(libc::ITIMER_REAL, &timer(Duration::ZERO), ptr::null_mut());
        libc::sigprocmask(libc::SIG_BLOCK, &raw const alarm, ptr::null_mut());
        libc::sigaction(libc::SIGALRM, &raw const before, ptr::null_mut());
    }
}

/// What this process has used of the processor, in microseconds (clock_gettime(2)).
fn processor_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// pidfd_open(2). By syscall(2), as the other two below: a C library that has no such function
/// leaves it to the kernel to say so.
pub(crate) fn pidfd_open(request: PidfdRequest) -> Result<c_int, Error> {
    // SAFETY: touches no memory.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, request.pid, request.flags) } {
        -1 => Err(last_error()),
        fd => Ok(fd as c_int),
    }
}

/// pidfd_send_signal(2), with what kill(2) would say of the sender.
pub(crate) fn pidfd_send_signal(request: SignalRequest) -> Result<(), Error> {
    // SAFETY: a null `siginfo_t` is allowed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            request.pidfd,
            request.signal,
            ptr::null::<libc::siginfo_t>(),
            request.flags,
        )
    };
    match outcome {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// What waitid(2) says of a child; all are 0 if, with WNOHANG, there is nothing to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    pub(crate) pid: pid_t,
    pub(crate) uid: libc::uid_t,
    pub(crate) code: c_int,
    pub(crate) status: c_int,
}

/// waitid(2). Signal handlers run while it sleeps; it does not fail with EINTR.
///
/// It sleeps in a call of its own, with WNOWAIT: a handler that dies there takes no child along.
/// Returns `Err` with what the kernel refused, or with what such a handler throws.
pub(crate) fn waitid(call: &Call<'_>, request: WaitRequest) -> Result<Waited, Error> {
    let WaitRequest {
        idtype,
        id,
        options,
    } = request;
    loop {
        // SAFETY: all zeros is a valid `siginfo_t`; a place for the answer, and none for rusage.
        let info = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let outcome = libc::syscall(
                libc::SYS_waitid,
                idtype,
                id,
                &raw mut info,
                options | libc::WNOHANG,
                ptr::null::<libc::rusage>(),
            );
            if outcome == -1 {
                return Err(last_error());
            }
            info
        };
        if info.si_signo != 0 || options & libc::WNOHANG != 0 {
            // SAFETY: what waitid(2) fills in, or zeros.
            return Ok(unsafe {
                Waited {
                    pid: info.si_pid(),
                    uid: info.si_uid(),
                    code: info.si_code,
                    status: info.si_status(),
                }
            });
        }
        let asleep = [
            idtype.into(),
            id.into(),
            0,
            (options | libc::WNOWAIT).into(),
            0,
            0,
        ];
        // SAFETY: null pointers are allowed: nothing is written. It can be repeated.
        if let Err(errno) = unsafe { call.syscall(libc::SYS_waitid, asleep)? } {
            return Err(Error::Errno(errno));
        }
    }
}

/// Whether a child has neither ended nor stopped (waitid(2)); it is not reaped.
pub(crate) fn is_running(pid: pid_t) -> bool {
    // SAFETY: all zeros is a valid `siginfo_t`, and a place for the answer.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(
            libc::P_PID,
            pid as libc::id_t,
            &raw mut info,
            options as c_int,
        ) == 0
            && info.si_pid() == 0
    }
}

/// Whether the caller's next child is to be in another PID namespace than the caller, by
/// unshare(2) or setns(2); true if that cannot be told (namespaces(7)).
pub(crate) fn next_child_changes_pid_namespace() -> bool {
    // such a link reads "pid:[4026531836]"
    let namespace = |file: &CStr| {
        let mut name = [0u8; 32];
        // SAFETY: a C string, and a buffer of that length.
        let len = unsafe { libc::readlink(file.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
        (len > 0).then_some(name)
    };
    let own = namespace(c"/proc/thread-self/ns/pid");
    own.is_none() || own != namespace(c"/proc/thread-self/ns/pid_for_children")
}
