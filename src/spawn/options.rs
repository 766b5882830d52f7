//! From `spawn`'s options to a plan: everything is read and checked before anything is created.

use std::ffi::CString;

use libc::c_int;
use perlxs::{Call, Code, Scalar};

use super::program::{self, Program};
use super::refusal::{self, FUNCTION, wrong};
use super::steps::{Plan, Steps};
use crate::child::stack_size;
use crate::error::Error;
use crate::read;
use crate::sys;

/// What `spawn` was asked for, checked.
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) plan: Plan,
    /// What the child does first.
    pub(super) steps: Steps,
}

/// What the child is for.
pub(super) enum Work {
    Code(Code),
    Exec(Program),
}

/// The options as they come.
#[derive(Default)]
struct Options {
    code: Option<Code>,
    exec: Option<Vec<CString>>,
    env: Option<Vec<CString>>,
    exit_signal: Option<c_int>,
    stack_size: Option<usize>,
}

impl Request {
    /// Reads `%options`. Where one is given twice the last one counts, as in a hash; undef counts
    /// as not given.
    ///
    /// Returns `Err` for an option that there is not, for a value that makes no sense, for options
    /// that exclude each other, if reading one dies, or if in taint mode one is tainted or a
    /// program would get an environment that is not to be trusted; refuses a handle without a
    /// descriptor.
    pub(super) fn from_options(call: &Call<'_>) -> Result<Self, refusal::Error> {
        if call.len() % 2 != 0 {
            let wrong = match name(&call.arg(0)) {
                Ok(name) if name == CLASS => called_as_method(),
                _ => wrong("an odd number of arguments: options are names and values"),
            };
            return Err(wrong.into());
        }
        let mut options = Options::default();
        let mut steps = Steps::all();
        for i in (0..call.len()).step_by(2) {
            let name = name(&call.arg(i))?;
            let value = call.arg(i + 1).copy()?;
            let given = value.is_defined()?.then_some(&value);
            let mut read = || {
                if options.read(call, &name, given)? || steps.read(call, &name, given)? {
                    return Ok(());
                }
                match &name[..] {
                    CLASS => Err(called_as_method()),
                    _ => Err(wrong(format!("there is no option {}", read::quoted(&name)))),
                }
            };
            read().map_err(|error| match error {
                Error::Errno(errno) => refusal::Error::bad_handle(&name, errno),
                error => error.into(),
            })?;
        }
        call.perl().taint_proper(c"Linux::Clone::spawn")?;
        if options.exec.is_some() && options.env.is_none() {
            call.perl().taint_env()?;
        }
        Ok(options.check(steps)?)
    }
}

/// What `Linux::Clone->spawn` passes first.
const CLASS: &str = "Linux::Clone";

fn called_as_method() -> Error {
    wrong("it is a function, not a method: call Linux::Clone::spawn")
}

/// The name of an option: a reference is one without its value.
fn name(arg: &Scalar) -> Result<String, Error> {
    let name = arg.copy()?;
    match name.file_name()? {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(wrong(format!(
            "the name of an option must be a string, not {}",
            name.describe()
        ))),
    }
}

impl Options {
    /// Reads what the child itself is about. False if this option is about something else.
    fn read(&mut self, call: &Call<'_>, name: &str, given: Option<&Scalar>) -> Result<bool, Error> {
        match name {
            "code" => {
                let code = |value| read::code(FUNCTION, name, value);
                self.code = given.map(code).transpose()?;
            }
            "exec" => self.exec = given.map(program::command).transpose()?,
            "env" => self.env = given.map(program::environment).transpose()?,
            "stack_size" => {
                let size = |value| stack_size(FUNCTION, name, value);
                self.stack_size = given.map(size).transpose()?;
            }
            "exit_signal" => {
                let signal = |value| read::signal_from(0, call, FUNCTION, name, value);
                self.exit_signal = given.map(signal).transpose()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the options come to together.
    fn check(self, mut steps: Steps) -> Result<Request, Error> {
        let Options {
            code,
            exec,
            env,
            exit_signal,
            stack_size,
        } = self;
        let mut plan = Plan {
            runs_code: code.is_some(),
            ..Plan::default()
        };
        if let Some(signal) = exit_signal {
            plan.exit_signal = signal;
        }
        if let Some(size) = stack_size {
            plan.stack_size = size;
        }
        let work = match (code, exec) {
            (Some(_), Some(_)) => return Err(wrong("code and exec exclude each other")),
            (None, None) => return Err(wrong("it needs code or exec")),
            (Some(code), None) => {
                if env.is_some() {
                    plan.needs_program("env")?;
                }
                Work::Code(code)
            }
            (None, Some(_)) if plan.exit_signal != libc::SIGCHLD => {
                return Err(wrong(
                    "exit_signal is for code: the kernel makes that of a program SIGCHLD",
                ));
            }
            (None, Some(arguments)) => {
                let path = match &env {
                    Some(env) => env
                        .iter()
                        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH=").map(Vec::from)),
                    None => sys::environment_variable("PATH"),
                };
                Work::Exec(Program::new(arguments, env, path.as_deref()))
            }
        };
        steps.plan(&mut plan)?;
        Ok(Request { work, plan, steps })
    }
}
