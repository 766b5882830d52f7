//! The ways to start a child: a guest in its parent's memory, or a copy.
//!
//! A program is started in the parent's memory, as vfork(2) does, unless its child must wait for
//! its parent meanwhile, or needs memory of its own: then, and for code, it is a copy, and the two
//! talk over a [`Channel`] until the child is ready.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, Code};

use super::channel::{Channel, Slot, receive, send};
use super::program::Program;
use super::refusal::{Error, Refusal};
use super::steps::{Failure, Needs, Plan, SYSTEM_PATH, Scene, Service, Steps};
use crate::child::{self, ChildStack, CloneRequest, Started, SystemCall, clone_on};
use crate::error;
use crate::flags::CloneFlags;
use crate::sys;

/// A child that is ready: its code runs, or its program.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: pid_t,
    pub(crate) pidfd: OwnedFd,
}

/// What is missing where clone(2) gives no pidfd, and pidfd_open(2) neither.
const NO_PIDFDS: &str = "this kernel has no pidfds: Linux 5.4 has";

/// What the child says over the channel, beside the place of what failed.
const READY: i32 = -1;
/// The signal for the parent's death is set: is the parent alive?
const ARMED: i32 = -2;

/// Starts a child that runs code; `errno` is the `$!` that it starts with.
pub(super) fn code(
    call: &Call<'_>,
    code: Code,
    plan: &Plan,
    steps: &Steps,
    errno: c_int,
) -> Result<Child, Error> {
    let (system_call, flags) = plan.system_call();
    let mut request = CloneRequest {
        code,
        stack_size: plan.stack_size,
        flags,
        ptid: None,
        tls: None,
        ctid: None,
        pidfd: None,
        system_call,
    };
    let slot = Slot::new()?;
    let channel = Channel::new()?;
    let needs = steps.needs(plan);
    let prepare = || {
        slot.leave();
        set_up(steps, plan, &channel, needs);
        channel.tell_parent([READY, 0]);
        channel.leave();
    };
    let started = with_pidfd(flags, |flags| {
        request.flags = flags;
        child::start(call, &request, errno, Some(&prepare))
    });
    let child = Child::new(started, slot, plan, steps)?;
    let outcome = escort(
        call,
        channel.into_parents(),
        &child,
        plan,
        steps,
        needs,
        None,
    );
    child.after(outcome)
}

/// Starts a program.
pub(super) fn program(
    call: &Call<'_>,
    program: &Program,
    plan: &Plan,
    steps: &Steps,
) -> Result<Child, Error> {
    call.perl().flush_all()?;
    call.block_signals();
    let (system_call, flags) = plan.system_call();
    let start = ProgramStart {
        call,
        program,
        plan,
        steps,
        stack: ChildStack::new(plan.stack_size)?,
        flags,
        system_call,
    };
    match start.needs() {
        Needs::Nothing => start.in_shared_memory(),
        needs => start.as_copy(needs),
    }
}

impl Child {
    /// - `started`: as `plan` says.
    /// - `slot`: for its pidfd.
    fn new(
        started: Result<Started, error::Error>,
        slot: Slot,
        plan: &Plan,
        steps: &Steps,
    ) -> Result<Self, Error> {
        let started = started.map_err(|error| match error {
            error::Error::Errno(errno) => {
                let hint = clone_hint(errno, plan, steps);
                Error::Refused(Refusal::new("clone", errno, hint))
            }
            error => error.into(),
        })?;
        let pid = started.pid;
        // Linux before 5.2 does not know the flag, and ignores it
        let Some(pidfd) = started.pidfd else {
            sys::kill_and_reap_by_id(pid);
            let hint = Some(NO_PIDFDS.into());
            return Err(Error::Refused(Refusal::new("clone", libc::ENOSYS, hint)));
        };
        // perl's handles pass 0, 1 and 2 on
        match slot.take(pidfd) {
            Ok(pidfd) => Ok(Child { pid, pidfd }),
            Err(error) => {
                sys::kill_and_reap_by_id(pid);
                Err(error.into())
            }
        }
    }

