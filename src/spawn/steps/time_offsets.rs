//! `time_offsets`: a new time namespace whose clocks are moved (time_namespaces(7)).

use std::os::fd::AsRawFd;

use libc::c_int;
use perlxs::{Call, Number, Scalar};

use super::{Needs, Plan, Scene, Step, Stop};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::refusal::wrong;
use crate::sys::{self, ProcDirectory};

#[derive(Debug, Default)]
pub(super) struct TimeOffsets {
    /// As /proc/PID/timens_offsets takes them.
    offsets: Option<Vec<u8>>,
}

impl Step for TimeOffsets {
    fn options(&self) -> &'static [&'static str] {
        &["time_offsets"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.offsets = value.map(time_offsets).transpose()?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.offsets.is_some() {
            // the child makes that one: it has to write the offsets before it enters
            plan.flags -= CloneFlags::NEWTIME;
        }
        Ok(())
    }

    fn needs(&self, _: &Plan) -> Needs {
        // it is entered by one that has its memory for itself
        match self.offsets.is_some() {
            true => Needs::Memory,
            false => Needs::Nothing,
        }
    }

    /// unshare(2) gives the namespace to children only, and once somebody lives in it the offsets
    /// stand.
    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        let Some(offsets) = &self.offsets else {
            return Ok(());
        };
        const NEWTIME: u64 = CloneFlags::NEWTIME.bits();
        sys::unshare(NEWTIME)?;
        if !offsets.is_empty() {
            ProcDirectory::open(ProcDirectory::OWN)?.write(c"timens_offsets", offsets)?;
        }
        let namespace = sys::open(c"/proc/self/ns/time_for_children", libc::O_RDONLY)?;
        Ok(sys::setns(namespace.as_raw_fd(), NEWTIME as u32)?)
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        let hint = match errno {
            libc::EPERM => "it takes CAP_SYS_TIME and CAP_SYS_ADMIN, or NEWUSER",
            libc::EINVAL | libc::ENOENT => "this kernel has no time namespaces",
            libc::ERANGE => "the clock would be below 0, or beyond its end",
            _ => return None,
        };
        Some(hint.into())
    }
}

/// As /proc/PID/timens_offsets takes them (time_namespaces(7)).
fn time_offsets(value: &Scalar) -> Result<Vec<u8>, Error> {
    let entries = value.entries()?.ok_or_else(|| {
        wrong(format!(
            "time_offsets must be a reference to a hash, not {}",
            value.describe()
        ))
    })?;
    let mut text = String::new();
    for (clock, offset) in entries {
        if clock != "monotonic" && clock != "boottime" {
            return Err(wrong(format!(
                "time_offsets knows monotonic and boottime, not {}",
                read::quoted(&clock)
            )));
        }
        let offset = offset.copy()?;
        let number = offset.number()?;
        let whole = number.integer().and_then(|n| i64::try_from(n).ok());
        let (seconds, nanoseconds) = match (whole, number) {
            (Some(seconds), _) => (seconds, 0),
            (None, Number::Float(offset)) if offset.abs() < 1e15 => {
                let seconds = offset.floor();
                let nanoseconds = ((offset - seconds) * 1e9) as i64;
                (seconds as i64, nanoseconds.min(999_999_999))
            }
            _ => {
                return Err(wrong(format!(
                    "time_offsets must have seconds for {clock}, not {}",
                    offset.describe()
                )));
            }
        };
        text += &format!("{clock} {seconds} {nanoseconds}\n");
    }
    Ok(text.into_bytes())
}
