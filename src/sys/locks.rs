//! The locks of the C library, which another thread may hold when a process is copied.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libc::{c_char, c_int, c_long, c_void};

use super::{exit_now, last_error};
use crate::error::Error;

/// Whether this process certainly has no thread but the caller, and shares its memory with none.
///
/// glibc says so in a variable since 2.32 (`__libc_single_threaded`); it may say no for ever once
/// there was another thread, and others do not say. Then proc(5) is asked, which takes longer.
pub(crate) fn is_single_threaded() -> bool {
    static SINGLE: OnceLock<Option<&AtomicU8>> = OnceLock::new();
    if BESIDE_THREADS.get() {
        return false;
    }
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

/// Where the kernel looks for locked robust mutexes when the calling thread ends: the C library's
/// list, and its length (get_robust_list(2)). Of a child that the C library has not started the
/// kernel knows none. `None` if it cannot be asked.
pub(crate) fn robust_list() -> Option<[usize; 2]> {
    let mut list = [0usize; 2];
    // SAFETY: two places for the answer.
    let outcome = unsafe {
        let [head, len] = &mut list;
        libc::syscall(libc::SYS_get_robust_list, 0, &raw mut *head, &raw mut *len)
    };
    (outcome == 0 && list[0] != 0).then_some(list)
}

/// Tells the kernel of it (set_robust_list(2)): in a child, whose copy is at the same place.
pub(crate) fn set_robust_list([head, len]: [usize; 2]) {
    // SAFETY: the C library's own list, of this thread.
    unsafe { libc::syscall(libc::SYS_set_robust_list, head, len) };
}

thread_local! {
    /// Whether this is a process that shares the memory of one with threads.
    static BESIDE_THREADS: Cell<bool> = const { Cell::new(false) };
}

/// Says whether the caller is a process that shares memory with threads of another; returns what
/// held before.
pub(crate) fn beside_threads(beside: bool) -> bool {
    BESIDE_THREADS.replace(beside)
}

/// Takes and gives back the locks of the C library that its fork(3) sets free: those of malloc, of
/// stdio, of the dynamic loader, of the list of threads and of nsswitch.conf(5). Blocks as long as
/// one of them is held.
pub(crate) fn pass_through_locks() {
    ask_name_services();
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

/// Has the C library look whether nsswitch.conf(5) has changed, as each look-up of a user's or a
/// host's name does; glibc has a lock for that since 2.33. It reads the file at the first time.
pub(crate) fn ask_name_services() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
        }
        // SAFETY: C strings. It changes nothing: this is no list of services.
        unsafe { __nss_configure_lookup(c"aliases".as_ptr(), c"files [".as_ptr()) };
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
/// waits for a lock: three `tick`s find that it has slept since the one before, and none of them,
/// nor one in between, that it has worked for half of the time. That it has worked for next to no
/// time does not tell: a tick takes some itself, and on an idle machine more than a short piece of
/// work. Since there are kernels that do not count sleeps, three hundred ticks without half of the
/// time do, too.
///
/// For a new process of one thread, all signals blocked, without a timer or a SIGALRM of its own
/// (setitimer(2), getrusage(2)).
pub(crate) fn watched(tick: Duration, word: &SharedWord, stuck: u32, work: impl FnOnce()) {
    const SLEPT: u32 = 100;
    static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    static STUCK: AtomicU32 = AtomicU32::new(0);
    static HALF_TICK: AtomicU32 = AtomicU32::new(0);
    static SLEEPS: AtomicU32 = AtomicU32::new(0);
    static USED: AtomicU32 = AtomicU32::new(0);
    static IDLE: AtomicU32 = AtomicU32::new(0);

    extern "C" fn look(_: c_int) {
        let Usage { sleeps, time } = usage();
        let slept = SLEEPS.swap(sleeps, Ordering::Relaxed) != sleeps;
        let used = time.wrapping_sub(USED.swap(time, Ordering::Relaxed));
        let idle = match used < HALF_TICK.load(Ordering::Relaxed) {
            true => IDLE.load(Ordering::Relaxed) + if slept { SLEPT } else { 1 },
            false => 0,
        };
        IDLE.store(idle, Ordering::Relaxed);
        if idle >= 3 * SLEPT {
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
    HALF_TICK.store((tick / 2).as_micros() as u32, Ordering::Relaxed);
    // what a new process has used and done; its parent may have been watched, too
    for counter in [&SLEEPS, &USED, &IDLE] {
        counter.store(0, Ordering::Relaxed);
    }
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
        // none is pending now, but under an emulator: ignored, it is gone
        action.sa_sigaction = libc::SIG_IGN;
        libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut());
        libc::sigaction(libc::SIGALRM, &raw const before, ptr::null_mut());
    }
}

/// What this process has had of the processor, in numbers that wrap around.
struct Usage {
    /// How often it has given it up to wait for something.
    sleeps: u32,
    /// In microseconds.
    time: u32,
}

/// getrusage(2)
fn usage() -> Usage {
    // SAFETY: all zeros is a valid `rusage`, and a place for the answer.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    let microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    Usage {
        sleeps: usage.ru_nvcsw as u32,
        time: (seconds as u32)
            .wrapping_mul(1_000_000)
            .wrapping_add(microseconds as u32),
    }
}
