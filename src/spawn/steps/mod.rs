//! What a child of spawn does before its code or its program runs: the steps, and their order.
//!
//! Everything that an option is stands in one file: how it is read, which flags it implies, what it
//! contradicts, what the child does, what its errors mean, and whether the child needs its parent
//! for it, or memory of its own.

mod cgroup;
mod cwd;
mod flags;
mod hostname;
mod ids;
mod loopback;
mod mount_proc;
mod parent_death;
mod plan;
mod private_mounts;
mod root;
mod set_tid;
mod streams;
mod time_offsets;
mod vfork;

use std::ffi::{CStr, CString};

use libc::{c_int, pid_t};
use perlxs::{Call, Scalar};

pub(super) use plan::Plan;
use plan::{Taken, covers};

use super::caller;
use super::refusal::{FUNCTION, Refusal};
use crate::error::Error;
use crate::sys;

impl Steps {
    /// All steps, none of which has been asked for yet, in the order in which the child takes them.
    pub(super) fn all() -> Self {
        Steps(vec![
            // What clone itself does. `flags` before those that take one away.
            Box::<flags::Flags>::default(),
            Box::<set_tid::SetTid>::default(),
            Box::<cgroup::Cgroup>::default(),
            Box::<vfork::Vfork>::default(),
            // Until its ids are mapped the child has no right to anything.
            Box::<ids::Maps>::default(),
            // Before the ids: a change of them closes /proc/self, where the offsets are written.
            Box::<time_offsets::TimeOffsets>::default(),
            // Before all that makes something, whose owner is who makes it.
            Box::<ids::Become>::default(),
            // After the ids: a change of them clears the signal.
            Box::<parent_death::ParentDeath>::default(),
            Box::<hostname::HostName>::default(),
            Box::<loopback::Loopback>::default(),
            // Before the mounts, whose namespace it makes; after the ids, which own that.
            Box::<root::Enter>::default(),
            // Before the first mount: none shall get out.
            Box::<private_mounts::PrivateMounts>::default(),
            Box::<root::Pivot>::default(),
            // After the pivot, since it goes there; before the old root goes: without a /proc in
            // sight that shows everything, the kernel gives a user namespace no other
            // (mount_namespaces(7), "Restrictions").
            Box::<mount_proc::MountProc>::default(),
            Box::<root::Detach>::default(),
            // It is in the new root, and may be on a new mount.
            Box::<cwd::Cwd>::default(),
            // Last: what fails before that is told to nobody's standard error.
            Box::<streams::Streams>::default(),
        ])
    }
}

/// A step: one or several options that belong together, and what the child does for them.
pub(super) trait Step {
    /// The options that it reads; a failure of part N is named by the Nth.
    fn options(&self) -> &'static [&'static str];

    /// Reads an option of its own; `None` where it is undef, which is as if it were not given.
    ///
    /// Returns `Err` for a value that makes no sense, or if reading it dies; with EBADF for a
    /// handle without a descriptor.
    fn read(
        &mut self,
        _call: &Call<'_>,
        _option: &'static str,
        _value: Option<&Scalar>,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Puts into the plan what it implies: flags, and what other steps have to know. All steps have
    /// been read.
    ///
    /// Returns `Err` for what it contradicts.
    fn plan(&mut self, _plan: &mut Plan) -> Result<(), Error> {
        Ok(())
    }

    /// What it needs that a child in the parent's memory, while the parent sleeps, cannot have.
    fn needs(&self, _plan: &Plan) -> Needs {
        Needs::Nothing
    }

    /// In the parent: does for the new child, which waits, what that cannot do itself. Only of
    /// steps that need [`Needs::Service`].
    fn serve(&self, _service: &Service<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// In the child, a copy of the process or in the parent's memory while the parent sleeps: so
    /// nothing here allocates, takes a lock or panics, and all that it needs has been prepared.
    fn act(&self, _scene: &Scene<'_>) -> Result<(), Stop> {
        Ok(())
    }

    /// What the refused part is called.
    fn name(&self, part: u8) -> &'static str {
        self.options().get(part as usize).unwrap_or(&"a step")
    }

    /// What it was about.
    fn about<'a>(&'a self, _plan: &'a Plan) -> Option<&'a [u8]> {
        None
    }

    /// Why this part may have been refused in the child.
    fn hint(&self, _part: u8, _errno: c_int, _plan: &Plan) -> Option<String> {
        None
    }

    /// Why clone(2) may have been refused.
    fn clone_hint(&self, _errno: c_int, _plan: &Plan) -> Option<String> {
        None
    }
}

/// A hint.
pub(super) const NO_PROC: &str = "there is no proc(5) on /proc";

/// Hint for EACCES from a file of the child's in proc(5).
pub(super) fn proc_hint() -> Option<String> {
    match sys::is_dumpable() {
        true => caller::rights_setting(),
        false => Some(
            "a caller that has changed its ids does not own its /proc/self before it calls exec; \
             see PR_SET_DUMPABLE in prctl(2)"
                .into(),
        ),
    }
}

