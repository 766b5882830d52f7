//! `loopback`: brings lo of a new network namespace up (netdevice(7)).

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{Plan, Scene, Step, Stop, is_on};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct Loopback {
    on: bool,
}

impl Step for Loopback {
    fn options(&self) -> &'static [&'static str] {
        &["loopback"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.on = is_on(value)?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.on {
            plan.flags |= CloneFlags::NEWNET;
        }
        Ok(())
    }

    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        if self.on {
            sys::bring_up_loopback()?;
        }
        Ok(())
    }

    fn hint(&self, _: u8, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::EPERM => plan.right_hint(errno, "CAP_NET_ADMIN in the network namespace"),
            _ => None,
        }
    }
}
