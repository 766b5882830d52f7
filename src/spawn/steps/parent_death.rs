//! `parent_death`: the signal that the child gets when its parent dies (prctl(2),
//! PR_SET_PDEATHSIG).

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Needs, Plan, Scene, Step, Stop};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct ParentDeath {
    signal: Option<c_int>,
}

impl Step for ParentDeath {
    fn options(&self) -> &'static [&'static str] {
        &["parent_death"]
    }

    fn read(
        &mut self,
        call: &Call<'_>,
        option: &'static str,
        value: Option<&Scalar>,
    ) -> Result<(), Error> {
        let signal = |value| read::signal_from(1, call, FUNCTION, option, value);
        self.signal = value.map(signal).transpose()?;
        Ok(())
    }

    fn needs(&self, plan: &Plan) -> Needs {
        // in another PID namespace only the parent itself can say that it lives
        match self.signal.is_some()
            && (plan.flags.contains(CloneFlags::NEWPID) || sys::next_child_changes_pid_namespace())
        {
            true => Needs::Parent,
            false => Needs::Nothing,
        }
    }

    /// If the parent was not alive after the signal was set, nobody will send it: then the process
    /// ends.
    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if let Some(signal) = self.signal {
            // while it waits, signals are blocked, but for this one
            sys::set_parent_death_signal(libc::SIGKILL)?;
            if !(scene.parent_lives)() {
                sys::exit_now(255);
            }
            sys::set_parent_death_signal(signal)?;
        }
        Ok(())
    }
}