    /// The child, if all went well with it; else it goes.
    fn after(self, outcome: Result<(), Error>) -> Result<Self, Error> {
        match outcome {
            Ok(()) => Ok(self),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// Kills it, and reaps it.
    fn end(&self) {
        sys::kill_and_reap(self.pidfd.as_raw_fd(), self.pid);
    }
}

/// Starts a child with PIDFD. Where that flag is refused, as some emulators of other machines do,
/// it starts without, and pidfd_open(2) opens what it would have been: that of a child which
/// nobody else has waited for.
///
/// Returns `Err` with what `start` does, also where there is no pidfd_open: then nothing has been
/// started.
pub(super) fn with_pidfd(
    flags: CloneFlags,
    mut start: impl FnMut(CloneFlags) -> Result<Started, error::Error>,
) -> Result<Started, error::Error> {
    let refused = match start(flags) {
        Err(error::Error::Errno(libc::EINVAL)) => Err(error::Error::Errno(libc::EINVAL)),
        started => return started,
    };
    if !sys::has_pidfd_open() {
        return refused;
    }
    // if it is another flag that is refused, it is again
    let Ok(mut started) = start(flags - CloneFlags::PIDFD) else {
        return refused;
    };
    match sys::pidfd_of_child(started.pid) {
        Ok(pidfd) => started.pidfd = Some(pidfd),
        Err(error) => {
            sys::kill_and_reap_by_id(started.pid);
            return Err(error);
        }
    }
    Ok(started)
}

/// Why clone(2) may have been refused: what a step knows, else what is true of each child.
fn clone_hint(errno: c_int, plan: &Plan, steps: &Steps) -> Option<String> {
    steps.clone_hint(errno, plan).or_else(|| {
        let clone3 = matches!(plan.system_call().0, SystemCall::Clone3 { .. });
        let hint = match errno {
            // some are older than the system call
            libc::EPERM if clone3 => "a filter may forbid clone3",
            libc::EPERM => "a filter may forbid it",
            libc::EDEADLK => {
                "other threads held the C library's locks each time that it was tried: THREADS in \
                 Linux::Clone says which flags keep it from being a fork(3)"
            }
            libc::EAGAIN => "too many processes: RLIMIT_NPROC, or a limit of the cgroup",
            libc::EINVAL if !sys::has_pidfd_open() => NO_PIDFDS,
            libc::ENOSYS if clone3 => "this kernel, or a filter, has no clone3",
            libc::ENOSYS => "a filter may forbid it",
            _ => return None,
        };
        Some(hint.into())
    })
}

/// The message for what failed on the child's way.
fn explain(failure: Failure, plan: &Plan, steps: &Steps, program: Option<&Program>) -> Refusal {
    match program {
        Some(program) if failure.is_of_exec() => program.explain(failure.errno, plan),
        _ => steps.explain(failure, plan),
    }
}

/// In a child that is a copy: takes its steps, or says what failed and ends.
fn set_up(steps: &Steps, plan: &Plan, channel: &Channel, needs: Needs) {
    channel.leave_parents_end();
    if needs == Needs::Service {
        // the channel tells, too, unless somebody else has a copy of the parent's end
        let _ = sys::set_parent_death_signal(libc::SIGKILL);
        if !channel.wait() {
            sys::exit_now(255);
        }
        let _ = sys::set_parent_death_signal(0);
    }
    let parent_lives = || {
        channel.tell_parent([ARMED, 0]);
        channel.wait()
    };
    let scene = Scene {
        plan,
        parent_lives: &parent_lives,
    };
    if let Err(Failure { place, errno }) = steps.run(&scene) {
        channel.tell_parent([place, errno]);
        sys::exit_now(255);
    }
}

/// In the parent of a copy: does for it what it cannot do itself, and waits until it is ready.
/// `program` is what it execs, if it does.
fn escort(
    call: &Call<'_>,
    parent: OwnedFd,
    child: &Child,
    plan: &Plan,
    steps: &Steps,
    needs: Needs,
    program: Option<&Program>,
) -> Result<(), Error> {
    if needs == Needs::Service {
        // what perl code throws meanwhile is no refusal
        let thrown = Cell::new(None);
        let service = Service {
            pid: child.pid,
            pidfd: child.pidfd.as_raw_fd(),
            run: &|words| run(call, words, &thrown),
        };
        let served = steps.serve(&service);
        if let Some(error) = thrown.take() {
            return Err(Error::Perl(error));
        }
        served?;
        send(&parent, [0, 0]);
    }
    loop {
        match receive(call, &parent, &child.pidfd)? {
            Some([READY, _]) => return Ok(()),
            Some([ARMED, _]) => send(&parent, [0, 0]),
            Some([place, errno]) => {
                let failure = Failure { place, errno };
                return Err(explain(failure, plan, steps, program).into());
            }
            // it has exec'ed, or was killed
            None if program.is_some() => return Ok(()),
            None => {
                let what = "the child was killed before its code ran";
                return Err(Error::Refused(Refusal::new(what, libc::ESRCH, None)));
            }
        }
    }
}

/// The start of a program.
struct ProgramStart<'a, 'c> {
    call: &'a Call<'c>,
    program: &'a Program,
    plan: &'a Plan,
    steps: &'a Steps,
    stack: ChildStack,
    /// With PIDFD.
    flags: CloneFlags,
    system_call: SystemCall,
}

/// What its child gets.
struct ProgramBirth<'a, 'c> {
    start: &'a ProgramStart<'a, 'c>,
    place: Place<'a>,
}

/// Where the child is, and how it says what failed.
enum Place<'a> {
    /// In the memory of its parent, which sleeps.
    Guest {
        /// The parent's process id.
        parent: pid_t,
        failure: &'a Cell<Option<Failure>>,
    },
    Copy {
        channel: &'a Channel,
        needs: Needs,
    },
}

impl ProgramStart<'_, '_> {
    fn needs(&self) -> Needs {
        let own_stack = match self.system_call {
            SystemCall::Clone => true,
            SystemCall::Clone3 { .. } => sys::CLONE3_HAS_OWN_STACK,
        };
        let least = match own_stack && sys::is_lent() {
            true => Needs::Nothing,
            false => Needs::Memory,
        };
        self.steps.needs(self.plan).max(least)
    }

