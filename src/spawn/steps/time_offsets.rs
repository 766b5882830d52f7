//! `time_offsets`: a new time namespace whose clocks are moved (time_namespaces(7)).

use std::os::fd::AsRawFd;

use libc::c_int;
use perlxs::{Call, Number, Scalar};

use super::flags::namespace_hint;
use super::{NO_PROC, Needs, Plan, Scene, Step, Stop, proc_hint};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::refusal::wrong;
use crate::sys::{self, ProcDirectory};

/// Parts of the step: their errors mean different things.
const ENTER: u8 = 0;
const UNSHARE: u8 = 1;
const PROC: u8 = 2;

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
        sys::unshare(NEWTIME).map_err(Stop::at(UNSHARE.into()))?;
        let in_proc = Stop::at(PROC.into());
        if !offsets.is_empty() {
            let own = ProcDirectory::open(ProcDirectory::OWN).map_err(&in_proc)?;
            own.write(c"timens_offsets", offsets).map_err(&in_proc)?;
        }
        let flags = libc::O_RDONLY;
        let namespace = sys::open(c"/proc/self/ns/time_for_children", flags).map_err(&in_proc)?;
        sys::setns(namespace.as_raw_fd(), NEWTIME as u32).map_err(Stop::at(ENTER.into()))
    }

    fn name(&self, _: u8) -> &'static str {
        "time_offsets"
    }

    fn hint(&self, part: u8, errno: c_int, plan: &Plan) -> Option<String> {
        let hint = match (part, errno) {
            (UNSHARE, libc::EPERM) if !plan.flags.contains(CloneFlags::NEWUSER) => {
                return plan.setting().or_else(|| {
                    Some("it takes CAP_SYS_TIME and CAP_SYS_ADMIN, or NEWUSER".into())
                });
            }
            (UNSHARE, _) => return namespace_hint(errno, plan, CloneFlags::NEWTIME),
            (PROC, libc::EACCES) => return proc_hint(),
            (PROC, libc::ENOENT) => NO_PROC,
            (PROC, libc::ERANGE) => "the clock would be below 0, or beyond its end",
            (_, libc::EPERM) => {
                return plan.right_hint(errno, "CAP_SYS_TIME and CAP_SYS_ADMIN");
            }
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