/// Where programs of the system are looked for that do a part of the work.
pub(super) const SYSTEM_PATH: &str = "/usr/bin:/bin:/usr/local/bin:/run/wrappers/bin";

/// What a step needs, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    #[default]
    Nothing,
    /// Memory of the child's own.
    Memory,
    /// That its parent is awake while it acts.
    Parent,
    /// That its parent does something for it first ([`Step::serve`]).
    Service,
}

/// What the parent of a new child has at hand.
pub(super) struct Service<'a> {
    pub(super) pid: pid_t,
    pub(super) pidfd: c_int,
    /// Runs a program of the system to its end: what it wrote to standard error.
    pub(super) run: &'a dyn Fn(Vec<CString>) -> Result<String, Refusal>,
}

/// What a child has at hand while it acts.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    /// Asks whether the parent is alive.
    pub(super) parent_lives: &'a dyn Fn() -> bool,
}

/// Why a step has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Which of its options.
    part: u8,
    errno: c_int,
}

impl Stop {
    pub(super) fn at(part: usize) -> impl Fn(Error) -> Stop {
        move |error| Stop {
            part: part as u8,
            errno: error.errno(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::at(0)(error)
    }
}

/// What could not be done on the child's way, as its two numbers go over a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Not negative.
    pub(super) place: i32,
    pub(super) errno: c_int,
}

impl Failure {
    /// The place of what comes after all steps.
    const EXEC: i32 = i32::MAX;

    pub(super) fn of_exec(errno: c_int) -> Self {
        let place = Self::EXEC;
        Failure { place, errno }
    }

    /// Whether it is of what comes after all steps.
    pub(super) fn is_of_exec(self) -> bool {
        self.place == Self::EXEC
    }
}

/// The steps of one child, in their order.
pub(super) struct Steps(Vec<Box<dyn Step>>);

impl Steps {
    /// Of a program of our own: its standard error goes to this descriptor.
    pub(super) fn with_stderr(fd: c_int) -> Self {
        Steps(vec![Box::new(streams::Streams::with_stderr(fd))])
    }

    /// Has the step whose option it is read it. False if there is no such option.
    pub(super) fn read(
        &mut self,
        call: &Call<'_>,
        option: &str,
        value: Option<&Scalar>,
    ) -> Result<bool, Error> {
        for step in &mut self.0 {
            if let Some(name) = step.options().iter().find(|&&name| name == option) {
                return step.read(call, name, value).map(|()| true);
            }
        }
        Ok(false)
    }

    /// Completes the plan.
    pub(super) fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        self.0.iter_mut().try_for_each(|step| step.plan(plan))
    }

    /// The most that one of them needs.
    pub(super) fn needs(&self, plan: &Plan) -> Needs {
        let needs = self.0.iter().map(|step| step.needs(plan));
        needs.max().unwrap_or_default()
    }

    /// In the parent, while the child waits.
    pub(super) fn serve(&self, service: &Service<'_>) -> Result<(), Refusal> {
        self.0.iter().try_for_each(|step| step.serve(service))
    }

    /// In the child: takes them all.
    pub(super) fn run(&self, scene: &Scene<'_>) -> Result<(), Failure> {
        for (n, step) in self.0.iter().enumerate() {
            step.act(scene).map_err(|Stop { part, errno }| Failure {
                place: (n as i32) << 8 | i32::from(part),
                errno,
            })?;
        }
        Ok(())
    }

    /// The message for the failure of a step.
    pub(super) fn explain(&self, failure: Failure, plan: &Plan) -> Refusal {
        let Failure { place, errno } = failure;
        let part = place as u8;
        let step = usize::try_from(place >> 8).ok().and_then(|n| self.0.get(n));
        let Some(step) = step else {
            return Refusal::new("a step", errno, None);
        };
        let what = named(step.name(part), step.about(plan));
        Refusal::new(&what, errno, step.hint(part, errno, plan))
    }

    /// Why clone(2) may have been refused, if a step knows.
    pub(super) fn clone_hint(&self, errno: c_int, plan: &Plan) -> Option<String> {
        self.0.iter().find_map(|step| step.clone_hint(errno, plan))
    }
}

/// A step with what it was about, as far as the name of a file can be long.
pub(super) fn named(name: &str, about: Option<&[u8]>) -> String {
    const LONGEST: usize = libc::PATH_MAX as usize;
    match about {
        Some(about) if about.len() > LONGEST => {
            let start = String::from_utf8_lossy(&about[..LONGEST]);
            format!("{name} {start}...")
        }
        Some(about) => format!("{name} {}", String::from_utf8_lossy(about)),
        None => name.into(),
    }
}

/// Whether an option that is on or off is on.
fn is_on(value: Option<&Scalar>) -> Result<bool, Error> {
    Ok(value.map_or(Ok(false), Scalar::is_true)?)
}

/// The bytes of a name that a step is about.
fn bytes(name: &Option<CString>) -> Option<&[u8]> {
    name.as_deref().map(CStr::to_bytes)
}
