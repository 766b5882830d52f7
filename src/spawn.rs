//! Starting a child of `spawn`: the parent's half.
//!
//! A program is started in the parent's memory, as vfork(2) does, unless its child must wait for
//! its parent meanwhile, or needs memory of its own: then, and for code, it is a copy, and the two
//! talk over a [`Channel`] until the child is ready.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{c_int, c_void, pid_t};
use perlxs::{Call, Code, Perl, Scalar};

use crate::child::{self, ChildStack, CloneRequest, Started, SystemCall, clone_on};
use crate::error;
use crate::flags::CloneFlags;
use crate::hint;
use crate::options::{IdKind, IdMap, Row, SpawnRequest, Work};
use crate::setup::{Failure, Program, Setup, Step};
use crate::sys::{self, Channel, ProcDirectory};

/// A child that is ready: its code runs, or its program.
#[derive(Debug)]
pub(crate) struct Child {
    pid: pid_t,
    pidfd: OwnedFd,
}

/// Why there is no child.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system refused.
    Refused(Refusal),
    /// What perl code threw meanwhile.
    Perl(perlxs::Error),
}

/// What the system refused, for `$!` and `$Linux::Clone::error`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: c_int,
    pub(crate) message: String,
}

impl Refusal {
    /// - `what`: the step, with what it was about.
    /// - `hint`: what is missing, if that can be told.
    fn new(what: &str, errno: c_int, hint: Option<String>) -> Self {
        let mut message = format!("Linux::Clone::spawn: {what}: {}", sys::strerror(errno));
        if let Some(hint) = hint {
            message += &format!(" ({hint})");
        }
        Refusal { errno, message }
    }
}

impl Error {
    /// The handle that this option has been given has no descriptor.
    pub(crate) fn bad_handle(option: &str, errno: c_int) -> Self {
        let hint = "the handle is closed, or in memory".into();
        Error::Refused(Refusal::new(option, errno, Some(hint)))
    }
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        match error {
            error::Error::Errno(errno) => Error::Refused(Refusal::new("the start", errno, None)),
            error::Error::Perl(error) => Error::Perl(error),
        }
    }
}

impl From<perlxs::Error> for Error {
    fn from(error: perlxs::Error) -> Self {
        Error::Perl(error)
    }
}

/// What the child says over the channel, beside the number of a step that failed.
const READY: i32 = -1;
/// The signal for the parent's death is set: is the parent alive?
const ARMED: i32 = -2;

/// The constructor of the class in lib/Linux/Clone/Child.pm.
///
/// Returns `Err` if somebody has taken it away.
pub(crate) fn constructor(perl: Perl) -> Result<Code, Error> {
    let new = Scalar::new(perl, "Linux::Clone::Child::_new").code()?;
    Ok(new.ok_or_else(|| perlxs::Error::croak("Linux::Clone::Child is not that of Linux::Clone"))?)
}

impl Child {
    /// The Perl object for it.
    ///
    /// Returns `Err` if it cannot be made; then the child is gone.
    pub(crate) fn into_object(self, new: &Code) -> Result<Scalar, Error> {
        let perl = new.perl();
        let Child { pid, pidfd } = self;
        // true once the handle has it: then perl closes it, whatever comes next
        let taken = Scalar::new(perl, false);
        let object = new.call(&[
            Scalar::new(perl, pid),
            Scalar::new(perl, pidfd.as_raw_fd()),
            taken.clone(),
        ]);
        let errno = sys::errno();
        let pidfd = match matches!(taken.is_true(), Ok(false)) {
            true => Some(pidfd),
            false => {
                let _ = pidfd.into_raw_fd();
                None
            }
        };
        let error = match object {
            Ok(object) if matches!(object.is_defined(), Ok(true)) => return Ok(object),
            Ok(_) => Error::Refused(Refusal::new("pidfd", errno, None)),
            Err(error) => Error::Perl(error),
        };
        match pidfd {
            Some(pidfd) => sys::kill_and_reap(pidfd.as_raw_fd(), pid),
            None => sys::kill_and_reap_by_id(pid),
        }
        Err(error)
    }

    /// The child, if all went well with it; else it goes.
    fn after(self, outcome: Result<(), Error>) -> Result<Self, Error> {
        match outcome {
            Ok(()) => Ok(self),
            Err(error) => {
                sys::kill_and_reap(self.pidfd.as_raw_fd(), self.pid);
                Err(error)
            }
        }
    }
}

