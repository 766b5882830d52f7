//! `set_tid`: the process ids of the child, which it starts with (clone3(2)).

use libc::{c_int, pid_t};
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Step};
use crate::child::thread_ids;
use crate::error::Error;

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
        match errno {
            libc::EPERM if !plan.set_tid.is_empty() => {
                Some("set_tid needs CAP_CHECKPOINT_RESTORE; or there is a filter".into())
            }
            _ => None,
        }
    }
}