    fn in_shared_memory(&self) -> Result<Child, Error> {
        let failure = Cell::new(None);
        let place = Place::Guest {
            parent: sys::getpid(),
            failure: &failure,
        };
        let flags = CloneFlags::VM | CloneFlags::VFORK;
        let child = self.start(flags, place)?;
        if sys::got_a_copy(child.pid) {
            return self.as_copy(Needs::Memory);
        }
        child.after(match failure.get() {
            None => Ok(()),
            Some(failure) => {
                let program = Some(self.program);
                Err(explain(failure, self.plan, self.steps, program).into())
            }
        })
    }

    fn as_copy(&self, needs: Needs) -> Result<Child, Error> {
        // That the channel ends says that the program runs. So no other thread may copy the process
        // while the child's end is open here: that copy would have it, too.
        let (child, parent) = self.call.perl().with_fork_locks(|| {
            let channel = Channel::new()?;
            let place = Place::Copy {
                channel: &channel,
                needs,
            };
            let child = self.start(CloneFlags::empty(), place)?;
            Ok::<_, Error>((child, channel.into_parents()))
        })?;
        let program = Some(self.program);
        let outcome = escort(
            self.call, parent, &child, self.plan, self.steps, needs, program,
        );
        child.after(outcome)
    }

    fn start(&self, memory: CloneFlags, place: Place<'_>) -> Result<Child, Error> {
        let slot = Slot::new()?;
        let mut birth = ProgramBirth { start: self, place };
        // SAFETY: VM comes with VFORK, so this frame and the stack stay while the child uses them;
        // else it has a copy of them. born_program takes a `ProgramBirth`.
        let started = with_pidfd(self.flags | memory, |flags| unsafe {
            let birth = (&raw mut birth).cast();
            let nowhere = std::ptr::null_mut();
            clone_on(
                &self.stack,
                flags,
                &self.system_call,
                None,
                born_program,
                birth,
                nowhere,
            )
        });
        Child::new(started, slot, self.plan, self.steps)
    }
}

/// The first frame of a child that becomes a program. `birth` is a [`ProgramBirth`].
extern "C" fn born_program(birth: *mut c_void) -> c_int {
    // nothing there panics; but if, it shall not unwind into nowhere
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `start` passed it, and sleeps, or its frame is part of our copy.
        let ProgramBirth { start, place } = unsafe { &*birth.cast::<ProgramBirth<'_, '_>>() };
        let exec = || {
            start.call.perl().before_exec();
            Failure::of_exec(start.program.exec(start.call.signal_mask()))
        };
        match place {
            Place::Guest { parent, failure } => {
                sys::arrive();
                let parent_lives = || sys::getppid() == *parent;
                let scene = Scene {
                    plan: start.plan,
                    parent_lives: &parent_lives,
                };
                let failed = start.steps.run(&scene).err();
                failure.set(Some(failed.unwrap_or_else(exec)));
            }
            Place::Copy { channel, needs } => {
                set_up(start.steps, start.plan, channel, *needs);
                let Failure { place, errno } = exec();
                channel.tell_parent([place, errno]);
            }
        }
    }));
    sys::exit_now(255)
}

/// Runs a program of the system to its end, with an environment of its own: what it wrote to
/// standard error. Signal handlers run meanwhile; if one throws, that is `thrown`, and the program
/// is killed.
fn run(
    call: &Call<'_>,
    words: Vec<CString>,
    thrown: &Cell<Option<perlxs::Error>>,
) -> Result<String, Refusal> {
    let environment = vec![
        c"LC_ALL=C".to_owned(),
        c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    ];
    let words = Program::new(words, Some(environment), Some(SYSTEM_PATH.as_bytes()));
    let refusal = |errno| Refusal::new("pipe", errno, None);
    let (read, write) = sys::pipe().map_err(|error| refusal(error.errno()))?;
    let steps = Steps::with_stderr(write.as_raw_fd());
    let child = match program(call, &words, &Plan::default(), &steps) {
        Ok(child) => child,
        Err(Error::Refused(refusal)) => return Err(refusal),
        Err(Error::Perl(error)) => {
            thrown.set(Some(error));
            return Err(refusal(libc::EINTR));
        }
    };
    drop(write);
    // Not until the end of file: a copy of this process that another thread makes may hold the
    // pipe open. The few lines that such a program says are in it when it has ended.
    if let Err(error::Error::Perl(error)) = sys::wait_for_end(call, child.pidfd.as_raw_fd(), None) {
        child.end();
        thrown.set(Some(error));
        return Err(refusal(libc::EINTR));
    }
    sys::set_nonblocking(read.as_raw_fd());
    let mut said = Vec::new();
    let _ = File::from(read).read_to_end(&mut said);
    Ok(String::from_utf8_lossy(&said).into_owned())
}