/// Starts the child that `request` describes, and returns when it is ready; `errno` is the `$!`
/// that its code starts with.
///
/// Returns `Err` if a step was refused, in the parent or in the child, or if perl code that runs
/// meanwhile throws; then there is no child.
pub(crate) fn spawn(call: &Call<'_>, request: SpawnRequest, errno: c_int) -> Result<Child, Error> {
    let SpawnRequest {
        work,
        stack_size,
        flags,
        system_call,
        setup,
        maps,
    } = request;
    match work {
        Work::Code(code) => {
            let request = CloneRequest {
                code,
                stack_size,
                flags,
                ptid: None,
                tls: None,
                ctid: None,
                pidfd: None,
                system_call,
            };
            let slot = sys::Slot::new()?;
            let channel = Channel::new()?;
            let prepare = || {
                slot.leave();
                set_up(&setup, &channel, !maps.is_empty());
                channel.tell_parent([READY, 0]);
                channel.leave();
            };
            let started = child::start(call, &request, errno, Some(&prepare));
            let child = Child::new(started, slot, flags, &request.system_call)?;
            let outcome = escort(call, channel.into_parents(), &child, &maps, &setup, None);
            child.after(outcome)
        }
        Work::Exec(program) => {
            call.perl().flush_all()?;
            let start = ProgramStart {
                call,
                program: &program,
                setup: &setup,
                stack: ChildStack::new(stack_size)?,
                flags,
                system_call: &system_call,
            };
            start.child(&maps)
        }
    }
}

