//! `set_tid`: the process ids of the child, which it starts with (clone3(2)).

use libc::{c_int, pid_t};
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Step};
use crate::child::thread_ids;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::spawn::caller;

#[derive(Debug, Default)]
pub(super) struct SetTid {
    ids: Vec<pid_t>,
}

impl Step for SetTid {
    fn options(&self) -> &'static [&'static str] {
        &["set_tid"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        let ids = |value| thread_ids(FUNCTION, value);
        self.ids = value.map(ids).transpose()?.unwrap_or_default();
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        plan.set_tid = std::mem::take(&mut self.ids);
        Ok(())
    }

    fn clone_hint(&self, errno: c_int, plan: &Plan) -> Option<String> {
        let first = *plan.set_tid.first()?;
        let hint = match errno {
            libc::EPERM => "set_tid needs CAP_CHECKPOINT_RESTORE; or there is a filter",
            libc::EEXIST => "set_tid has the id of a process that there is",
            libc::EINVAL if plan.flags.contains(CloneFlags::NEWPID) && first != 1 => {
                "set_tid: the first process of a new PID namespace is process 1"
            }
            libc::EINVAL if caller::next_child_is_the_first() && first != 1 => {
                "set_tid: no process of the PID namespace that the caller's children get has been \
                 process 1 yet"
            }
            libc::EINVAL => {
                "set_tid has an id that is out of range, or more ids than there are PID \
                 namespaces for it"
            }
            _ => return None,
        };
        Some(hint.into())
    }
}