impl Child {
    /// - `started`: by this system call with these flags.
    /// - `slot`: for its pidfd.
    fn new(
        started: Result<Started, error::Error>,
        slot: sys::Slot,
        flags: CloneFlags,
        system_call: &SystemCall,
    ) -> Result<Self, Error> {
        let started = started.map_err(|error| match error {
            error::Error::Errno(errno) => {
                let hint = hint::for_clone(errno, flags, system_call);
                Error::Refused(Refusal::new("clone", errno, hint))
            }
            error => error.into(),
        })?;
        let pid = started.pid;
        // Linux before 5.2 does not know the flag, and ignores it
        let Some(pidfd) = started.pidfd else {
            sys::kill_and_reap_by_id(pid);
            let hint = Some("this kernel has no pidfds: Linux 5.4 has".into());
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

    /// Its directory in proc(5), not that of another process which has got the same id since.
    ///
    /// Returns ESRCH if somebody has killed and reaped it.
    fn proc_directory(&self) -> Result<ProcDirectory, error::Error> {
        let name = CString::new(format!("/proc/{}", self.pid)).unwrap_or_default();
        let directory = ProcDirectory::open(&name)?;
        // whose id it still is was there when that was opened, too
        match sys::keeps_its_id(self.pidfd.as_raw_fd()) {
            true => Ok(directory),
            false => Err(error::Error::Errno(libc::ESRCH)),
        }
    }
}

/// In a child that is a copy: does what its setup asks for, or says what failed and ends.
fn set_up(setup: &Setup, channel: &Channel, waits_for_maps: bool) {
    channel.leave_parents_end();
    if waits_for_maps {
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
    if let Err(Failure { step, errno }) = setup.run(parent_lives) {
        channel.tell_parent([step as i32, errno]);
        sys::exit_now(255);
    }
}

/// In the parent of a copy: does for it what it cannot do itself, and waits until it is ready.
/// `program` is what it execs, if it does.
fn escort(
    call: &Call<'_>,
    parent: OwnedFd,
    child: &Child,
    maps: &[IdMap],
    setup: &Setup,
    program: Option<&Program>,
) -> Result<(), Error> {
    for map in maps {
        write_map(call, child, map).map_err(Error::Refused)?;
    }
    if !maps.is_empty() {
        sys::send(&parent, [0, 0]);
    }
    loop {
        match sys::receive(call, &parent, &child.pidfd)? {
            Some([READY, _]) => return Ok(()),
            Some([ARMED, _]) => sys::send(&parent, [0, 0]),
            Some([step, errno]) => {
                let step = Step::from_number(step).unwrap_or(Step::Exec);
                return Err(refused(Failure { step, errno }, setup, program));
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

/// What a child could not do.
fn refused(failure: Failure, setup: &Setup, program: Option<&Program>) -> Error {
    let Failure { step, errno } = failure;
    let about = match step {
        Step::Root => setup.root.as_deref().map(CStr::to_bytes),
        Step::Cwd => setup.cwd.as_deref().map(CStr::to_bytes),
        Step::Hostname => setup.hostname.as_deref(),
        Step::Exec => program.map(Program::name),
        _ => None,
    };
    // as long as a name of a file can be
    const LONGEST: usize = libc::PATH_MAX as usize;
    let what = match about {
        Some(about) if about.len() > LONGEST => {
            let start = String::from_utf8_lossy(&about[..LONGEST]);
            format!("{} {start}...", step.name())
        }
        Some(about) => format!("{} {}", step.name(), String::from_utf8_lossy(about)),
        None => step.name().into(),
    };
    Error::Refused(Refusal::new(&what, errno, hint::for_step(step, errno)))
}

/// The start of a program.
struct ProgramStart<'a, 'c> {
    call: &'a Call<'c>,
    program: &'a Program,
    setup: &'a Setup,
    stack: ChildStack,
    /// With PIDFD.
    flags: CloneFlags,
    system_call: &'a SystemCall,
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
        waits_for_maps: bool,
    },
}

impl ProgramStart<'_, '_> {
    fn child(&self, maps: &[IdMap]) -> Result<Child, Error> {
        match maps.is_empty() && self.may_share_memory() {
            true => self.in_shared_memory(),
            false => self.as_copy(maps),
        }
    }

    /// Whether the child can do without its parent, and with its parent's memory.
    fn may_share_memory(&self) -> bool {
        let setup = self.setup;
        // a time namespace is entered by one that has its memory for itself
        let own_memory = setup.time_offsets.is_some()
            || self.flags.contains(CloneFlags::NEWTIME)
            || sys::next_child_changes_time_namespace();
        // in another PID namespace only the parent itself can say that it lives
        let asks = setup.parent_death.is_some()
            && (self.flags.contains(CloneFlags::NEWPID) || sys::next_child_changes_pid_namespace());
        let own_stack = match self.system_call {
            SystemCall::Clone => true,
            SystemCall::Clone3 { .. } => sys::CLONE3_HAS_OWN_STACK,
        };
        !own_memory && !asks && own_stack
    }

    fn in_shared_memory(&self) -> Result<Child, Error> {
        let failure = Cell::new(None);
        let place = Place::Guest {
            parent: sys::getpid(),
            failure: &failure,
        };
        let flags = CloneFlags::VM | CloneFlags::VFORK;
        let child = self.start(flags, place)?;
        child.after(match failure.get() {
            None => Ok(()),
            Some(failure) => Err(refused(failure, self.setup, Some(self.program))),
        })
    }

    fn as_copy(&self, maps: &[IdMap]) -> Result<Child, Error> {
        // That the channel ends says that the program runs. So no other thread may copy the process
        // while the child's end is open here: that copy would have it, too.
        let (child, parent) = self.call.perl().with_fork_locks(|| {
            let channel = Channel::new()?;
            let place = Place::Copy {
                channel: &channel,
                waits_for_maps: !maps.is_empty(),
            };
            let child = self.start(CloneFlags::empty(), place)?;
            Ok::<_, Error>((child, channel.into_parents()))
        })?;
        let program = Some(self.program);
        let outcome = escort(self.call, parent, &child, maps, self.setup, program);
        child.after(outcome)
    }

    fn start(&self, memory: CloneFlags, place: Place<'_>) -> Result<Child, Error> {
        let slot = sys::Slot::new()?;
        let mut birth = ProgramBirth { start: self, place };
        let flags = self.flags | memory;
        // SAFETY: VM comes with VFORK, so this frame and the stack stay while the child uses them;
        // else it has a copy of them. born_program takes a `ProgramBirth`.
        let started = unsafe {
            let birth = (&raw mut birth).cast();
            let nowhere = std::ptr::null_mut();
            clone_on(
                &self.stack,
                flags,
                self.system_call,
                None,
                born_program,
                birth,
                nowhere,
            )
        };
        Child::new(started, slot, flags, self.system_call)
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
            Failure {
                step: Step::Exec,
                errno: start.program.exec(start.call.signal_mask()),
            }
        };
        match place {
            Place::Guest { parent, failure } => {
                let parent_lives = || sys::getppid() == *parent;
                let failed = start.setup.run(parent_lives).err();
                failure.set(Some(failed.unwrap_or_else(exec)));
            }
            Place::Copy {
                channel,
                waits_for_maps,
            } => {
                set_up(start.setup, channel, *waits_for_maps);
                let Failure { step, errno } = exec();
                channel.tell_parent([step as i32, errno]);
            }
        }
    }));
    sys::exit_now(255)
}

/// Whether the numbers in /proc are those of the caller's PID namespace: in another one's /proc
/// they are other processes, and the caller has several (proc_pid_status(5), NSpid).
///
/// Returns `Err` if it cannot be asked.
fn proc_is_ours() -> io::Result<bool> {
    let status = match fs::read_to_string("/proc/self/status") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        status => status?,
    };
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    Ok(ids.is_some_and(|ids| ids.split_whitespace().count() == 1))
}

fn errno_of(error: io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Writes a map that the child cannot write itself: with the right to map others' ids directly,
/// else by the program that has it for who has a range in /etc/subuid (newuidmap(1)).
fn write_map(call: &Call<'_>, child: &Child, map: &IdMap) -> Result<(), Refusal> {
    let kind = map.kind;
    let name = kind.step().name();
    if !proc_is_ours().map_err(|error| Refusal::new(name, errno_of(error), None))? {
        let hint = "/proc is not that of the caller's PID namespace".into();
        return Err(Refusal::new(name, libc::ENOENT, Some(hint)));
    }
    if kind.may_map_others() {
        let written = child
            .proc_directory()
            .and_then(|directory| directory.write(kind.file(), &map.text()));
        return written.map_err(|error| {
            let errno = error.errno();
            Refusal::new(name, errno, hint::for_step(kind.step(), errno))
        });
    }
    let (program, ranges, capability) = match kind {
        IdKind::User => ("newuidmap", "/etc/subuid", "CAP_SETUID"),
        IdKind::Group => ("newgidmap", "/etc/subgid", "CAP_SETGID"),
    };
    let refusal = |errno, hint| Refusal::new(&format!("{name} {program}"), errno, hint);
    let mut words = vec![program.into(), child.pid.to_string()];
    for &Row {
        inside,
        outside,
        count,
    } in &map.rows
    {
        words.extend([inside, outside, count].map(|id| id.to_string()));
    }
    // whose id the program gets is not a stranger's
    if !sys::keeps_its_id(child.pidfd.as_raw_fd()) {
        return Err(refusal(libc::ESRCH, None));
    }
    let said = run(call, words).map_err(|Refusal { errno, .. }| {
        let hint = format!(
            "without {capability} that program maps other ids than your own; is its package \
             uidmap installed?"
        );
        refusal(
            errno,
            matches!(errno, libc::ENOENT | libc::EACCES).then_some(hint),
        )
    })?;
    // Its status may be somebody else's, who waits for all children; but the map tells.
    match fs::read(format!("/proc/{}/{name}", child.pid)) {
        Ok(text) if !text.is_empty() => Ok(()),
        Err(error) => Err(refusal(errno_of(error), None)),
        Ok(_) => {
            let said = match said.trim_end().replace('\n', "; ") {
                said if said.is_empty() => "it said nothing".into(),
                said => said,
            };
            let hint = format!("{said}; does {ranges} have a range for you?");
            Err(refusal(libc::EPERM, Some(hint)))
        }
    }
}

/// Runs a program of the system to its end, with an environment of its own: what it wrote to
/// standard error.
fn run(call: &Call<'_>, words: Vec<String>) -> Result<String, Refusal> {
    const PATH: &[u8] = b"/usr/bin:/bin:/usr/local/bin:/run/wrappers/bin";
    let words = words.into_iter().filter_map(|word| CString::new(word).ok());
    let environment = vec![
        c"LC_ALL=C".to_owned(),
        c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    ];
    let program = Program::new(words.collect(), Some(environment), Some(PATH));
    let refusal = |errno| Refusal::new("pipe", errno, None);
    let (read, write) = sys::pipe().map_err(|error| refusal(error.errno()))?;
    let setup = Setup {
        streams: [None, None, Some(write.as_raw_fd())],
        ..Setup::default()
    };
    let start = ProgramStart {
        call,
        program: &program,
        setup: &setup,
        stack: ChildStack::new(ChildStack::DEFAULT).map_err(|_| refusal(libc::ENOMEM))?,
        flags: CloneFlags::PIDFD | CloneFlags::from_bits_retain(libc::SIGCHLD as u64),
        system_call: &SystemCall::Clone,
    };
    let child = match start.child(&[]) {
        Ok(child) => child,
        Err(Error::Refused(refusal)) => return Err(refusal),
        Err(Error::Perl(_)) => return Err(refusal(libc::EIO)),
    };
    drop(write);
    // Not until the end of file: a copy of this process that another thread makes may hold the
    // pipe open. The few lines that such a program says are in it when it has ended.
    sys::reap_by_pidfd(child.pidfd.as_raw_fd());
    sys::set_nonblocking(read.as_raw_fd());
    let mut said = Vec::new();
    let _ = File::from(read).read_to_end(&mut said);
    Ok(String::from_utf8_lossy(&said).into_owned())
}
